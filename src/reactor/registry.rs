//! Who is registered, what is wanted of them, what the kernel was asked, and who is ready.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use slab::Slab;

use super::Budget;
use super::io::Io;
use super::probe::Outcome;
use super::timers::TimerId;
use crate::selector::{Counters, Selector};
use crate::{Event, Interest, Readiness, Token, Trigger, sys};

/// The table of sources. It knows their descriptors; the sources themselves are with their handlers.
#[derive(Debug)]
pub(super) struct Registry {
    entries: Slab<Entry>,
    selector: Box<dyn Selector>,
    manner: Manner,
    /// What the selectors before this one have done.
    past: Counters,
    /// How the kernel was wished to be asked.
    trigger: Trigger,
    generation: u32,
    /// Descriptors of the reactor's own, which have no entry.
    own: Vec<(RawFd, Token)>,
    /// Whose interest has changed since it was last applied.
    changed: Vec<Token>,
    /// Who is ready and wanted, and was not called since.
    ready: Vec<Token>,
    /// How often what is wanted was changed.
    changes: u64,
    /// How often the kernel was asked for something else.
    applied: u64,
}

/// How the present selector is asked.
#[derive(Debug, Clone, Copy)]
struct Manner {
    trigger: Trigger,
    /// Whether it can tell urgent data from plain.
    urgent_apart: bool,
    /// Whether to ask it for something else is a system call.
    change_costs: bool,
}

/// One source.
#[derive(Debug)]
pub(super) struct Entry {
    fd: RawFd,
    generation: u32,
    /// What the handler wants.
    wanted: Interest,
    /// What the kernel was last asked for.
    asked: Interest,
    /// The directions that are READY.
    ready: Interest,
    /// What the kernel has said and the handler not yet seen.
    told: Readiness,
    /// What it has said that makes a short read mean nothing on edge.
    odd: Readiness,
    is_tcp: bool,
    /// Whether `Next::Disarm` was said: nothing is wanted until armed again.
    is_disarmed: bool,
    is_changed: bool,
    is_queued: bool,
    pub(super) deadline: Option<TimerId>,
}

/// What is to be done about an event.
pub(super) enum Told {
    /// Its source is to be called with this.
    Call(Io),
    /// Nothing now: nobody wants it, or the source is on the ready list and called with that.
    Noted,
    /// There is no such source (any more).
    Stranger,
}

impl Manner {
    /// The nearest to what is wished that a selector has.
    fn of(selector: &dyn Selector, wished: Trigger) -> Self {
        let caps = selector.caps();
        // One-shot is the reactor's own doing: see `Next::Disarm`.
        let wished = if wished == Trigger::OneShot { Trigger::Level } else { wished };
        let has_it = caps.triggers.contains(&wished);
        Manner {
            trigger: if has_it { wished } else { caps.triggers[0] },
            urgent_apart: caps.urgent_apart,
            change_costs: caps.change_is_a_system_call,
        }
    }

    /// What the kernel is asked of a source.
    ///
    /// By level, what is wanted. On edge a TCP socket is asked for everything once and for all: an
    /// unwanted edge is rare and costs nothing, a change of interest is a system call. (On other
    /// sockets each message sent would bring an edge of its own.) Urgent data is asked for because
    /// it cuts reads short: see `short_read_drains`.
    fn question(self, entry: &Entry) -> Interest {
        let wanted = entry.wanted();
        if wanted.is_empty() || self.trigger != Trigger::Edge || !entry.is_tcp {
            wanted
        } else if self.urgent_apart {
            Interest::all()
        } else {
            wanted | Interest::READ | Interest::WRITE
        }
    }

    /// Whether a short read says as much as `WouldBlock`. By level always: what is left is told
    /// again. On edge only where nothing else than the end of the data can have cut it short.
    #[inline]
    fn short_read_drains(self, entry: &Entry) -> bool {
        self.trigger == Trigger::Level
            || entry.is_tcp && entry.asked.contains(Interest::PRIORITY) && entry.odd.is_empty()
    }
}

/// Signs that a short read may have been cut short by something else than the end of the data.
const ODD: Readiness = Readiness::PRIORITY
    .union(Readiness::READ_CLOSED)
    .union(Readiness::HANGUP)
    .union(Readiness::ERROR);

impl Entry {
    /// What is wanted now.
    #[inline]
    fn wanted(&self) -> Interest {
        if self.is_disarmed { Interest::NONE } else { self.wanted }
    }

    #[inline]
    fn is_due(&self) -> bool {
        self.ready.intersects(self.wanted())
    }

    /// Lends the readiness to the handler for one call.
    #[inline]
    fn lend(&mut self, token: Token, manner: Manner, budget: Budget) -> Io {
        let told = std::mem::take(&mut self.told);
        Io::new(token, told, self.ready, self.wanted, manner.short_read_drains(self), budget)
    }
}

impl Registry {
    pub(super) fn new(selector: Box<dyn Selector>, trigger: Trigger) -> Self {
        Registry {
            entries: Slab::new(),
            manner: Manner::of(&*selector, trigger),
            selector,
            past: Counters::default(),
            trigger,
            generation: 0,
            own: Vec::new(),
            changed: Vec::new(),
            ready: Vec::new(),
            changes: 0,
            applied: 0,
        }
    }

    pub(super) fn selector(&self) -> &dyn Selector {
        &*self.selector
    }

    #[inline]
    pub(super) fn selector_mut(&mut self) -> &mut dyn Selector {
        &mut *self.selector
    }

    pub(super) fn trigger(&self) -> Trigger {
        self.trigger
    }

    pub(super) fn effective_trigger(&self) -> Trigger {
        self.manner.trigger
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Changes of what is wanted that would each have been a system call, and were none.
    pub(super) fn controls_saved(&self) -> u64 {
        if self.manner.change_costs { self.changes.saturating_sub(self.applied) } else { 0 }
    }

    /// Watches a descriptor of the reactor's own, for reading.
    pub(super) fn add_own(&mut self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        self.selector.add(fd, token, Interest::READ, self.manner.trigger)?;
        self.own.push((fd, token));
        Ok(())
    }

    /// Watches a source, at once.
    pub(super) fn add(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Token> {
        sys::set_nonblocking(fd)?;
        let fd = fd.as_raw_fd();
        let mut entry = Entry {
            fd,
            generation: self.generation,
            wanted: interest,
            asked: Interest::NONE,
            ready: Interest::NONE,
            told: Readiness::empty(),
            odd: Readiness::empty(),
            is_tcp: self.manner.trigger == Trigger::Edge && sys::is_tcp(fd),
            is_disarmed: false,
            is_changed: false,
            is_queued: false,
            deadline: None,
        };
        entry.asked = self.manner.question(&entry);
        let vacant = self.entries.vacant_entry();
        let token = Token::new(vacant.key() as u32, entry.generation);
        self.selector.add(fd, token, entry.asked, self.manner.trigger)?;
        self.generation = self.generation.wrapping_add(1);
        vacant.insert(entry);
        Ok(token)
    }

    /// Forgets a source. When this returns its descriptor is out of the kernel's set and may be
    /// closed.
    pub(super) fn remove(&mut self, token: Token) -> Option<Entry> {
        self.get(token)?;
        let entry = self.entries.remove(token.index() as usize);
        // Forgotten here in any case. A selector of ours cannot fail to forget what it was given.
        let _ = self.selector.remove(entry.fd);
        Some(entry)
    }

    #[inline]
    pub(super) fn get(&mut self, token: Token) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(token.index() as usize)?;
        (entry.generation == token.generation()).then_some(entry)
    }

    /// Every descriptor here: the sources', the reactor's own, and the selector's.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let sources = self.entries.iter().map(|(_, entry)| entry.fd);
        let own = self.own.iter().map(|&(fd, _)| fd);
        let selector = self.selector.own_fd().map(|fd| fd.as_raw_fd());
        sources.chain(own).chain(selector)
    }

    /// All sources.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        self.entries.iter().map(|(index, entry)| Token::new(index as u32, entry.generation))
    }

    /// What is wanted of a source.
    pub(super) fn interest(&mut self, token: Token) -> Option<Interest> {
        self.get(token).map(|entry| entry.wanted)
    }

    /// Wants `interest` of a source from the next wait on. False when there is no such source.
    pub(super) fn set_interest(&mut self, token: Token, interest: Interest) -> bool {
        self.changes += 1;
        self.change(token, |entry| entry.wanted = interest)
    }

    /// Wants of a source again what was wanted before `Next::Disarm`. False when there is none.
    pub(super) fn arm(&mut self, token: Token) -> bool {
        self.changes += 1;
        self.change(token, |entry| entry.is_disarmed = false)
    }

    #[inline]
    fn change(&mut self, token: Token, change: impl FnOnce(&mut Entry)) -> bool {
        let Some(entry) = self.entries.get_mut(token.index() as usize) else { return false };
        if entry.generation != token.generation() {
            return false;
        }
        let before = entry.wanted();
        change(entry);
        if entry.wanted() != before && !entry.is_changed {
            entry.is_changed = true;
            self.changed.push(token);
        }
        if entry.is_due() && !entry.is_queued {
            entry.is_queued = true;
            self.ready.push(token);
        }
        true
    }

    /// Makes what the kernel is asked what is wanted: once for each source, and not at all for a
    /// change that was taken back. Tells what was applied, and what the kernel would not have.
    pub(super) fn apply(
        &mut self,
        mut applied: impl FnMut(Token, Interest),
        mut refused: impl FnMut(Token, io::Error),
    ) {
        while let Some(token) = self.changed.pop() {
            let Some(entry) = self.entries.get_mut(token.index() as usize) else { continue };
            if entry.generation != token.generation() {
                continue;
            }
            entry.is_changed = false;
            let question = self.manner.question(entry);
            if question != entry.asked {
                self.applied += 1;
                match self.selector.set(entry.fd, question) {
                    Ok(()) => {
                        entry.asked = question;
                        applied(token, question);
                    }
                    Err(error) => refused(token, error),
                }
            }
        }
    }

    /// Moves the ready list out, in exchange for an empty one.
    pub(super) fn take_ready(&mut self, list: &mut Vec<Token>) {
        std::mem::swap(&mut self.ready, list);
    }

    /// Takes note of an event.
    #[inline]
    pub(super) fn tell(&mut self, event: Event, budget: Budget) -> Told {
        let (manner, token) = (self.manner, event.token());
        let Some(entry) = self.get(token) else { return Told::Stranger };
        entry.told |= event.readiness();
        entry.odd |= event.readiness() & ODD;
        entry.ready |= directions(event);
        if entry.is_queued || !entry.is_due() {
            return Told::Noted;
        }
        Told::Call(entry.lend(token, manner, budget))
    }

    /// Lends the readiness of a source on the ready list. `None` when it is gone, or nothing is
    /// wanted of it any more.
    pub(super) fn lend_due(&mut self, token: Token, budget: Budget) -> Option<Io> {
        let manner = self.manner;
        let entry = self.get(token)?;
        entry.is_queued = false;
        entry.is_due().then(|| entry.lend(token, manner, budget))
    }

    /// Lends the readiness of a source for a call that does not depend on it.
    pub(super) fn lend(&mut self, token: Token, budget: Budget) -> Option<Io> {
        let manner = self.manner;
        self.get(token).map(|entry| entry.lend(token, manner, budget))
    }

    /// Takes back what was lent. Nothing to do if the source is gone.
    #[inline]
    pub(super) fn take_back(&mut self, io: &Io, disarm: bool) {
        self.changes += u64::from(io.changes) + u64::from(disarm);
        self.change(io.token, |entry| {
            // What the handler said of its own source through its context stands, unless it said
            // something else through the source.
            if io.wanted != io.wanted_before {
                entry.wanted = io.wanted;
            }
            entry.ready = io.ready;
            if !io.ready.contains(Interest::READ) {
                entry.odd.remove(Readiness::PRIORITY); // read past the mark
            }
            entry.is_disarmed |= disarm;
        });
    }

    /// What has become of a source, for whoever looks on.
    pub(super) fn outcome(&mut self, token: Token) -> Outcome {
        match self.get(token) {
            None => Outcome::Removed,
            Some(entry) if entry.is_disarmed => Outcome::Disarmed,
            Some(entry) if entry.is_due() => Outcome::Ready,
            Some(_) => Outcome::Waiting,
        }
    }

    /// What the selectors have done: this one, and those before it.
    pub(super) fn selector_counters(&self) -> Counters {
        let (past, now) = (self.past, self.selector.counters());
        Counters {
            waits: past.waits + now.waits,
            controls: past.controls + now.controls,
            repairs: past.repairs + now.repairs,
        }
    }

    /// Moves every source to another selector. If it cannot take one, nothing has changed.
    pub(super) fn switch_to(&mut self, mut selector: Box<dyn Selector>) -> io::Result<()> {
        let manner = Manner::of(&*selector, self.trigger);
        for &(fd, token) in &self.own {
            selector.add(fd, token, Interest::READ, manner.trigger)?;
        }
        for (index, entry) in &mut self.entries {
            entry.is_tcp = manner.trigger == Trigger::Edge && sys::is_tcp(entry.fd);
            let token = Token::new(index as u32, entry.generation);
            selector.add(entry.fd, token, manner.question(entry), manner.trigger)?;
        }
        for (_, entry) in &mut self.entries {
            entry.asked = manner.question(entry);
        }
        self.past = self.selector_counters();
        self.selector = selector;
        self.manner = manner;
        Ok(())
    }
}

/// The directions that an event makes READY.
#[inline]
fn directions(event: Event) -> Interest {
    let mut directions = Interest::NONE;
    directions.set(Interest::READ, event.is_readable());
    directions.set(Interest::WRITE, event.is_writable());
    directions.set(Interest::PRIORITY, event.is_priority());
    directions
}
