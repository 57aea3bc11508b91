//! The ends of a connection that is made again. On every backend and trigger.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use support::reactor::drive;
use support::{expect_panic, on_every_pair_and_noise};
use tripoll::net::{Closed, Connect, Connecting, Connection, Protocol, Retry, Stream, Wire};
use tripoll::{Context, Deadline, Reactor};

#[derive(Default)]
struct State {
    connecting: Option<Connecting>,
    tries: u32,
    detached: Option<Stream>,
    closed: Vec<String>,
}

/// Is handed over, or closes at once.
struct Brief {
    detaches: bool,
}

impl Protocol<State> for Brief {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, State>) -> io::Result<()> {
        if self.detaches {
            wire.detach(cx, |stream, _, cx: &mut Context<'_, State>| {
                cx.state.detached = Some(stream);
            })?;
        } else {
            wire.abort();
        }
        Ok(())
    }

    fn received(
        &mut self,
        _: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_, State>,
    ) -> io::Result<usize> {
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, State>) {
        cx.state.closed.push(closed.to_string());
    }
}

fn serve_again<P: Protocol<State> + 'static>(
    reactor: &mut Reactor<State>,
    make: impl FnMut(&mut Context<'_, State>) -> Option<Connection<P>> + 'static,
) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let retry = Retry::new().first(Duration::from_millis(1)).longest(Duration::from_millis(1));
    let connect = Connect::to(listener.local_addr().unwrap()).retry(retry);
    let connecting = connect.serve_again(&mut reactor.context(), make);
    reactor.state_mut().connecting = Some(connecting);
    listener
}

#[track_caller]
fn assert_over(reactor: &mut Reactor<State>) {
    for _ in 0..10 {
        reactor.turn(Deadline::Now).unwrap();
    }
    let mut cx = reactor.context();
    assert_eq!((cx.len(), cx.timers()), (0, 0), "something waits");
    let connecting = cx.state.connecting.clone().unwrap();
    assert!(!connecting.cancel(&mut cx), "it is not over");
}

#[test]
fn a_connection_that_is_detached_is_not_made_again() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(State::default());
        let _listener = serve_again(&mut reactor, |cx| {
            cx.state.tries += 1;
            Some(Connection::new(Brief { detaches: true }))
        });
        drive(&mut reactor, 1_000, |state| state.detached.is_some());
        assert_over(&mut reactor);
        let state = reactor.state();
        assert_eq!((state.tries, &state.closed[..]), (1, &["detached".to_owned()][..]));
    });
}

#[test]
fn a_cancel_by_what_makes_the_next_connection_is_heard() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(State::default());
        let _listener = serve_again(&mut reactor, |cx| {
            cx.state.tries += 1;
            if cx.state.tries == 2 {
                let connecting = cx.state.connecting.clone().unwrap();
                assert!(connecting.cancel(cx));
            }
            Some(Connection::new(Brief { detaches: false }))
        });
        drive(&mut reactor, 1_000, |state| state.closed.len() == 2);
        assert_over(&mut reactor);
        let state = reactor.state();
        assert_eq!((state.tries, &*state.closed[0], &*state.closed[1]), (2, "aborted", "removed"));
    });
}

/// Panics in one of its callbacks, or closes or removes itself at once.
struct Panics(&'static str);

impl Panics {
    fn at(&self, callback: &str) {
        assert!(self.0 != callback, "on purpose");
    }
}

impl Protocol<State> for Panics {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, State>) -> io::Result<()> {
        self.at("opened");
        if self.0 == "removes" {
            return cx.remove(wire.token());
        }
        wire.abort();
        Ok(())
    }

    fn received(
        &mut self,
        _: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_, State>,
    ) -> io::Result<usize> {
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, State>) {
        cx.state.closed.push(closed.to_string());
        self.at("closed");
    }
}

#[test]
fn a_panic_of_its_protocol_is_a_loss_and_it_is_made_again() {
    for callback in ["opened", "closed"] {
        on_every_pair_and_noise(|pair| {
            expect_panic("on purpose");
            let mut reactor = pair.reactor(State::default());
            let _listener = serve_again(&mut reactor, move |cx| {
                cx.state.tries += 1;
                (cx.state.tries <= 3).then(|| Connection::new(Panics(callback)))
            });
            drive(&mut reactor, 1_000, |state| state.tries == 4);
            assert_over(&mut reactor);
            assert_eq!(reactor.state().closed.len(), 3, "{callback}");
            assert_eq!(reactor.context().counters().panics, 3, "{callback}");
        });
    }
}

#[test]
fn a_panic_of_its_protocol_is_a_loss_when_there_is_no_connection() {
    on_every_pair_and_noise(|pair| {
        expect_panic("on purpose");
        let mut reactor = pair.reactor(State::default());
        drop(serve_again(&mut reactor, |cx| {
            cx.state.tries += 1;
            (cx.state.tries <= 3).then(|| Connection::new(Panics("closed")))
        }));
        drive(&mut reactor, 1_000, |state| state.tries == 4);
        assert_over(&mut reactor);
        assert_eq!(reactor.state().closed.len(), 3);
    });
}

#[test]
fn a_panic_of_what_makes_the_next_connection_ends_it() {
    on_every_pair_and_noise(|pair| {
        expect_panic("on purpose");
        let mut reactor = pair.reactor(State::default());
        let _listener = serve_again(&mut reactor, |cx| {
            cx.state.tries += 1;
            assert!(cx.state.tries != 2, "on purpose");
            Some(Connection::new(Brief { detaches: false }))
        });
        drive(&mut reactor, 1_000, |state| state.tries == 2);
        assert_over(&mut reactor);
    });
}

#[test]
fn a_connection_that_its_protocol_removes_is_not_made_again() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(State::default());
        let _listener = serve_again(&mut reactor, |cx| {
            cx.state.tries += 1;
            Some(Connection::new(Panics("removes")))
        });
        drive(&mut reactor, 1_000, |state| !state.closed.is_empty());
        assert_over(&mut reactor);
        assert_eq!((reactor.state().tries, &*reactor.state().closed), (1, &["removed".into()][..]));
    });
}

/// Cancels when it has no connection.
struct Cancels;

impl Protocol<State> for Cancels {
    fn received(
        &mut self,
        _: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_, State>,
    ) -> io::Result<usize> {
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, State>) {
        cx.state.closed.push(closed.to_string());
        let connecting = cx.state.connecting.clone().unwrap();
        assert!(connecting.cancel(cx));
    }
}

#[test]
fn a_cancel_by_a_protocol_whose_connection_failed_is_heard() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(State::default());
        let retry = Retry::new().first(Duration::from_millis(1)).longest(Duration::from_millis(1));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let connecting =
            Connect::to(nobody).retry(retry).serve_again(&mut reactor.context(), |cx| {
                cx.state.tries += 1;
                Some(Connection::new(Cancels))
            });
        reactor.state_mut().connecting = Some(connecting);
        drive(&mut reactor, 1_000, |state| !state.closed.is_empty());
        assert_over(&mut reactor);
        assert_eq!((reactor.state().tries, reactor.state().closed.len()), (1, 1));
    });
}
