//! Who is registered, what is wanted of them, what the kernel was registered, and who is ready.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

use slab::Slab;

use super::io_state::{Flags, IoState};
use super::mode::{Mode, SourceKind};
use super::probe::DispatchOutcome;
use super::timers::TimerId;
use crate::selector::{Interest, Readiness, Selector, SelectorCounters, Token, Trigger};
use crate::sys;

/// The table of sources. It knows their descriptors; the sources themselves are with their handlers.
#[derive(Debug)]
pub(super) struct Registry {
    entries: Slab<SourceEntry>,
    selector: Box<dyn Selector>,
    mode: Mode,
    /// How the kernel was wished to be asked.
    trigger: Trigger,
    generation: u32,
    /// Descriptors of the reactor's own, which have no entry.
    own: Vec<(RawFd, Token)>,
    /// Whose interest has changed since it was last applied.
    changed: Vec<Token>,
    /// Who is ready and effective, and was not called since.
    ready: Vec<Token>,
    /// How often what is wanted was changed, while a change cost something.
    changes: u64,
    /// How often the kernel was asked for something else.
    applied: u64,
    /// Changes that cost nothing.
    saved: u64,
    /// What the selectors before this one have done.
    past: SelectorCounters,
}

/// One source.
#[derive(Debug)]
pub(super) struct SourceEntry {
    generation: u32,
    /// What is wanted of it now.
    effective: Interest,
    /// The directions that are READY. While there are none, nothing was told that the handler has
    /// not seen, and the source is on no list.
    ready: Interest,
    /// What is true of each of its calls.
    flags: Flags,
    is_queued: bool,
    /// What the kernel has said and the handler not yet seen.
    reported: Readiness,
    /// What the handler would like. Not wanted are reads after the end of the stream, and anything
    /// after `Next::Disarm`.
    interest: Interest,
    /// What the kernel was last asked for.
    registered: Interest,
    has_ended: bool,
    is_disarmed: bool,
    is_changed: bool,
    kind: SourceKind,
    fd: RawFd,
    /// The timer of its deadline, and when that really is: a deadline that was moved back is
    /// looked at again when the timer rings.
    pub(super) deadline: Option<(TimerId, Instant)>,
}

/// What is to be done about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Its source is to be called, with the readiness that was lent.
    Dispatch,
    /// Nothing now: nobody wants it, or the source is on the ready list and called with that.
    Recorded,
    /// There is no such source (any more).
    Stale,
}

/// Readiness that says no more than itself. All else is rare.
const PLAIN: Readiness = Readiness::READ.union(Readiness::WRITE);

impl SourceEntry {
    #[inline]
    fn is_ready(&self) -> bool {
        self.ready.intersects(self.effective)
    }

    /// Takes note of what the kernel says.
    fn record(&mut self, readiness: Readiness) {
        self.reported |= readiness;
        self.ready |= directions(readiness);
        let end = Readiness::READ_CLOSED | Readiness::HANGUP | Readiness::ERROR;
        if readiness.intersects(end) {
            self.flags |= Flags::END_REPORTED;
        }
    }

    /// Lends the readiness to the handler for one call.
    fn begin_call(&mut self, token: Token, io: &mut IoState) {
        // While it is lent it is not here: what the handler says of itself puts it on no list.
        let (told, ready) = (std::mem::take(&mut self.reported), std::mem::take(&mut self.ready));
        io.begin(token, told, ready, self.interest, self.flags);
    }

    /// What is effective, after anything that it follows from has changed.
    fn effective_interest(&self) -> Interest {
        match self {
            SourceEntry { is_disarmed: true, .. } => Interest::NONE,
            SourceEntry { has_ended: true, .. } => self.interest & Interest::WRITE,
            _ => self.interest,
        }
    }
}

impl Registry {
    pub(super) fn new(selector: Box<dyn Selector>, trigger: Trigger) -> io::Result<Self> {
        Ok(Registry {
            entries: Slab::new(),
            mode: Mode::of(&*selector, trigger)?,
            selector,
            trigger,
            generation: 0,
            own: Vec::new(),
            changed: Vec::new(),
            ready: Vec::new(),
            changes: 0,
            applied: 0,
            saved: 0,
            past: SelectorCounters::default(),
        })
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
        self.mode.trigger
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Changes of what is wanted that would each have been a system call, and were none.
    pub(super) fn controls_saved(&self) -> u64 {
        let now = if self.mode.change_is_a_system_call { self.changes } else { 0 };
        self.saved + now.saturating_sub(self.applied)
    }

    /// Watches a descriptor of the reactor's own, for reading.
    pub(super) fn add_own(&mut self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        self.selector.add(fd, token, Interest::READ, self.mode.trigger)?;
        self.own.push((fd, token));
        Ok(())
    }

    /// Watches a source, at once. `reads_raw`: see [`SourceKind`].
    pub(super) fn add(
        &mut self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        reads_raw: bool,
    ) -> io::Result<Token> {
        let was_blocking = sys::set_nonblocking(fd, true)?;
        let number = fd.as_raw_fd();
        let kind = self.mode.kind(number, reads_raw);
        let registered = self.mode.registered(interest, kind);
        let vacant = self.entries.vacant_entry();
        let token = Token::new(vacant.key() as u32, self.generation);
        if let Err(error) = self.selector.add(number, token, registered, self.mode.trigger) {
            if was_blocking {
                let _ = sys::set_nonblocking(fd, false); // given back as it was
            }
            return Err(error);
        }
        self.generation = self.generation.wrapping_add(1);
        vacant.insert(SourceEntry {
            generation: token.generation(),
            effective: interest,
            ready: Interest::NONE,
            flags: self.mode.flags(kind),
            is_queued: false,
            reported: Readiness::empty(),
            interest,
            registered,
            has_ended: false,
            is_disarmed: false,
            is_changed: false,
            kind,
            fd: number,
            deadline: None,
        });
        Ok(token)
    }

    /// Forgets a source. When this returns its descriptor is out of the kernel's set and may be
    /// closed.
    pub(super) fn remove(&mut self, token: Token) -> Option<SourceEntry> {
        self.get(token)?;
        let entry = self.entries.remove(token.index() as usize);
        // Forgotten here in any case. A selector of ours cannot fail to forget what it was given.
        let _ = self.selector.remove(entry.fd);
        Some(entry)
    }

    #[inline]
    pub(super) fn get(&mut self, token: Token) -> Option<&mut SourceEntry> {
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

    /// What is wished of a source.
    pub(super) fn interest(&mut self, token: Token) -> Option<Interest> {
        self.get(token).map(|entry| entry.interest)
    }

    /// Wants `interest` of a source from the next wait on. False when there is no such source.
    pub(super) fn set_interest(&mut self, token: Token, interest: Interest) -> bool {
        self.change_counted(token, |entry| entry.interest = interest)
    }

    /// Wants of a source again what was wanted before `Next::Disarm`. False when there is none.
    pub(super) fn arm(&mut self, token: Token) -> bool {
        self.change_counted(token, |entry| entry.is_disarmed = false)
    }

    fn change_counted(&mut self, token: Token, change: impl FnOnce(&mut SourceEntry)) -> bool {
        let is_new = self.change(token, change);
        self.changes += u64::from(is_new == Some(true));
        is_new.is_some()
    }

    /// Changes something that what is wanted follows from. Whether that has changed; `None` when
    /// there is no such source.
    fn change(&mut self, token: Token, change: impl FnOnce(&mut SourceEntry)) -> Option<bool> {
        let entry = self.get(token)?;
        change(entry);
        let wanted = entry.effective_interest();
        let is_new = wanted != entry.effective;
        entry.effective = wanted;
        let is_to_be_applied = is_new && !entry.is_changed;
        entry.is_changed |= is_new;
        let is_to_be_queued = entry.is_ready() && !entry.is_queued;
        entry.is_queued |= is_to_be_queued;
        if is_to_be_applied {
            self.changed.push(token);
        }
        if is_to_be_queued {
            self.ready.push(token);
        }
        Some(is_new)
    }

    /// Makes what the kernel is asked what is effective: once for each source, and not at all for a
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
            let registered = self.mode.registered(entry.effective, entry.kind);
            if registered != entry.registered {
                self.applied += 1;
                match self.selector.set(entry.fd, registered) {
                    Ok(()) => {
                        entry.registered = registered;
                        applied(token, registered);
                    }
                    Err(error) => refused(token, error),
                }
            }
        }
    }

    /// Whether there is anything to [apply](Self::apply).
    #[inline]
    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether somebody is on the ready list.
    #[inline]
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Moves the ready list to the end of `list`.
    pub(super) fn take_ready(&mut self, list: &mut Vec<Token>) {
        list.append(&mut self.ready);
    }

    /// Takes note of an event, and lends the readiness of its source if that is to be called now.
    #[inline]
    pub(super) fn deliver(
        &mut self,
        token: Token,
        readiness: Readiness,
        io: &mut IoState,
    ) -> Delivery {
        let Some(entry) = self.get(token) else { return Delivery::Stale };
        let ready = Interest::from_bits_truncate(readiness.bits() as u8);
        if PLAIN.contains(readiness) && entry.ready.is_empty() && ready.intersects(entry.effective)
        {
            io.begin(token, readiness, ready, entry.interest, entry.flags);
            return Delivery::Dispatch;
        }
        self.deliver_rare(token, readiness, io)
    }

    /// The same for whatever is out of the ordinary.
    fn deliver_rare(&mut self, token: Token, readiness: Readiness, io: &mut IoState) -> Delivery {
        let is_edge = self.mode.trigger == Trigger::Edge;
        let Some(entry) = self.get(token) else { return Delivery::Stale };
        entry.record(readiness);
        if is_edge && !PLAIN.contains(readiness) {
            // An urgent mark cuts reads short, and so may the end: from now on reads go on to
            // `WouldBlock`. It is rare.
            entry.flags.remove(Flags::SHORT_READS_DRAIN);
        }
        if entry.is_queued || !entry.is_ready() {
            return Delivery::Recorded;
        }
        entry.begin_call(token, io);
        Delivery::Dispatch
    }

    /// Lends the readiness of a source on the ready list. False when it is not_registered, or nothing is
    /// wanted of it any more.
    pub(super) fn begin_call_if_ready(&mut self, token: Token, io: &mut IoState) -> bool {
        let Some(entry) = self.get(token) else { return false };
        entry.is_queued = false;
        let is_ready = entry.is_ready();
        if is_ready {
            entry.begin_call(token, io);
        }
        is_ready
    }

    /// Lends the readiness of a source for a call that does not depend on it. False when it is not_registered.
    pub(super) fn begin_call(&mut self, token: Token, io: &mut IoState) -> bool {
        self.get(token).map(|entry| entry.begin_call(token, io)).is_some()
    }

    /// Takes back what was lent. Nothing to do if the source is not_registered.
    #[inline]
    pub(super) fn end_call(&mut self, io: &mut IoState) {
        let Some(entry) = self.get(io.token) else { return };
        entry.ready = io.ready;
        if !io.ready.contains(Interest::READ) {
            entry.flags.remove(Flags::END_REPORTED); // it was met, or there is data before it again
        }
        let moves_more = Flags::INTEREST_SET | Flags::ENDED | Flags::DISARM;
        if io.flags.intersects(moves_more) || entry.is_ready() {
            self.end_call_rare(io);
        }
    }

    fn end_call_rare(&mut self, io: &mut IoState) {
        self.changes += std::mem::take(&mut io.changes);
        self.change(io.token, |entry| {
            // What the handler said of its own source through its context stands, unless it said
            // something through the source.
            if let Some(interest) = io.new_interest() {
                entry.interest = interest;
            }
            entry.has_ended |= io.flags.contains(Flags::ENDED);
            entry.is_disarmed |= io.flags.contains(Flags::DISARM);
        });
    }

    /// What has become of a source, for whoever looks on.
    pub(super) fn dispatch_outcome(&mut self, token: Token) -> DispatchOutcome {
        match self.get(token) {
            None => DispatchOutcome::Removed,
            Some(entry) if entry.is_disarmed => DispatchOutcome::Disarmed,
            Some(entry) if entry.is_ready() => DispatchOutcome::Ready,
            Some(_) => DispatchOutcome::Waiting,
        }
    }

    /// What the selectors have done: this one, and those before it.
    pub(super) fn selector_counters(&self) -> SelectorCounters {
        let (past, now) = (self.past, self.selector.counters());
        SelectorCounters {
            waits: past.waits + now.waits,
            controls: past.controls + now.controls,
            repairs: past.repairs + now.repairs,
        }
    }

    /// Moves every source to another selector. If it cannot take one, nothing has changed.
    pub(super) fn switch_to(&mut self, mut selector: Box<dyn Selector>) -> io::Result<()> {
        let mode = Mode::of(&*selector, self.trigger)?;
        for &(fd, token) in &self.own {
            selector.add(fd, token, Interest::READ, mode.trigger)?;
        }
        for (index, entry) in &self.entries {
            let token = Token::new(index as u32, entry.generation);
            let kind = mode.kind(entry.fd, entry.kind.reads_raw);
            let registered = mode.registered(entry.effective, kind);
            selector.add(entry.fd, token, registered, mode.trigger)?;
        }
        for (_, entry) in &mut self.entries {
            entry.kind = mode.kind(entry.fd, entry.kind.reads_raw);
            entry.registered = mode.registered(entry.effective, entry.kind);
            entry.flags = mode.flags(entry.kind);
        }
        self.saved = self.controls_saved();
        (self.changes, self.applied) = (0, 0);
        self.past = self.selector_counters();
        self.selector = selector;
        self.mode = mode;
        Ok(())
    }
}

/// The directions that a readiness makes READY.
fn directions(readiness: Readiness) -> Interest {
    let mut directions = Interest::from_bits_truncate(readiness.bits() as u8);
    if readiness.contains(Readiness::READ_CLOSED) {
        directions |= Interest::READ;
    }
    // These are told to whoever wants anything, and cannot be masked.
    if readiness.intersects(Readiness::HANGUP | Readiness::ERROR | Readiness::INVALID) {
        directions = Interest::all();
    }
    directions
}
