//! `select(2)`, 4.2BSD, 1983: three sets of bits, copied in and out at every call.
//!
//! # What this call can and cannot say
//!
//! * It can report: readable, writable, urgent data. It cannot report **why**. The end of the
//!   stream, a reset and a refused connection are all "readable"; the read then returns which it is.
//! * It examines every bit up to the highest descriptor, ready or not: the cost grows with what is
//!   watched, and with the *number* of the highest descriptor.
//! * It overwrites its arguments with its results. So the sets are kept here, and copied.
//! * One closed descriptor fails the whole call (EBADF), and the kernel does not report which. Then
//!   each descriptor is checked. The closed ones leave the sets, and are reported once.
//! * A closed descriptor beyond the process's descriptor table is not examined, and its bit comes
//!   back unchanged. So bits are valid only up to the count that the call returned.
//! * `FD_SETSIZE`, 1,024, is a limit of the C library's type, not of the call. The sets here grow.
//!   [Strict mode](SelectSelector::strict) keeps the limit, to show it.
//! * It does not remember what it reported, so there is no edge trigger. One-shot is easy: the bit
//!   is removed.

use std::io;
use std::os::fd::RawFd;

use super::ask_first::AskFirst;
use super::caps::Caps;
use super::event::{Event, Events, Interest, Readiness, Token, Trigger};
use super::table::Table;
use super::{Selector, SelectorCounters};
use crate::sys::{self, Deadline, FdSets};

/// The selector over `select(2)`.
#[derive(Debug)]
pub struct SelectSelector {
    table: Table<SelectEntry>,
    watched: FdSets,
    ready: FdSets,
    ask_first: AskFirst,
    strict: bool,
    counters: SelectorCounters,
}

#[derive(Debug)]
struct SelectEntry {
    token: Token,
    trigger: Trigger,
}

/// The value of POSIX's `FD_SETSIZE` in all C libraries on Linux.
const FD_SETSIZE: RawFd = 1_024;

impl SelectSelector {
    /// Returns a selector for any descriptor. It polls with a zero timeout before it blocks, where
    /// that is likely to pay.
    pub fn new() -> Self {
        SelectSelector {
            table: Table::new(),
            watched: FdSets::default(),
            ready: FdSets::default(),
            ask_first: AskFirst::new(true),
            strict: false,
            counters: SelectorCounters::default(),
        }
    }

    /// Returns a selector with POSIX's limit: it refuses descriptors from 1,024 (`FD_SETSIZE`) up,
    /// as programs with the C library's `fd_set` must.
    pub fn strict() -> Self {
        SelectSelector { strict: true, ..SelectSelector::new() }
    }

    /// Sets whether a wait polls with a zero timeout first, where that is likely to pay. Otherwise
    /// it always blocks at once. Default: true.
    pub fn asking_first(mut self, yes: bool) -> Self {
        self.ask_first = AskFirst::new(yes);
        self
    }

    /// Reads the results: `count` bits, lowest descriptors first. Bits beyond them are stale.
    fn collect(&mut self, mut count: usize, events: &mut Events) {
        let Self { table, watched, ready, .. } = self;
        let words = ready.iter().map(|set| set.words().len()).max().unwrap_or(0);
        for index in 0..words {
            if count == 0 {
                break;
            }
            let word = ready.each_ref().map(|set| set.words().get(index).copied().unwrap_or(0));
            let mut any = word[0] | word[1] | word[2];
            while any != 0 && count > 0 {
                let bit = any & any.wrapping_neg();
                any ^= bit;
                let reported = word.map(|word| word & bit != 0);
                count -= reported.iter().filter(|reported| **reported).count();
                let fd = (index * 64) as RawFd + bit.trailing_zeros() as RawFd;
                let Ok(entry) = table.entry(fd) else { continue };
                events.push(Event::new(entry.token, to_readiness(reported)));
                if entry.trigger == Trigger::OneShot {
                    set_bits(watched, fd, Interest::NONE);
                }
            }
        }
    }

    /// After EBADF: removes the closed descriptors from the sets, and reports them.
    fn remove_closed(&mut self, events: &mut Events) -> io::Result<()> {
        let Self { table, watched, .. } = self;
        for (fd, entry) in table.iter_mut() {
            if watched.iter().any(|set| set.contains(fd)) && sys::check_open(fd).is_err() {
                set_bits(watched, fd, Interest::NONE);
                events.push(Event::new(entry.token, Readiness::INVALID));
            }
        }
        if events.is_empty() {
            // The number was opened again before the check: call again.
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    }
}

impl Default for SelectSelector {
    fn default() -> Self {
        SelectSelector::new()
    }
}

impl Selector for SelectSelector {
    fn name(&self) -> &'static str {
        "select"
    }

    fn caps(&self) -> Caps {
        let reports = Readiness::READ
            .union(Readiness::WRITE)
            .union(Readiness::PRIORITY)
            .union(Readiness::INVALID);
        let largest_descriptor = self.strict.then_some(FD_SETSIZE - 1);
        Caps { largest_descriptor, ..Caps::new(&[Trigger::Level, Trigger::OneShot], reports) }
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
        self.table.insert(fd, SelectEntry { token, trigger });
        set_bits(&mut self.watched, fd, interest);
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.table.entry(fd)?;
        set_bits(&mut self.watched, fd, interest);
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.table.remove(fd)?;
        set_bits(&mut self.watched, fd, Interest::NONE);
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        let Self { watched, ready, ask_first, counters, .. } = self;
        let answer = ask_first.wait(deadline, |deadline| {
            counters.waits += 1;
            sys::pselect(watched, ready, deadline)
        });
        match answer {
            Ok(count) => self.collect(count, events),
            Err(error) if sys::is_bad_descriptor(&error) => self.remove_closed(events)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn counters(&self) -> SelectorCounters {
        self.counters
    }
}

/// Puts a descriptor into the sets of its interest.
fn set_bits([read, write, except]: &mut FdSets, fd: RawFd, interest: Interest) {
    for (set, flag) in
        [(read, Interest::READ), (write, Interest::WRITE), (except, Interest::PRIORITY)]
    {
        if interest.contains(flag) {
            set.insert(fd);
        } else {
            set.remove(fd);
        }
    }
}

/// Converts the sets in which a descriptor came back.
fn to_readiness([read, write, except]: [bool; 3]) -> Readiness {
    let mut readiness = Readiness::empty();
    readiness.set(Readiness::READ, read);
    readiness.set(Readiness::WRITE, write);
    readiness.set(Readiness::PRIORITY, except);
    readiness
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_stale_bit_is_not_an_event() {
        // A descriptor beyond all that this process has ever had open. `add` would refuse it, but a
        // selector can hold one after a fork.
        let mut selector = SelectSelector::new();
        let beyond = 1 << 20;
        selector
            .table
            .insert(beyond, SelectEntry { token: Token::from(1), trigger: Trigger::Level });
        set_bits(&mut selector.watched, beyond, Interest::READ);

        let mut events = Events::new();
        selector.wait(&mut events, Deadline::Now).unwrap();
        assert!(selector.ready[0].contains(beyond), "the kernel leaves the bit as it was");
        assert!(events.is_empty(), "{events:?}");

        // Nor is it after a bit that is one.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let ready = Token::from(2);
        selector.add(reader.as_raw_fd(), ready, Interest::READ, Trigger::Level).unwrap();
        selector.wait(&mut events, Deadline::Now).unwrap();
        assert!(events.iter().map(|event| event.token()).eq([ready]), "{events:?}");
    }

    #[test]
    fn the_three_sets_translate_bit_by_bit() {
        let (r, w, p) = (Readiness::READ, Readiness::WRITE, Readiness::PRIORITY);
        assert_eq!(to_readiness([true, false, false]), r);
        assert_eq!(to_readiness([false, true, false]), w);
        assert_eq!(to_readiness([false, false, true]), p);
        assert_eq!(to_readiness([true, true, true]), r | w | p);
    }
}
