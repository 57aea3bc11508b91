//! Makes the records of a subject: one for each thread that runs a subject.
//!
//! The selector, the sockets and the handlers of a subject tell the recorder of their thread what they do.
//! A turn of a running subject that has no record costs little: what is expensive (a `poll` of all sources,
//! their queues, the kernel's list) is asked only for a record.

mod looks;
mod waits;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tripoll::net::Stream;
use tripoll::{Deadline, Interest, Token};

use super::calls::{error_name, excerpt};
use super::cost::Load;
use super::directory::Directory;
use super::gate::{Gate, Inside};
use super::hub::Hub;
use super::kernel_list;
use super::lints::Lints;
use super::pace::Pace;
use super::record::{
    Call, Dispatched, KernelEntry, Lines, Lists, Place, Ready, Record, Reported, Row, Since,
    Snapshot, Text, Turn,
};
use super::table::{Described, Table, View, slot};

/// A wait that took so long has slept. A shorter one may have been kept from running.
const SLEPT_NS: u64 = 1_000_000;

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Lets this thread have a recorder.
pub(super) fn install(recorder: Recorder) {
    RECORDER.set(Some(recorder));
}

/// Calls `f` with the recorder of this thread. Returns the default if there is none.
pub(super) fn with<R: Default>(f: impl FnOnce(&mut Recorder) -> R) -> R {
    RECORDER.with_borrow_mut(|recorder| recorder.as_mut().map(f).unwrap_or_default())
}

/// Makes the records of a subject.
#[derive(Debug)]
pub(super) struct Recorder {
    hub: Arc<Hub>,
    gate: Arc<Gate>,
    directory: Arc<Directory>,
    handler: &'static str,
    began: Instant,
    pace: Pace,
    table: Table,
    /// The current selector, of all that this subject has had.
    selector: u64,
    turn: Turn,
    /// Whether this turn is recorded in full.
    is_full: bool,
    /// The last turn, if it has no record yet.
    pending: Option<Turn>,
    skipped: u64,
    since: Since,
    changes: u64,
    dispatching_since: Instant,
    /// The first call of a dispatch of a bare loop, and when it began.
    dispatch_began: Option<(usize, Instant)>,
    probe_time: Duration,
    ghosts: Vec<RawFd>,
    lints: Lints,
    lists: Option<Lists>,
    wait_line: Option<(u32, u32)>,
    marks: Vec<(u32, u32)>,
    prediction: Option<Vec<RawFd>>,
    budget: u32,
    hits: u32,
    predictions: u32,
    /// The sources that were removed in this turn.
    removed: HashMap<Token, RawFd>,
    /// The sources that were removed since this subject began.
    gone: HashMap<Token, RawFd>,
    /// The last snapshot.
    shown: Option<Snapshot>,
}

/// The most calls of a turn that are recorded one by one.
const MOST_CALLS: usize = 256;

impl Recorder {
    pub(super) fn new(
        hub: Arc<Hub>,
        gate: Arc<Gate>,
        directory: Arc<Directory>,
        handler: &'static str,
    ) -> Self {
        let now = Instant::now();
        Recorder {
            hub,
            gate,
            directory,
            handler,
            began: now,
            pace: Pace::new(now),
            table: Table::default(),
            selector: 0,
            turn: Turn::default(),
            is_full: true,
            pending: None,
            skipped: 0,
            since: Since::default(),
            changes: 0,
            dispatching_since: now,
            dispatch_began: None,
            probe_time: Duration::ZERO,
            ghosts: Vec::new(),
            lints: Lints::default(),
            lists: None,
            wait_line: None,
            marks: Vec::new(),
            prediction: None,
            budget: u32::MAX,
            hits: 0,
            predictions: 0,
            removed: HashMap::new(),
            gone: HashMap::new(),
            shown: None,
        }
    }

    // What the sockets and the handlers tell.

    pub(super) fn describe(&mut self, fd: RawFd, role: &'static str, name: &str) {
        let described = Described { role, name: name.to_string(), ..Described::default() };
        self.table.described.insert(fd, described);
    }

    pub(super) fn describe_client(&mut self, fd: RawFd, peer: String, socket: &Arc<Stream>) {
        let name = self.directory.accepted(&peer, socket);
        let socket = Arc::downgrade(socket);
        let described = Described { role: "client", name, peer: Some(peer), socket, buffered: 0 };
        self.table.described.insert(fd, described);
    }

    /// Notes the bytes that the program holds for a source.
    pub(super) fn buffered(&mut self, fd: RawFd, bytes: usize) {
        if let Some(described) = self.table.described.get_mut(&fd) {
            described.buffered = bytes as u64;
        }
    }

    /// Notes that a call begins, in which the subject may block.
    pub(super) fn entering(&mut self, fd: Option<RawFd>, what: &'static str) {
        let (turn, since) = (self.turn.t, Instant::now());
        self.gate.set_inside(Some(Inside { turn, fd, what, since }));
    }

    /// Notes a call that has ended.
    pub(super) fn called(
        &mut self,
        fd: RawFd,
        what: &'static str,
        result: &io::Result<u64>,
        data: &[u8],
        took: Duration,
    ) {
        self.gate.set_inside(None);
        let ns = took.as_nanos() as u64;
        let (measured, since) = (&mut self.turn.measured, &mut self.since);
        since.calls += 1;
        match what {
            "accept" => measured.accept_ns += ns,
            "read" => {
                measured.read_ns += ns;
                since.read += result.as_ref().unwrap_or(&0);
            }
            _ => {
                measured.write_ns += ns;
                since.written += result.as_ref().unwrap_or(&0);
            }
        }
        if self.turn.calls.len() >= MOST_CALLS {
            return;
        }
        let text = (self.is_full && !data.is_empty()).then(|| excerpt(data));
        let error = result.as_ref().err().map(error_name);
        let result = result.as_ref().ok().copied();
        self.turn.calls.push(Call { fd, what: Text::Borrowed(what), result, error, text, ns });
    }

    /// Notes that the subject is in no such call any more.
    pub(super) fn left(&mut self) {
        self.gate.set_inside(None);
    }

    /// Notes that a bare loop calls a handler.
    pub(super) fn begin_dispatch(&mut self) {
        self.dispatch_began = Some((self.turn.calls.len(), Instant::now()));
    }

    /// Notes that the handler has returned.
    pub(super) fn end_dispatch(&mut self, fd: RawFd, token: Token, outcome: &'static str) {
        let Some((first, began)) = self.dispatch_began.take() else { return };
        let calls = self.turn.calls.get(first..).unwrap_or_default();
        let own = || calls.iter().filter(|call| call.fd == fd);
        let bytes = |what: &str| -> u64 {
            own().filter(|call| call.what == what).filter_map(|call| call.result).sum()
        };
        let is_blocked = |call: &Call| call.error.as_deref() == Some("EAGAIN");
        let done = Dispatched {
            fd,
            operations: own().count() as u32,
            read: bytes("read"),
            written: bytes("write"),
            took_ns: began.elapsed().as_nanos() as u64,
            spurious: own().next().is_some_and(is_blocked),
            cut_off: false,
            outcome: Text::Borrowed(outcome),
        };
        self.dispatched(token, false, done);
    }

    /// Notes a call of a handler.
    pub(super) fn dispatched(&mut self, token: Token, is_again: bool, mut done: Dispatched) {
        let fd = self.table.by_token.get(&token).or_else(|| self.removed.get(&token));
        done.fd = fd.copied().unwrap_or(-1);
        done.cut_off |= done.outcome == "ready" && done.operations >= self.budget;
        if is_again && !self.turn.reported.iter().any(|reported| reported.fd == done.fd) {
            let (slot, generation) = (slot(token), token.generation());
            let (fd, again) = (done.fd, true);
            self.turn.reported.push(Reported {
                fd,
                slot,
                generation,
                again,
                ..Reported::default()
            });
        }
        self.turn.dispatches.push(done);
    }

    /// Notes a line of the handler's source that runs. The first one of a turn is that of its wait.
    pub(super) fn mark(&mut self, rust: u32, python: u32) {
        if self.marks.is_empty() {
            self.wait_line = Some((rust, python));
        }
        if self.marks.last() != Some(&(rust, python)) && self.marks.len() < MOST_CALLS {
            self.marks.push((rust, python));
        }
    }

    // What the subject's thread tells.

    /// Sets the operations of one call of a handler.
    pub(super) fn set_budget(&mut self, operations: u32) {
        self.budget = operations;
    }

    /// Sets what the next wait is predicted to report.
    pub(super) fn predict(&mut self, fds: Vec<RawFd>) {
        self.prediction = Some(fds);
    }

    /// Sets what the loop knows of its sources before the first turn.
    pub(super) fn first_views(&mut self, views: Vec<View>) {
        self.table.views = views.into_iter().map(|view| (view.fd, view)).collect();
    }

    /// Lets this turn be recorded in full, whatever its pace.
    pub(super) fn require_full(&mut self) {
        self.is_full = true;
    }

    /// Returns whether there may be a record now, by the pace of a running subject.
    pub(super) fn is_paced(&self) -> bool {
        self.pace.allows(Instant::now())
    }

    /// Leaves the record of a turn out, which was complete.
    pub(super) fn skip(&mut self, turn: Turn) {
        self.skipped += turn.skipped; // and this one, when the next begins
        self.since = turn.since;
        self.pending = Some(turn);
    }

    pub(super) fn begin_turn(&mut self) {
        if let Some(skipped) = self.pending.take() {
            self.skipped += 1;
            self.since.events += skipped.reported.len() as u64;
        }
        let now = Instant::now();
        self.is_full =
            !self.gate.is_running() || self.gate.until().is_some() || self.pace.allows(now);
        self.turn = Turn { t: self.turn.t + 1, ..Turn::default() };
        (self.probe_time, self.dispatching_since) = (Duration::ZERO, now);
        self.changes = 0;
        self.marks.clear();
        self.removed.clear();
    }

    /// Ends a turn. Returns it if it was recorded in full.
    pub(super) fn end_turn(&mut self, views: Vec<View>, lists: Option<Lists>) -> Option<Turn> {
        let now = Instant::now();
        self.gate.set_inside(None);
        self.table.views = views.into_iter().map(|view| (view.fd, view)).collect();
        self.lists = lists;
        let turn = &mut self.turn;
        let measured = &mut turn.measured;
        measured.wait_ns = turn.wait.slept_ns;
        let calls = measured.accept_ns + measured.read_ns + measured.write_ns;
        let dispatch = (now - self.dispatching_since).as_nanos() as u64;
        measured.handler_ns = dispatch.saturating_sub(calls);
        turn.at_us = (now - self.began).as_micros() as u64;
        let mut turn = std::mem::take(&mut self.turn);
        self.turn.t = turn.t;
        if !self.is_full {
            self.since.ns += turn.wait.slept_ns + dispatch;
            self.pending = Some(turn);
            return None;
        }
        self.complete(&mut turn);
        Some(turn)
    }

    /// Adds what is asked only for a record.
    fn complete(&mut self, turn: &mut Turn) {
        let began = Instant::now();
        let ready = self.table.ready();
        turn.sources = self.rows(&ready, &turn.reported);
        turn.kernel = self.kernel();
        turn.lists.clone_from(&self.lists);
        turn.cost = self.load(turn).costs();
        turn.line = self.lines();
        (turn.skipped, self.skipped) = (self.skipped, 0);
        let mut since = std::mem::take(&mut self.since);
        if turn.skipped == 0 {
            since = Since::default(); // it has only what the turn itself says
        }
        turn.since = since;
        turn.lints = self.lints.judge(turn);
        turn.measured.probe_ns = (self.probe_time + began.elapsed()).as_nanos() as u64;
    }

    /// Publishes a turn.
    pub(super) fn publish(&mut self, mut turn: Turn, gate: Place) {
        turn.gate = gate;
        self.pace.note(Instant::now());
        self.shown = None;
        self.hub.publish(&Record::Turn(Box::new(turn)));
    }

    /// Returns when the last turn must be recorded, if it was not: a wait that lasts until then comes
    /// first, so that a page does not show an old state while the subject sleeps.
    pub(super) fn flush_at(&self, deadline: Deadline) -> Option<Deadline> {
        self.pending.as_ref()?;
        let soon = Duration::from_millis(100);
        (deadline.remaining().is_none_or(|left| left > soon)).then(|| Deadline::after(soon))
    }

    /// Records the last turn, if it was not.
    pub(super) fn flush(&mut self) {
        let Some(mut turn) = self.pending.take() else { return };
        self.complete(&mut turn);
        self.publish(turn, Place::Running);
    }

    fn rows(&self, ready: &[Ready], reported: &[Reported]) -> Vec<Row> {
        self.table.rows(ready, reported, &self.ghosts)
    }

    fn kernel(&self) -> Option<Vec<KernelEntry>> {
        let list = kernel_list::read(self.table.epoll?)?;
        let is_known = |fd: RawFd, data: u64| {
            self.table.watched.get(&fd).is_some_and(|watch| u64::from(watch.token) == data)
                || self.table.backend == "mio"
        };
        Some(kernel_list::entries(&list, |listed| is_known(listed.fd, listed.data)))
    }

    fn load(&self, turn: &Turn) -> Load {
        let watched = || self.table.watched.iter().filter(|(_, watch)| !watch.interest.is_empty());
        let has = |interest| watched().any(|(_, watch)| watch.interest.contains(interest));
        let sets = [Interest::READ, Interest::WRITE, Interest::PRIORITY];
        Load {
            watched: watched().count() as u64,
            highest: watched().next_back().map_or(0, |(fd, _)| *fd as u64),
            sets: sets.into_iter().filter(|&set| has(set)).count() as u64,
            reported: turn.wait.returned as u64,
            slept: turn.wait.slept_ns >= SLEPT_NS,
            changes: self.changes,
        }
    }

    fn lines(&self) -> Option<Lines> {
        let next = self.wait_line?;
        let lines = || self.marks.iter().copied().chain([next]);
        let rust = lines().map(|(rust, _)| rust).collect();
        let python = lines().map(|(_, python)| python).filter(|&line| line > 0).collect();
        Some(Lines { handler: Text::Borrowed(self.handler), rust, python })
    }
}
