//! Connections out that a protocol drives: it is opened, or told why there is no connection. On every
//! backend and trigger.

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};

use support::faulty::Faults;
use support::net::{Call, Scripted, Why, echo};
use support::sockets::{Silent, read_all, read_exactly};
use support::{LONG, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{Address, CloseReason, Closed, Connect, Connection, Protocol, Wire};
use tripoll::{Context, Deadline, Reactor};

fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().into();
    (listener, address)
}

/// Turns until the protocol is called.
fn next(reactor: &mut Reactor, calls: &Receiver<Call>) -> Call {
    loop {
        if let Ok(call) = calls.try_recv() {
            return call;
        }
        let deadline = Deadline::after(LONG);
        reactor.turn(deadline).unwrap();
        assert!(!deadline.has_passed(), "no protocol was called for a long time");
    }
}

#[test]
fn a_protocol_is_opened_and_talks_with_the_server() {
    on_every_pair_and_noise(|pair| {
        let (listener, address) = listener();
        let (send, calls) = mpsc::channel();
        let mut reactor = pair.reactor(());
        let connection = Connection::new(Scripted::new(echo, send));
        let connecting = Connect::to(address).serve(connection, &mut reactor.context());
        assert!(calls.try_recv().is_err(), "it was called from inside");
        assert_eq!(next(&mut reactor, &calls), Call::Opened);
        assert!(!connecting.cancel(&mut reactor.context()), "it is over");

        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"hello").unwrap();
        assert_eq!(next(&mut reactor, &calls), Call::Received(b"hello".into()));
        assert_eq!(read_exactly(&server, 5), b"hello");
        server.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(next(&mut reactor, &calls), Call::Ended(Vec::new()));
        assert_eq!(next(&mut reactor, &calls), Call::Closed(Why::Finished));
        assert_eq!(read_all(server), b"");
        assert_eq!(reactor.context().len(), 0);
    });
}

/// Keeps the text of the reason.
struct Reason;

impl Protocol<Vec<String>> for Reason {
    fn opened(
        &mut self,
        _: &mut Wire<'_>,
        _: &mut Context<'_, Vec<String>>,
    ) -> std::io::Result<()> {
        panic!("it is not open");
    }

    fn received(
        &mut self,
        _: &mut Wire<'_>,
        _: &[u8],
        _: &mut Context<'_, Vec<String>>,
    ) -> std::io::Result<usize> {
        panic!("it is not open");
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Vec<String>>) {
        assert!(matches!(closed.reason, CloseReason::ConnectFailed(_)), "{:?}", closed.reason);
        assert_eq!(closed.reason.to_error().unwrap().to_string(), closed.to_string());
        cx.state.push(closed.to_string());
    }
}

#[test]
fn a_protocol_is_told_why_there_is_no_connection_and_nothing_else() {
    on_every_pair_and_noise(|pair| {
        let (listener, address) = listener();
        drop(listener);
        let missing: Address = "/no/such/directory/socket".parse().unwrap();
        let mut reactor = pair.reactor(Vec::new());
        Connect::to_any([address.clone(), missing.clone()])
            .serve(Connection::new(Reason), &mut reactor.context());
        assert!(reactor.state().is_empty(), "it was called from inside");
        while reactor.state().is_empty() {
            reactor.turn(Deadline::after(LONG)).unwrap();
        }
        let text = format!(
            "cannot connect to {address}: Connection refused (os error 111); to {missing}: No such \
             file or directory (os error 2)"
        );
        assert_eq!(*reactor.state(), [text]);
    });
}

#[test]
fn a_connect_that_is_cancelled_or_shut_down_closes_its_protocol() {
    on_every_pair_and_noise(|pair| {
        let server = Silent::new();
        for is_shutdown in [false, true] {
            let (send, calls) = mpsc::channel();
            let mut reactor = pair.reactor(());
            let connection = Connection::new(Scripted::new(echo, send));
            let connect = Connect::to(server.address);
            let connecting = connect.serve(connection, &mut reactor.context());
            let why = if is_shutdown {
                reactor.context().shutdown(LONG);
                Why::ConnectFailed(ErrorKind::ConnectionAborted)
            } else {
                assert!(connecting.cancel(&mut reactor.context()));
                Why::Removed
            };
            assert_eq!(next(&mut reactor, &calls), Call::Closed(why));
            assert_eq!(reactor.context().len(), 0);
        }
    });
}

#[test]
fn a_selector_that_refuses_the_socket_is_a_failure_to_connect() {
    on_every_pair(|pair| {
        // The socket that connects, and the same one when it is connected.
        for (is_open, allowed) in [(false, 0), (true, 1)] {
            let (_listener, address) = listener();
            let faults = Faults::default();
            let builder = Reactor::builder().trigger(pair.trigger);
            let builder = builder.selector(faults.of(pair.backend));
            let mut reactor = builder.build_with(()).unwrap();
            let (send, calls) = mpsc::channel();
            faults.plan().refuse_add_after = Some(allowed);
            let connection = Connection::new(Scripted::new(echo, send));
            Connect::to(address).serve(connection, &mut reactor.context());
            let call = next(&mut reactor, &calls);
            assert_eq!(
                call,
                Call::Closed(Why::ConnectFailed(ErrorKind::StorageFull)),
                "open: {is_open}"
            );
            assert_eq!(reactor.context().len(), 0);
        }
    });
}
