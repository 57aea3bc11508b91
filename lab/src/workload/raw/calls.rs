//! The baseline: `select`, `poll` and `epoll` of the C library, called as an experienced C
//! programmer would.
//!
//! Each loop is as fast as it can be made. `select` has a bit map that holds more than 1,024
//! descriptors, and scans it by words. `select` and `poll` stop scanning at the count that the call
//! returned. `epoll` has the index as its data.
//!
//! `select` and `poll` have two forms. The *raw* one blocks at once, without a timeout. The
//! *raw-zero* one always calls with a timeout of zero first, and blocks only if nothing was ready.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;

use crate::workload::driver::Waiter;
use crate::workload::pipes::Link;

/// Repeats `call` while it fails with `EINTR`.
#[inline]
fn uninterrupted(mut call: impl FnMut() -> libc::c_int) -> io::Result<usize> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// `select(2)`.
pub(crate) struct RawSelect {
    zero_first: bool,
    watched: Vec<u64>,
    ready: Vec<u64>,
    /// Those that are also watched for urgent data, and how many they are.
    urgent: Vec<u64>,
    urgent_ready: Vec<u64>,
    urgent_count: usize,
    nfds: libc::c_int,
    /// The index of each descriptor.
    index: Vec<u32>,
}

impl RawSelect {
    pub(crate) fn new(zero_first: bool) -> Self {
        RawSelect {
            zero_first,
            watched: Vec::new(),
            ready: Vec::new(),
            urgent: Vec::new(),
            urgent_ready: Vec::new(),
            urgent_count: 0,
            nfds: 0,
            index: Vec::new(),
        }
    }

    #[inline]
    fn call(&mut self, timeout: *mut libc::timeval) -> io::Result<usize> {
        uninterrupted(|| {
            self.ready.copy_from_slice(&self.watched);
            let set = self.ready.as_mut_ptr().cast();
            let mut urgent = null_mut();
            if self.urgent_count > 0 {
                self.urgent_ready.copy_from_slice(&self.urgent);
                urgent = self.urgent_ready.as_mut_ptr().cast();
            }
            // SAFETY: the sets have at least `nfds` bits, and the kernel touches no others.
            // `timeout` is null or points to a timeval of the caller.
            unsafe { libc::select(self.nfds, set, null_mut(), urgent, timeout) }
        })
    }
}

impl Waiter for RawSelect {
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()> {
        let fd = link.from.as_raw_fd() as usize;
        let words = fd / 64 + 1;
        if words > self.watched.len() {
            self.watched.resize(words, 0);
            self.ready.resize(words, 0);
            self.urgent.resize(words, 0);
            self.urgent_ready.resize(words, 0);
            self.index.resize(words * 64, 0);
        }
        self.watched[fd / 64] |= 1 << (fd % 64);
        self.index[fd] = index as u32;
        self.nfds = self.nfds.max(fd as libc::c_int + 1);
        Ok(())
    }

    fn change(&mut self, _: usize, link: &Link<'_>, urgent: bool) -> io::Result<()> {
        let fd = link.from.as_raw_fd() as usize;
        self.urgent[fd / 64] ^= 1 << (fd % 64);
        match urgent {
            true => self.urgent_count += 1,
            false => self.urgent_count -= 1,
        }
        Ok(())
    }

    #[inline]
    fn turn(&mut self, mut on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
        let mut count = 0;
        if self.zero_first {
            count = self.call(&mut libc::timeval { tv_sec: 0, tv_usec: 0 })?;
        }
        if count == 0 {
            count = self.call(null_mut())?;
        }
        for (position, &word) in self.ready.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                let fd = position * 64 + word.trailing_zeros() as usize;
                word &= word - 1;
                count -= 1;
                on_ready(self.index[fd] as usize)?;
            }
            if count == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// `poll(2)`.
pub(crate) struct RawPoll {
    zero_first: bool,
    array: Vec<libc::pollfd>,
}

impl RawPoll {
    pub(crate) fn new(zero_first: bool) -> Self {
        RawPoll { zero_first, array: Vec::new() }
    }

    #[inline]
    fn call(&mut self, timeout: libc::c_int) -> io::Result<usize> {
        uninterrupted(|| {
            let count = self.array.len() as libc::nfds_t;
            // SAFETY: the array is borrowed for the call, and has `count` entries.
            unsafe { libc::poll(self.array.as_mut_ptr(), count, timeout) }
        })
    }
}

impl Waiter for RawPoll {
    fn add(&mut self, _: usize, link: &Link<'_>) -> io::Result<()> {
        // Pipes are added in order, so the position in the array is the index.
        let fd = link.from.as_raw_fd();
        self.array.push(libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        Ok(())
    }

    fn change(&mut self, index: usize, _: &Link<'_>, urgent: bool) -> io::Result<()> {
        self.array[index].events = libc::POLLIN | if urgent { libc::POLLPRI } else { 0 };
        Ok(())
    }

    #[inline]
    fn turn(&mut self, mut on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
        let mut count = 0;
        if self.zero_first {
            count = self.call(0)?;
        }
        if count == 0 {
            count = self.call(-1)?;
        }
        for (index, pollfd) in self.array.iter().enumerate() {
            if pollfd.revents != 0 {
                on_ready(index)?;
                count -= 1;
                if count == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// `epoll(7)`.
pub(crate) struct RawEpoll {
    epoll: OwnedFd,
    events: u32,
    ready: Vec<libc::epoll_event>,
}

impl RawEpoll {
    pub(crate) fn new(edge: bool, room: usize) -> io::Result<Self> {
        // SAFETY: the call takes a flag, and returns a new descriptor or -1.
        let epoll = uninterrupted(|| unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll as libc::c_int) };
        let events = libc::EPOLLIN as u32 | if edge { libc::EPOLLET as u32 } else { 0 };
        Ok(RawEpoll { epoll, events, ready: vec![libc::epoll_event { events: 0, u64: 0 }; room] })
    }
}

impl Waiter for RawEpoll {
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()> {
        let mut event = libc::epoll_event { events: self.events, u64: index as u64 };
        let (epoll, fd) = (self.epoll.as_raw_fd(), link.from.as_raw_fd());
        // SAFETY: `event` outlives the call, which only reads it.
        uninterrupted(|| unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) })
            .map(drop)
    }

    fn change(&mut self, index: usize, link: &Link<'_>, urgent: bool) -> io::Result<()> {
        let events = self.events | if urgent { libc::EPOLLPRI as u32 } else { 0 };
        let mut event = libc::epoll_event { events, u64: index as u64 };
        let (epoll, fd) = (self.epoll.as_raw_fd(), link.from.as_raw_fd());
        // SAFETY: `event` outlives the call, which only reads it.
        uninterrupted(|| unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_MOD, fd, &mut event) })
            .map(drop)
    }

    #[inline]
    fn turn(&mut self, mut on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
        let (epoll, room) = (self.epoll.as_raw_fd(), self.ready.len() as libc::c_int);
        let ready = self.ready.as_mut_ptr();
        // SAFETY: `ready` has room for `room` events, and nothing else uses it during the call.
        let count = uninterrupted(|| unsafe { libc::epoll_wait(epoll, ready, room, -1) })?;
        for event in &self.ready[..count] {
            on_ready(event.u64 as usize)?;
        }
        Ok(())
    }
}
