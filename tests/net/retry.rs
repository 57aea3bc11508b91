//! Connects that are tried again, and connections that are made again when they are lost. On every
//! backend and trigger.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::net::{Call, Scripted, Why, echo};
use support::reactor::drive;
use support::sockets::{read_all, reset};
use support::{LONG, MINUTE, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{Address, Connect, Connecting, Connection, Retry, Stream, Wire};
use tripoll::pool::Pool;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source, Token};

type Results = Vec<io::Result<Stream>>;

/// Pauses so short that a test need not wait.
fn quick() -> Retry {
    Retry::new().first(Duration::from_millis(1)).longest(Duration::from_millis(4))
}

/// A pause that does not end.
fn slow() -> Retry {
    Retry::new().first(MINUTE).longest(MINUTE)
}

fn name() -> Vec<u8> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("tripoll-retry-{}-{number}", std::process::id()).into()
}

fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().into();
    (listener, address)
}

fn start(reactor: &mut Reactor<Results>, connect: Connect) -> Connecting {
    let done = |result, cx: &mut Context<Results>| cx.state.push(result);
    let connecting = connect.start(&mut reactor.context(), done);
    assert!(reactor.state().is_empty(), "the callback was called from inside");
    connecting
}

fn finish(reactor: &mut Reactor<Results>) -> io::Result<Stream> {
    drive(reactor, 1_000, |results| !results.is_empty());
    let graces = usize::from(reactor.context().is_shutting_down());
    assert_eq!((reactor.context().len(), reactor.context().timers()), (0, graces));
    reactor.state_mut().pop().unwrap()
}

#[test]
fn a_connect_is_tried_again_until_the_server_is_there() {
    on_every_pair_and_noise(|pair| {
        let name = name();
        let mut reactor = pair.reactor(Results::new());
        start(&mut reactor, Connect::to(Address::Abstract(name.clone())).retry(quick()));
        for _ in 0..10 {
            reactor.turn(Deadline::after(Duration::from_millis(2))).unwrap();
        }
        assert!(reactor.state().is_empty());
        let _listener = UnixListener::bind_addr(&UnixAddr::from_abstract_name(name).unwrap());
        finish(&mut reactor).unwrap();
    });
}

#[test]
fn after_the_last_try_the_error_says_how_many_there_were() {
    on_every_pair_and_noise(|pair| {
        let address = Address::Abstract(name());
        let mut reactor = pair.reactor(Results::new());
        for tries in 1..=3 {
            let retry = quick().jitter(0.0).max_tries(tries);
            let began = Instant::now();
            start(&mut reactor, Connect::to(address.clone()).retry(retry));
            let error = finish(&mut reactor).unwrap_err();
            let pauses = [0, 1, 3][tries as usize - 1];
            assert!(began.elapsed() >= Duration::from_millis(pauses), "{tries}");
            let plain = format!("cannot connect to {address}: Connection refused (os error 111)");
            let text = match tries {
                1 => plain,
                _ => format!("the last of {tries} tries: {plain}"),
            };
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::ConnectionRefused, text));
        }
        // What can never succeed is not tried again.
        start(&mut reactor, Connect::to(Address::Unnamed).retry(slow()));
        assert_eq!(finish(&mut reactor).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn each_try_resolves_the_name_again() {
    on_every_pair(|pair| {
        let pool = Arc::new(Pool::new(1, 4).unwrap());
        let mut reactor = pair.reactor(Results::new());
        // Bound, and not listening yet.
        let server = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        server.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = server.local_addr().unwrap().as_socket().unwrap();
        let connect = Connect::to_name(format!("localhost:{}", address.port()), &pool);
        start(&mut reactor, connect.retry(quick()));
        for _ in 0..20 {
            reactor.turn(Deadline::after(Duration::from_millis(2))).unwrap();
        }
        server.listen(1).unwrap();
        assert_eq!(*finish(&mut reactor).unwrap().peer(), Address::Inet(address));
    });
}

#[test]
fn a_pause_is_cancelled_and_shut_down() {
    on_every_pair_and_noise(|pair| {
        for is_shutdown in [false, true] {
            for turns in 0..3 {
                let mut reactor = pair.reactor(Results::new());
                let connect = Connect::to(Address::Abstract(name())).retry(slow());
                let connecting = start(&mut reactor, connect);
                for _ in 0..turns {
                    reactor.turn(Deadline::after(Duration::from_millis(5))).unwrap();
                }
                if is_shutdown {
                    reactor.context().shutdown(LONG);
                } else {
                    assert!(connecting.cancel(&mut reactor.context()));
                    assert!(!connecting.cancel(&mut reactor.context()));
                }
                if is_shutdown && turns == 0 {
                    continue; // the loop may end before the first try has failed
                }
                let error = finish(&mut reactor).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
                assert!(!connecting.cancel(&mut reactor.context()));
            }
        }
    });
}

/// A client that connects again and again, and reports the calls of all its protocols.
struct Client {
    reactor: Reactor,
    calls: Receiver<Call>,
    connecting: Connecting,
    /// The token of each connection that was opened.
    tokens: Receiver<Token>,
}

impl Client {
    fn new(pair: support::Pair, connect: Connect, tries: usize) -> Self {
        let mut reactor = pair.reactor(());
        let (send, calls) = mpsc::channel();
        let (send_token, tokens) = mpsc::channel();
        let mut left = tries;
        let connecting = connect.serve_again(&mut reactor.context(), move |_| {
            left = left.checked_sub(1)?;
            Some(Connection::new(Scripted::new(script(send_token.clone()), send.clone())))
        });
        assert!(calls.try_recv().is_err(), "it was called from inside");
        Client { reactor, calls, connecting, tokens }
    }

    fn turn_until<T>(&mut self, what: &str, until: impl Fn(&mut Self) -> Option<T>) -> T {
        let deadline = Deadline::after(LONG);
        loop {
            if let Some(found) = until(self) {
                return found;
            }
            assert!(!deadline.has_passed(), "this never happened: {what}");
            self.reactor.turn(Deadline::after(Duration::from_millis(5))).unwrap();
        }
    }

    fn next(&mut self) -> Call {
        self.turn_until("a protocol is called", |client| client.calls.try_recv().ok())
    }

    fn await_end(&mut self) {
        self.turn_until("nothing is left", |client| {
            client.reactor.context().is_empty().then_some(())
        });
        assert!(self.calls.try_recv().is_err());
        assert!(!self.connecting.cancel(&mut self.reactor.context()));
        let counters = self.reactor.context().counters();
        assert_eq!((counters.panics, counters.idle), (0, 0), "{counters:?}");
    }
}

/// An echo that tells the token of its connection.
fn script(
    tokens: Sender<Token>,
) -> impl FnMut(&Call, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize> {
    move |call, wire, cx| {
        if *call == Call::Opened {
            tokens.send(wire.token()).unwrap();
        }
        echo(call, wire, cx)
    }
}

#[test]
fn a_connection_that_is_lost_is_made_again_with_a_new_protocol() {
    on_every_pair_and_noise(|pair| {
        let (listener, address) = listener();
        let mut client = Client::new(pair, Connect::to(address).retry(quick()), 3);
        assert_eq!(client.next(), Call::Opened);
        reset(listener.accept().unwrap().0);
        assert_eq!(client.next(), Call::Closed(Why::Failed(ErrorKind::ConnectionReset)));
        assert_eq!(client.next(), Call::Opened);
        drop(listener.accept().unwrap());
        assert_eq!(client.next(), Call::Ended(Vec::new()));
        assert_eq!(client.next(), Call::Closed(Why::Finished));
        // The server is gone for a while.
        assert_eq!(client.next(), Call::Opened);
        let served: TcpStream = listener.accept().unwrap().0;
        drop(listener);
        drop(served);
        assert_eq!(client.next(), Call::Ended(Vec::new()));
        assert_eq!(client.next(), Call::Closed(Why::Finished));
        // There is no fourth protocol.
        client.await_end();
    });
}

#[test]
fn each_try_that_fails_closes_a_protocol_and_the_last_one_says_so() {
    on_every_pair_and_noise(|pair| {
        let connect = Connect::to(Address::Abstract(name())).retry(quick().max_tries(3));
        let mut client = Client::new(pair, connect, usize::MAX);
        for _ in 0..3 {
            let why = Why::ConnectFailed(ErrorKind::ConnectionRefused);
            assert_eq!(client.next(), Call::Closed(why));
        }
        client.await_end();
    });
}

#[test]
fn the_tries_are_counted_anew_after_a_success() {
    on_every_pair(|pair| {
        let name = name();
        let address = UnixAddr::from_abstract_name(&name).unwrap();
        let connect = Connect::to(Address::Abstract(name)).retry(quick().max_tries(3));
        let mut client = Client::new(pair, connect, usize::MAX);
        let failed = Call::Closed(Why::ConnectFailed(ErrorKind::ConnectionRefused));
        assert_eq!(client.next(), failed);
        let listener = UnixListener::bind_addr(&address).unwrap();
        loop {
            match client.next() {
                Call::Opened => break,
                call => assert_eq!(call, failed),
            }
        }
        drop(listener.accept().unwrap());
        drop(listener);
        assert_eq!(client.next(), Call::Ended(Vec::new()));
        assert_eq!(client.next(), Call::Closed(Why::Finished));
        for _ in 0..3 {
            assert_eq!(client.next(), failed);
        }
        client.await_end();
    });
}

#[test]
fn a_connection_that_is_cancelled_or_removed_is_not_made_again() {
    on_every_pair_and_noise(|pair| {
        let (listener, address) = listener();
        for is_cancelled in [true, false] {
            let connect = Connect::to(address.clone()).retry(quick());
            let mut client = Client::new(pair, connect, usize::MAX);
            assert_eq!(client.next(), Call::Opened);
            let token = client.tokens.recv().unwrap();
            let mut cx = client.reactor.context();
            match is_cancelled {
                true => assert!(client.connecting.cancel(&mut cx)),
                false => cx.remove(token).unwrap(),
            }
            assert_eq!(client.next(), Call::Closed(Why::Removed));
            assert_eq!(read_all(listener.accept().unwrap().0), b"");
            client.await_end();
        }
        // During the try, and in the pause.
        let connect = Connect::to(address.clone()).retry(slow());
        let mut client = Client::new(pair, connect, usize::MAX);
        assert!(client.connecting.cancel(&mut client.reactor.context()));
        assert_eq!(client.next(), Call::Closed(Why::Removed));
        client.await_end();
        let connect = Connect::to(Address::Abstract(name())).retry(slow());
        let mut client = Client::new(pair, connect, usize::MAX);
        let failed = Call::Closed(Why::ConnectFailed(ErrorKind::ConnectionRefused));
        assert_eq!(client.next(), failed);
        assert!(client.connecting.cancel(&mut client.reactor.context()));
        client.await_end();
    });
}

#[test]
fn a_shutdown_closes_the_connection_and_makes_no_other() {
    on_every_pair_and_noise(|pair| {
        let (listener, address) = listener();
        let mut client = Client::new(pair, Connect::to(address).retry(quick()), usize::MAX);
        assert_eq!(client.next(), Call::Opened);
        let server = listener.accept().unwrap().0;
        client.reactor.context().shutdown(LONG);
        assert_eq!(client.next(), Call::ShuttingDown);
        drop(server);
        assert_eq!(client.next(), Call::Closed(Why::Finished));
        client.await_end();

        let connect = Connect::to(Address::Abstract(name())).retry(slow());
        let mut client = Client::new(pair, connect, usize::MAX);
        client.next();
        client.reactor.context().shutdown(LONG);
        let began = Instant::now();
        client.reactor.run().unwrap();
        assert!(began.elapsed() < LONG);
        client.await_end();
    });
}

#[test]
fn a_server_that_accepts_and_closes_at_once_does_not_make_the_client_spin() {
    on_every_pair(|pair| {
        let (listener, address) = listener();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                drop(stream);
            }
        });
        let pause = Duration::from_millis(10);
        let retry = Retry::new().first(pause).longest(pause).jitter(0.0);
        let mut client = Client::new(pair, Connect::to(address).retry(retry), 4);
        let began = Instant::now();
        for _ in 0..4 {
            while !matches!(client.next(), Call::Closed(_)) {}
        }
        client.await_end();
        assert!(began.elapsed() >= 3 * pause);
    });
}

/// Cancels when it is added.
struct Cancels(Connecting);

impl Handler<Stream, Results> for Cancels {
    fn added(
        &mut self,
        _: &mut Source<'_, Stream>,
        cx: &mut Context<'_, Results>,
    ) -> io::Result<Next> {
        assert!(self.0.cancel(cx));
        Ok(Next::Remove)
    }

    fn ready(&mut self, _: &mut Source<'_, Stream>, _: &mut Context<Results>) -> io::Result<Next> {
        unreachable!("it was removed")
    }
}

#[test]
fn a_cancel_after_the_first_address_has_failed_is_heard() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Results::new());
        let addresses = [listener(), listener()];
        let all = addresses.iter().map(|(_, address)| address.clone());
        // Each attempt is over as soon as its socket is added. The other source is added then.
        let connect = Connect::to_any(all).attempt_timeout(Duration::ZERO);
        let connecting = start(&mut reactor, connect);
        let (other, _peer) = Stream::pair().unwrap();
        reactor.context().add(other, Interest::READ, Cancels(connecting)).unwrap();
        assert_eq!(finish(&mut reactor).unwrap_err().kind(), ErrorKind::ConnectionAborted);
    });
}
