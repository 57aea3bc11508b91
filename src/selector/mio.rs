//! The mio crate's selector: the portable one, and the one that the ecosystem knows.
//!
//! # What this call can and cannot say
//!
//! * mio is **edge-triggered only**. So is this selector.
//! * It says less than the kernel beneath it: hang-up, error and the peer's half-close come through
//!   as *read closed* and *write closed*, and are translated back as far as that goes.
//! * On Linux it is epoll beneath, and has epoll's faults: every change is a system call, a closed
//!   descriptor falls silent, a number that was closed and reused must be mended, regular files are
//!   refused. On other systems it is what mio has there.
//! * It has no empty interest: whoever wants nothing is deregistered.
//! * Its deadlines have whole milliseconds, rounded up.
//! * Its token is a machine word and ours always has 64 bits. So it is given the descriptor, and
//!   the table has the token.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use mio::unix::SourceFd;

use super::always_ready::Files;
use super::caps::{Caps, Cost};
use super::event::{Event, Events, Interest, Readiness, Token, Trigger};
use super::table::Table;
use super::{Selector, SelectorCounters};
use crate::sys::{self, Deadline};

/// The selector over [`mio::Poll`].
#[derive(Debug)]
pub struct MioSelector {
    table: Table<Entry>,
    poll: mio::Poll,
    ready: mio::Events,
    /// How many of them there is room for.
    room: usize,
    files: Files,
    counters: SelectorCounters,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    token: Token,
    place: Place,
}

/// Who watches a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nobody: nothing is wanted of it.
    Nowhere,
    Mio,
    /// [`Files`], because the kernel refuses it.
    Files,
}

impl MioSelector {
    /// A selector with a [`mio::Poll`] of its own.
    ///
    /// # Errors
    ///
    /// When the process or the system is out of descriptors (EMFILE, ENFILE) or memory.
    pub fn new() -> io::Result<Self> {
        Ok(MioSelector {
            table: Table::new(),
            poll: mio::Poll::new()?,
            ready: mio::Events::with_capacity(1),
            room: 1,
            files: Files::default(),
            counters: SelectorCounters::default(),
        })
    }

    /// Makes what is watched of `fd` what is wanted.
    fn apply(&mut self, fd: RawFd, entry: &mut Entry, interest: Interest) -> io::Result<()> {
        let before = entry.place;
        if before == Place::Files {
            // And mio is asked anew: the number may have become a socket's.
            self.files.remove(fd);
            entry.place = Place::Nowhere;
        }
        let listed = entry.place == Place::Mio;
        let Some(question) = question(interest) else {
            if listed {
                self.deregister(fd);
            }
            entry.place = Place::Nowhere;
            return Ok(());
        };
        entry.place = match self.enter(fd, question, listed) {
            Ok(()) => Place::Mio,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.files.add(fd, entry.token, interest, Trigger::Edge);
                Place::Files
            }
            Err(error) => return Err(sys::about(fd, error)),
        };
        if before != Place::Nowhere && before != entry.place {
            self.counters.repairs += 1; // a file where a socket was, or the other way round
        }
        Ok(())
    }

    /// Registers `fd`, or changes its registration. Where the kernel disagrees about which of the
    /// two it is, the kernel is right.
    fn enter(&mut self, fd: RawFd, question: mio::Interest, listed: bool) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), mio::Token(fd as usize));
        self.counters.controls += 1;
        let answer = match listed {
            false => registry.register(&mut SourceFd(&fd), token, question),
            true => registry.reregister(&mut SourceFd(&fd), token, question),
        };
        match answer.map_err(|error| (error.kind(), error)) {
            Err((io::ErrorKind::AlreadyExists, _)) if !listed => {
                self.counters.repairs += 1;
                self.counters.controls += 1;
                registry.reregister(&mut SourceFd(&fd), token, question)
            }
            Err((io::ErrorKind::NotFound, _)) if listed => {
                self.counters.repairs += 1;
                self.counters.controls += 1;
                registry.register(&mut SourceFd(&fd), token, question)
            }
            answer => answer.map_err(|(_, error)| error),
        }
    }

    /// Deregisters `fd`. That it is not registered, or not open, is what was wanted.
    fn deregister(&mut self, fd: RawFd) {
        self.counters.controls += 1;
        if self.poll.registry().deregister(&mut SourceFd(&fd)).is_err() {
            self.counters.repairs += 1;
        }
    }

    /// One `mio::Poll::poll`, repeated while it comes back early with nothing: it cuts a timeout at
    /// what an `int` of milliseconds can say.
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
            sys::check_open(fd)?; // the kernel, which would, is not asked
        }
        let mut entry = Entry { token, place: Place::Nowhere };
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
        match self.table.remove(fd)?.place {
            Place::Nowhere => {}
            Place::Mio => self.deregister(fd),
            Place::Files => self.files.remove(fd),
        }
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        if self.room != events.capacity() {
            // mio's events cannot grow; ours have.
            self.room = events.capacity();
            self.ready = mio::Events::with_capacity(self.room);
        }
        self.poll(if self.files.is_empty() { deadline } else { Deadline::Now })?;
        for event in &self.ready {
            if let Ok(entry) = self.table.entry(event.token().0 as RawFd) {
                events.push(Event::new(entry.token, translate(event)));
            }
        }
        self.files.tell(events);
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

/// The question; mio has no way to ask for nothing.
fn question(interest: Interest) -> Option<mio::Interest> {
    let mut question = None;
    for (flag, ask) in [
        (Interest::READ, mio::Interest::READABLE),
        (Interest::WRITE, mio::Interest::WRITABLE),
        (Interest::PRIORITY, mio::Interest::PRIORITY),
    ] {
        if interest.contains(flag) {
            question = Some(question.map_or(ask, |question| question | ask));
        }
    }
    question
}

/// The answer. mio says *read closed* for a hang-up too, and calls urgent data readable.
fn translate(event: &mio::event::Event) -> Readiness {
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
