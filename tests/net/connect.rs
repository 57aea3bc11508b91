//! Connections out, over TCP and Unix sockets: they succeed, they fail with a reason, they end in time.
//! On every backend and trigger.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use support::reactor::drive;
use support::sockets::{Silent, read_all, read_exactly};
use support::{LONG, Pair, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{Address, Connect, Connecting, Stream};
use tripoll::{Context, Deadline, Reactor, sys};

/// What the callback was called with.
type Results = Vec<io::Result<Stream>>;

fn start(reactor: &mut Reactor<Results>, connect: Connect) -> Connecting {
    let connecting = connect
        .start(&mut reactor.context(), |result, cx: &mut Context<Results>| cx.state.push(result));
    assert!(reactor.state().is_empty(), "the callback was called from inside");
    connecting
}

/// Connects until there is a result, and checks that nothing is left in the reactor.
fn finish(reactor: &mut Reactor<Results>) -> io::Result<Stream> {
    drive(reactor, 1_000, |results| !results.is_empty());
    assert_eq!(reactor.state().len(), 1);
    assert_eq!((reactor.context().len(), reactor.context().timers()), (0, 0));
    assert_eq!(reactor.turn(Deadline::Now).unwrap(), 0, "a handler was called");
    let counters = reactor.context().counters();
    assert_eq!((counters.idle, counters.errors, counters.panics), (0, 0, 0), "{counters:?}");
    reactor.state_mut().pop().unwrap()
}

fn connect(pair: Pair, connect: Connect) -> io::Result<Stream> {
    let mut reactor = pair.reactor(Results::new());
    start(&mut reactor, connect);
    finish(&mut reactor)
}

fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().into();
    (listener, address)
}

/// An address on which no process listens, and no other test either.
fn refusing() -> Address {
    // Bound and not listening, for as long as the process lives.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address.into()
}

fn name(what: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("tripoll-connect-{}-{what}-{number}", std::process::id())
}

fn path(what: &str) -> PathBuf {
    std::env::temp_dir().join(name(what))
}

/// A Unix listener whose backlog is full: the kernel refuses further connects for now.
fn full_unix() -> (UnixListener, Address, Vec<Socket>) {
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let path = path("full");
    let address = SockAddr::unix(&path).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let mut clients = Vec::new();
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&address) {
            Ok(()) => clients.push(socket),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
                return (listener.into(), Address::Unix(path), clients);
            }
        }
    }
}

#[test]
fn a_stream_over_tcp_is_connected_nonblocking_without_delay_and_close_on_exec() {
    on_every_pair_and_noise(|pair| {
        let (listener, address) = listener();
        let mut stream = connect(pair, Connect::to(address.clone())).unwrap();
        assert_eq!(*stream.peer(), address);
        let flags = rustix::fs::fcntl_getfl(&stream).unwrap();
        assert!(flags.contains(OFlags::NONBLOCK));
        assert!(rustix::io::fcntl_getfd(&stream).unwrap().contains(FdFlags::CLOEXEC));
        assert!(SockRef::from(&stream).tcp_nodelay().unwrap());
        stream.write_all(b"hello").unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(read_exactly(&accepted, 5), b"hello");
        drop(stream);
        assert_eq!(read_all(accepted), b"");
    });
}

#[test]
fn unix_sockets_are_connected_by_path_and_by_abstract_name() {
    on_every_pair_and_noise(|pair| {
        let path = path("path");
        let name = name("abstract");
        let listeners = [
            (UnixListener::bind(&path).unwrap(), Address::Unix(path.clone())),
            (
                UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name).unwrap()).unwrap(),
                Address::Abstract(name.into()),
            ),
        ];
        for (listener, address) in listeners {
            let mut stream = connect(pair, Connect::to(address.clone())).unwrap();
            assert_eq!(*stream.peer(), address);
            stream.write_all(b"hello").unwrap();
            assert_eq!(read_exactly(listener.accept().unwrap().0, 5), b"hello");
        }
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn the_first_address_that_accepts_is_taken() {
    on_every_pair_and_noise(|pair| {
        let (listener, address) = listener();
        let (other, others) = self::listener();
        let missing = Address::Unix(path("missing"));
        let addresses = [refusing(), missing, address.clone(), others];
        let stream = connect(pair, Connect::to_any(addresses)).unwrap();
        assert_eq!(*stream.peer(), address);
        listener.accept().unwrap();
        other.set_nonblocking(true).unwrap();
        assert_eq!(other.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn an_error_names_each_address_with_its_reason_and_is_of_the_last_ones_kind() {
    on_every_pair_and_noise(|pair| {
        let (refusing, missing) = (refusing(), Address::Unix(path("missing")));
        for addresses in [[&refusing, &missing], [&missing, &refusing]] {
            let error = connect(pair, Connect::to_any(addresses.map(Clone::clone))).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot connect to {}: ", addresses[0])), "{text}");
            assert!(text.contains(&format!("to {missing}: No such file")), "{text}");
            assert!(text.contains(&format!("to {refusing}: Connection refused")), "{text}");
            let (kind, number) = match addresses[1] {
                Address::Inet(_) => (ErrorKind::ConnectionRefused, libc::ECONNREFUSED),
                _ => (ErrorKind::NotFound, libc::ENOENT),
            };
            assert_eq!((error.kind(), sys::errno(&error)), (kind, Some(number)), "{text}");
        }
    });
}

#[test]
fn what_cannot_be_connected_is_an_error_of_the_callback() {
    on_every_pair(|pair| {
        let stale = path("stale");
        drop(UnixListener::bind(&stale).unwrap());
        let long = PathBuf::from("/".repeat(200));
        let cases: [(Connect, ErrorKind, &str); 8] = [
            (Connect::to_any([]), ErrorKind::InvalidInput, "no address"),
            (Connect::to(Address::Unnamed), ErrorKind::InvalidInput, "no address was given"),
            (Connect::to(Address::Unix(long)), ErrorKind::InvalidInput, "107 bytes"),
            (
                Connect::to(Address::Unix(stale.clone())),
                ErrorKind::ConnectionRefused,
                "Connection refused",
            ),
            (
                // A multicast group: TCP has no way to it.
                Connect::to("224.0.0.1:80".parse::<Address>().unwrap()),
                ErrorKind::NetworkUnreachable,
                "cannot connect to 224.0.0.1:80: Network is unreachable",
            ),
            (
                // Of a range that no machine has.
                Connect::to(refusing()).bind("203.0.113.1:0".parse::<Address>().unwrap()),
                ErrorKind::AddrNotAvailable,
                "cannot bind to 203.0.113.1:0",
            ),
            (
                Connect::to(refusing()).bind("[::1]:0".parse::<Address>().unwrap()),
                ErrorKind::InvalidInput,
                "the local address [::1]:0 is of another family",
            ),
            (
                Connect::to(refusing()).bind(Address::Abstract(b"x".into())),
                ErrorKind::InvalidInput,
                "the local address @x is of another family",
            ),
        ];
        for (case, kind, part) in cases {
            let text = format!("{case:?}");
            let error = connect(pair, case).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}: {error}");
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
        std::fs::remove_file(stale).unwrap();
    });
}

#[test]
fn an_address_that_does_not_answer_costs_its_time_limit_and_no_more() {
    on_every_pair(|pair| {
        let server = Silent::new();
        let silent = Address::from(server.address);
        let (_listener, address) = listener();
        let limit = Duration::from_millis(20);
        let began = Instant::now();
        let both = Connect::to_any([silent.clone(), address.clone()]).attempt_timeout(limit);
        let stream = connect(pair, both).unwrap();
        assert!(began.elapsed() >= limit);
        assert_eq!(*stream.peer(), address);

        let error = connect(pair, Connect::to(silent.clone()).attempt_timeout(limit)).unwrap_err();
        let text = format!("cannot connect to {silent}: no answer within 20ms");
        assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::TimedOut, &*text));
    });
}

#[test]
fn all_addresses_together_have_a_time_limit() {
    on_every_pair(|pair| {
        let server = Silent::new();
        let silent = Address::from(server.address);
        let (_listener, address) = listener();
        let connect_to = |attempt, all| {
            Connect::to_any([silent.clone(), address.clone()]).attempt_timeout(attempt).timeout(all)
        };
        let limit = Duration::from_millis(20);
        let began = Instant::now();
        let error = connect(pair, connect_to(LONG, limit)).unwrap_err();
        assert!(began.elapsed() < LONG);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let text = error.to_string();
        assert!(text.contains(&format!("{silent}: no answer within 20ms; ")), "{text}");
        assert!(text.contains(&format!("{address}: not tried")), "{text}");
        // The greatest and the least values.
        assert!(connect(pair, connect_to(limit, Duration::MAX)).is_ok());
        assert!(connect(pair, connect_to(Duration::ZERO, Duration::MAX)).is_err());
        assert!(connect(pair, connect_to(limit, Duration::ZERO)).is_err());
        let unlimited = Connect::to(address.clone()).attempt_timeout(Duration::MAX);
        assert!(connect(pair, unlimited.timeout(Duration::MAX)).is_ok());
    });
}

#[test]
fn a_unix_listener_with_a_full_backlog_is_tried_again_until_there_is_room() {
    on_every_pair_and_noise(|pair| {
        let (listener, address, _clients) = full_unix();
        let mut reactor = pair.reactor(Results::new());
        start(&mut reactor, Connect::to(address.clone()));
        for _ in 0..5 {
            reactor.turn(Deadline::after(Duration::from_millis(2))).unwrap();
        }
        assert_eq!((reactor.state().len(), reactor.context().len()), (0, 1));
        listener.accept().unwrap();
        finish(&mut reactor).unwrap();
        let Address::Unix(path) = address else { unreachable!() };
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_unix_listener_that_stays_full_costs_its_time_limit_and_few_turns() {
    on_every_pair(|pair| {
        let (_listener, address, _clients) = full_unix();
        let limit = Duration::from_millis(50);
        let mut reactor = pair.reactor(Results::new());
        start(&mut reactor, Connect::to(address.clone()).attempt_timeout(limit));
        let error = finish(&mut reactor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let text = format!("cannot connect to {address}: the backlog of the listener was not free");
        assert!(error.to_string().starts_with(&text), "{error}");
        // Pauses of 1, 2, 4, 8, 16 and 32 ms; a timer may come back early.
        let turns = reactor.context().counters().turns;
        assert!(turns < 30, "{turns}");
        let Address::Unix(path) = address else { unreachable!() };
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_socket_that_has_connected_to_itself_is_refused_and_leaves_the_port() {
    on_every_pair_and_noise(|pair| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        drop(listener);
        let own = Connect::to(address.clone()).bind(address.clone());
        let error = connect(pair, own).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(
            text.contains(&format!("to {address}: the socket has connected to itself")),
            "{text}"
        );
        // Without SO_REUSEADDR: nothing is in TIME_WAIT.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let Address::Inet(address) = address else { unreachable!() };
        socket.bind(&address.into()).unwrap();
    });
}

#[test]
fn a_socket_is_bound_to_the_local_address_that_is_given() {
    on_every_pair(|pair| {
        let (listener, address) = listener();
        let local: Address = "127.0.0.2:0".parse().unwrap();
        let _stream = connect(pair, Connect::to(address).bind(local)).unwrap();
        let (_, client) = listener.accept().unwrap();
        assert_eq!(client.ip(), Ipv4Addr::new(127, 0, 0, 2));

        // The file of a Unix socket stays if there is a connection, and only then.
        let server = path("server");
        let listener = UnixListener::bind(&server).unwrap();
        let client = path("client");
        let missing = Address::Unix(path("missing"));
        let bound = Address::Unix(client.clone());
        connect(pair, Connect::to(missing.clone()).bind(bound.clone())).unwrap_err();
        assert!(!client.exists());
        let both = Connect::to_any([missing, Address::Unix(server.clone())]).bind(bound);
        let _stream = connect(pair, both).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.as_pathname(), Some(&*client));
        std::fs::remove_file(client).unwrap();
        std::fs::remove_file(server).unwrap();
    });
}

#[test]
fn a_port_that_is_in_use_is_the_error_of_each_address() {
    on_every_pair(|pair| {
        let (listener, address) = listener();
        let (_other, taken) = self::listener();
        let error = connect(pair, Connect::to(address).bind(taken.clone())).unwrap_err();
        assert_eq!(
            (error.kind(), sys::errno(&error)),
            (ErrorKind::AddrInUse, Some(libc::EADDRINUSE))
        );
        assert!(error.to_string().contains(&format!("cannot bind to {taken}: ")), "{error}");
        drop(listener);
    });
}

/// A server that resets each connection at once.
#[test]
fn a_connection_that_is_reset_at_once_is_a_stream_or_an_error() {
    on_every_pair(|pair| {
        let (listener, address) = listener();
        let server = std::thread::spawn(move || {
            for _ in 0..20 {
                support::sockets::reset(listener.accept().unwrap().0);
            }
        });
        for _ in 0..20 {
            match connect(pair, Connect::to(address.clone())) {
                Ok(mut stream) => {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    let kind = stream.read(&mut [0]).unwrap_err().kind();
                    assert_eq!(kind, ErrorKind::ConnectionReset);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
            }
        }
        server.join().unwrap();
    });
}

/// Each way to end: a connect that is in progress over TCP, and one that waits for a Unix listener.
fn waiting(pair: Pair, body: impl Fn(&mut Reactor<Results>, Connecting)) {
    let server = Silent::new();
    let silent = Address::from(server.address);
    let (_unix, full, _others) = full_unix();
    for address in [silent, full.clone()] {
        let mut reactor = pair.reactor(Results::new());
        let connecting = start(&mut reactor, Connect::to(address));
        body(&mut reactor, connecting);
    }
    let Address::Unix(path) = full else { unreachable!() };
    std::fs::remove_file(path).unwrap();
}

fn expect_end(reactor: &mut Reactor<Results>, text: &str) {
    let error = finish(reactor).unwrap_err();
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::ConnectionAborted, text));
}

#[test]
fn a_connect_is_cancelled_at_any_time_and_once() {
    on_every_pair(|pair| {
        let cancelled = "the connect was cancelled";
        for turns in 0..3 {
            waiting(pair, |reactor, connecting| {
                for _ in 0..turns {
                    reactor.turn(Deadline::Now).unwrap();
                }
                assert!(connecting.cancel(&mut reactor.context()));
                assert!(!connecting.clone().cancel(&mut reactor.context()));
                expect_end(reactor, cancelled);
                assert!(!connecting.cancel(&mut reactor.context()));
            });
        }
        // It has failed or succeeded, and its callback was not called yet.
        let (_listener, address) = listener();
        for address in [Address::Unix(path("missing")), address] {
            let mut reactor = pair.reactor(Results::new());
            let connecting = start(&mut reactor, Connect::to(address));
            assert!(connecting.cancel(&mut reactor.context()));
            expect_end(&mut reactor, cancelled);
        }
        let mut reactor = pair.reactor(Results::new());
        let connecting = start(&mut reactor, Connect::to(refusing()));
        finish(&mut reactor).unwrap_err();
        assert!(!connecting.cancel(&mut reactor.context()));
    });
}

#[test]
fn a_shutdown_of_the_reactor_ends_a_connect() {
    on_every_pair_and_noise(|pair| {
        waiting(pair, |reactor, _| {
            reactor.context().shutdown(LONG);
            let began = Instant::now();
            reactor.run().unwrap();
            assert!(began.elapsed() < LONG);
            let error = reactor.state_mut().pop().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
            assert!(error.to_string().contains("shuts down"), "{error}");
        });
    });
}

#[test]
fn a_reactor_that_is_dropped_closes_the_socket_and_calls_nothing() {
    on_every_pair(|pair| {
        let (listener, address) = listener();
        let mut reactor = pair.reactor(());
        Connect::to(address).start(&mut reactor.context(), |_, _| panic!("it was called"));
        let (accepted, _) = listener.accept().unwrap();
        drop(reactor);
        assert_eq!(read_all(accepted), b"");
    });
}

#[test]
fn many_connects_at_once_do_not_disturb_each_other() {
    on_every_pair(|pair| {
        let (listener, address) = listener();
        let refusing = refusing();
        let mut reactor = pair.reactor(Results::new());
        for number in 0..60 {
            let address = if number % 3 == 0 { &refusing } else { &address };
            start(&mut reactor, Connect::to(address.clone()));
        }
        drive(&mut reactor, 1_000, |results| results.len() == 60);
        assert_eq!(reactor.state().iter().filter(|result| result.is_ok()).count(), 40);
        let accepted: Vec<TcpStream> = (0..40).map(|_| listener.accept().unwrap().0).collect();
        let ours = reactor.state().iter().flatten();
        let mut ports: Vec<_> =
            ours.map(|stream| SockRef::from(&stream.as_fd()).local_addr().unwrap()).collect();
        ports.retain(|port| {
            accepted.iter().all(|it| it.peer_addr().unwrap() != port.as_socket().unwrap())
        });
        assert!(ports.is_empty());
    });
}

#[test]
fn a_stream_of_a_pair_is_unnamed_and_needs_no_connect() {
    let (one, _other) = UnixStream::pair().unwrap();
    assert_eq!(*Stream::from(one).peer(), Address::Unnamed);
}
