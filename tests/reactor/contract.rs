//! The one contract: a handler that stops before `WouldBlock` is called again, one that reached it
//! is called when there is something new.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::thread;

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::Budget;
use tripoll::sys::PollFlags;
use tripoll::{Context, Deadline, Interest, Next, Source, Token};

/// Both ends of every kind of stream: mine to read, theirs to write.
fn streams() -> [(&'static str, File, File); 3] {
    fn files(kind: &'static str, mine: OwnedFd, theirs: OwnedFd) -> (&'static str, File, File) {
        (kind, mine.into(), theirs.into())
    }
    let (tcp, unix, pipe) = (tcp_pair(), unix_pair(), io::pipe().unwrap());
    [
        files("TCP", tcp.0.into(), tcp.1.into()),
        files("Unix", unix.0.into(), unix.1.into()),
        files("pipe", pipe.0.into(), pipe.1.into()),
    ]
}

/// Reads one byte a call, and never loops.
fn one_byte<F: Read>(source: &mut Source<F>, cx: &mut Context<Vec<u8>>) -> io::Result<Next> {
    let mut byte = [0];
    match source.read(&mut byte)? {
        0 => Ok(Next::Remove),
        _ => {
            cx.state.push(byte[0]);
            Ok(Next::Keep)
        }
    }
}

#[test]
fn one_byte_a_call_is_enough_to_get_everything() {
    on_every_pair(|pair| {
        for (kind, mine, mut theirs) in streams() {
            let _context = on(kind);
            let mut reactor = pair.reactor(Vec::new());
            add(&mut reactor, mine, Interest::READ, one_byte);
            let sent = known_bytes(1, 300);
            theirs.write_all(&sent).unwrap();

            let turns = drive(&mut reactor, 310, |read| read.len() == sent.len());
            assert_eq!(*reactor.state(), sent);
            assert!(turns >= 300, "one call a turn, {turns} turns");
            // One call more at most, which finds that this was all.
            if reactor.turn(Deadline::Now).unwrap() > 0 {
                assert_eq!(reactor.context().counters().spurious, 1);
            }
            assert_quiet(&mut reactor);

            drop(theirs);
            let deadline = Deadline::after(LONG);
            while !reactor.context().is_empty() {
                assert_eq!(reactor.turn(deadline).unwrap(), 1);
            }
            let counters = reactor.context().counters();
            assert!(counters.turns <= 310, "{counters:?}");
            assert!(counters.waits <= counters.turns + 10, "a wait a turn: {counters:?}");
            assert_eq!((counters.idle, counters.errors), (0, 0));
        }
        let _ = pair.reactor(()); // it checks what it builds
    });
}

#[test]
fn a_handler_that_reads_to_would_block_is_called_once_for_new_data() {
    on_every_pair(|pair| {
        for (kind, mine, mut theirs) in streams() {
            let _context = on(kind);
            let mut reactor = pair.reactor(Vec::new());
            add(&mut reactor, mine, Interest::READ, collect);
            for round in 1..=5 {
                theirs.write_all(b"something new").unwrap();
                drive(&mut reactor, 5, |read| read.len() == round * 13);
                assert_quiet(&mut reactor);
                assert_eq!(
                    reactor.context().counters().dispatches,
                    round as u64,
                    "{:?}",
                    reactor.context().counters()
                );
            }
            assert_eq!(reactor.context().counters().spurious, 0);
            assert_eq!(reactor.context().counters().cut_off, 0);
        }
    });
}

#[test]
fn what_comes_in_pieces_with_silence_between_does_not_stall() {
    on_every_pair_and_noise(|pair| {
        for (kind, mine, mut theirs) in streams() {
            let _context = on(kind);
            let mut reactor = pair.reactor(Vec::new());
            // Reads half of what is there, the other half, and not more.
            let mut dice = Dice(3);
            add(&mut reactor, mine, Interest::READ, move |source, cx: &mut Context<Vec<u8>>| {
                let mut buffer = [0; 64];
                let room = 1 + dice.below(buffer.len());
                let count = source.read(&mut buffer[..room])?;
                cx.state.extend_from_slice(&buffer[..count]);
                Ok(Next::Keep)
            });
            let sent = known_bytes(2, 4_000);
            let (mut dice, mut end) = (Dice(4), 0);
            while end < sent.len() {
                let begin = end;
                end = (begin + 1 + dice.below(100)).min(sent.len());
                theirs.write_all(&sent[begin..end]).unwrap();
                drive(&mut reactor, 110, |read| read.len() == end);
            }
            assert_eq!(*reactor.state(), sent);
            let counters = reactor.context().counters();
            drive(&mut reactor, 1, |_| true);
            assert_eq!(counters.idle, 0);
        }
    });
}

#[test]
fn done_ends_the_calls_until_a_new_event() {
    on_every_pair(|pair| {
        for (kind, mine, mut theirs) in streams() {
            let _context = on(kind);
            let mut reactor = pair.reactor(Vec::new());
            // Reads exactly what there is: it knows that messages have four bytes.
            add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<Vec<u8>>| {
                let mut message = [0; 4];
                source.read_exact(&mut message)?;
                cx.state.extend_from_slice(&message);
                Ok(Next::Done)
            });
            for round in 1..=5 {
                theirs.write_all(b"four").unwrap();
                drive(&mut reactor, 5, |read| read.len() == round * 4);
                assert_quiet(&mut reactor);
                assert_eq!(reactor.context().counters().dispatches, round as u64);
            }
            assert_eq!(reactor.context().counters().spurious, 0, "it never met WouldBlock");
        }
    });
}

/// A plain loop until `WouldBlock` which then says so: the budget's `WouldBlock` is one to it.
#[test]
fn done_after_the_budget_has_cut_a_handler_off_loses_nothing() {
    on_every_pair_and_noise(|pair| {
        let builder = pair.builder().budget(Budget::new(3, 1_000_000));
        let mut reactor = pair.build(builder, Vec::new());
        let (mine, mut theirs) = tcp_pair();
        theirs.write_all(&[7; 50]).unwrap();
        settle(&mine, PollFlags::IN);
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<Vec<u8>>| {
            let mut byte = [0];
            while let Ok(1) = source.read(&mut byte) {
                cx.state.push(byte[0]);
            }
            Ok(Next::Done)
        });
        drive(&mut reactor, 20, |read| read.len() == 50);
        reactor.turn(Deadline::Now).unwrap();
        assert_quiet(&mut reactor);
        assert_eq!(reactor.context().counters().cut_off, 16);
    });
}

#[test]
fn a_disarmed_source_is_called_when_armed_again_and_not_before() {
    on_every_pair_and_noise(|pair| {
        for (kind, mine, mut theirs) in streams() {
            let _context = on(kind);
            let mut reactor = pair.reactor(Vec::new());
            let token = add(&mut reactor, mine, Interest::READ, |source, cx| {
                one_byte(source, cx).map(|_| Next::Disarm)
            });
            theirs.write_all(b"abcd").unwrap();
            drive(&mut reactor, 5, |read| read == b"a");
            assert_quiet(&mut reactor);
            theirs.write_all(b"e").unwrap();
            assert_quiet(&mut reactor);

            // Armed from here, from a timer's callback, and from another thread.
            reactor.context().arm(token).unwrap();
            assert_eq!(drive(&mut reactor, 2, |read| read == b"ab"), 1);
            assert_quiet(&mut reactor);
            let now = std::time::Instant::now();
            reactor.context().set_timer(now, move |cx| cx.arm(token).unwrap());
            drive(&mut reactor, 5, |read| read == b"abc");
            assert_quiet(&mut reactor);
            let handle = reactor.handle();
            thread::spawn(move || handle.arm(token).unwrap());
            drive(&mut reactor, 5, |read| read == b"abcd");
            assert_quiet(&mut reactor);
            assert_eq!(reactor.context().interest(token), Some(Interest::READ));
        }
    });
}

#[test]
fn events_while_disarmed_are_reported_after_arming() {
    on_every_pair_and_noise(|pair| {
        for (kind, mine, mut theirs) in streams() {
            let _context = on(kind);
            let mut reactor = pair.reactor(Vec::new());
            let token = add(&mut reactor, mine, Interest::READ, |source, cx| {
                let error = collect(source, cx).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                Ok(Next::Disarm)
            });
            for round in 1..=3 {
                theirs.write_all(b"x").unwrap();
                if round > 1 {
                    assert_quiet(&mut reactor);
                    reactor.context().arm(token).unwrap();
                }
                drive(&mut reactor, 5, |read| read.len() == round);
                assert_quiet(&mut reactor);
            }
            assert_eq!(reactor.context().counters().spurious, 0);
        }
    });
}

#[test]
fn a_handler_that_does_nothing_is_called_each_turn_and_counted() {
    on_every_pair(|pair| {
        type Answer = fn() -> io::Result<Next>;
        let answers: [Answer; 2] = [|| Ok(Next::Keep), || Err(io::ErrorKind::WouldBlock.into())];
        for answer in answers {
            let mut reactor = pair.reactor(0_u64);
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"x").unwrap();
            add(&mut reactor, mine, Interest::READ, move |_, cx: &mut Context<u64>| {
                *cx.state += 1;
                answer()
            });
            assert_eq!(drive(&mut reactor, 10, |calls| *calls == 10), 10);
            let counters = reactor.context().counters();
            assert_eq!((counters.dispatches, counters.idle), (10, 10));
            assert_eq!(counters.spurious, 0);
        }
    });
}

/// The mistake that makes a processor busy: to want to write, and only ever to read.
#[test]
fn a_handler_that_does_not_use_its_interest_is_counted_as_idle() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, _theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ | Interest::WRITE, collect);
        for _ in 0..10 {
            assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
        }
        assert_eq!(reactor.context().counters().idle, 10);
    });
}

#[test]
fn a_call_for_nothing_is_counted_as_spurious() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, mut theirs) = unix_pair();
        let twin = mine.try_clone().unwrap();
        theirs.write_all(b"x").unwrap();
        // Somebody else reads what it was told of.
        reactor.after_wait(move |_| drain(&twin));
        add(&mut reactor, mine, Interest::READ, |source, _| {
            assert_eq!(source.read(&mut [0; 8])?, 1);
            Ok(Next::Keep)
        });
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
        assert_quiet(&mut reactor);
        let counters = reactor.context().counters();
        assert_eq!((counters.spurious, counters.idle, counters.errors), (1, 0, 0));
    });
}

/// Echoes with a budget of so many operations, to a client which floods and one which pings.
#[test]
fn a_flood_starves_no_other_source() {
    const FLOOD: usize = 1 << 20;
    let expected = known_bytes(5, FLOOD);
    on_every_pair_and_noise(|pair| {
        let builder = pair.builder().budget(Budget::new(8, 64 << 10));
        let mut reactor = pair.build(builder, Vec::<u8>::new());
        let (flooded, mut flooding) = unix_pair();
        let (pinged, mut pinging) = unix_pair();
        flooding.set_nonblocking(false).unwrap();
        add(&mut reactor, flooded, Interest::READ, collect);
        add(&mut reactor, pinged, Interest::READ, echo());
        let sent = expected.clone();
        let flooder = thread::spawn(move || {
            flooding.write_all(&sent).unwrap();
        });
        let (mut pings, mut turns) = (0_u64, 0_u64);
        while reactor.state().len() < FLOOD {
            pinging.write_all(b"p").unwrap();
            turns += drive(&mut reactor, 3, |_| pinging.read(&mut [0]).is_ok());
            pings += 1;
        }
        flooder.join().unwrap();
        assert!(*reactor.state() == expected, "the bytes are not those that were sent");
        assert!(turns <= 2 * pings, "{turns} turns for {pings} pings");
        let counters = reactor.context().counters();
        assert!(counters.cut_off > 0, "nobody was ever cut off: {counters:?}");
        assert_eq!(counters.idle, 0);
    });
}

#[test]
fn the_budget_cuts_in_both_directions_and_loses_nothing() {
    on_every_pair_and_noise(|pair| {
        for budget in [Budget::new(2, 1 << 20), Budget::new(64, 100), Budget::new(0, 0)] {
            let mut reactor = pair.build(pair.builder().budget(budget), ());
            let (mine, mut theirs) = tcp_pair();
            // Writes in small pieces, while there is something to write; then reads likewise.
            let sent = known_bytes(6, 2_000);
            let (mut unsent, mut read) = (sent.clone(), Vec::new());
            let until_read = sent.len();
            let talk = move |source: &mut Source<_>, cx: &mut Context| -> io::Result<Next> {
                while !unsent.is_empty() {
                    source.set_interest(Interest::WRITE);
                    let piece = unsent.len().min(70);
                    let count = source.write(&unsent[..piece])?;
                    unsent.drain(..count);
                }
                source.set_interest(Interest::READ);
                loop {
                    let mut buffer = [0; 70];
                    let count = source.read(&mut buffer)?;
                    read.extend_from_slice(&buffer[..count]);
                    if read.len() == until_read {
                        assert!(read == known_bytes(7, until_read));
                        cx.stop();
                    }
                }
            };
            add(&mut reactor, mine, Interest::WRITE, talk);
            theirs.write_all(&known_bytes(7, sent.len())).unwrap();
            let handle = reactor.handle();
            let turns = drive(&mut reactor, 70, |()| handle.is_stopped());
            assert!(turns > 2_000 / 70 / 32, "{turns} turns");
            assert!(reactor.context().counters().cut_off > 0);
            settle(&theirs, PollFlags::IN);
            let mut echoed = vec![0; sent.len()];
            theirs.set_nonblocking(false).unwrap();
            theirs.read_exact(&mut echoed).unwrap();
            assert!(echoed == sent);
        }
    });
}

/// A write that meets a full pipe goes on when there is room, and not before.
#[test]
fn a_writer_that_met_a_full_pipe_is_called_when_there_is_room() {
    const SIZE: usize = 6 << 20; // more than any pipe takes
    let sent = known_bytes(8, SIZE);
    on_every_pair_and_noise(|pair| {
        for (kind, mut theirs, mine) in streams() {
            let _context = on(kind);
            let mut reactor = pair.reactor(0_usize);
            let bytes = sent.clone();
            add(&mut reactor, mine, Interest::WRITE, move |source, cx: &mut Context<usize>| {
                while *cx.state < SIZE {
                    *cx.state += source.write(&bytes[*cx.state..])?;
                }
                Ok(Next::Remove)
            });
            // Until it is full; then nothing may happen.
            loop {
                let before = reactor.context().counters().dispatches;
                reactor.turn(Deadline::Now).unwrap();
                if reactor.context().counters().dispatches == before && *reactor.state() > 0 {
                    break;
                }
            }
            let full = *reactor.state();
            assert!(full < SIZE, "the pipe takes it all: the test needs more");
            let reader = thread::spawn(move || {
                let mut read = vec![0; SIZE];
                let mut filled = 0;
                while filled < SIZE {
                    // Their end may be non-blocking.
                    settle(&theirs, PollFlags::IN);
                    filled += theirs.read(&mut read[filled..]).unwrap();
                }
                read
            });
            drive(&mut reactor, 100_000, |written| *written == SIZE);
            assert!(reader.join().unwrap() == sent);
            assert_eq!(reactor.context().counters().idle, 0);
        }
    });
}

/// Two sources of one reactor talk to each other, one byte a call: neither loses its place.
#[test]
fn two_sources_of_one_reactor_can_talk_to_each_other() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (one, other) = unix_pair();
        let pong = |source: &mut Source<std::os::unix::net::UnixStream>,
                    cx: &mut Context<u32>|
         -> io::Result<Next> {
            let mut byte = [0];
            assert_eq!(source.read(&mut byte)?, 1);
            assert_eq!(source.write(&byte)?, 1);
            *cx.state += 1;
            Ok(Next::Keep)
        };
        let mut first = one.try_clone().unwrap();
        let tokens: [Token; 2] = [
            add(&mut reactor, one, Interest::READ, pong),
            add(&mut reactor, other, Interest::READ, pong),
        ];
        assert_ne!(tokens[0], tokens[1]);
        first.write_all(b"!").unwrap();
        drive(&mut reactor, 1_010, |calls| *calls >= 1_000);
        // Each call may be followed by one which finds nothing, and no more than one.
        let counters = reactor.context().counters();
        assert!(counters.dispatches <= 2_010, "{counters:?}");
    });
}

/// One datagram a call; and one of no bytes is a datagram like any other.
#[test]
fn datagrams_come_one_by_one_and_empty_ones_too() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let mine = UdpSocket::bind("127.0.0.1:0").unwrap();
        let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
        theirs.connect(mine.local_addr().unwrap()).unwrap();
        let one_a_call = |socket: &mut Source<UdpSocket>, cx: &mut Context<Vec<usize>>| {
            let receive = |socket: &mut UdpSocket| socket.recv(&mut [0; 16]);
            cx.state.push(socket.try_io(Interest::READ, receive)?);
            Ok(Next::Keep)
        };
        add(&mut reactor, mine, Interest::READ, one_a_call);
        for round in 1..=3 {
            for length in [0, 3, 0, 0, 16] {
                theirs.send(&[0; 16][..length]).unwrap();
            }
            drive(&mut reactor, 7, |got| got.len() == 5 * round);
            reactor.turn(Deadline::Now).unwrap(); // one call may find that this was all
            assert_quiet(&mut reactor);
        }
        assert_eq!(reactor.state()[..5], [0, 3, 0, 0, 16]);
    });
}

/// A regular file is always ready, on the backends whose kernel call refuses it, too.
#[test]
fn a_regular_file_is_read_to_its_end() {
    on_every_pair_and_noise(|pair| {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let length = file.metadata().unwrap().len() as usize;
        let builder = pair.builder().budget(Budget::new(1, 1_000));
        let mut reactor = pair.build(builder, Vec::new());
        let mut is_read = false;
        add(&mut reactor, file, Interest::READ, move |file, cx: &mut Context<Vec<u8>>| {
            assert!(!is_read, "called after the end");
            let mut buffer = [0; 100];
            let count = file.read(&mut buffer)?;
            cx.state.extend_from_slice(&buffer[..count]);
            is_read = count == 0;
            Ok(Next::Keep)
        });
        drive(&mut reactor, 100, |read| read.len() == length);
        reactor.turn(Deadline::after(LONG)).unwrap(); // the end
        assert_quiet(&mut reactor);
        assert_eq!(reactor.context().counters().idle, 0);
    });
}

#[test]
fn a_source_paused_with_unread_data_is_called_after_its_interest_returns() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"abc").unwrap();
        let token = add(&mut reactor, mine, Interest::READ, one_byte);
        drive(&mut reactor, 2, |read| read == b"a");
        reactor.context().set_interest(token, Interest::NONE).unwrap();
        assert_eq!(reactor.turn(Deadline::Now).unwrap(), 0);
        assert_quiet(&mut reactor);
        reactor.context().set_interest(token, Interest::READ).unwrap();
        assert_eq!(drive(&mut reactor, 3, |read| read == b"abc"), 2);
    });
}
