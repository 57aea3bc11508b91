//! System calls that a sandbox, an old kernel or a limit refuses. Each test has a process of its own,
//! because such a refusal cannot be undone.

use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::gettid;
use support::alone::in_own_processes;
use support::refuse::refuse;
use support::selector::*;
use support::sleep::*;
use support::sockets::*;
use tripoll::selector::{Backend, Deadline, EpollSelector, Interest, Readiness, Selector, Token};
use tripoll::selector::{Trigger, support::check_open};
use tripoll::sys;

const ONE: Token = Token::new(1, 0);

/// A wait until an instant sleeps in milliseconds then: as long as asked, and no longer than needed.
#[test]
fn without_epoll_pwait2_waits_are_as_long_as_asked_and_do_not_spin() {
    let test = "refused_calls::without_epoll_pwait2_waits_are_as_long_as_asked_and_do_not_spin";
    let refusals = [libc::ENOSYS, libc::EPERM].map(|errno| errno.to_string());
    in_own_processes(test, &refusals, |errno| {
        if !refuse(libc::SYS_epoll_pwait2, errno.parse().unwrap()) {
            return;
        }
        let mut selector = EpollSelector::new().unwrap();
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, Trigger::Level).unwrap();
        for asked in [1, 900_000, 1_000_001, 3_500_000].map(Duration::from_nanos) {
            let begin = Instant::now();
            assert_eq!(reported(&mut selector, Deadline::after(asked)), []);
            assert!(begin.elapsed() >= asked, "{:?} instead of {asked:?}", begin.elapsed());
        }
        // A time that is more than an `int` of milliseconds can say.
        let far = Deadline::after(Duration::from_millis((1 << 32) + 5));
        let sleeper = gettid();
        let waker = thread::spawn(move || {
            let sleeps = await_sleep(sleeper);
            theirs.write_all(b"x").unwrap();
            (sleeps, theirs)
        });
        assert_eq!(reported(&mut selector, far), [(ONE, Readiness::READ)]);
        let (sleeps, _theirs) = waker.join().unwrap();
        assert_ne!(sleeps.call, WaitCall::EpollPwait2);
    });
}

/// What `add` could not do has left nothing behind, and the error has the limit in it.
#[test]
fn a_user_without_free_watches_is_told_the_limit() {
    let test = "refused_calls::a_user_without_free_watches_is_told_the_limit";
    in_own_processes(test, &[""], |_| {
        if !refuse(libc::SYS_epoll_ctl, libc::ENOSPC) {
            return;
        }
        let (mine, _theirs) = unix_pair();
        let fd = mine.as_raw_fd();
        on_every_backend(&[Trigger::Level, Trigger::Edge], |selector, trigger| {
            if !selector.caps().change_is_a_system_call {
                return selector.add(fd, ONE, Interest::READ, trigger).unwrap();
            }
            let error = selector.add(fd, ONE, Interest::READ, trigger).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            assert_eq!(sys::errno(&error), Some(libc::ENOSPC));
            assert!(error.to_string().contains(&format!("descriptor {fd}")), "{error}");
            if selector.name() == Backend::Epoll.name() {
                assert!(error.to_string().contains("max_user_watches is "), "{error}");
            }
            assert_eq!(selector.remove(fd).unwrap_err().kind(), ErrorKind::NotFound);
            assert_silent(selector);
        });
        check_open(fd).unwrap();
    });
}
