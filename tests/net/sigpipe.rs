//! A process that has not switched SIGPIPE off: a program whose `main` is not Rust's, or a library that
//! another language loads. Without the standard library's help a write to a closed connection ends it.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use support::alone::in_own_process;
use support::net::{Call, Server, Why};
use support::{LONG, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::{Address, Listener, Wire};

#[test]
fn a_write_to_a_closed_connection_is_an_error_and_no_signal() {
    in_own_process("sigpipe::a_write_to_a_closed_connection_is_an_error_and_no_signal", || {
        use nix::sys::signal::{SigHandler, Signal, signal};
        // SAFETY: no handler is installed.
        #[allow(unsafe_code)]
        unsafe {
            signal(Signal::SIGPIPE, SigHandler::SigDfl).unwrap();
        }
        on_every_pair_and_noise(|pair| {
            let (go_on, wait) = mpsc::channel::<()>();
            let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
            let name = format!("tripoll-sigpipe-{}-{pair}", std::process::id());
            let address = Address::Abstract(name.into());
            let answer = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    wait.lock().unwrap().recv_timeout(LONG).unwrap(); // until the client is gone
                    wire.write(b"an answer");
                    wire.write(b"another");
                    return Ok(data.len());
                }
                Ok(0)
            };
            let server = Server::at(pair, &address, Listener::builder(), |c| c, answer);
            let mut client = connect(&address);
            client.write_all(b"?").unwrap();
            client.shutdown(Shutdown::Both).unwrap();
            drop(client);
            go_on.send(()).unwrap();
            let broken = Call::Closed(Why::Failed(io::ErrorKind::BrokenPipe));
            assert_eq!(server.until_closed().last(), Some(&broken));
            // A blocking stream, as a worker has it.
            let listener = Listener::bind(Address::Abstract(b"tripoll-sigpipe-blocking".into()));
            let listener = listener.unwrap();
            drop(connect(listener.local_address()));
            let mut accepted = listener.accept().unwrap();
            for broken in [accepted.write(b"x"), accepted.write_vectored(&[io::IoSlice::new(b"x")])]
            {
                assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            }
        });
    });
}

fn connect(address: &Address) -> UnixStream {
    use std::os::linux::net::SocketAddrExt;
    let Address::Abstract(name) = address else { panic!("{address}") };
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    UnixStream::connect_addr(&address).unwrap()
}
