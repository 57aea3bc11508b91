//! An epoll inside an epoll.

use std::os::fd::{AsFd, AsRawFd};

use tripoll::sys::{Epoll, EpollFlags};

fn add(outer: &Epoll, inner: &Epoll) -> Result<(), i32> {
    let answer = outer.add(inner.as_fd().as_raw_fd(), EpollFlags::IN, 0);
    answer.map_err(|error| error.raw_os_error().unwrap())
}

#[test]
fn an_epoll_is_not_watched_by_itself_nor_in_a_circle() {
    let [one, other] = [(); 2].map(|()| Epoll::new().unwrap());
    assert_eq!(add(&one, &one), Err(libc::EINVAL));
    add(&one, &other).unwrap();
    assert_eq!(add(&other, &one), Err(libc::ELOOP));
}

/// A reactor in a loop in a loop is possible. The kernel ends it at a depth of five.
#[test]
fn epolls_are_nested_to_a_depth_that_the_kernel_limits() {
    let epolls: Vec<Epoll> = (0..10).map(|_| Epoll::new().unwrap()).collect();
    let answers: Vec<_> = epolls.windows(2).map(|pair| add(&pair[1], &pair[0])).collect();
    let depth = answers.iter().take_while(|answer| answer.is_ok()).count();
    assert!(depth >= 3, "{answers:?}");
    assert_eq!(answers[depth], Err(libc::ELOOP));
}
