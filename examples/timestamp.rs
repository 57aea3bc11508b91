//! The tutorials' first server: it sends each message back with the time before it.
//!
//! Run: `cargo run --example timestamp -- --listen 127.0.0.1:21567`, then
//! `cargo run --example client -- timestamp --connect 127.0.0.1:21567`.
//!
//! There are two servers here with the same answers. [`one_at_a_time`] is the tutorial's: two
//! nested loops of blocking calls. It is easy to read, and serves one client at a time. The kernel
//! connects further clients, and they may send, but they get no answer until the first one leaves.
//! That is the lesson of this server. Three of its faults are mended: a reset or half a character
//! ended the program, and a connection stayed open until the next one came.
//!
//! `--concurrent` is the solution of all later servers. One loop waits for all clients at once, and
//! calls what was the body of the inner loop with each piece that arrives.
//!
//! Try: two clients at once, with and without `--concurrent`.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::Local;
use clap::Parser;
use common::Options;
use rustix::net::Shutdown as Finish;
use tripoll::net::{Connection, Listener, Protocol, Stream, Utf8Decoder, Wire};
use tripoll::server::PythonSocket;
use tripoll::{Context, Reactor};

/// How much is read at once: `recv(1024)`.
const BUFSIZ: usize = 1024;
/// How long a client may take its answers after a signal.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Serve all clients at once, over a reactor. Only the reactor uses --backend, --trigger and
    /// --trace: without --concurrent they have no effect
    #[arg(long)]
    concurrent: bool,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, concurrent } =
        common::read("Sends each message back with the time before it", common::ANYWHERE);
    options.begin()?;
    let listener = Listener::bind(&options.listen)?;
    if concurrent {
        all_at_once(listener, options.reactor().build()?)?;
    } else {
        one_at_a_time(listener)?;
    }
    Ok(())
}

/// `'[%s] %s' % (time.ctime(), recv_data)`.
fn stamp(recv_data: &str) -> String {
    format!("[{}] {recv_data}", Local::now().format("%a %b %e %H:%M:%S %Y"))
}

// The tutorial's server.

fn one_at_a_time(tcp_ser_sock: Listener) -> io::Result<()> {
    tcp_ser_sock.set_nonblocking(false)?;
    let address = tcp_ser_sock.local_address().clone();
    let server = Blocking { tcp_ser_sock, now: Arc::default() };
    server.stop_on_signal()?;
    common::announce(&address);

    while let Some(tcp_cli_sock) = server.accept()? {
        if let Err(error) = converse(&tcp_cli_sock) {
            log::debug!("{}: {error}", tcp_cli_sock.peer());
        }
        server.close(tcp_cli_sock);
    }
    Ok(())
}

/// Answers one client until it has finished sending.
fn converse(tcp_cli_sock: &Stream) -> io::Result<()> {
    let mut decoder = Utf8Decoder::new();
    loop {
        let data = tcp_cli_sock.recv(BUFSIZ)?;
        let recv_data = match data.as_slice() {
            b"" => decoder.finish().into(),
            data => decoder.decode(data),
        };
        if !recv_data.is_empty() {
            tcp_cli_sock.sendall(stamp(&recv_data).as_bytes())?;
        }
        if data.is_empty() {
            return Ok(());
        }
    }
}

/// A server of blocking calls. To stop it, another thread shuts its sockets down, which ends each
/// call.
struct Blocking {
    tcp_ser_sock: Listener,
    now: Arc<Mutex<Now>>,
}

#[derive(Default)]
struct Now {
    serving: Option<Arc<Stream>>,
    is_stopping: bool,
}

impl Blocking {
    /// Accepts the next client. Returns `None` when the server stops.
    ///
    /// # Errors
    ///
    /// Fails when the socket does not listen any more.
    fn accept(&self) -> io::Result<Option<Arc<Stream>>> {
        let mut has_logged = false;
        loop {
            let accepted = self.tcp_ser_sock.accept();
            let mut now = lock(&self.now);
            if now.is_stopping {
                return Ok(None);
            }
            match accepted {
                Ok(client) => {
                    if let Err(error) = client.set_nonblocking(false) {
                        log::debug!("{}: {error}", client.peer()); // no fault of the listening socket
                        continue;
                    }
                    let client = Arc::new(client);
                    now.serving = Some(Arc::clone(&client));
                    return Ok(Some(client));
                }
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    let address = self.tcp_ser_sock.local_address();
                    let text = format!("cannot accept on {address} any more: {error}");
                    return Err(io::Error::new(error.kind(), text));
                }
                Err(error) => {
                    drop(now);
                    if !has_logged {
                        log::warn!("cannot accept: {error}");
                        has_logged = true;
                    }
                    thread::sleep(Duration::from_millis(100)); // a retry at once would fail too
                }
            }
        }
    }

    /// Closes a connection now, and not when the next one comes.
    fn close(&self, client: Arc<Stream>) {
        lock(&self.now).serving = None;
        drop(client);
    }

    /// On SIGINT or SIGTERM no more clients are accepted, and no more is read from the current one.
    /// If it does not read its answers, its connection is shut down after [`GRACE`].
    ///
    /// The thread has a duplicate of the listening socket and not the [`Listener`], which is
    /// dropped when the server ends, and then removes the file of a Unix socket.
    fn stop_on_signal(&self) -> io::Result<()> {
        let (now, signals) = (Arc::clone(&self.now), common::signals()?);
        let listening = self.tcp_ser_sock.as_fd().try_clone_to_owned().map_err(|error| {
            let text = format!("cannot duplicate the listening socket: fcntl: {error}");
            io::Error::new(error.kind(), text)
        })?;
        common::start_thread(move || {
            common::wait_for(&signals);
            lock(&now).shut_down(&listening, Shutdown::Read);
            thread::sleep(GRACE);
            lock(&now).shut_down(&listening, Shutdown::Both);
        })?;
        Ok(())
    }
}

impl Now {
    fn shut_down(&mut self, listening: &OwnedFd, how: Shutdown) {
        self.is_stopping = true;
        // An error means that the peer has closed already.
        let _ = rustix::net::shutdown(listening, Finish::Both);
        if let Some(client) = &self.serving {
            let _ = client.shutdown(how);
        }
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

// The server over a reactor.

fn all_at_once(listener: Listener, mut reactor: Reactor) -> io::Result<()> {
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), |client, cx| {
        Connection::new(Timestamp::default()).serve(client, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;
    common::announce(&address);
    reactor.run()
}

/// The protocol of one client's connection: the body of the inner loop.
#[derive(Default)]
struct Timestamp {
    decoder: Utf8Decoder,
}

impl Protocol for Timestamp {
    fn received(&mut self, client: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        let data = &data[..data.len().min(BUFSIZ)];
        let recv_data = self.decoder.decode(data);
        if !recv_data.is_empty() {
            client.write(stamp(&recv_data).as_bytes());
        }
        Ok(data.len()) // the rest, if any, is offered at once
    }

    fn ended(&mut self, client: &mut Wire, _: &[u8], _: &mut Context) -> io::Result<()> {
        let recv_data = self.decoder.finish();
        if !recv_data.is_empty() {
            client.write(stamp(recv_data).as_bytes());
        }
        client.close();
        Ok(())
    }
}
