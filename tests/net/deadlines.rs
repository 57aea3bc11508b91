//! The time limits of a connection, apart from its protocol's deadline. On every backend and trigger, by
//! a clock that the test advances.

use std::io::{self, Write};
use std::time::Duration;

use support::net::{Call, Script, Scripted, Why, echo};
use support::one::{One, Over};
use support::{Pair, known_bytes, on_every_pair, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::{Connection, Wire};
use tripoll::reactor::ManualClock;

const SECOND: Duration = Duration::from_secs(1);
const MUCH: usize = 1 << 20;

/// A connection whose clock stands still.
struct Timed {
    one: One,
    clock: ManualClock,
}

impl Timed {
    fn new<F: Script + 'static>(
        pair: Pair,
        set_up: impl FnOnce(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
        script: F,
    ) -> Self {
        let clock = ManualClock::new();
        let builder = pair.builder().clock(clock.clone());
        Timed { one: One::built(pair, builder, Over::Unix, set_up, script), clock }
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.one.turn_some();
    }

    /// Returns why it was closed, if it was.
    fn reason(&mut self) -> Option<Why> {
        self.one.calls.try_iter().find_map(|call| match call {
            Call::Closed(why) => Some(why),
            _ => None,
        })
    }

    #[track_caller]
    fn assert_open(&mut self) {
        assert_eq!(self.reason(), None);
    }
}

#[test]
fn an_idle_connection_is_closed_and_one_with_data_in_either_direction_is_not() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| match call {
            Call::TimedOut => {
                wire.write(b"tick");
                Ok(0)
            }
            Call::Received(data) => Ok(data.len()),
            _ => Ok(0),
        };
        let mut timed = Timed::new(pair, |c| c.idle_timeout(10 * SECOND), script);
        for round in 0..6 {
            timed.pass(9 * SECOND);
            timed.assert_open();
            if round % 2 == 0 {
                timed.one.peer().write_all(b"!").unwrap();
            } else {
                let (token, now) = (timed.one.token, timed.clock.now());
                timed.one.context(|cx| cx.set_deadline(token, Some(now)).unwrap());
                assert_eq!(timed.one.read(4), b"tick");
            }
            timed.one.turn_some();
        }
        timed.pass(9 * SECOND);
        timed.assert_open();
        timed.pass(SECOND);
        assert_eq!(timed.reason(), Some(Why::IdleTimedOut));
        assert_eq!(timed.one.read_to_end().0, b"");
    });
}

#[test]
fn a_byte_sets_no_timer() {
    on_every_pair(|pair| {
        let limits = |c: Connection<_>| c.idle_timeout(10 * SECOND).read_timeout(10 * SECOND);
        let mut timed = Timed::new(pair, limits, echo);
        let fired = |timed: &mut Timed| timed.one.context(|cx| (cx.timers(), cx.counters().timers));
        for _ in 0..100 {
            timed.pass(SECOND / 10);
            timed.one.peer().write_all(b"!").unwrap();
            assert_eq!(timed.one.read(1), b"!");
            assert_eq!(fired(&mut timed).0, 1);
        }
        assert!(fired(&mut timed).1 <= 2, "{:?}", fired(&mut timed));
        timed.assert_open();
    });
}

#[test]
fn a_peer_that_sends_nothing_is_closed_although_it_reads() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            wire.set_deadline(Some(SECOND));
            if *call == Call::TimedOut {
                wire.write(b"tick");
            }
            Ok(if let Call::Received(data) = call { data.len() } else { 0 })
        };
        let mut timed = Timed::new(pair, |c| c.read_timeout(10 * SECOND), script);
        for _ in 0..2 {
            timed.one.peer().write_all(b"!").unwrap();
            timed.one.turn_some();
            for _ in 0..9 {
                timed.pass(SECOND);
                timed.assert_open();
                assert_eq!(timed.one.read(4), b"tick");
            }
        }
        timed.pass(SECOND);
        assert_eq!(timed.reason(), Some(Why::ReadTimedOut));
    });
}

#[test]
fn the_time_of_a_pause_is_not_the_peers() {
    on_every_pair(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            match call {
                Call::Received(data) => {
                    wire.pause();
                    wire.set_deadline(Some(100 * SECOND));
                    return Ok(data.len());
                }
                Call::TimedOut => wire.resume(),
                _ => {}
            }
            Ok(0)
        };
        let mut timed = Timed::new(pair, |c| c.read_timeout(10 * SECOND), script);
        timed.pass(9 * SECOND);
        timed.one.peer().write_all(b"!").unwrap();
        timed.one.turn_some();
        for _ in 0..9 {
            timed.pass(11 * SECOND);
            timed.assert_open();
        }
        timed.pass(SECOND); // it resumes
        timed.pass(9 * SECOND);
        timed.assert_open();
        timed.pass(SECOND);
        assert_eq!(timed.reason(), Some(Why::ReadTimedOut));
    });
}

#[test]
fn a_peer_that_does_not_read_is_closed_by_the_first_limit_that_is_over() {
    on_every_pair(|pair| {
        for (idle, write, why) in [
            (Duration::MAX, 60 * SECOND, Why::WriteTimedOut),
            (90 * SECOND, 60 * SECOND, Why::WriteTimedOut),
            (30 * SECOND, 60 * SECOND, Why::IdleTimedOut),
            (30 * SECOND, Duration::MAX, Why::IdleTimedOut),
        ] {
            let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if *call == Call::Opened {
                    wire.write(&known_bytes(1, MUCH));
                }
                Ok(0)
            };
            let limits = |c: Connection<_>| c.idle_timeout(idle).write_timeout(write);
            let mut timed = Timed::new(pair, limits, script);
            let end = idle.min(write);
            // It reads, and only the kernel sees it.
            let mut read = 0;
            for _ in 0..3 {
                timed.pass(end - SECOND);
                read += timed.one.read(40_000).len();
                timed.pass(SECOND);
                timed.assert_open();
            }
            assert!(read < MUCH);
            timed.pass(end);
            timed.pass(end);
            assert_eq!(timed.reason(), Some(why));
        }
    });
}

#[test]
fn the_time_of_a_peer_that_reads_nothing_begins_with_the_output_and_its_input_does_not_prolong_it()
{
    on_every_pair(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            match call {
                Call::Opened => wire.set_deadline(Some(59 * SECOND)),
                Call::TimedOut => _ = wire.write(&known_bytes(1, MUCH)),
                Call::Received(data) => return Ok(data.len()),
                _ => {}
            }
            Ok(0)
        };
        let limits = |c: Connection<_>| c.write_timeout(60 * SECOND).read_above_mark(true);
        let mut timed = Timed::new(pair, limits, script);
        timed.pass(59 * SECOND); // it has nothing to read so far
        for _ in 0..3 {
            timed.pass(19 * SECOND);
            timed.one.peer().write_all(b"!").unwrap();
            timed.one.turn_some();
            timed.assert_open();
        }
        timed.pass(3 * SECOND);
        assert_eq!(timed.reason(), Some(Why::WriteTimedOut));
    });
}

#[test]
fn a_peer_that_has_read_one_answer_and_reads_nothing_of_the_next_is_closed_too() {
    on_every_pair(|pair| {
        for read_timeout in [Duration::MAX, 1_000 * SECOND] {
            let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| match call {
                Call::Received(data) => match data.iter().position(|&byte| byte == b'?') {
                    None => Ok(0),
                    Some(end) => {
                        wire.write(&known_bytes(1, MUCH));
                        Ok(end + 1)
                    }
                },
                _ => Ok(0),
            };
            let limits = |c: Connection<_>| c.write_timeout(60 * SECOND).read_timeout(read_timeout);
            let mut timed = Timed::new(pair, limits, script);
            // After each request there is a part of the next one, which is not used.
            for (seconds_between, rest) in [(1, ""), (59, "par"), (100, ""), (100, "par")] {
                timed.one.peer().write_all(format!("?{rest}").as_bytes()).unwrap();
                assert!(timed.one.read(MUCH) == known_bytes(1, MUCH), "not what was sent");
                timed.pass(seconds_between * SECOND);
                timed.assert_open();
            }
            timed.one.peer().write_all(b"?").unwrap();
            timed.one.turn_some();
            timed.pass(60 * SECOND);
            timed.pass(60 * SECOND); // it has read the one before
            assert_eq!(timed.reason(), Some(Why::WriteTimedOut));
        }
    });
}

#[test]
fn a_closed_connection_waits_for_its_peer_although_that_still_sends() {
    on_every_pair(|pair| {
        for idle_timeout in [Duration::MAX, 100 * SECOND] {
            let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| match call {
                Call::Received(data) => {
                    wire.write(b"an answer");
                    wire.close();
                    Ok(data.len())
                }
                _ => Ok(0),
            };
            let limits = |c: Connection<_>| {
                c.idle_timeout(idle_timeout).linger(SECOND).close_within(10 * SECOND)
            };
            let mut timed = Timed::new(pair, limits, script);
            for _ in 0..9 {
                timed.one.peer().write_all(b"?").unwrap();
                timed.one.turn_some();
                timed.assert_open(); // the answer is in the kernel, and not read
                timed.pass(SECOND);
            }
            timed.assert_open();
            timed.pass(SECOND);
            assert_eq!(timed.reason(), Some(Why::Finished));
        }
    });
}

#[test]
fn a_peer_that_takes_output_out_of_the_kernel_is_not_idle() {
    on_every_pair(|pair| {
        let mut timed = Timed::new(pair, |c| c.idle_timeout(10 * SECOND), echo);
        for _ in 0..4 {
            timed.one.peer().write_all(b"one message").unwrap();
            timed.one.turn_some(); // it is answered by one message
        }
        for _ in 0..3 {
            timed.pass(9 * SECOND);
            assert_eq!(timed.one.read(11), b"one message");
            timed.pass(SECOND);
            timed.assert_open();
        }
        timed.pass(10 * SECOND);
        timed.pass(10 * SECOND);
        assert_eq!(timed.reason(), Some(Why::IdleTimedOut));
    });
}

#[test]
fn a_closed_connection_whose_peer_reads_nothing_lingers_as_long_as_the_close_may_take() {
    on_every_pair(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            if *call == Call::Opened {
                wire.write(b"bye");
                wire.close();
            }
            Ok(0)
        };
        let limits = |c: Connection<_>| c.linger(SECOND).close_within(2 * SECOND);
        let mut timed = Timed::new(pair, limits, script);
        timed.pass(SECOND);
        timed.assert_open();
        timed.pass(SECOND);
        assert_eq!(timed.reason(), Some(Why::Finished));
    });
}

#[test]
fn the_protocols_deadline_is_apart_from_the_limits() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            match call {
                Call::Opened => wire.set_deadline(Some(5 * SECOND)),
                Call::Received(data) => {
                    wire.set_deadline(None);
                    return Ok(data.len());
                }
                Call::TimedOut => cx.set_deadline(wire.token(), None)?,
                _ => {}
            }
            Ok(0)
        };
        for removes in [false, true] {
            let mut timed = Timed::new(pair, |c| c.idle_timeout(10 * SECOND), script);
            assert_eq!(timed.one.next_call(), Call::Opened);
            timed.pass(4 * SECOND);
            if removes {
                timed.one.peer().write_all(b"!").unwrap();
                assert_eq!(timed.one.next_call(), Call::Received(b"!".into()));
            }
            timed.pass(SECOND);
            let has_timed_out = timed.one.calls.try_iter().any(|call| call == Call::TimedOut);
            assert_eq!(has_timed_out, !removes);
            timed.pass(4 * SECOND);
            timed.assert_open();
            timed.pass(SECOND);
            let why = timed.reason();
            assert_eq!(why, if removes { None } else { Some(Why::IdleTimedOut) });
        }
    });
}

/// The reason is an error that says so.
#[test]
fn each_limit_is_named_by_its_error() {
    use tripoll::net::CloseReason;
    for (reason, text) in [
        (CloseReason::IdleTimedOut, "no data passed for idle_timeout"),
        (CloseReason::ReadTimedOut, "the peer sent nothing for read_timeout"),
        (CloseReason::WriteTimedOut, "the peer did not read any output for write_timeout"),
    ] {
        let error = reason.to_error().unwrap();
        assert_eq!((error.kind(), &*error.to_string()), (io::ErrorKind::TimedOut, text));
    }
}
