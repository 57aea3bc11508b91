//! Results that are told to the handler that asked for them.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use support::sockets::unix_pair;
use support::{LONG, expect_panic, on_every_pair_and_noise};
use tripoll::pool::Pool;
use tripoll::reactor::Id;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, ReactorHandle, Source, Token};

/// Has each byte doubled by the pool, and answers.
struct Doubles;

impl Handler<UnixStream, Pool> for Doubles {
    fn ready(
        &mut self,
        stream: &mut Source<UnixStream>,
        cx: &mut Context<Pool>,
    ) -> io::Result<Next> {
        let mut byte = [0];
        while stream.read(&mut byte)? == 1 {
            let id: Id<(UnixStream, Doubles)> = cx.id(stream.token())?;
            let work = move || if byte[0] == 99 { panic!("in a job") } else { byte[0] * 2 };
            let submitted = cx.state.submit_to(&cx.handle(), id, work, |_, stream, doubled, _| {
                stream.write_all(&[doubled.unwrap_or(0)])
            });
            submitted.map_err(io::Error::other)?;
        }
        Ok(Next::Keep)
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, _: &mut Context<Pool>) {
        assert!(error.is_none(), "{error:?}");
    }
}

/// Stops the loop when its thread ends, or panics.
struct Stop(ReactorHandle<Pool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn add_doubles(reactor: &mut Reactor<Pool>) -> (Token, UnixStream) {
    let (mine, theirs) = unix_pair();
    theirs.set_nonblocking(false).unwrap();
    theirs.set_read_timeout(Some(LONG)).unwrap();
    (reactor.context().add(mine, Interest::READ, Doubles).unwrap(), theirs)
}

#[test]
fn a_result_is_told_to_the_handler_that_asked_and_to_no_other() {
    on_every_pair_and_noise(|pair| {
        expect_panic("in a job");
        let mut reactor = pair.reactor(Pool::new(2, 100).unwrap());
        let stop = Stop(reactor.handle());
        let (_, mut one) = add_doubles(&mut reactor);
        let (_, mut other) = add_doubles(&mut reactor);
        let client = thread::spawn(move || {
            let _stop = stop;
            for byte in 0..50 {
                for (stream, byte) in [(&mut one, byte), (&mut other, byte + 50)] {
                    stream.write_all(&[byte]).unwrap();
                    let mut doubled = [0];
                    stream.read_exact(&mut doubled).unwrap();
                    assert_eq!(doubled[0], if byte == 99 { 0 } else { byte * 2 });
                }
            }
        });
        reactor.run().unwrap();
        client.join().unwrap();
        assert_eq!(reactor.state().panics(), 1);
    });
}

#[test]
fn a_result_for_a_source_that_has_gone_is_dropped() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Pool::new(1, 10).unwrap());
        let (token, _peer) = add_doubles(&mut reactor);
        let id: Id<(UnixStream, Doubles)> = reactor.context().id(token).unwrap();
        let handle = reactor.handle();
        let cx = &mut reactor.context();
        cx.state.submit_to(&handle, id, || (), |_, _, _, _| unreachable!()).unwrap();
        cx.remove(token).unwrap();
        // Another source takes its place, and is told nothing.
        let (other, _other_peer) = add_doubles(&mut reactor);
        assert_eq!(other.index(), token.index());
        reactor.state_mut().drain(LONG).unwrap();
        for _ in 0..3 {
            reactor.turn(Deadline::Now).unwrap();
        }
        assert!(reactor.context().interest(other).is_some());
    });
}
