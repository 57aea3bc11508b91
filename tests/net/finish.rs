//! A connection that finishes its own side, and still receives. On every backend and trigger.

use std::io::{self, Write};
use std::net::Shutdown;

use support::net::{Call, Why};
use support::one::{One, Over};
use support::{known_bytes, on_every_pair, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::Wire;

const MUCH: usize = 6 << 20;

#[test]
fn the_peer_reads_the_end_after_all_that_is_owed_and_is_still_heard() {
    on_every_pair_and_noise(|pair| {
        for over in Over::ALL {
            let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Opened => {
                        wire.write(&known_bytes(1, MUCH));
                        wire.finish();
                        wire.write(b"lost");
                    }
                    Call::Received(data) => {
                        wire.write(b"lost, too");
                        return Ok(data.len());
                    }
                    Call::Ended(_) => wire.close(),
                    _ => {}
                }
                Ok(0)
            };
            let mut one = One::new(pair, over, script);
            let (all, error) = one.read_to_end();
            assert!(error.is_none() && all == known_bytes(1, MUCH), "{} bytes", all.len());
            for _ in 0..3 {
                one.peer().write_all(b"more").unwrap();
                one.turn_some();
            }
            one.peer().shutdown(Shutdown::Write).unwrap();
            let calls = one.until_closed();
            let heard: usize = calls
                .iter()
                .map(|call| if let Call::Received(data) = call { data.len() } else { 0 })
                .sum();
            assert_eq!(heard, 12);
            let [.., ended, closed] = &calls[..] else { panic!("{calls:?}") };
            assert_eq!(*ended, Call::Ended(vec![]));
            assert_eq!(*closed, Call::Closed(Why::Finished));
        }
    });
}

/// The protocol does not close it: both sides have finished, so it is over.
#[test]
fn with_the_end_of_the_peer_it_is_closed_in_either_order() {
    on_every_pair_and_noise(|pair| {
        for finishes_first in [false, true] {
            let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Received(data) if finishes_first => {
                        wire.finish();
                        return Ok(data.len());
                    }
                    Call::Received(data) => return Ok(data.len()),
                    Call::Ended(_) if !finishes_first => {
                        wire.write(&known_bytes(1, MUCH));
                        wire.finish();
                    }
                    _ => {}
                }
                Ok(0)
            };
            let mut one = One::new(pair, Over::Tcp, script);
            one.peer().write_all(b"?").unwrap();
            if finishes_first {
                assert_eq!(one.read_to_end().0, b"");
                one.peer().shutdown(Shutdown::Write).unwrap();
            } else {
                one.peer().shutdown(Shutdown::Write).unwrap();
                assert!(one.read_to_end().0 == known_bytes(1, MUCH));
            }
            assert_eq!(one.until_closed().pop(), Some(Call::Closed(Why::Finished)));
        }
    });
}

#[test]
fn a_finished_connection_can_be_closed_and_aborted() {
    on_every_pair(|pair| {
        for aborts in [false, true] {
            let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Opened => wire.finish(),
                    Call::Received(data) => {
                        if aborts {
                            wire.abort();
                        } else {
                            wire.close();
                        }
                        return Ok(data.len());
                    }
                    _ => {}
                }
                Ok(0)
            };
            let mut one = One::new(pair, Over::Unix, script);
            assert_eq!(one.read_to_end().0, b"");
            one.peer().write_all(b"?").unwrap();
            assert_eq!(one.next_call(), Call::Opened);
            assert_eq!(one.next_call(), Call::Received(b"?".into()));
            one.peer = None;
            let why = if aborts { Why::Aborted } else { Why::Finished };
            assert_eq!(one.until_closed().pop(), Some(Call::Closed(why)));
        }
    });
}

#[test]
fn a_peer_that_reads_nothing_of_what_is_owed_is_reset() {
    on_every_pair(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| -> io::Result<usize> {
            if *call == Call::Opened {
                wire.write(&known_bytes(1, MUCH));
                wire.finish();
            }
            Ok(0)
        };
        let short = std::time::Duration::from_millis(20);
        let mut one = One::with(pair, Over::Unix, |c| c.write_timeout(short), script);
        assert_eq!(one.until_closed().pop(), Some(Call::Closed(Why::WriteTimedOut)));
    });
}
