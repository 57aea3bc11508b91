//! `epoll(7)`, Linux 2.6, 2002: the kernel keeps the list, and only what is ready comes back.
//!
//! # What this call can and cannot say
//!
//! * It can say everything that `poll` can, but for one thing: a closed descriptor. That one simply
//!   falls silent.
//! * Every change of interest is a system call of its own; a wait looks at nothing that is not
//!   ready. The cost grows with what is ready, and changes cost more than on `select` and `poll`.
//! * What is watched is the **open file, not the number**. A number that is closed while a duplicate
//!   lives goes on being told, and can no longer be removed. So: remove, then close, always.
//! * Where the number was closed and reused, the kernel's list and our table disagree: EEXIST and
//!   ENOENT. Both are mended at once, and counted.
//! * Hang-up and error cannot be masked. So whoever wants nothing is taken off the kernel's list.
//! * It tells by level, by **edge**, or once. On edge, what was told and not used up is not told
//!   again; a change of interest tells what is ready now once more.
//! * It refuses regular files (EPERM). They are always ready, so they are told from here.
//! * It returns at most as many events as there is room for. A buffer that comes back full is
//!   doubled.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use super::always_ready::AlwaysReady;
use super::caps::{Caps, Cost};
use super::event::{Events, Interest, Readiness, Token, Trigger};
use super::table::Table;
use super::{Selector, SelectorCounters};
use crate::sys::{self, Deadline, Epoll, EpollFlags};

/// The selector over `epoll(7)`.
#[derive(Debug)]
pub struct EpollSelector {
    table: Table<EpollEntry>,
    epoll: Epoll,
    always_ready: AlwaysReady,
    counters: SelectorCounters,
}

#[derive(Debug, Clone, Copy)]
struct EpollEntry {
    token: Token,
    trigger: Trigger,
    registration: Registration,
}

/// Who watches a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registration {
    /// Nobody: nothing is wanted of it.
    None,
    Kernel,
    /// [`AlwaysReady`], because the kernel refuses it.
    AlwaysReady,
}

impl EpollSelector {
    /// A selector with an epoll instance of its own.
    ///
    /// # Errors
    ///
    /// When the process or the system is out of descriptors (EMFILE, ENFILE) or memory.
    pub fn new() -> io::Result<Self> {
        Ok(EpollSelector {
            table: Table::new(),
            epoll: Epoll::new()?,
            always_ready: AlwaysReady::default(),
            counters: SelectorCounters::default(),
        })
    }

    /// Makes what is watched of `fd` what is wanted: the one place where the kernel's list changes.
    fn apply(&mut self, fd: RawFd, entry: &mut EpollEntry, interest: Interest) -> io::Result<()> {
        let (flags, data) = (to_epoll_flags(interest, entry.trigger), entry.token.into());
        let before = entry.registration;
        if before == Registration::AlwaysReady {
            // And the kernel is asked anew: the number may have become a socket's.
            self.always_ready.remove(fd);
            entry.registration = Registration::None;
        }
        let listed = entry.registration == Registration::Kernel;
        if interest.is_empty() {
            if listed {
                self.delete(fd);
            }
            entry.registration = Registration::None;
            return Ok(());
        }
        entry.registration = match self.add_or_modify(fd, flags, data, listed) {
            Ok(()) => Registration::Kernel,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.always_ready.add(fd, entry.token, interest, entry.trigger);
                Registration::AlwaysReady
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                return Err(out_of_watches(fd, error));
            }
            Err(error) => return Err(sys::with_fd(fd, error)),
        };
        if before != Registration::None && before != entry.registration {
            self.counters.repairs += 1; // a file where a socket was, or the other way round
        }
        Ok(())
    }

    /// Puts `fd` on the kernel's list, or changes how it stands there. Where the kernel disagrees
    /// about which of the two it is, the kernel is right.
    fn add_or_modify(
        &mut self,
        fd: RawFd,
        flags: EpollFlags,
        data: u64,
        listed: bool,
    ) -> io::Result<()> {
        self.counters.controls += 1;
        let answer = match listed {
            false => self.epoll.add(fd, flags, data),
            true => self.epoll.modify(fd, flags, data),
        };
        match answer.map_err(|error| (error.kind(), error)) {
            Err((io::ErrorKind::AlreadyExists, _)) if !listed => {
                self.counters.repairs += 1;
                self.counters.controls += 1;
                self.epoll.modify(fd, flags, data)
            }
            Err((io::ErrorKind::NotFound, _)) if listed => {
                self.counters.repairs += 1;
                self.counters.controls += 1;
                self.epoll.add(fd, flags, data)
            }
            answer => answer.map_err(|(_, error)| error),
        }
    }

    /// Takes `fd` off the kernel's list. That it is not there, or not open, is what was wanted.
    fn delete(&mut self, fd: RawFd) {
        self.counters.controls += 1;
        if self.epoll.delete(fd).is_err() {
            self.counters.repairs += 1;
        }
    }
}

impl Selector for EpollSelector {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn caps(&self) -> Caps {
        Caps {
            wait_cost: Cost::PerReady,
            change_is_a_system_call: true,
            ..Caps::new(Trigger::ALL, Readiness::all().difference(Readiness::INVALID))
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
        let mut entry = EpollEntry { token, trigger, registration: Registration::None };
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
            Registration::Kernel => self.delete(fd),
            Registration::AlwaysReady => self.always_ready.remove(fd),
        }
        Ok(())
    }

    #[inline(always)] // into `wait`
    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        self.counters.waits += 1;
        let deadline = if self.always_ready.is_empty() { deadline } else { Deadline::Now };
        self.epoll.wait_once(&mut events.list, deadline)?;
        if !self.always_ready.is_empty() {
            self.always_ready.report(events);
        }
        events.grow_if_full();
        Ok(())
    }

    fn own_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
    }

    fn counters(&self) -> SelectorCounters {
        self.counters
    }
}

/// The question. Who wants to read also wants to know that the peer has finished.
fn to_epoll_flags(interest: Interest, trigger: Trigger) -> EpollFlags {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::IN | EpollFlags::RDHUP, interest.contains(Interest::READ));
    flags.set(EpollFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(EpollFlags::PRI, interest.contains(Interest::PRIORITY));
    flags.set(EpollFlags::ET, trigger == Trigger::Edge);
    flags.set(EpollFlags::ONESHOT, trigger == Trigger::OneShot);
    flags
}

// The answer needs no translation: an `Event` is an `epoll_event` in disguise.

fn out_of_watches(fd: RawFd, error: io::Error) -> io::Error {
    const LIMIT: &str = "/proc/sys/fs/epoll/max_user_watches";
    let limit = std::fs::read_to_string(LIMIT).unwrap_or_default();
    let message = format!(
        "descriptor {fd}: this user's epoll watches are used up ({LIMIT} is {})",
        limit.trim()
    );
    io::Error::new(error.kind(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_asked() {
        let read = EpollFlags::IN | EpollFlags::RDHUP;
        for (interest, trigger, flags) in [
            (Interest::NONE, Trigger::Level, EpollFlags::empty()),
            (Interest::READ, Trigger::Level, read),
            (Interest::WRITE, Trigger::Edge, EpollFlags::OUT | EpollFlags::ET),
            (Interest::PRIORITY, Trigger::OneShot, EpollFlags::PRI | EpollFlags::ONESHOT),
        ] {
            assert_eq!(to_epoll_flags(interest, trigger), flags);
        }
    }
}
