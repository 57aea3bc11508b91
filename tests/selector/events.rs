//! Which events a wait reports, with which token, and how often.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use rustix::net::{RecvFlags, SendFlags};
use support::selector::*;
use support::sockets::*;
use tripoll::selector::{Deadline, Event, Events, Interest, Readiness, Selector, Token, Trigger};
use tripoll::sys::{self, PollFlags};

const ONE: Token = Token::new(1, 0);
const OTHER: Token = Token::new(2, 0);

#[test]
fn level_reports_again_edge_and_oneshot_report_once() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        assert_silent(selector);
        theirs.write_all(b"x").unwrap();
        for _ in 0..3 {
            assert_eq!(reported_one(selector), (ONE, Readiness::READ));
            if trigger != Trigger::Level {
                assert_silent(selector);
                // `set` reports present readiness once more. Token and trigger stay.
                selector.set(mine.as_raw_fd(), Interest::READ).unwrap();
            }
        }
        drain(&mine);
        selector.set(mine.as_raw_fd(), Interest::READ).unwrap();
        assert_silent(selector);
    });
}

#[test]
fn something_new_is_reported_on_level_and_edge_and_not_by_a_spent_oneshot() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        for round in 0..3 {
            theirs.write_all(b"x").unwrap();
            let reported = reported_now(selector);
            if trigger == Trigger::OneShot && round > 0 {
                assert_eq!(reported, []);
            } else {
                assert_eq!(reported, [(ONE, Readiness::READ)]);
            }
            drain(&mine);
        }
        drop(theirs);
        let reported = tokens_now(selector);
        assert_eq!(
            reported.is_empty(),
            trigger == Trigger::OneShot,
            "the end is something new too"
        );
    });
}

#[test]
fn what_is_ready_already_is_reported_after_adding() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        assert_eq!(reported_now(selector), [(ONE, Readiness::READ)]);
    });
}

#[test]
fn an_empty_interest_reports_nothing_until_it_is_set_again() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (paused, theirs) = unix_pair();
        let (never, also_theirs) = unix_pair();
        selector.add(paused.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        selector.set(paused.as_raw_fd(), Interest::NONE).unwrap();
        selector.add(never.as_raw_fd(), OTHER, Interest::NONE, trigger).unwrap();
        // Unread data at the closing end makes it an error (ECONNRESET) and not only a hang-up.
        (&paused).write_all(b"never read").unwrap();
        drop((theirs, also_theirs));
        assert_silent(selector);

        for (fd, token) in [(&paused, ONE), (&never, OTHER)] {
            selector.set(fd.as_raw_fd(), Interest::READ).unwrap();
            assert_eq!(tokens_now(selector), [token]);
            selector.set(fd.as_raw_fd(), Interest::NONE).unwrap();
            assert_silent(selector);
        }
    });
}

#[test]
fn a_oneshot_reports_a_hang_up_once() {
    on_every_selector(&[Trigger::OneShot], |selector, trigger| {
        let (mine, theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        drop(theirs);
        assert_eq!(tokens_now(selector), [ONE]);
        assert_silent(selector);
    });
}

#[test]
fn one_event_a_descriptor_with_everything_in_it() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, theirs) = tcp_pair();
        (&theirs).write_all(b"plain").unwrap();
        settle(&mine, PollFlags::IN);
        rustix::net::send(&theirs, b"!", SendFlags::OOB).unwrap();
        settle(&mine, PollFlags::PRI);

        let everything = Interest::READ | Interest::WRITE | Interest::PRIORITY;
        selector.add(mine.as_raw_fd(), ONE, everything, trigger).unwrap();
        let readiness = Readiness::READ | Readiness::WRITE | Readiness::PRIORITY;
        assert_eq!(reported_now(selector), [(ONE, readiness)]);
        // And only what is wanted of it.
        selector.set(mine.as_raw_fd(), Interest::WRITE).unwrap();
        assert_eq!(reported_now(selector), [(ONE, Readiness::WRITE)]);
        selector.set(mine.as_raw_fd(), Interest::READ).unwrap();
        assert_eq!(reported_now(selector), [(ONE, Readiness::READ)]);
    });
}

#[test]
fn a_hang_up_is_reported_alone_where_the_selector_can() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, theirs) = UnixStream::pair().unwrap();
        selector.add(mine.as_raw_fd(), ONE, Interest::HANGUP, trigger).unwrap();
        (&theirs).write_all(b"data").unwrap();
        settle(&mine, PollFlags::IN);
        theirs.shutdown(Shutdown::Write).unwrap();
        settle(&mine, PollFlags::RDHUP);
        assert_silent(selector); // neither data nor a half-close is one
        drop(theirs);
        settle(&mine, PollFlags::HUP);
        if selector.caps().reports_hangup_alone {
            assert_eq!(reported_now(selector), [(ONE, Readiness::HANGUP)]);
        } else {
            assert_silent(selector);
        }
        selector.set(mine.as_raw_fd(), Interest::NONE).unwrap();
        assert_silent(selector);
        selector.set(mine.as_raw_fd(), Interest::READ).unwrap();
        assert_eq!(reported_now(selector).len(), 1);
    });
}

#[test]
fn urgent_data_is_reported_only_where_it_was_asked_for() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, theirs) = tcp_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        rustix::net::send(&theirs, b"!", SendFlags::OOB).unwrap();
        settle(&mine, PollFlags::PRI);
        assert_silent(selector);

        selector.set(mine.as_raw_fd(), Interest::PRIORITY).unwrap();
        let mut events = Events::new();
        selector.wait(&mut events, Deadline::Now).unwrap();
        let reported: Vec<_> = events.iter().collect();
        assert_eq!(reported.len(), 1);
        assert!(reported[0].is_priority());
        assert_eq!(reported[0].is_readable(), !selector.caps().urgent_apart);

        let (_, length) = rustix::net::recv(&mine, &mut [0; 8], RecvFlags::OOB).unwrap();
        assert_eq!(length, 1);
        selector.set(mine.as_raw_fd(), Interest::PRIORITY).unwrap();
        assert_silent(selector);
    });
}

/// A regular file, a directory, and a device that never blocks.
fn always_ready() -> [File; 3] {
    [std::env::current_exe().unwrap(), "/".into(), "/dev/null".into()]
        .map(|path| File::open(path).unwrap())
}

#[test]
fn files_and_directories_are_always_ready() {
    for file in always_ready() {
        on_every_selector(Trigger::ALL, |selector, trigger| {
            let fd = file.as_raw_fd();
            selector.add(fd, ONE, Interest::READ, trigger).unwrap();
            for (interest, readiness) in [
                (Interest::READ, Readiness::READ),
                (Interest::WRITE, Readiness::WRITE),
                (Interest::READ | Interest::WRITE, Readiness::READ | Readiness::WRITE),
                (Interest::READ | Interest::PRIORITY, Readiness::READ),
            ] {
                selector.set(fd, interest).unwrap();
                assert_eq!(reported_one(selector), (ONE, readiness));
                match trigger {
                    Trigger::Level => assert_eq!(reported_one(selector), (ONE, readiness)),
                    _ => assert_silent(selector),
                }
            }
            for interest in [Interest::NONE, Interest::PRIORITY, Interest::HANGUP] {
                selector.set(fd, interest).unwrap();
                assert_silent(selector);
            }
            selector.set(fd, Interest::READ).unwrap();
            selector.remove(fd).unwrap();
            assert_silent(selector);
            assert_eq!(selector.counters().repairs, 0);
        });
    }
}

#[test]
fn a_file_beside_a_socket_hides_nothing_and_delays_nothing() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let [file, directory, _] = always_ready();
        let (mine, mut theirs) = unix_pair();
        selector.add(file.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        selector.add(mine.as_raw_fd(), OTHER, Interest::READ, trigger).unwrap();
        assert_eq!(reported(selector, Deadline::Never), [(ONE, Readiness::READ)]);

        selector.add(directory.as_raw_fd(), Token::new(3, 0), Interest::READ, trigger).unwrap();
        theirs.write_all(b"x").unwrap();
        let reported: BTreeSet<_> = tokens_now(selector).into_iter().collect();
        let still = (trigger == Trigger::Level).then_some(ONE);
        assert_eq!(reported, [OTHER, Token::new(3, 0)].into_iter().chain(still).collect());
    });
}

#[test]
fn a_buffer_for_one_event_starves_no_descriptor() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        const READY: u64 = 1_000;
        sys::raise_descriptor_limit(10_000).unwrap();
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        let ready: Vec<_> = (0..READY).map(|_| mine.try_clone().unwrap()).collect();
        for (token, mine) in (0..).zip(&ready) {
            selector.add(mine.as_raw_fd(), Token::from(token), Interest::READ, trigger).unwrap();
        }
        let mut events = Events::with_capacity(1);
        assert_eq!(events.capacity(), 1);
        let (mut reported, mut waits) = (BTreeSet::new(), 0);
        while reported.len() < READY as usize {
            selector.wait(&mut events, Deadline::Now).unwrap();
            reported.extend(events.iter().map(|event| u64::from(event.token())));
            waits += 1;
            // Doubled whenever it was full: 1 + 2 + 4 + ... + 512 are enough.
            assert!(waits <= 10, "{} of {READY} reported in {waits} waits", reported.len());
        }
        assert_eq!(reported, (0..READY).collect());
    });
}

#[test]
fn a_full_buffer_of_4096_events_is_not_doubled() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        const FULL: usize = 4_096;
        sys::raise_descriptor_limit(10_000).unwrap();
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        let ready: Vec<_> = (0..FULL).map(|_| mine.try_clone().unwrap()).collect();
        for mine in &ready {
            selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        }
        let mut events = Events::with_capacity(FULL);
        selector.wait(&mut events, Deadline::Now).unwrap();
        assert_eq!((events.len(), events.capacity()), (FULL, FULL));
    });
}

#[test]
fn an_event_is_readable_or_writable_when_a_call_would_not_block() {
    let either = Readiness::HANGUP | Readiness::ERROR | Readiness::INVALID;
    let readable = Readiness::READ | Readiness::READ_CLOSED | either;
    let writable = Readiness::WRITE | either;
    for readiness in Readiness::all().iter() {
        let event = Event::new(ONE, readiness);
        assert_eq!(event.is_readable(), readable.contains(readiness), "{readiness:?}");
        assert_eq!(event.is_writable(), writable.contains(readiness), "{readiness:?}");
        assert_eq!(event.is_priority(), readiness == Readiness::PRIORITY, "{readiness:?}");
    }
}

#[test]
fn a_wait_replaces_the_events_of_the_last_one() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        theirs.write_all(b"x").unwrap();
        let mut events = Events::new();
        selector.wait(&mut events, Deadline::Now).unwrap();
        assert_eq!((events.len(), events.is_empty()), (1, false));
        drain(&mine);
        selector.wait(&mut events, Deadline::Now).unwrap();
        assert_eq!((events.len(), events.is_empty()), (0, true));
    });
}

#[test]
fn any_of_many_can_leave_and_the_others_stay() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let pairs: Vec<_> = (0..6).map(|_| unix_pair()).collect();
        let fd = |index: usize| pairs[index].0.as_raw_fd();
        for (token, (mine, _)) in (0..).zip(&pairs) {
            selector.add(mine.as_raw_fd(), Token::from(token), Interest::WRITE, trigger).unwrap();
        }
        let assert_reported = |selector: &mut dyn Selector, staying: &[usize]| {
            for &index in staying {
                selector.set(fd(index), Interest::WRITE).unwrap();
            }
            let reported: BTreeSet<_> = tokens_now(selector).into_iter().map(u64::from).collect();
            assert_eq!(reported, staying.iter().map(|&index| index as u64).collect());
        };
        assert_reported(selector, &[0, 1, 2, 3, 4, 5]);
        selector.remove(fd(0)).unwrap(); // the first
        assert_reported(selector, &[1, 2, 3, 4, 5]);
        selector.set(fd(3), Interest::NONE).unwrap(); // one between
        assert_reported(selector, &[1, 2, 4, 5]);
        selector.remove(fd(5)).unwrap(); // the last
        assert_reported(selector, &[1, 2, 4]);
        selector.add(fd(5), Token::from(5), Interest::WRITE, trigger).unwrap();
        assert_reported(selector, &[1, 2, 3, 4, 5]);
    });
}
