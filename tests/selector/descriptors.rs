//! Large numbers and many of them: what is said to be beyond `select`.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use support::selector::*;
use support::sleep::*;
use support::sockets::*;
use support::*;
use tripoll::selector::{
    Backend, Deadline, Interest, Readiness, SelectSelector, Selector, Token, Trigger,
};

const ONE: Token = Token::new(1, 0);

#[test]
fn a_descriptor_far_beyond_1024_is_as_good_as_any() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        let far = with_number(&mine, 5_000);
        selector.add(5_000, ONE, Interest::READ, trigger).unwrap();
        assert_silent(selector);
        theirs.write_all(b"from far away").unwrap();
        assert_eq!(reported_one(selector), (ONE, Readiness::READ));

        let mut buffer = [0; 32];
        let length = rustix::io::read(&far, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"from far away");
        selector.set(5_000, Interest::WRITE).unwrap();
        assert_eq!(reported_one(selector), (ONE, Readiness::WRITE));
        selector.remove(5_000).unwrap();
        assert_silent(selector);
    });
}

#[test]
fn strict_select_keeps_the_limit_and_says_so() {
    let mut selector = SelectSelector::strict();
    assert_eq!(selector.name(), Backend::Select.name());
    assert_eq!(selector.caps().largest_descriptor, Some(1_023));
    for &backend in Backend::ALL {
        assert_eq!(backend.selector().unwrap().caps().largest_descriptor, None);
    }

    let (mine, mut theirs) = unix_pair();
    let last = with_number(&mine, 1_023);
    let first_beyond = with_number(&mine, 1_024);
    let beyond = first_beyond.as_raw_fd();
    let error = selector.add(beyond, ONE, Interest::READ, Trigger::Level).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for word in ["1024", "1023", "FD_SETSIZE", "select"] {
        assert!(error.to_string().contains(word), "{word} is not in {error}");
    }
    assert_eq!(selector.remove(beyond).unwrap_err().kind(), ErrorKind::NotFound);

    selector.add(last.as_raw_fd(), ONE, Interest::READ, Trigger::Level).unwrap();
    theirs.write_all(b"x").unwrap();
    assert_eq!(reported_one(&mut selector), (ONE, Readiness::READ));
}

#[test]
fn selects_highest_descriptor_shrinks_again() {
    let mut selector = SelectSelector::new();
    let (mine, mut theirs) = unix_pair();
    let near = mine.as_raw_fd();
    let far = with_own_number(&mine);
    selector.add(near, ONE, Interest::READ, Trigger::Level).unwrap();
    selector.add(far.as_raw_fd(), Token::new(2, 0), Interest::PRIORITY, Trigger::Level).unwrap();

    // The size of the sets as the kernel got it: it stands in the registers of the blocked thread.
    let mut nfds = |selector: &mut SelectSelector| {
        let nfds = thread::scope(|scope| {
            let (introduce, introduced) = std::sync::mpsc::channel();
            let waiting = scope.spawn(move || {
                introduce.send(rustix::thread::gettid()).unwrap();
                reported(selector, Deadline::after(LONG))
            });
            let sleeps = await_sleep(introduced.recv().unwrap());
            theirs.write_all(b"x").unwrap();
            assert_eq!(waiting.join().unwrap(), [(ONE, Readiness::READ)]);
            sleeps.first_argument
        });
        drain(&mine);
        nfds
    };
    assert_eq!(nfds(&mut selector), far.as_raw_fd() as u64 + 1);
    selector.set(far.as_raw_fd(), Interest::NONE).unwrap();
    assert_eq!(nfds(&mut selector), near as u64 + 1);
    selector.set(far.as_raw_fd(), Interest::PRIORITY).unwrap();
    assert_eq!(nfds(&mut selector), far.as_raw_fd() as u64 + 1);
    selector.remove(far.as_raw_fd()).unwrap();
    assert_eq!(nfds(&mut selector), near as u64 + 1);
}

#[test]
fn thousands_are_watched_and_the_right_ones_reported() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        const MANY: u64 = 2_000;
        let (quiet, _theirs) = unix_pair();
        let (busy, mut others) = unix_pair();
        let many: Vec<OwnedFd> = (0..MANY)
            .map(|number| if number % 100 == 7 { &busy } else { &quiet })
            .zip(6_000..)
            .map(|(socket, number)| with_number(socket, number))
            .collect();
        for (token, fd) in (0..).zip(&many) {
            selector.add(fd.as_raw_fd(), Token::from(token), Interest::READ, trigger).unwrap();
        }
        assert_silent(selector);
        others.write_all(b"x").unwrap();
        let reported: BTreeSet<_> = tokens_now(selector).into_iter().map(u64::from).collect();
        assert_eq!(reported, (0..MANY).filter(|number| number % 100 == 7).collect());
        for fd in &many {
            selector.remove(fd.as_raw_fd()).unwrap();
        }
        assert_silent(selector);
        assert_eq!(selector.counters().repairs, 0);
    });
}
