//! Servers of datagrams, and clients who do not take what they have asked for.

use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as Socket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{io, process, thread};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::time::{ClockId, clock_gettime};
use support::server::*;
use support::*;
use tripoll::net::Address;
use tripoll::server::{
    BaseServer, Concurrency, Datagram, DatagramExchange, Exchange, HandlerError, HandlerResult,
    Hooks, InReactor, Inline, Pooled, PythonDatagramSocket, Server, ServerConfig, Supports,
    Threading, Udp, UdpServer, UnixDgram,
};
use tripoll::{Backend, Trigger};

/// A Unix socket's name that nobody else has, and that leaves no file.
fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("tripoll-datagrams-{}-{number}", process::id())
}

fn client() -> Socket {
    let client = Socket::bind_addr(&SocketAddr::from_abstract_name(name()).unwrap()).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.set_write_timeout(Some(LONG)).unwrap();
    client
}

/// What the handling of requests has cost, and what was told of it.
#[derive(Default)]
struct Account {
    handled: Mutex<(u32, Duration)>,
    told: Mutex<Vec<(io::ErrorKind, String)>>,
}

impl Account {
    fn told(&self) -> Vec<(io::ErrorKind, String)> {
        self.told.lock().unwrap().clone()
    }
}

struct Counting(Arc<Account>);

impl Hooks<Datagram> for Counting {
    fn finish_request(
        &self,
        server: &BaseServer<Datagram>,
        request: &Datagram,
        client_address: &Address,
    ) -> HandlerResult {
        let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let before = used();
        let outcome = server.finish_request(request, client_address);
        let mut handled = self.0.handled.lock().unwrap();
        handled.0 += 1;
        handled.1 += used() - before;
        outcome
    }

    fn handle_error(
        &self,
        _: &BaseServer<Datagram>,
        _: &Datagram,
        _: &Address,
        error: &HandlerError,
    ) {
        let kind = error.downcast_ref::<io::Error>().expect("an error of the system's").kind();
        self.0.told.lock().unwrap().push((kind, error.to_string()));
    }
}

fn a_client_that_reads_no_answers_delays_no_other<C>()
where
    C: Concurrency + Default + Supports<DatagramExchange>,
{
    for &backend in Backend::ALL {
        thread::scope(|scope| {
            for &trigger in Trigger::ALL {
                let config = ServerConfig::default().backend(backend).trigger(trigger);
                for is_connected in [false, true] {
                    let config = config.clone();
                    scope.spawn(move || ask_and_do_not_listen::<C>(config, is_connected));
                }
            }
        });
    }
}

/// The system keeps some ten answers for whoever reads none. For whoever has connected its socket it
/// keeps any number, at the expense of the server's send buffer.
fn ask_and_do_not_listen<C>(config: ServerConfig, is_connected: bool)
where
    C: Concurrency + Default + Supports<DatagramExchange>,
{
    let name = name();
    let account = Arc::<Account>::default();
    let address = Address::Abstract(name.clone().into_bytes());
    let server = Server::<UnixDgram, C>::builder(address)
        .config(config)
        .hooks(Counting(Arc::clone(&account)))
        .build(|| Line)
        .unwrap();
    let there = &SocketAddr::from_abstract_name(name).unwrap();
    let greedy = client();
    let greedy_address = greedy.local_addr().unwrap();
    if is_connected {
        greedy.connect_addr(there).unwrap();
    }
    let (done, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..400 {
                let sent = match is_connected {
                    true => greedy.send(b"hello\n"),
                    false => greedy.send_to_addr(b"hello\n", there),
                };
                if sent.is_err() {
                    break; // the server is closed
                }
            }
            let _ = wait.recv(); // until then it is there, and reads nothing
            drop(greedy);
        });
        while_serving(&server, || {
            let _done = done;
            await_that("a reply that is not taken", || !account.told().is_empty());
            let client = client();
            for _ in 0..3 {
                client.send_to_addr(b"hello\n", there).unwrap();
                assert_eq!(client.recv(&mut [0; 10]).unwrap(), 6);
            }
            let greedy = greedy_address.as_abstract_name().unwrap();
            let fault = if is_connected { "has not read" } else { "has no room for a datagram" };
            let greedy = format!("@{} {fault}", String::from_utf8_lossy(greedy));
            for (kind, message) in account.told() {
                assert_eq!(kind, io::ErrorKind::TimedOut, "{message}");
                assert!(message.starts_with(&greedy), "{message}");
            }
        });
    });
    let (count, used) = *account.handled.lock().unwrap();
    assert!(used < count * Duration::from_millis(2), "{count} requests took {used:?}");
}

#[test]
fn inline_a_client_that_reads_no_answers_delays_no_other() {
    a_client_that_reads_no_answers_delays_no_other::<Inline>();
}

#[test]
fn with_threads_a_client_that_reads_no_answers_delays_no_other() {
    a_client_that_reads_no_answers_delays_no_other::<Threading>();
}

#[test]
fn with_a_pool_a_client_that_reads_no_answers_delays_no_other() {
    a_client_that_reads_no_answers_delays_no_other::<Pooled>();
}

#[test]
fn in_the_loop_a_client_that_reads_no_answers_delays_no_other() {
    a_client_that_reads_no_answers_delays_no_other::<InReactor>();
}

/// A server whose socket reports the errors of datagrams that it has sent (`IP_RECVERR`), and clients
/// that are gone when their answer comes.
fn clients_that_are_gone_concern_no_other<C>()
where
    C: Concurrency + Default + Supports<DatagramExchange>,
{
    on_every_config_and_noise(|config| {
        let server = Server::<Udp, C>::builder(ANY)
            .config(config.clone())
            .build_fn(|exchange: &mut DatagramExchange| {
                setsockopt(&*exchange.socket, sockopt::Ipv4RecvErr, &true).unwrap();
                exchange.wfile.extend_from_slice(&exchange.packet.data);
                Ok(())
            })
            .unwrap();
        while_serving(&server, || {
            let Address::Inet(address) = server.server_address() else { unreachable!() };
            let client = UdpSocket::bind(ANY).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            for round in 0..10_u8 {
                for _ in 0..5 {
                    let gone = UdpSocket::bind(ANY).unwrap();
                    gone.send_to(b"is anybody there", address).unwrap();
                }
                client.send_to(&[round], address).unwrap();
                let mut answer = [0; 8];
                assert_eq!(client.recv(&mut answer).unwrap(), 1);
                assert_eq!(answer[0], round);
            }
        });
    });
}

#[test]
fn inline_clients_that_are_gone_concern_no_other() {
    clients_that_are_gone_concern_no_other::<Inline>();
}

#[test]
fn with_threads_clients_that_are_gone_concern_no_other() {
    clients_that_are_gone_concern_no_other::<Threading>();
}

#[test]
fn with_a_pool_clients_that_are_gone_concern_no_other() {
    clients_that_are_gone_concern_no_other::<Pooled>();
}

#[test]
fn in_the_loop_clients_that_are_gone_concern_no_other() {
    clients_that_are_gone_concern_no_other::<InReactor>();
}

/// Also one datagram after the other finds the whole buffer: what was longer before leaves nothing.
/// Returns how long a handler has waited in vain for a client that reads nothing.
fn waits_for_room<C>() -> Duration
where
    C: Concurrency + Default + Supports<Exchange<Datagram>>,
{
    let (tell, told) = mpsc::channel();
    let handle = move |exchange: &mut Exchange<Datagram>| -> HandlerResult {
        let (socket, client) = (&exchange.request.socket, &exchange.client_address);
        let late = loop {
            let began = Instant::now();
            if let Err(error) = socket.sendto(b"?", client) {
                break (error.kind(), began.elapsed());
            }
        };
        Ok(tell.send(late)?)
    };
    let name = name();
    let address = Address::Abstract(name.clone().into_bytes());
    let server = Server::<UnixDgram, C>::builder(address).build_fn(handle).unwrap();
    while_serving(&server, || {
        let client = client();
        let there = SocketAddr::from_abstract_name(&name).unwrap();
        client.send_to_addr(b"!", &there).unwrap();
        let (kind, waited) = told.recv_timeout(LONG).unwrap();
        assert_eq!(kind, io::ErrorKind::TimedOut);
        waited
    })
}

#[test]
fn an_answer_waits_for_room_where_that_delays_few_others() {
    let tenth = Duration::from_millis(100);
    assert!(waits_for_room::<Threading>() >= tenth);
    assert!(waits_for_room::<Pooled>() >= tenth);
    assert!(waits_for_room::<Inline>() >= tenth / 5);
    // In the loop not at all. A machine that stands still may try again.
    assert!((0..10).any(|_| waits_for_room::<InReactor>() < tenth / 10));
}

#[test]
fn each_datagram_has_its_own_bytes() {
    let server = UdpServer::from_fn(ANY, |exchange: &mut DatagramExchange| {
        exchange.wfile.extend_from_slice(&exchange.packet.data);
        Ok(())
    })
    .unwrap();
    while_serving(&server, || {
        let Address::Inet(address) = server.server_address() else { unreachable!() };
        let client = UdpSocket::bind(ANY).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        for question in [&b"long, longer, longest"[..], b"short", b"", b"long again"] {
            client.send_to(question, address).unwrap();
            let mut answer = [0; 100];
            let size = client.recv(&mut answer).unwrap();
            assert_eq!(&answer[..size], question);
        }
    });
}

#[test]
fn no_datagram_is_longer_than_the_kernel_makes_them() {
    let serve = |max_packet_size| {
        let config = ServerConfig::default().max_packet_size(max_packet_size);
        UdpServer::builder(ANY).config(config).build_fn(|_: &mut DatagramExchange| Ok(()))
    };
    for too_much in [usize::MAX, (16 << 20) + 1] {
        let refused = serve(too_much).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("max_packet_size"), "{refused}");
    }
    let server = serve(16 << 20).unwrap();
    while_serving(&server, || {
        let Address::Inet(address) = server.server_address() else { unreachable!() };
        let client = UdpSocket::bind(ANY).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.send_to(&[1; 60_000], address).unwrap();
        assert_eq!(client.recv(&mut [0; 10]).unwrap(), 0);
    });
}
