//! The table of sources: their interest, what is registered with the selector, and their readiness.

mod registrations;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use super::blocking_files::BlockingFiles;
use super::io_state::{Flags, IoState, Settings};
use super::mode::{Known, Mode};
use super::parking::Parking;
use super::probe::DispatchOutcome;
use super::source_entry::{SourceEntry, Status, Types};
use super::source_info::SourceInfo;
use super::source_table::SourceTable;
use crate::selector::{Interest, Readiness, Selector, SelectorCounters, Token, Trigger};
use crate::sys;

/// The table of sources. It holds their descriptors. The sources themselves are stored with their
/// handlers.
#[derive(Debug)]
pub(super) struct Registry {
    entries: SourceTable,
    /// The types of sources and handlers that were ever added, each pair once.
    types: Vec<Types>,
    selector: Box<dyn Selector>,
    mode: Mode,
    /// The requested trigger. The effective one is in `mode`.
    trigger: Trigger,
    /// The number of [forks](sys::forks) when the selector was created.
    forks: u32,
    /// The reactor's own descriptors. They have no entry.
    own: Vec<(RawFd, Token)>,
    /// The sources whose effective interest has changed since it was last applied.
    changed: Vec<Token>,
    /// The sources whose interest the kernel had no room for. It is tried again.
    refused: Vec<Token>,
    /// The sources that could not be parked, and why.
    not_parked: Vec<(Token, io::Error)>,
    parking: Parking,
    pub(super) blocking_files: BlockingFiles,
    /// How often sources were parked.
    parked: u64,
    /// The ready list: sources that are still ready after their handler returned.
    ready: Vec<Token>,
    /// Changes of effective interest since the last switch.
    changes: u64,
    /// Changes that were registered with the selector since the last switch.
    applied: u64,
    /// System calls that were saved before the last switch.
    saved: u64,
    /// The counters of earlier selectors.
    past: SelectorCounters,
}

/// The result of delivering an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The handler must be called now. Its call has begun.
    Dispatch,
    /// The event was recorded. It is outside the effective interest, or the source is on the ready
    /// list and its call will report the event.
    Recorded,
    /// The token is not (or no longer) registered.
    Stale,
}

/// The readiness of ordinary events. All others take the rare path.
const PLAIN: Readiness = Readiness::READ.union(Readiness::WRITE);

impl Registry {
    pub(super) fn new(selector: Box<dyn Selector>, trigger: Trigger) -> io::Result<Self> {
        sys::count_forks();
        Ok(Registry {
            forks: sys::forks(),
            entries: SourceTable::default(),
            types: Vec::new(),
            mode: Mode::of(&*selector, trigger)?,
            selector,
            trigger,
            own: Vec::new(),
            changed: Vec::new(),
            refused: Vec::new(),
            not_parked: Vec::new(),
            parking: Parking::default(),
            blocking_files: BlockingFiles::default(),
            parked: 0,
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

    /// Returns the number of system calls that were saved because changes are applied once a turn.
    pub(super) fn controls_saved(&self) -> u64 {
        let now = if self.mode.change_is_a_system_call { self.changes } else { 0 };
        self.saved + now.saturating_sub(self.applied)
    }

    /// Adds one of the reactor's own descriptors, for reading.
    pub(super) fn add_own(&mut self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        self.selector.add(fd, token, Interest::READ, self.mode.trigger)?;
        self.own.push((fd, token));
        Ok(())
    }

    /// Adds a source to the selector, at once. `types` are those of the source and its handler.
    pub(super) fn add(
        &mut self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        known: Known,
        types: Types,
    ) -> io::Result<Token> {
        self.check_process()?;
        let number = fd.as_raw_fd();
        let was_blocking = !known.is_nonblocking && sys::set_nonblocking(number, true)?;
        let kind = self.mode.kind(number, known);
        let registered = self.mode.registered(interest, kind);
        let token = Token::new(self.entries.next_index(), next_generation());
        if let Err(error) = self.selector.add(number, token, registered, self.mode.trigger) {
            if was_blocking {
                let _ = sys::set_nonblocking(number, false); // its flags as they were before
            }
            return Err(error);
        }
        self.entries.add(SourceEntry {
            generation: token.generation(),
            fd: number,
            effective: interest,
            ready: Interest::NONE,
            settings: Settings { flags: self.mode.flags(kind), interest, registered },
            reported: 0,
            types: place_of(types, &mut self.types),
            status: Status::empty(),
            kind,
            is_queued: false,
        });
        self.blocking_files.added(token, number, was_blocking);
        Ok(token)
    }

    /// Removes a source. Afterwards its descriptor has left the kernel's set and may be closed.
    pub(super) fn remove(&mut self, token: Token) -> Option<SourceEntry> {
        let entry = self.entries.remove(token)?;
        if self.is_inherited() {
            return Some(entry); // what the kernel watches is the parent's
        }
        if entry.status.contains(Status::PARKED) {
            self.parking.remove(entry.fd);
        }
        // The entry is removed in any case. This crate's selectors only fail for a descriptor that
        // was never added.
        let _ = self.selector.remove(entry.fd);
        Some(entry)
    }

    /// Returns whether the process has forked since the selector was created, and this is the child.
    #[inline]
    pub(super) fn is_inherited(&self) -> bool {
        self.forks != sys::forks()
    }

    /// Returns an error in a forked child.
    #[inline]
    pub(super) fn check_process(&self) -> io::Result<()> {
        if self.is_inherited() { Err(inherited()) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn get(&mut self, token: Token) -> Option<&mut SourceEntry> {
        self.entries.get_mut(token)
    }

    /// Returns all descriptors: the sources', the reactor's own, and the selector's.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let sources = self.entries.iter().map(|(_, entry)| entry.fd);
        let own = self.own.iter().map(|&(fd, _)| fd);
        let selector = self.selector.own_fd().map(|fd| fd.as_raw_fd());
        sources.chain(own).chain(selector)
    }

    /// Returns whether a source is a stream of bytes: a socket, a pipe or a terminal.
    pub(super) fn is_stream(&mut self, token: Token) -> bool {
        self.get(token).is_some_and(|entry| sys::is_stream(entry.fd))
    }

    /// Returns what can be seen of all sources, except their deadlines.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceInfo> {
        self.entries.iter().map(|(token, entry)| SourceInfo::of(token, entry, self.types_of(entry)))
    }

    /// Returns the tokens of all sources.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        self.entries.iter().map(|(token, _)| token)
    }

    /// Returns the interest that is set for a source.
    pub(super) fn interest(&self, token: Token) -> Option<Interest> {
        self.entries.get(token).map(|entry| entry.settings.interest)
    }

    /// Returns the types of a source and its handler.
    pub(super) fn types(&self, token: Token) -> Option<Types> {
        self.entries.get(token).map(|entry| self.types_of(entry))
    }

    fn types_of(&self, entry: &SourceEntry) -> Types {
        self.types[usize::from(entry.types)]
    }

    /// Returns the token of the source with this index.
    pub(super) fn token(&self, index: u32) -> Option<Token> {
        self.entries.token(index)
    }

    /// Sets the interest of a source. It is applied before the next wait. Returns false when there is
    /// no such source.
    pub(super) fn set_interest(&mut self, token: Token, interest: Interest) -> bool {
        self.change_counted(token, |entry| entry.settings.interest = interest)
    }

    /// Ends the effect of `Next::Disarm`. Returns false when there is no such source.
    pub(super) fn arm(&mut self, token: Token) -> bool {
        self.change_counted(token, |entry| entry.status.remove(Status::DISARMED))
    }

    fn change_counted(&mut self, token: Token, change: impl FnOnce(&mut SourceEntry)) -> bool {
        let is_new = self.change(token, change);
        self.changes += u64::from(is_new == Some(true));
        is_new.is_some()
    }

    /// Changes an entry, and what follows from the change. Returns whether the effective interest has
    /// changed, and `None` when there is no such source.
    fn change(&mut self, token: Token, change: impl FnOnce(&mut SourceEntry)) -> Option<bool> {
        let entry = self.get(token)?;
        change(entry);
        let effective = entry.effective_interest();
        let is_new = effective != entry.effective;
        entry.effective = effective;
        let must_apply = is_new && !entry.status.replace(Status::CHANGED, true);
        let must_queue = entry.is_ready() && !std::mem::replace(&mut entry.is_queued, true);
        if must_apply {
            self.changed.push(token);
        }
        if must_queue {
            self.ready.push(token);
        }
        Some(is_new)
    }

    /// Returns whether there is anything to [apply](Self::apply).
    #[inline]
    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Returns whether a source is on the ready list.
    #[inline]
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Moves the ready list to the end of `list`.
    pub(super) fn take_ready(&mut self, list: &mut Vec<Token>) {
        list.append(&mut self.ready);
    }

    /// Delivers an event to its source. Begins the call if the handler must be called now.
    #[inline]
    pub(super) fn deliver(
        &mut self,
        token: Token,
        readiness: Readiness,
        io: &mut IoState,
    ) -> Delivery {
        let Some(entry) = self.entries.get_mut(token) else { return Delivery::Stale };
        let ready = Interest::from_bits_truncate(readiness.bits() as u8);
        if PLAIN.contains(readiness) && entry.ready.is_empty() && ready.intersects(entry.effective)
        {
            io.begin(token, readiness, ready, entry.settings);
            return Delivery::Dispatch;
        }
        self.deliver_rare(token, readiness, io)
    }

    /// As [`deliver`](Self::deliver), for all that is not ordinary.
    fn deliver_rare(&mut self, token: Token, readiness: Readiness, io: &mut IoState) -> Delivery {
        let is_edge = self.mode.trigger == Trigger::Edge;
        let Some(entry) = self.get(token) else { return Delivery::Stale };
        entry.record(readiness);
        if is_edge && !PLAIN.contains(readiness) {
            // An urgent mark cuts reads short, and so may the end: from now on reads must continue
            // to `WouldBlock`.
            entry.settings.flags.remove(Flags::SHORT_READS_DRAIN);
            if readiness.intersects(Readiness::READ_CLOSED | Readiness::HANGUP) {
                entry.settings.flags |= Flags::END_REPORTED;
            }
        }
        if entry.is_queued || !entry.is_ready() {
            return Delivery::Recorded;
        }
        entry.begin_call(token, io);
        Delivery::Dispatch
    }

    /// Begins the call of a source from the ready list. Returns false when the source was removed, or
    /// its interest no longer includes what is ready.
    pub(super) fn begin_call_if_ready(&mut self, token: Token, io: &mut IoState) -> bool {
        let Some(entry) = self.get(token) else { return false };
        entry.is_queued = false;
        let is_ready = entry.is_ready();
        if is_ready {
            entry.begin_call(token, io);
        }
        is_ready
    }

    /// Begins a call that does not depend on readiness. Returns false when the source was removed.
    pub(super) fn begin_call(&mut self, token: Token, io: &mut IoState) -> bool {
        self.get(token).map(|entry| entry.begin_call(token, io)).is_some()
    }

    /// Ends a call: stores the readiness that it left. Does nothing if the source was removed.
    #[inline]
    pub(super) fn end_call(&mut self, io: &mut IoState) {
        let Some(entry) = self.get(io.token) else { return };
        entry.ready = io.ready;
        if !io.ready.contains(Interest::READ) {
            entry.settings.flags.remove(Flags::END_REPORTED); // it was read, or there is data before it again
        }
        let moves_more =
            Flags::INTEREST_SET | Flags::ENDED | Flags::DISARM | Flags::SPURIOUS | Flags::READ_ON;
        if io.settings.flags.intersects(moves_more) || entry.is_ready() {
            self.end_call_rare(io);
        }
    }

    fn end_call_rare(&mut self, io: &mut IoState) {
        self.changes += std::mem::take(&mut io.changes);
        self.change(io.token, |entry| {
            // An interest that the handler set through its context stays, unless it also set one
            // through the source.
            if let Some(interest) = io.new_interest() {
                entry.settings.interest = interest;
            }
            if io.settings.flags.contains(Flags::ENDED) {
                entry.status |= Status::ENDED;
            }
            if io.settings.flags.contains(Flags::READ_ON) {
                entry.status.remove(Status::ENDED);
            }
            if io.settings.flags.contains(Flags::DISARM) {
                entry.status |= Status::DISARMED;
            }
        });
        let was_vain =
            io.settings.flags.contains(Flags::SPURIOUS) && self.mode.is_persistent(io.readiness);
        if was_vain
            || io.settings.flags.contains(Flags::READ_ON) && self.mode.trigger == Trigger::Level
        {
            self.park(io.token);
        }
    }

    /// Returns how often sources were parked.
    pub(super) fn parked(&self) -> u64 {
        self.parked
    }

    /// Returns the state of a source after a call, for the probe.
    pub(super) fn dispatch_outcome(&mut self, token: Token) -> DispatchOutcome {
        match self.get(token) {
            None => DispatchOutcome::Removed,
            Some(entry) if entry.status.contains(Status::DISARMED) => DispatchOutcome::Disarmed,
            Some(entry) if entry.is_ready() => DispatchOutcome::Ready,
            Some(_) => DispatchOutcome::Waiting,
        }
    }

    /// Returns the counters of the current selector and of earlier ones, added up.
    pub(super) fn selector_counters(&self) -> SelectorCounters {
        let (past, now) = (self.past, self.selector.counters());
        SelectorCounters {
            waits: past.waits + now.waits,
            controls: past.controls + now.controls,
            repairs: past.repairs + now.repairs,
            switches: past.switches + now.switches,
        }
    }
}

/// Returns the place of `types` in the list, where they are added if they are new. A program has few of
/// them: they are known when it is compiled.
fn place_of(types: Types, list: &mut Vec<Types>) -> u16 {
    let place = list.iter().position(|known| *known == types).unwrap_or_else(|| {
        list.push(types);
        list.len() - 1
    });
    place.try_into().expect("a program has fewer types")
}

#[cold]
fn inherited() -> io::Error {
    let message = "this process is a forked child, and the reactor is its parent's: what the kernel \
                   watches for it would be watched for both. Call `Reactor::reinit` first";
    io::Error::new(io::ErrorKind::Unsupported, message)
}

impl Drop for Registry {
    /// The sources are dropped after it, and so are open still.
    fn drop(&mut self) {
        if !self.is_inherited() {
            self.blocking_files.release_all();
        }
    }
}

/// Returns the generation of the next source. All reactors of the process count together, so that
/// the token of a source of one is unknown to another.
fn next_generation() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
