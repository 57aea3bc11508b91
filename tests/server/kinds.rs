//! Every transport × concurrency answers, and is what it says it is; what each kind of handler has.

use std::collections::HashSet;
use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv6Addr, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;
use tripoll::server::{PythonDatagramSocket, PythonSocket};

use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    Cause, Concurrency, Datagram, DatagramExchange, Exchange, ExchangeKind, HandlerResult,
    InReactor, Inline, LoopExchange, Pooled, ReactorTcpServer, RequestHandler, Server,
    ServerConfig, StreamExchange, StreamOptions, Supports, Tcp, TcpServer, Threading,
    ThreadingTcpServer, Transport, Udp, UdpServer, Unix, UnixDatagramServer, UnixDgram,
};
use tripoll::{Backend, Trigger};

/// A client of each transport that sends and receives.
trait Talk: Transport {
    fn somewhere(path: &SocketPath) -> Address;
    fn ask(address: &Address, question: &[u8]) -> Vec<u8>;
}

impl Talk for Tcp {
    fn somewhere(_: &SocketPath) -> Address {
        ANY.parse().unwrap()
    }
    fn ask(address: &Address, question: &[u8]) -> Vec<u8> {
        ask(address, question)
    }
}

impl Talk for Unix {
    fn somewhere(path: &SocketPath) -> Address {
        path.address()
    }
    fn ask(address: &Address, question: &[u8]) -> Vec<u8> {
        let Address::Unix(path) = address else { panic!() };
        let mut client = UnixStream::connect(path).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.write_all(question).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        answer
    }
}

impl Talk for Udp {
    fn somewhere(_: &SocketPath) -> Address {
        ANY.parse().unwrap()
    }
    fn ask(address: &Address, question: &[u8]) -> Vec<u8> {
        let Address::Inet(address) = address else { panic!() };
        let client = UdpSocket::bind(ANY).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.send_to(question, address).unwrap();
        let mut answer = vec![0; 10_000];
        let size = client.recv(&mut answer).unwrap();
        answer.truncate(size);
        answer
    }
}

impl Talk for UnixDgram {
    fn somewhere(path: &SocketPath) -> Address {
        path.address()
    }
    fn ask(address: &Address, question: &[u8]) -> Vec<u8> {
        let Address::Unix(path) = address else { panic!() };
        let here = SocketPath::unused();
        let client = UnixDatagram::bind(&here.0).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.send_to(question, path).unwrap();
        let mut answer = vec![0; 10_000];
        let size = client.recv(&mut answer).unwrap();
        answer.truncate(size);
        answer
    }
}

/// Where the handlers ran.
type Places = Arc<Mutex<Vec<ThreadId>>>;

/// The server of a transport and a concurrency, as its handler runs: on the serving thread, and
/// where else.
fn lines<T, C, X>(config: &ServerConfig, concurrency: C) -> (ThreadId, Vec<ThreadId>)
where
    T: Talk,
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = T::Request>,
    Line: RequestHandler<X>,
{
    let places = Places::default();
    let path = SocketPath::unused();
    let noted = Arc::clone(&places);
    let server: Server<T, C> = Server::builder(T::somewhere(&path))
        .config(config.clone())
        .concurrency(concurrency)
        .build(move || {
            noted.lock().unwrap().push(thread::current().id());
            Line
        })
        .unwrap();
    let loop_thread = thread::scope(|scope| {
        let serving = scope.spawn(serving(&server));
        let id = serving.thread().id();
        for _ in 0..3 {
            assert_eq!(T::ask(&server.server_address(), b"hello\n"), b"hello\n");
        }
        server.shutdown().unwrap();
        serving.join().unwrap().unwrap();
        id
    });
    server.server_close();
    let places = places.lock().unwrap().clone();
    assert_eq!(places.len(), 3);
    (loop_thread, places)
}

/// Runs each concurrency over a transport, and proves where its handlers run.
fn every_concurrency<T, X, L>(config: &ServerConfig)
where
    T: Talk,
    X: ExchangeKind<Request = T::Request>,
    L: ExchangeKind<Request = T::Request>,
    Inline: Supports<X>,
    Threading: Supports<X>,
    Pooled: Supports<X>,
    InReactor: Supports<L>,
    Line: RequestHandler<X> + RequestHandler<L>,
{
    let (home, places) = lines::<T, Inline, X>(config, Inline);
    assert_eq!(places, [home; 3]);

    let (home, places) = lines::<T, Threading, X>(config, Threading::default());
    let distinct: HashSet<_> = places.iter().chain([&home]).collect();
    assert_eq!(distinct.len(), 4, "a thread for each request");

    let two = Pooled::default().workers(2);
    let (home, places) = lines::<T, Pooled, X>(config, two);
    let distinct: HashSet<_> = places.iter().collect();
    assert!(distinct.len() <= 2 && !distinct.contains(&home), "two workers for all");

    let (home, places) = lines::<T, InReactor, L>(config, InReactor::default());
    assert_eq!(places, [home; 3]);
}

#[test]
fn every_transport_and_concurrency_whatever_the_kernel_is_asked() {
    on_every_config_and_noise(|config| {
        every_concurrency::<Tcp, StreamExchange, LoopExchange>(config);
        every_concurrency::<Unix, StreamExchange, LoopExchange>(config);
        every_concurrency::<Udp, DatagramExchange, DatagramExchange>(config);
        every_concurrency::<UnixDgram, DatagramExchange, DatagramExchange>(config);
    });
}

#[test]
fn a_bare_request_has_pythons_attributes() {
    let server = TcpServer::from_fn(ANY, |exchange: &mut Exchange| {
        assert_eq!(exchange.client_address, *exchange.request.peer());
        let said = exchange.request.recv(3)?;
        assert_eq!(said, b"hel");
        let address = exchange.server.server_address();
        assert_eq!(exchange.server.connections().len(), 1);
        exchange.request.sendall(format!("{address} {}", exchange.client_address).as_bytes())?;
        exchange.request.close(); // its own close, and the server's after it
        exchange.request.close();
        Ok(())
    })
    .unwrap();
    while_serving(&server, || {
        let client = connect(&server.server_address());
        let mine = client.local_addr().unwrap();
        (&client).write_all(b"hel").unwrap();
        let mut answer = String::new();
        (&client).read_to_string(&mut answer).unwrap();
        assert_eq!(answer, format!("{} {mine}", server.server_address()));
    });
}

#[test]
fn a_stream_handler_has_options() {
    struct Hasty;
    impl RequestHandler<StreamExchange> for Hasty {
        fn options(&self) -> StreamOptions {
            StreamOptions::default()
                .rbufsize(0)
                .wbufsize(-1)
                .timeout(Some(Duration::from_millis(1)))
                .disable_nagle_algorithm(true)
        }
        fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
            assert!(rustix::net::sockopt::tcp_nodelay(&*exchange.connection)?);
            let mut line = String::new();
            exchange.rfile.read_line(&mut line)?;
            // Nothing was read ahead.
            assert_eq!(exchange.connection.recv(100)?, b"rest");
            exchange.wfile.write_all(b"kept until the end")?;
            let late = exchange.connection.recv(1).unwrap_err();
            assert_eq!(late.kind(), io::ErrorKind::TimedOut);
            Ok(())
        }
    }
    let server = TcpServer::new(ANY, || Hasty).unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        client.write_all(b"line\nrest").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "kept until the end");
    });
    // Python's: unbuffered writes, and Nagle's algorithm.
    let server = TcpServer::from_fn(ANY, |exchange: &mut StreamExchange| {
        assert!(!rustix::net::sockopt::tcp_nodelay(&*exchange.connection)?);
        exchange.wfile.write_all(b"at once")?;
        let mut answer = String::new();
        exchange.rfile.read_line(&mut answer)?; // the client has seen it already
        assert_eq!(answer, "seen\n");
        Ok(())
    })
    .unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        client.read_exact(&mut [0; 7]).unwrap();
        client.write_all(b"seen\n").unwrap();
        await_end(&client);
    });
}

/// As CPython tests it: signals in the middle of a large write.
#[test]
fn wfile_writes_all_in_spite_of_signals() {
    use support::signals::SignalTarget;

    const SIZE: usize = 16 << 20;
    // Without a handler the signal would end us.
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::default()).unwrap();
    let writer: Arc<Mutex<Option<SignalTarget>>> = Arc::default();
    let place = Arc::clone(&writer);
    let server = ThreadingTcpServer::from_fn(ANY, move |exchange: &mut StreamExchange| {
        // A socket with a timeout is interrupted by every signal (`signal(7)`).
        exchange.connection.settimeout(Some(LONG))?;
        *place.lock().unwrap() = Some(SignalTarget::this_thread());
        let written = exchange.wfile.write(&vec![7; SIZE])?;
        *place.lock().unwrap() = None;
        assert_eq!(written, SIZE);
        Ok(())
    })
    .unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        let mut total = 0;
        let mut buffer = vec![0; 1 << 20];
        loop {
            if let Some(thread) = *writer.lock().unwrap() {
                thread.interrupt();
            }
            let count = client.read(&mut buffer).unwrap();
            assert!(buffer[..count].iter().all(|&byte| byte == 7));
            total += count;
            if count == 0 {
                break;
            }
        }
        assert_eq!(total, SIZE);
    });
}

#[test]
fn a_datagram_handler_always_answers() {
    let server = UdpServer::from_fn(ANY, |exchange: &mut DatagramExchange| {
        assert!(!exchange.packet.truncated);
        Ok(())
    })
    .unwrap();
    while_serving(&server, || {
        assert_eq!(Udp::ask(&server.server_address(), b"hello"), b""); // an empty datagram
    });
}

#[test]
fn an_empty_datagram_is_a_request_and_a_long_one_is_reported_as_truncated() {
    let config = ServerConfig::default().max_packet_size(4);
    let handle = |exchange: &mut Exchange<Datagram>| {
        let Datagram { data, truncated, .. } = &exchange.request;
        let answer = format!("{} {truncated}", data.len());
        exchange.request.socket.sendto(answer.as_bytes(), &exchange.client_address)?;
        Ok(())
    };
    let server = UdpServer::builder(ANY).config(config).build_fn(handle).unwrap();
    while_serving(&server, || {
        assert_eq!(Udp::ask(&server.server_address(), b""), b"0 false");
        assert_eq!(Udp::ask(&server.server_address(), b"four"), b"4 false");
        assert_eq!(Udp::ask(&server.server_address(), b"fivefive"), b"4 true");
    });
}

#[test]
fn a_client_without_an_address_cannot_be_answered_and_that_is_reported() {
    let (told, hear) = std::sync::mpsc::channel();
    struct Tell(std::sync::mpsc::Sender<String>);
    impl tripoll::server::Hooks<Datagram> for Tell {
        fn handle_error(
            &self,
            _: &tripoll::server::BaseServer<Datagram>,
            _: &Datagram,
            address: &Address,
            error: &tripoll::server::HandlerError,
        ) {
            assert_eq!(*address, Address::Unnamed);
            self.0.send(error.to_string()).unwrap();
        }
    }
    let path = SocketPath::unused();
    let server = UnixDatagramServer::builder(path.address())
        .hooks(Tell(told))
        .build_fn(|_: &mut DatagramExchange| Ok(()))
        .unwrap();
    while_serving(&server, || {
        UnixDatagram::unbound().unwrap().send_to(b"hello", &path.0).unwrap();
        let error = hear.recv_timeout(LONG).unwrap();
        assert!(error.contains("no address"), "{error}");
    });
}

#[test]
fn in_the_loop_input_comes_in_pieces_and_timeouts_are_calls() {
    struct Pieces {
        calls: Vec<(Cause, usize)>,
    }
    impl RequestHandler<LoopExchange> for Pieces {
        fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            exchange.set_timeout(Some(Duration::from_millis(1)));
            Ok(())
        }
        fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            self.calls.push((exchange.cause(), exchange.input().len()));
            if exchange.cause() == Cause::Timeout {
                exchange.sendall(b"late\n");
            } else if exchange.input().len() >= 3 {
                exchange.consume(3); // the rest is there again, at once
            }
            Ok(())
        }
        fn finish(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            exchange.sendall(format!("{:?}", self.calls).as_bytes());
            Ok(())
        }
    }
    let server = ReactorTcpServer::new(ANY, || Pieces { calls: Vec::new() }).unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        client.read_exact(&mut [0; 5]).unwrap();
        client.write_all(b"abcdefgh").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut calls = String::new();
        client.read_to_string(&mut calls).unwrap();
        let expected =
            [(Cause::Timeout, 0), (Cause::Input, 8), (Cause::Input, 5), (Cause::Input, 2)];
        assert_eq!(calls, format!("{:?}", [&expected[..], &[(Cause::Ended, 2)]].concat()));
    });
}

#[test]
fn all_connections_can_be_sent_to() {
    struct Tell;
    impl RequestHandler<LoopExchange> for Tell {
        fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            exchange.sendall(b"welcome\n");
            Ok(())
        }
        fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            let data = exchange.recv(100);
            for (other, _) in exchange.server.connections() {
                exchange.server.sendall(&other, &data)?;
            }
            Ok(())
        }
    }
    send_to_all(&ReactorTcpServer::new(ANY, || Tell).unwrap());

    let server = ThreadingTcpServer::from_fn(ANY, |exchange: &mut Exchange| {
        exchange.request.sendall(b"welcome\n")?;
        while let Ok(data) = exchange.request.recv(100) {
            if data.is_empty() {
                break;
            }
            for (other, _) in exchange.server.connections() {
                exchange.server.sendall(&other, &data)?;
            }
        }
        Ok(())
    })
    .unwrap();
    send_to_all(&server);
}

fn send_to_all<C: Concurrency>(server: &Server<Tcp, C>) {
    while_serving(server, || {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let mut client = connect(&server.server_address());
                client.read_exact(&mut [0; 8]).unwrap();
                client
            })
            .collect();
        (&clients[1]).write_all(b"all!").unwrap();
        for mut client in &clients {
            let mut heard = [0; 4];
            client.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"all!");
        }
        drop(clients);
        await_that("the end of the connections", || server.connections().is_empty());
    });
}

fn say_hello(exchange: &mut Exchange) -> HandlerResult {
    Ok(exchange.request.sendall(b"hello")?)
}

#[test]
fn ipv6_accepts_ipv6_clients_only_unless_configured_otherwise() {
    let server = TcpServer::from_fn("[::1]:0", say_hello).unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"hello"));

    for v6_only in [true, false] {
        let config = ServerConfig::default().v6_only(v6_only);
        let server = TcpServer::builder("[::]:0").config(config).build_fn(say_hello).unwrap();
        let Address::Inet(address) = server.server_address() else { panic!() };
        assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).is_ok());
        let over_ipv4 = TcpStream::connect(("127.0.0.1", address.port()));
        assert_eq!(over_ipv4.is_ok(), !v6_only);
    }

    for v6_only in [true, false] {
        let config = ServerConfig::default().v6_only(v6_only);
        let server = UdpServer::builder("[::]:0")
            .config(config)
            .build_fn(|exchange: &mut DatagramExchange| {
                io::copy(&mut exchange.rfile, &mut exchange.wfile)?;
                Ok(())
            })
            .unwrap();
        let Address::Inet(address) = server.server_address() else { panic!() };
        let client = UdpSocket::bind("[::1]:0").unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.connect((Ipv6Addr::LOCALHOST, address.port())).unwrap();
        while_serving(&server, || {
            client.send(b"hello").unwrap();
            assert_eq!(client.recv(&mut [0; 10]).unwrap(), 5);
            // Who has no place there is refused by the kernel.
            let client = UdpSocket::bind(ANY).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            client.connect(("127.0.0.1", address.port())).unwrap();
            client.send(b"hello").unwrap();
            assert_eq!(client.recv(&mut [0; 10]).is_ok(), !v6_only);
        });
    }
}

#[test]
fn it_can_be_bound_and_activated_later() {
    let server = TcpServer::builder(ANY).bind_and_activate(false).build_fn(say_hello).unwrap();
    assert_eq!(server.server_address().to_string(), ANY);
    let early = server.serve_forever(MINUTE).unwrap_err();
    assert_eq!(early.kind(), io::ErrorKind::InvalidInput);
    assert!(server.server_activate().is_err());
    server.server_bind().unwrap();
    assert!(server.server_bind().is_err());
    server.server_activate().unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"hello"));
}

#[test]
fn the_defaults_are_pythons_but_for_those_that_hurt() {
    let (ours, python) = (ServerConfig::default(), ServerConfig::python());
    assert_eq!((python.request_queue_size, python.allow_reuse_address), (5, false));
    assert_eq!((ours.request_queue_size, ours.allow_reuse_address), (1_024, true));
    assert_eq!((ours.requests_per_turn, python.requests_per_turn), (32, 1));
    assert!(ours.unlink_on_close && !python.unlink_on_close);
    // A `PollSelector`, by level as all of Python's.
    assert_eq!((python.backend, python.trigger), (Backend::Poll, Trigger::Level));
    for config in [ours, python] {
        assert_eq!(config.max_packet_size, 8_192);
        assert_eq!((config.timeout, config.allow_reuse_port), (None, false));
        assert!(!config.replace_stale);
    }
    let threading = Threading::default();
    assert!(!threading.daemon_threads && threading.block_on_close);
    let forking = tripoll::server::Forking::default();
    assert_eq!((forking.max_children, forking.block_on_close), (40, true));
    let streams = StreamOptions::default();
    assert_eq!((streams.rbufsize, streams.wbufsize, streams.timeout), (-1, 0, None));
    assert!(!streams.disable_nagle_algorithm);
}

/// What a hook can do with a request.
#[test]
fn a_request_is_closed_when_its_last_owner_drops_it() {
    struct Forget;
    impl tripoll::server::Hooks<Arc<Stream>> for Forget {
        fn process_request(
            &self,
            _: &tripoll::server::BaseServer<Arc<Stream>>,
            _: &Arc<Stream>,
            _: &Address,
        ) -> HandlerResult {
            Ok(())
        }
    }
    let server = TcpServer::builder(ANY).hooks(Forget).build_fn(say_hello).unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b""));
}
