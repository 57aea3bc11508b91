//! `epoll(7)`, Linux 2.6, 2002: the kernel keeps the list, and returns only what is ready.
//!
//! # What this call can and cannot say
//!
//! * It can report everything that `poll` can, except a closed descriptor. That one is not reported
//!   at all.
//! * Every change of interest is a system call. A wait examines only what is ready. The cost grows
//!   with what is ready, and changes cost more than on `select` and `poll`.
//! * It watches the **open file, not the number**. A number that is closed while a duplicate is
//!   open is still reported, and can no longer be removed. So: remove, then close, always.
//! * Where a number was closed and reused, the kernel's list and the table here disagree: EEXIST
//!   and ENOENT. Both are repaired at once, and counted.
//! * Hang-up and error cannot be masked. So a descriptor without interest is not in the kernel's
//!   list.
//! * It supports level, **edge** and one-shot. Edge-triggered, what was reported and not consumed
//!   is not reported again. A change of interest reports once more what is ready.
//! * It refuses regular files (EPERM). They are always ready, and reported from here.
//! * It returns at most as many events as the buffer holds. A buffer that comes back full is
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
    /// The descriptor that it [shares](Self::share) with other selectors.
    shared: Option<RawFd>,
    counters: SelectorCounters,
}

/// Packed: a table of them has 12 bytes for each descriptor, and not 16.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
struct EpollEntry {
    token: Token,
    trigger: Trigger,
    registration: Registration,
}

/// Where a descriptor is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registration {
    /// Nowhere: it has no interest.
    None,
    Kernel,
    /// In [`AlwaysReady`], because the kernel refuses it.
    AlwaysReady,
}

impl EpollSelector {
    /// Returns a selector with a new epoll instance.
    ///
    /// # Errors
    ///
    /// Fails when the process or the system has no free descriptors (EMFILE, ENFILE) or memory.
    pub fn new() -> io::Result<Self> {
        Ok(EpollSelector {
            table: Table::new(),
            epoll: Epoll::new()?,
            always_ready: AlwaysReady::default(),
            shared: None,
            counters: SelectorCounters::default(),
        })
    }

    /// Shares `fd` with other epolls (`EPOLLEXCLUSIVE`): of those that wait, the kernel wakes one or a
    /// few, and not all. Whatever its interest is, it is watched for reading alone, because the kernel
    /// refuses all else. This ends when it is removed.
    pub(crate) fn share(mut self, fd: RawFd) -> Self {
        self.shared = Some(fd);
        self
    }

    /// Applies an interest: the only place where the kernel's list changes.
    fn apply(&mut self, fd: RawFd, entry: &mut EpollEntry, interest: Interest) -> io::Result<()> {
        let (mut flags, data) = (to_epoll_flags(interest, entry.trigger), entry.token.into());
        let before = entry.registration;
        if self.shared == Some(fd) {
            flags = EpollFlags::IN | EpollFlags::EXCLUSIVE | flags & EpollFlags::ET;
            if before == Registration::Kernel {
                self.delete(fd); // the kernel refuses to modify it
                entry.registration = Registration::None;
            }
        }
        if before == Registration::AlwaysReady {
            // The kernel is asked again: the number may now be a socket.
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
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && !sys::can_always_wait(fd) =>
            {
                self.always_ready.add(fd, entry.token, interest, entry.trigger);
                Registration::AlwaysReady
            }
            Err(error) => {
                if listed {
                    self.delete(fd); // it would report what is no longer wanted
                }
                entry.registration = Registration::None;
                return Err(match error.kind() {
                    io::ErrorKind::StorageFull => out_of_watches(fd, error),
                    _ => sys::with_fd_and_call(fd, "epoll_ctl", error),
                });
            }
        };
        if before != Registration::None && before != entry.registration {
            self.counters.repairs += 1; // a file where a socket was, or the other way round
        }
        Ok(())
    }

    /// Adds `fd` to the kernel's list, or modifies its entry. Where the kernel disagrees about
    /// which of the two it is, the kernel is right.
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

    /// Removes `fd` from the kernel's list. It is no error if it is not there, or not open.
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
            reports_hangup_alone: true,
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
            sys::check_open(fd)?; // the kernel would check it, but is not called
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
        if self.shared == Some(fd) {
            self.shared = None; // the next file of this number is another
        }
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
        if !self.always_ready.is_empty() {
            self.epoll.wait_once(&mut events.list, Deadline::Now)?;
            self.always_ready.report(events);
        } else {
            self.epoll.wait_once(&mut events.list, deadline)?;
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

/// Converts an interest and a trigger. READ includes the half-close of the peer.
fn to_epoll_flags(interest: Interest, trigger: Trigger) -> EpollFlags {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::IN | EpollFlags::RDHUP, interest.contains(Interest::READ));
    flags.set(EpollFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(EpollFlags::PRI, interest.contains(Interest::PRIORITY));
    flags.set(EpollFlags::ET, trigger == Trigger::Edge);
    flags.set(EpollFlags::ONESHOT, trigger == Trigger::OneShot);
    flags
}

// The results need no conversion: an `Event` is an `epoll_event`.

fn out_of_watches(fd: RawFd, error: io::Error) -> io::Error {
    const LIMIT: &str = "/proc/sys/fs/epoll/max_user_watches";
    let limit = std::fs::read_to_string(LIMIT).unwrap_or_default();
    let limit = limit.trim();
    let context =
        format!("descriptor {fd}: all epoll watches of this user are in use ({LIMIT} is {limit})");
    sys::with_context(context, error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_shared_descriptor_is_paused_and_changed_without_a_repair_until_it_is_removed() {
        let [(shared, mut peer), (other, _other_peer)] =
            [(); 2].map(|()| UnixStream::pair().unwrap());
        let fd = shared.as_raw_fd();
        let mut selector = EpollSelector::new().unwrap().share(fd);
        let (level, read) = (Trigger::Level, Interest::READ);
        selector.add(fd, Token::from(1), read, level).unwrap();
        selector.add(other.as_raw_fd(), Token::from(2), read, level).unwrap();
        selector.remove(other.as_raw_fd()).unwrap();
        for interest in [read | Interest::WRITE, Interest::NONE, read, read | Interest::WRITE] {
            selector.set(fd, interest).unwrap();
        }
        let reported = |selector: &mut EpollSelector| {
            let mut events = Events::new();
            selector.wait(&mut events, Deadline::Now).unwrap();
            events.iter().map(|event| event.readiness()).collect::<Vec<_>>()
        };
        assert_eq!(reported(&mut selector), []);
        peer.write_all(b"x").unwrap();
        assert_eq!(reported(&mut selector), [Readiness::READ]);
        assert_eq!(selector.counters().repairs, 0);

        // The next file of this number is watched for what it is added for.
        selector.remove(fd).unwrap();
        selector.add(fd, Token::from(1), Interest::WRITE, level).unwrap();
        assert_eq!(reported(&mut selector), [Readiness::WRITE]);
    }

    #[test]
    fn each_interest_and_trigger_has_its_own_flags() {
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
