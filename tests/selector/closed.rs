//! Descriptors that are closed without having been removed, and numbers that are reused.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use support::selector::*;
use support::sockets::*;
use support::*;
use tripoll::selector::{Interest, Readiness, Selector, Token, Trigger};

const OWNER: Token = Token::new(1, 0);
const INNOCENT: Token = Token::new(2, 0);

/// One end of a Unix stream under a number of its own, and the other end.
fn socket_with_own_number() -> (OwnedFd, UnixStream) {
    let (mine, theirs) = unix_pair();
    (with_own_number(&mine), theirs)
}

#[test]
fn removing_before_closing_leaves_no_event_though_a_duplicate_lives() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        let _duplicate = mine.try_clone().unwrap();
        selector.add(mine.as_raw_fd(), OWNER, Interest::READ, trigger).unwrap();
        selector.remove(mine.as_raw_fd()).unwrap();
        drop(mine);
        theirs.write_all(b"x").unwrap();
        assert_silent(selector);
        assert_eq!(selector.counters().repairs, 0);
    });
}

#[test]
fn a_closed_descriptor_is_reported_once_and_the_others_go_on() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (innocent, mut theirs) = unix_pair();
        selector.add(innocent.as_raw_fd(), INNOCENT, Interest::READ, trigger).unwrap();
        let (mine, _others) = socket_with_own_number();
        let fd = mine.as_raw_fd();
        selector.add(fd, OWNER, Interest::READ | Interest::WRITE, trigger).unwrap();
        assert_eq!(tokens_now(selector), [OWNER]);
        selector.set(fd, Interest::READ).unwrap();
        drop(mine);

        match selector.caps().reports.contains(Readiness::INVALID) {
            true => assert_eq!(reported_one(selector), (OWNER, Readiness::INVALID)),
            false => assert_eq!(reported_now(selector), []),
        }
        assert_silent(selector);
        theirs.write_all(b"x").unwrap();
        assert_eq!(reported_now(selector), [(INNOCENT, Readiness::READ)]);
        selector.remove(fd).unwrap();
    });
}

#[test]
fn many_closed_at_once_are_each_reported_once() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let sockets: Vec<_> = (0..10).map(|_| socket_with_own_number()).collect();
        for (token, (mine, _)) in (0..).zip(&sockets) {
            let interest = if token % 2 == 0 { Interest::READ } else { Interest::PRIORITY };
            selector.add(mine.as_raw_fd(), Token::from(token), interest, trigger).unwrap();
        }
        drop(sockets);
        let mut reported = tokens_now(selector);
        reported.sort();
        match selector.caps().reports.contains(Readiness::INVALID) {
            true => assert_eq!(reported, (0..10).map(Token::from).collect::<Vec<_>>()),
            false => assert_eq!(reported, []),
        }
        assert_silent(selector);
    });
}

#[test]
fn a_closed_descriptor_without_interest_is_not_reported() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (paused, _theirs) = socket_with_own_number();
        let fd = paused.as_raw_fd();
        selector.add(fd, INNOCENT, Interest::NONE, trigger).unwrap();
        drop(paused);
        assert_silent(selector);

        // Not even where the selector has to look for another one that is closed.
        let (mine, _others) = socket_with_own_number();
        selector.add(mine.as_raw_fd(), OWNER, Interest::READ, trigger).unwrap();
        drop(mine);
        assert!(!tokens_now(selector).contains(&INNOCENT));
        selector.remove(fd).unwrap();
        assert_eq!(selector.counters().repairs, 0, "the kernel never heard of it");
    });
}

#[test]
fn setting_a_closed_descriptor_is_refused_where_the_kernel_is_asked() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        for before in [Interest::NONE, Interest::READ] {
            let (mine, _theirs) = socket_with_own_number();
            let fd = mine.as_raw_fd();
            selector.add(fd, OWNER, before, trigger).unwrap();
            drop(mine);
            if selector.caps().change_is_a_system_call {
                let error = selector.set(fd, Interest::WRITE).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
                assert!(error.to_string().contains(&fd.to_string()), "{error}");
            } else {
                // Setting is nothing but memory here: the next wait finds out.
                selector.set(fd, Interest::WRITE).unwrap();
                assert_eq!(reported_one(selector), (OWNER, Readiness::INVALID));
            }
            assert_silent(selector);
            selector.remove(fd).unwrap();
        }
    });
}

/// The kinds of open file behind a number. epoll and mio watch each kind in a different way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Socket,
    File,
}

/// Something readable under the number `fd`, and what keeps it so.
fn readable(kind: Kind, fd: RawFd) -> (OwnedFd, Option<UnixStream>) {
    match kind {
        Kind::Socket => {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"x").unwrap();
            (with_number(&mine, fd), Some(theirs))
        }
        Kind::File => (with_number(&File::open("/").unwrap(), fd), None),
    }
}

/// How often the kernel's list and the selector's disagree when a number that was a `before` is an
/// `after` now: wherever the kernel, if it has a list at all, had the one or should have the other.
fn repairs(selector: &dyn Selector, before: Kind, after: Kind) -> u64 {
    let kernel_has_a_list = selector.caps().change_is_a_system_call;
    u64::from(kernel_has_a_list && (before, after) != (Kind::File, Kind::File))
}

const REUSES: [(Kind, Kind); 4] = [
    (Kind::Socket, Kind::Socket),
    (Kind::Socket, Kind::File),
    (Kind::File, Kind::Socket),
    (Kind::File, Kind::File),
];

#[test]
fn setting_a_number_that_was_given_out_again_watches_the_new_owner() {
    for (before, after) in REUSES {
        on_every_backend(Trigger::ALL, |selector, trigger| {
            let _context = Context(format!("with a {before:?} that became a {after:?}"));
            let fd = closed_number();
            let first = readable(before, fd);
            selector.add(fd, OWNER, Interest::READ, trigger).unwrap();
            drop(first);
            let (second, _keep) = readable(after, fd);
            selector.set(fd, Interest::READ).unwrap();
            assert_eq!(selector.counters().repairs, repairs(selector, before, after));
            if (before, after) == (Kind::Socket, Kind::Socket) {
                let step = u64::from(selector.caps().change_is_a_system_call);
                let controls = selector.counters().controls;
                assert_eq!(controls, 3 * step, "a change that fails is done by an addition");
            }

            assert_eq!(reported_one(selector), (OWNER, Readiness::READ));
            if after == Kind::Socket {
                drain(File::from(second.try_clone().unwrap()));
                assert_silent(selector);
            }
            selector.set(fd, Interest::NONE).unwrap();
            assert_silent(selector);
            selector.remove(fd).unwrap();
            assert_eq!(selector.counters().repairs, repairs(selector, before, after));
        });
    }
}

#[test]
fn a_number_that_was_given_out_again_can_be_removed_and_added() {
    for (before, after) in REUSES {
        on_every_backend(Trigger::ALL, |selector, trigger| {
            let _context = Context(format!("with a {before:?} that became a {after:?}"));
            let fd = closed_number();
            let first = readable(before, fd);
            selector.add(fd, OWNER, Interest::READ, trigger).unwrap();
            drop(first);
            let (_second, _keep) = readable(after, fd);
            selector.remove(fd).unwrap();
            assert_silent(selector);
            selector.add(fd, INNOCENT, Interest::READ, trigger).unwrap();
            assert_eq!(reported_one(selector), (INNOCENT, Readiness::READ));
            // Removing a file is no system call, so the kernel cannot disagree.
            let asked = u64::from(before == Kind::Socket);
            assert_eq!(selector.counters().repairs, asked * repairs(selector, before, after));
        });
    }
}

#[test]
fn adding_mends_what_an_untimely_close_left_in_the_kernel() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = socket_with_own_number();
        let duplicate = mine.as_fd().try_clone_to_owned().unwrap();
        let fd = mine.as_raw_fd();
        selector.add(fd, OWNER, Interest::READ, trigger).unwrap();
        drop(mine);
        // Too late: the open file lives on in the duplicate, and epoll knows it by this number.
        selector.remove(fd).unwrap();
        let _again = with_number(&duplicate, fd);
        selector.add(fd, INNOCENT, Interest::READ, trigger).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(reported_now(selector), [(INNOCENT, Readiness::READ)]);
        let counters = selector.counters();
        let step = u64::from(selector.caps().change_is_a_system_call);
        assert_eq!(counters.repairs, 2 * step, "one for removing, one for adding");
        assert_eq!(counters.controls, 4 * step, "an addition that fails is done by a change");
    });
}
