//! `poll(2)`, System V Release 3, 1986: an array of descriptors, answered in place.
//!
//! # What this call can and cannot say
//!
//! * It can report everything: readable, writable, urgent data, and why: the half-close of the
//!   peer, a hang-up, an error, a closed descriptor, each a bit of its own.
//! * It examines every entry of the array, ready or not: the cost grows with what is watched. The
//!   *numbers* of the descriptors do not matter.
//! * Arguments and results are side by side, so the array is reused as it is. It is kept dense: a
//!   removed entry is replaced by the last.
//! * **Hang-up and error cannot be masked.** An entry without interest whose peer has closed would
//!   end every wait at once, forever. So a descriptor without interest is not in the array.
//! * A closed descriptor is reported as `POLLNVAL`, at once and forever. So it leaves the array
//!   after it was reported once.
//! * It does not remember what it reported, so there is no edge trigger. One-shot is easy: the
//!   entry is removed.

use std::io;
use std::os::fd::RawFd;

use super::ask_first::AskFirst;
use super::caps::Caps;
use super::event::{Event, Events, Interest, Readiness, Token, Trigger};
use super::table::Table;
use super::{Selector, SelectorCounters};
use crate::sys::{self, Deadline, PollFd, PollFlags};

/// The selector over `poll(2)`.
#[derive(Debug)]
pub struct PollSelector {
    table: Table<PollEntry>,
    array: Vec<PollFd>,
    ask_first: AskFirst,
    counters: SelectorCounters,
}

#[derive(Debug)]
struct PollEntry {
    token: Token,
    trigger: Trigger,
    /// Its position in the array, if it has an interest.
    position: Option<usize>,
}

impl PollSelector {
    /// Returns a selector. It polls with a zero timeout before it blocks, where that is likely to
    /// pay.
    pub fn new() -> Self {
        PollSelector {
            table: Table::new(),
            array: Vec::new(),
            ask_first: AskFirst::new(true),
            counters: SelectorCounters::default(),
        }
    }

    /// Sets whether a wait polls with a zero timeout first, where that is likely to pay. Otherwise
    /// it always blocks at once. Default: true.
    pub fn asking_first(mut self, yes: bool) -> Self {
        self.ask_first = AskFirst::new(yes);
        self
    }

    /// Reads the results: those of `count` entries.
    fn collect(&mut self, mut count: usize, events: &mut Events) {
        let mut position = 0;
        while count > 0 && position < self.array.len() {
            let answered = self.array[position];
            let revents = answered.revents();
            if revents.is_empty() {
                position += 1;
                continue;
            }
            count -= 1;
            let Ok(entry) = self.table.entry(answered.fd()) else { break };
            events.push(Event::new(entry.token, to_readiness(revents)));
            if entry.trigger == Trigger::OneShot || revents.contains(PollFlags::NVAL) {
                entry.position = None;
                self.swap_remove(position); // the last entry is here now: examine this position again
            } else {
                position += 1;
            }
        }
    }

    /// Removes an entry from the array. The last one takes its position.
    fn swap_remove(&mut self, position: usize) {
        self.array.swap_remove(position);
        if let Some(moved) = self.array.get(position)
            && let Ok(entry) = self.table.entry(moved.fd())
        {
            entry.position = Some(position);
        }
    }
}

impl Default for PollSelector {
    fn default() -> Self {
        PollSelector::new()
    }
}

impl Selector for PollSelector {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn caps(&self) -> Caps {
        Caps {
            reports_hangup_alone: true,
            ..Caps::new(&[Trigger::Level, Trigger::OneShot], Readiness::all())
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
        sys::check_open(fd)?;
        self.table.insert(fd, PollEntry { token, trigger, position: None });
        self.set(fd, interest)
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let entry = self.table.entry(fd)?;
        match (entry.position, interest.is_empty()) {
            (None, true) => {}
            (None, false) => {
                entry.position = Some(self.array.len());
                self.array.push(PollFd::new(fd, to_poll_flags(interest)));
            }
            (Some(position), false) => self.array[position].set_events(to_poll_flags(interest)),
            (Some(position), true) => {
                entry.position = None;
                self.swap_remove(position);
            }
        }
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        if let Some(position) = self.table.remove(fd)?.position {
            self.swap_remove(position);
        }
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        let Self { array, ask_first, counters, .. } = self;
        let count = ask_first.wait(deadline, |deadline| {
            counters.waits += 1;
            sys::ppoll(array, deadline)
        })?;
        self.collect(count, events);
        Ok(())
    }

    fn counters(&self) -> SelectorCounters {
        self.counters
    }
}

/// Converts an interest. READ includes the half-close of the peer.
fn to_poll_flags(interest: Interest) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN | PollFlags::RDHUP, interest.contains(Interest::READ));
    flags.set(PollFlags::OUT, interest.contains(Interest::WRITE));
    flags.set(PollFlags::PRI, interest.contains(Interest::PRIORITY));
    flags
}

/// Converts the results. `poll` and `epoll` use the same numbers.
fn to_readiness(revents: PollFlags) -> Readiness {
    Readiness::from_bits_retain(u32::from(revents.bits() as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_polls_bits_has_its_own_readiness() {
        for (flag, readiness) in [
            (PollFlags::IN, Readiness::READ),
            (PollFlags::OUT, Readiness::WRITE),
            (PollFlags::PRI, Readiness::PRIORITY),
            (PollFlags::RDHUP, Readiness::READ_CLOSED),
            (PollFlags::HUP, Readiness::HANGUP),
            (PollFlags::ERR, Readiness::ERROR),
            (PollFlags::NVAL, Readiness::INVALID),
        ] {
            assert_eq!(to_readiness(flag), readiness);
        }
    }

    #[test]
    fn each_interest_has_its_own_flags() {
        assert_eq!(to_poll_flags(Interest::NONE), PollFlags::empty());
        assert_eq!(to_poll_flags(Interest::HANGUP), PollFlags::empty()); // reported in any case
        assert_eq!(to_poll_flags(Interest::READ), PollFlags::IN | PollFlags::RDHUP);
        assert_eq!(to_poll_flags(Interest::WRITE), PollFlags::OUT);
        assert_eq!(to_poll_flags(Interest::PRIORITY), PollFlags::PRI);
    }
}
