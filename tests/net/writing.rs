//! How a connection writes: what is gathered, when it is sent, what is copied. On every backend and
//! trigger.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use support::net::{Call, Why, echo};
use support::one::{One, Over};
use support::{known_bytes, on_every_pair, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::{Connection, Watermarks, Wire};

/// More than a Unix socket's buffers hold.
const MUCH: usize = 1 << 20;

/// Answers each byte with a byte, in a write of its own.
fn byte_by_byte(call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<usize> {
    if let Call::Received(data) = call {
        wire.write(&data[..1]);
        return Ok(1);
    }
    Ok(0)
}

#[test]
fn all_answers_to_one_packet_are_sent_by_one_system_call() {
    on_every_pair(|pair| {
        for over in Over::ALL {
            let mut one = One::new(pair, over, byte_by_byte);
            one.peer().write_all(&known_bytes(1, 51)).unwrap();
            assert!(one.read(51) == known_bytes(1, 51));
            let dispatches = one.dispatches.0.borrow();
            let [call] = dispatches[..] else { panic!("{dispatches:?}") };
            assert_eq!((call.bytes_read, call.bytes_written), (51, 51));
            // Where a short read does not tell that nothing is left, there is a read in vain.
            assert!(call.operations <= 3, "{call}");
        }
    });
}

#[test]
fn what_several_turns_write_is_sent_in_each_of_them() {
    on_every_pair_and_noise(|pair| {
        let mut one = One::new(pair, Over::Tcp, echo);
        for round in 0..20 {
            one.peer().write_all(&[round]).unwrap();
            assert_eq!(one.read(1), [round]);
        }
    });
}

/// Small writes, formatted ones, owned, shared and static chunks, small and large, and large copies.
fn write_all_kinds(wire: &mut Wire<'_>, shared: &Arc<[u8]>) {
    wire.write(b"small ");
    write!(wire, "formatted {} ", 7).unwrap();
    wire.send(vec![b'v'; 100]);
    wire.send(vec![b'V'; 100_000]);
    wire.send(Arc::clone(shared));
    wire.write(b"between");
    wire.send("static ");
    wire.send(&[b's'; 70_000]);
    wire.write(&[b'c'; 70_000]);
    wire.send(String::from("the end"));
}

/// What [`write_all_kinds`] has written.
fn all_kinds(shared: &[u8]) -> Vec<u8> {
    let pieces: [&[u8]; 8] = [
        b"small formatted 7 ",
        &[b'v'; 100],
        &[b'V'; 100_000],
        shared,
        b"betweenstatic ",
        &[b's'; 70_000],
        &[b'c'; 70_000],
        b"the end",
    ];
    pieces.concat()
}

#[test]
fn all_kinds_of_writes_arrive_in_their_order() {
    on_every_pair_and_noise(|pair| {
        for over in Over::ALL {
            let shared: Arc<[u8]> = known_bytes(2, 50_000).into();
            let script = {
                let shared = Arc::clone(&shared);
                move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                    if let Call::Received(data) = call {
                        for _ in data {
                            write_all_kinds(wire, &shared);
                        }
                        return Ok(data.len());
                    }
                    Ok(0)
                }
            };
            let mut one = One::new(pair, over, script);
            for count in 1..=3 {
                one.peer().write_all(&vec![0; count]).unwrap();
                one.turn_some(); // the others are written while much is kept
            }
            let expected = all_kinds(&shared).repeat(6);
            assert!(one.read(expected.len()) == expected, "other bytes");
            assert_eq!(Arc::strong_count(&shared), 2, "a share is kept");
        }
    });
}

#[test]
fn a_message_to_many_that_do_not_read_is_shared_and_not_copied() {
    on_every_pair(|pair| {
        let news: Arc<[u8]> = known_bytes(3, MUCH).into();
        let mut all: Vec<_> = (0..10)
            .map(|_| {
                let news = Arc::clone(&news);
                One::new(pair, Over::Unix, move |call: &Call, wire: &mut Wire<'_>, _: &mut _| {
                    if *call == Call::Opened {
                        wire.send(Arc::clone(&news));
                    }
                    Ok(0)
                })
            })
            .collect();
        assert_eq!(Arc::strong_count(&news), 1 + 2 * all.len(), "the rest was copied");
        for one in &mut all {
            assert!(one.read(MUCH) == *news, "other bytes");
        }
        assert_eq!(Arc::strong_count(&news), 1 + all.len(), "it is kept after it was sent");
    });
}

#[test]
fn a_write_tells_whether_there_is_room_for_more() {
    on_every_pair(|pair| {
        let answers = Rc::new(Cell::new(0));
        let script = {
            let answers = Rc::clone(&answers);
            move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Received(data) => {
                        if data == b"much" {
                            assert!(!wire.write(&vec![0; MUCH]));
                            assert!(!wire.write(b"x") && !wire.send("x"));
                            assert!(!wire.is_reading());
                        } else {
                            assert!(wire.write(b"x") && wire.send("x"), "it has room");
                            wire.finish();
                            assert!(!wire.write(b"lost") && !wire.send("lost"));
                        }
                        answers.set(answers.get() + 1);
                        return Ok(data.len());
                    }
                    Call::Ended(_) => wire.close(),
                    _ => {}
                }
                Ok(0)
            }
        };
        let mut one = One::new(pair, Over::Unix, script);
        one.peer().write_all(b"much").unwrap();
        one.until("it is answered", |_| answers.get() == 1);
        one.read(MUCH + 2);
        one.peer().write_all(b"little").unwrap();
        assert_eq!(one.read_to_end().0, b"xx");
        assert_eq!(answers.get(), 2);
    });
}

/// A mark that is smaller than what is gathered.
#[test]
fn above_the_high_mark_nothing_waits_for_the_end_of_the_callback() {
    on_every_pair(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            if let Call::Received(data) = call {
                assert!(wire.write(&[1; 10]));
                assert_eq!(wire.unsent(), 10, "it is gathered");
                assert!(wire.write(b"1"), "the kernel has room");
                assert_eq!(wire.unsent(), 0, "it is sent");
                return Ok(data.len());
            }
            Ok(0)
        };
        let marks = |connection: Connection<_>| connection.watermarks(Watermarks::new(1, 10, 100));
        let mut one = One::with(pair, Over::Tcp, marks, script);
        one.peer().write_all(b"?").unwrap();
        assert_eq!(one.read(11), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, b'1']);
        one.turn_some();
        assert!(one.calls.try_iter().all(|call| !matches!(call, Call::Closed(_))));
    });
}

#[test]
fn flush_sends_before_the_callback_returns() {
    on_every_pair(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            if let Call::Received(data) = call {
                wire.write(b"now");
                wire.flush()?;
                assert_eq!(wire.unsent(), 0);
                return Ok(data.len());
            }
            Ok(0)
        };
        let mut one = One::new(pair, Over::Unix, script);
        one.peer().write_all(b"?").unwrap();
        assert_eq!(one.read(3), b"now");
    });
}

#[test]
fn what_was_written_before_an_error_is_sent_and_before_an_abort_is_not() {
    on_every_pair_and_noise(|pair| {
        for aborts in [false, true] {
            let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(_) = call {
                    wire.write(b"last words");
                    if aborts {
                        wire.abort();
                        wire.write(b"more");
                        return Ok(0);
                    }
                    return Err(io::Error::other("of its own"));
                }
                Ok(0)
            };
            let mut one = One::new(pair, Over::Unix, script);
            one.peer().write_all(b"?").unwrap();
            let why = one.until_closed().pop();
            let reason = if aborts { Why::Aborted } else { Why::Failed(io::ErrorKind::Other) };
            assert_eq!(why, Some(Call::Closed(reason)));
            let expected: &[u8] = if aborts { b"" } else { b"last words" };
            assert_eq!(one.read_to_end().0, expected);
        }
    });
}

#[test]
fn what_a_callback_gathered_that_panicked_is_sent_to_nobody() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            if let Call::Received(data) = call
                && data == b"!"
            {
                wire.write(b"secret");
                std::panic::resume_unwind(Box::new("on purpose"));
            }
            echo(call, wire, cx)
        };
        let mut one = One::new(pair, Over::Unix, script);
        let (stream, other) = Over::Unix.pair();
        let (send, _calls) = std::sync::mpsc::channel();
        let neighbour = Connection::new(support::net::Scripted::new(script, send));
        one.context(|cx| neighbour.serve(stream, cx)).unwrap();
        one.peer().write_all(b"!").unwrap();
        let failed = Call::Closed(Why::Failed(io::ErrorKind::Other));
        assert_eq!(one.until_closed().pop(), Some(failed));
        assert_eq!(one.read_to_end().0, b"");
        one.peer = Some(other);
        one.peer().write_all(b"hello").unwrap();
        assert_eq!(one.read(5), b"hello");
    });
}

/// The program pumps: it writes when it is told that there is room, and is told each time.
#[test]
fn a_pump_at_the_low_mark_and_at_the_end_writes_everything() {
    on_every_pair_and_noise(|pair| {
        for over in Over::ALL {
            let mut left = 200;
            let mut pump = move |wire: &mut Wire<'_>| {
                while left > 0 {
                    left -= 1;
                    if !wire.write(&[left; 20_000]) {
                        return;
                    }
                }
                wire.close();
            };
            let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if matches!(call, Call::Opened | Call::Drained) {
                    pump(wire);
                }
                Ok(0)
            };
            let mut one = One::new(pair, over, script);
            let (all, error) = one.read_to_end();
            assert!(error.is_none(), "{error:?}");
            let expected: Vec<u8> = (0..200).rev().flat_map(|byte| [byte; 20_000]).collect();
            assert!(all == expected, "{} bytes", all.len());
        }
    });
}
