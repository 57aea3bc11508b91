//! The selector of the mio crate, which is portable and widely used.
//!
//! # What this call can and cannot say
//!
//! * mio is **edge-triggered only**. So is this selector.
//! * It reports less than the kernel: hang-up, error and half-close arrive as *read closed* and
//!   *write closed*, and are converted back as far as possible.
//! * On Linux it uses epoll, and has its properties: every change is a system call, a closed
//!   descriptor is not reported, a reused number must be repaired, regular files are refused.
//! * It has no empty interest: a descriptor without interest is deregistered.
//! * Its deadlines have whole milliseconds, rounded up.
//! * Its token is a machine word and ours always has 64 bits. So it is given the descriptor, and
//!   the table has the token.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use mio::unix::SourceFd;

use super::always_ready::AlwaysReady;
use super::caps::{Caps, Cost};
use super::event::{Event, Events, Interest, Readiness, Token, Trigger};
use super::table::Table;
use super::{Selector, SelectorCounters};
use crate::sys::{self, Deadline};

/// The selector over [`mio::Poll`].
#[derive(Debug)]
pub struct MioSelector {
    table: Table<MioEntry>,
    poll: mio::Poll,
    ready: mio::Events,
    /// The capacity of `ready`.
    room: usize,
    always_ready: AlwaysReady,
    counters: SelectorCounters,
}

#[derive(Debug, Clone, Copy)]
struct MioEntry {
    token: Token,
    registration: Registration,
}

/// Where a descriptor is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registration {
    /// Nowhere: it has no interest.
    None,
    Mio,
    /// In [`AlwaysReady`], because the kernel refuses it.
    AlwaysReady,
}

impl MioSelector {
    /// Returns a selector with a new [`mio::Poll`].
    ///
    /// # Errors
    ///
    /// Fails when the process or the system has no free descriptors (EMFILE, ENFILE) or memory.
    pub fn new() -> io::Result<Self> {
        Ok(MioSelector {
            table: Table::new(),
            poll: mio::Poll::new().map_err(|error| sys::with_context("epoll_create1", error))?,
            ready: mio::Events::with_capacity(1),
            room: 1,
            always_ready: AlwaysReady::default(),
            counters: SelectorCounters::default(),
        })
    }

    /// Applies an interest: the only place where mio's registrations change.
    fn apply(&mut self, fd: RawFd, entry: &mut MioEntry, interest: Interest) -> io::Result<()> {
        let before = entry.registration;
        if before == Registration::AlwaysReady {
            // mio is asked again: the number may now be a socket.
            self.always_ready.remove(fd);
            entry.registration = Registration::None;
        }
        let listed = entry.registration == Registration::Mio;
        let Some(mio_interest) = to_mio_interest(interest) else {
            if listed {
                self.deregister(fd);
            }
            entry.registration = Registration::None;
            return Ok(());
        };
        entry.registration = match self.add_or_modify(fd, mio_interest, listed) {
            Ok(()) => Registration::Mio,
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && !sys::can_always_wait(fd) =>
            {
                self.always_ready.add(fd, entry.token, interest, Trigger::Edge);
                Registration::AlwaysReady
            }
            Err(error) => {
                if listed {
                    self.deregister(fd); // it would report what is no longer wanted
                }
                entry.registration = Registration::None;
                return Err(sys::with_fd_and_call(fd, "epoll_ctl", error));
            }
        };
        if before != Registration::None && before != entry.registration {
            self.counters.repairs += 1; // a file where a socket was, or the other way round
        }
        Ok(())
    }

    /// Registers `fd`, or changes its registration. Where the kernel disagrees about which of the
    /// two it is, the kernel is right.
    fn add_or_modify(
        &mut self,
        fd: RawFd,
        interest: mio::Interest,
        listed: bool,
    ) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), mio::Token(fd as usize));
        self.counters.controls += 1;
        let answer = match listed {
            false => registry.register(&mut SourceFd(&fd), token, interest),
            true => registry.reregister(&mut SourceFd(&fd), token, interest),
        };
        match answer.map_err(|error| (error.kind(), error)) {
            Err((io::ErrorKind::AlreadyExists, _)) if !listed => {
                self.counters.repairs += 1;
                self.counters.controls += 1;
                registry.reregister(&mut SourceFd(&fd), token, interest)
            }
            Err((io::ErrorKind::NotFound, _)) if listed => {
                self.counters.repairs += 1;
                self.counters.controls += 1;
                registry.register(&mut SourceFd(&fd), token, interest)
            }
            answer => answer.map_err(|(_, error)| error),
        }
    }

    /// Deregisters `fd`. It is no error if it is not registered, or not open.
    fn deregister(&mut self, fd: RawFd) {
        self.counters.controls += 1;
        if self.poll.registry().deregister(&mut SourceFd(&fd)).is_err() {
            self.counters.repairs += 1;
        }
    }

    /// Calls `mio::Poll::poll` until there are events or the deadline has come: mio limits a
    /// timeout to what an `int` of milliseconds can hold.
    fn poll(&mut self, deadline: Deadline) -> io::Result<()> {
        loop {
            self.counters.waits += 1;
            self.poll.poll(&mut self.ready, deadline.remaining())?;
            if !self.ready.is_empty() || deadline.has_passed() {
                return Ok(());
            }
        }
    }
}

impl Selector for MioSelector {
    fn name(&self) -> &'static str {
        "mio"
    }

    fn caps(&self) -> Caps {
        Caps {
            wait_cost: Cost::PerReady,
            change_is_a_system_call: true,
            precision: std::time::Duration::from_millis(1),
            urgent_apart: false,
            ..Caps::new(&[Trigger::Edge], Readiness::all().difference(Readiness::INVALID))
        }
    }

    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.table.check_vacant(fd)?;
        self.caps().check(self.name(), fd, trigger)?;
        if interest.is_empty() {
            sys::check_open(fd)?; // mio would check it, but is not called
        }
        let mut entry = MioEntry { token, registration: Registration::None };
        self.apply(fd, &mut entry, interest)?;
        self.table.insert(fd, entry);
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let mut entry = *self.table.entry(fd)?;
        let answer = self.apply(fd, &mut entry, interest);
        self.table.insert(fd, entry);
        answer
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        match self.table.remove(fd)?.registration {
            Registration::None => {}
            Registration::Mio => self.deregister(fd),
            Registration::AlwaysReady => self.always_ready.remove(fd),
        }
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        if self.room != events.capacity() {
            // mio's buffer cannot grow, but `events` has grown.
            self.room = events.capacity();
            self.ready = mio::Events::with_capacity(self.room);
        }
        self.poll(if self.always_ready.is_empty() { deadline } else { Deadline::Now })?;
        for event in &self.ready {
            if let Ok(entry) = self.table.entry(event.token().0 as RawFd) {
                events.push(Event::new(entry.token, to_readiness(event)));
            }
        }
        self.always_ready.report(events);
        events.grow_if_full();
        Ok(())
    }

    fn own_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(sys::of_mio(&self.poll))
    }

    fn counters(&self) -> SelectorCounters {
        self.counters
    }
}

/// Converts an interest. mio has no empty one.
fn to_mio_interest(interest: Interest) -> Option<mio::Interest> {
    let mut mio_interest = None;
    for (direction, flag) in [
        (Interest::READ, mio::Interest::READABLE),
        (Interest::WRITE, mio::Interest::WRITABLE),
        (Interest::PRIORITY, mio::Interest::PRIORITY),
    ] {
        if interest.contains(direction) {
            mio_interest = Some(mio_interest.map_or(flag, |interest| interest | flag));
        }
    }
    mio_interest
}

/// Converts an event. mio reports *read closed* for a hang-up too, and urgent data as readable.
fn to_readiness(event: &mio::event::Event) -> Readiness {
    let hung_up = event.is_read_closed() && event.is_write_closed();
    let mut readiness = Readiness::empty();
    readiness.set(Readiness::READ, event.is_readable());
    readiness.set(Readiness::WRITE, event.is_writable());
    readiness.set(Readiness::PRIORITY, event.is_priority());
    readiness.set(Readiness::READ_CLOSED, event.is_read_closed());
    readiness.set(Readiness::HANGUP, hung_up);
    readiness.set(Readiness::ERROR, event.is_error());
    readiness
}
