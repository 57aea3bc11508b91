//! The bottom rung: `select`, `poll` and `Epoll` as a chapter on the three calls uses them.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use support::sleep::*;
use support::sockets::*;
use support::*;
use tripoll::sys::{self, Epoll, EpollEvent, EpollFlags, PollFd, PollFlags};

const NOW: Option<Duration> = Some(Duration::ZERO);
const NONE: [RawFd; 0] = [];

#[test]
fn select_returns_three_lists_in_the_order_and_number_given() {
    let (ready, mut theirs) = unix_pair();
    let (quiet, _others) = unix_pair();
    theirs.write_all(b"x").unwrap();
    let (ready, quiet) = (ready.as_raw_fd(), quiet.as_raw_fd());

    let asked = [quiet, ready, quiet, ready];
    let (read, write, except) = sys::select(&asked, &asked, &asked, NOW).unwrap();
    assert_eq!(read, [ready, ready]);
    assert_eq!(write, asked);
    assert_eq!(except, NONE);
}

#[test]
fn select_takes_anything_that_has_a_descriptor() {
    let (mine, mut theirs) = tcp_pair();
    let (quiet, _others) = tcp_pair();
    let (mine, quiet) = (Rc::new(mine), Rc::new(quiet));
    theirs.write_all(b"x").unwrap();
    let asked: [Rc<TcpStream>; 2] = [Rc::clone(&quiet), Rc::clone(&mine)];
    settle(&*mine, PollFlags::IN);
    let (read, write, _) = sys::select(&asked, &asked[..1], &[], None).unwrap();
    assert!(matches!(&read[..], [ready] if Rc::ptr_eq(ready, &mine)));
    assert!(matches!(&write[..], [ready] if Rc::ptr_eq(ready, &quiet)));
}

#[test]
fn select_names_the_descriptor_that_is_closed() {
    let (mine, _theirs) = unix_pair();
    let closed = closed_number();
    for (read, write) in [(vec![mine.as_raw_fd(), closed], vec![]), (vec![], vec![closed])] {
        let error = sys::select(&read, &write, &NONE, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&closed.to_string()), "{error}");
    }
}

#[test]
fn select_refuses_numbers_that_are_no_descriptors() {
    // The last three are beyond all that this process ever had open. The kernel passes over such.
    for number in [-1, RawFd::MIN, 900_000, 1 << 30, RawFd::MAX] {
        for lists in [[vec![number], vec![]], [vec![], vec![0, number]]] {
            let error = sys::select(&lists[0], &lists[1], &NONE, NOW).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&number.to_string()), "{error}");
        }
    }
}

#[test]
fn select_of_nothing_sleeps() {
    let (begin, asked) = (Instant::now(), Duration::from_millis(3));
    assert_eq!(sys::select(&NONE, &NONE, &NONE, Some(asked)).unwrap(), (vec![], vec![], vec![]));
    assert!(begin.elapsed() >= asked);
    assert_eq!(sys::select(&NONE, &NONE, &NONE, NOW).unwrap(), (vec![], vec![], vec![]));
}

#[test]
fn poll_answers_line_by_line() {
    let (mine, mut theirs) = unix_pair();
    theirs.write_all(b"x").unwrap();
    let closed = closed_number();
    let (fd, both) = (mine.as_raw_fd(), PollFlags::IN | PollFlags::OUT);
    let mut fds = [
        PollFd::new(fd, PollFlags::IN),
        PollFd::new(-1, both),
        PollFd::new(closed, PollFlags::empty()),
        PollFd::new(fd, PollFlags::PRI),
        PollFd::new(fd, both),
    ];
    assert!(fds.iter().all(|line| line.revents().is_empty()));
    assert_eq!(sys::poll(&mut fds, None).unwrap(), 3);
    let answers = fds.map(|line| line.revents());
    let none = PollFlags::empty();
    assert_eq!(answers, [PollFlags::IN, none, PollFlags::NVAL, none, both]);
    assert_eq!(fds[4].fd(), fd);
    assert_eq!(fds[4].events(), both);

    // The same array is asked again, and answered anew.
    drain(&mine);
    fds[2] = PollFd::new(fd, PollFlags::IN);
    fds[4].set_events(PollFlags::IN);
    assert_eq!(sys::poll(&mut fds, NOW).unwrap(), 0);
    assert!(fds.iter().all(|line| line.revents().is_empty()));
}

#[test]
fn poll_of_nothing_sleeps() {
    let (begin, asked) = (Instant::now(), Duration::from_micros(1_500));
    assert_eq!(sys::poll(&mut [], Some(asked)).unwrap(), 0);
    assert!(begin.elapsed() >= asked);
}

/// Returns the events that an epoll reports at this moment.
fn reported(epoll: &Epoll) -> Vec<(u64, EpollFlags)> {
    let mut events = Vec::with_capacity(8);
    epoll.wait(&mut events, NOW).unwrap();
    events.iter().map(|event| (event.data(), event.flags())).collect()
}

#[test]
fn epoll_reports_by_level_by_edge_and_once() {
    let (mine, mut theirs) = unix_pair();
    let [level, edge, once] =
        [EpollFlags::empty(), EpollFlags::ET, EpollFlags::ONESHOT].map(|how| {
            let epoll = Epoll::new().unwrap();
            epoll.add(mine.as_raw_fd(), EpollFlags::IN | how, 7).unwrap();
            epoll
        });
    let one = vec![(7, EpollFlags::IN)];
    for (round, byte) in [b"a", b"b"].into_iter().enumerate() {
        theirs.write_all(byte).unwrap();
        assert_eq!(reported(&level), one);
        assert_eq!(reported(&level), one, "for as long as it is so");
        assert_eq!(reported(&edge), one);
        assert_eq!(reported(&edge), [], "until something new comes");
        assert_eq!(reported(&once), if round == 0 { one.clone() } else { vec![] });
    }
    edge.modify(mine.as_raw_fd(), EpollFlags::IN | EpollFlags::ET, 8).unwrap();
    assert_eq!(reported(&edge), [(8, EpollFlags::IN)], "or it is asked anew");
    once.modify(mine.as_raw_fd(), EpollFlags::IN | EpollFlags::ONESHOT, 8).unwrap();
    assert_eq!(reported(&once), [(8, EpollFlags::IN)]);
    assert_eq!(reported(&once), []);
}

#[test]
fn an_exclusive_event_wakes_one_epoll_and_an_ordinary_one_wakes_all() {
    use std::sync::mpsc;
    for (how, woken) in [(EpollFlags::EXCLUSIVE, 1), (EpollFlags::empty(), 3)] {
        let (mine, mut theirs) = unix_pair();
        let (report, reports) = mpsc::channel();
        let (stop_reader, stop_writer) = std::io::pipe().unwrap();
        std::thread::scope(|scope| {
            let sleepers: Vec<_> = (0..3)
                .map(|_| {
                    let epoll = Epoll::new().unwrap();
                    // Edge, so that a needless wake-up does not report the event of another thread.
                    let edge = EpollFlags::IN | EpollFlags::ET;
                    epoll.add(mine.as_raw_fd(), edge | how, 1).unwrap();
                    epoll.add(stop_reader.as_raw_fd(), EpollFlags::IN, 0).unwrap();
                    let report = report.clone();
                    scope.spawn(move || {
                        let thread = rustix::thread::gettid();
                        report.send((thread, 0)).unwrap();
                        let mut events = Vec::with_capacity(8);
                        loop {
                            epoll.wait(&mut events, None).unwrap();
                            if events.iter().any(|event| event.data() == 0) {
                                return;
                            }
                            report.send((thread, 1)).unwrap();
                        }
                    });
                    reports.recv_timeout(LONG).unwrap().0
                })
                .collect();
            for sleeper in sleepers {
                await_sleep(sleeper);
            }
            theirs.write_all(b"x").unwrap();
            for _ in 0..woken {
                assert_eq!(reports.recv_timeout(LONG).unwrap().1, 1);
            }
            drop(stop_writer);
        });
        assert_eq!(reports.try_recv(), Err(mpsc::TryRecvError::Empty), "{how:?} woke more");
    }
}

#[test]
fn epoll_says_no_in_the_kernels_words() {
    let epoll = Epoll::new().unwrap();
    let (mine, _theirs) = unix_pair();
    let fd = mine.as_raw_fd();
    let code = |answer: std::io::Result<()>| answer.unwrap_err().raw_os_error().unwrap();
    assert_eq!(code(epoll.modify(fd, EpollFlags::IN, 0)), libc::ENOENT);
    assert_eq!(code(epoll.delete(fd)), libc::ENOENT);
    epoll.add(fd, EpollFlags::IN, 0).unwrap();
    assert_eq!(code(epoll.add(fd, EpollFlags::IN, 0)), libc::EEXIST);
    epoll.delete(fd).unwrap();
    let exclusive = EpollFlags::EXCLUSIVE | EpollFlags::IN;
    assert_eq!(code(epoll.add(fd, exclusive | EpollFlags::RDHUP, 0)), libc::EINVAL);
    epoll.add(fd, exclusive, 0).unwrap();
    assert_eq!(code(epoll.modify(fd, EpollFlags::IN, 0)), libc::EINVAL);
    let file = std::fs::File::open("/").unwrap();
    assert_eq!(code(epoll.add(file.as_raw_fd(), EpollFlags::IN, 0)), libc::EPERM);
    assert_eq!(code(epoll.add(closed_number(), EpollFlags::IN, 0)), libc::EBADF);
    assert_eq!(code(epoll.add(-1, EpollFlags::IN, 0)), libc::EBADF);
}

#[test]
fn epoll_finds_room_for_one_event_where_there_is_none() {
    let (mine, _theirs) = unix_pair();
    let epoll = Epoll::new().unwrap();
    epoll.add(mine.as_raw_fd(), EpollFlags::OUT, u64::MAX).unwrap();
    let mut events: Vec<EpollEvent> = Vec::new();
    for _ in 0..2 {
        epoll.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].data(), events[0].flags()), (u64::MAX, EpollFlags::OUT));
    }
}

#[test]
fn an_epoll_can_be_watched_by_another_call() {
    let (mine, mut theirs) = unix_pair();
    let inner = Epoll::new().unwrap();
    inner.add(mine.as_raw_fd(), EpollFlags::IN, 0).unwrap();
    let inner = [inner.as_fd()];
    assert_eq!(sys::select(&inner, &[], &[], NOW).unwrap().0.len(), 0);
    theirs.write_all(b"x").unwrap();
    assert_eq!(sys::select(&inner, &[], &[], NOW).unwrap().0.len(), 1);
}

#[test]
fn an_epoll_is_not_left_to_programs_that_are_started() {
    let flags = rustix::io::fcntl_getfd(Epoll::new().unwrap().as_fd()).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

/// A timeout may be longer than the kernel's clock can tell.
#[test]
fn a_wait_may_be_as_long_as_a_duration_can_be() {
    for timeout in [Duration::from_secs(1 << 62), Duration::from_secs(u64::MAX), Duration::MAX] {
        let wait_for = |wait: &dyn Fn(RawFd)| {
            let (mine, mut theirs) = unix_pair();
            std::thread::scope(|scope| {
                scope.spawn(move || theirs.write_all(b"x").unwrap());
                wait(mine.as_raw_fd());
            });
        };
        wait_for(&|fd| {
            let (read, _, _) = sys::select(&[fd], &[], &[], Some(timeout)).unwrap();
            assert_eq!(read, [fd]);
        });
        wait_for(&|fd| {
            let mut fds = [PollFd::new(fd, PollFlags::IN)];
            assert_eq!(sys::poll(&mut fds, Some(timeout)).unwrap(), 1);
        });
        wait_for(&|fd| {
            let epoll = Epoll::new().unwrap();
            epoll.add(fd, EpollFlags::IN, 7).unwrap();
            let mut events = Vec::new();
            epoll.wait(&mut events, Some(timeout)).unwrap();
            assert_eq!(events.len(), 1);
        });
    }
}

#[test]
fn a_signal_comes_when_a_descriptor_becomes_ready() {
    // The handler of the signal writes a byte here.
    let (signals, written) = unix_pair();
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGIO, written).unwrap();
    let is_signalled = |timeout| {
        let mut line = [PollFd::new(signals.as_raw_fd(), PollFlags::IN)];
        sys::poll(&mut line, Some(timeout)).unwrap() == 1
    };
    let (mine, mut theirs) = tcp_pair();
    let (plain, mut others) = tcp_pair();
    sys::signal_when_ready(&mine).unwrap();
    others.write_all(b"x").unwrap();
    settle(&plain, PollFlags::IN);
    assert!(!is_signalled(Duration::ZERO), "no signal was asked for here");
    theirs.write_all(b"x").unwrap();
    assert!(is_signalled(Duration::from_secs(10)));
}
