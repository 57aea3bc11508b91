//! The limit of open descriptors. It belongs to the process, so this test has one to itself.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::selector::*;
use support::sockets::*;
use tripoll::Reactor;
use tripoll::selector::{Backend, Interest, Readiness, Token};
use tripoll::sys::{self, PollFd, PollFlags};

#[test]
fn the_limit_is_read_raised_and_run_into() {
    let hard = getrlimit(Resource::Nofile).maximum;
    let far = with_number(&unix_pair().0, 500);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: hard }).unwrap();
    let limit = sys::descriptor_limit().unwrap();
    assert_eq!((limit.soft, limit.hard), (64, hard.unwrap_or(u64::MAX)));

    // poll takes no more lines than the process may have descriptors, open or not.
    let mut lines = [PollFd::new(-1, PollFlags::IN); 65];
    assert_eq!(sys::poll(&mut lines[..64], Some(Duration::ZERO)).unwrap(), 0);
    let error = sys::poll(&mut lines, Some(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let message = error.to_string();
    assert!(message.contains("65 lines") && message.contains("limit 64"), "{message}");

    // A descriptor beyond a lowered limit stays open, and is reported.
    for &backend in Backend::ALL {
        let mut selector = backend.selector().unwrap();
        let (fd, trigger) = (far.as_raw_fd(), selector.caps().triggers[0]);
        selector.add(fd, Token::from(1), Interest::WRITE, trigger).unwrap();
        let reported = reported_now(&mut *selector);
        assert!(
            reported.len() == 1 && reported[0].1.contains(Readiness::WRITE),
            "{backend}: {reported:?}"
        );
    }

    // Where no descriptor is left, select and poll need none, and the others say so.
    let files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    for &backend in Backend::ALL {
        let answer = backend.selector().map(drop).map_err(|error| sys::errno(&error));
        let needs_one = backend != Backend::Select && backend != Backend::Poll;
        assert_eq!(answer, if needs_one { Err(Some(libc::EMFILE)) } else { Ok(()) }, "{backend}");
        let error = Reactor::builder().backend(backend).build().unwrap_err();
        assert_eq!(tripoll::sys::errno(&error), Some(libc::EMFILE));
        assert!(error.to_string().starts_with("a reactor needs a "), "{error}");
    }
    drop(files);

    let raised = sys::raise_descriptor_limit(128).unwrap();
    assert_eq!(raised.soft, 128);
    assert_eq!(sys::raise_descriptor_limit(100).unwrap(), raised, "a higher one is left alone");
    let raised = sys::raise_descriptor_limit(u64::MAX).unwrap();
    assert_eq!(raised.soft, raised.hard, "as far as the process may");
}
