//! What the selector tells the recorder.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use tripoll::selector::Readiness as Is;
use tripoll::{Deadline, Events, Interest, Token, Trigger};
use tripoll_trace::{Watching, masks};

use super::Recorder;
use crate::live::record::{Call, Gone, Predicted, Raw, Reported, Text, Wait};
use crate::live::table::{Table, Watch, slot};

/// The most removed sources that are remembered, to name a report of one that the kernel still has.
const MOST_GONE: usize = 1_024;

impl Recorder {
    /// A new selector begins with an empty table. Returns its number.
    pub(in crate::live) fn selector_changed(
        &mut self,
        backend: &'static str,
        trigger: Trigger,
        epoll: Option<RawFd>,
    ) -> u64 {
        self.table.watched.clear();
        self.table.by_token.clear();
        (self.table.backend, self.table.trigger, self.table.epoll) = (backend, trigger, epoll);
        self.selector += 1;
        self.selector
    }

    /// Returns the table, to [restore](Self::restore) it when a new selector was not taken.
    pub(in crate::live) fn save(&self) -> Option<(u64, Table)> {
        Some((self.selector, self.table.clone()))
    }

    /// Restores a table.
    pub(in crate::live) fn restore(&mut self, (selector, table): (u64, Table)) {
        (self.selector, self.table) = (selector, table);
    }

    pub(in crate::live) fn added(
        &mut self,
        selector: u64,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) {
        if selector != self.selector {
            return;
        }
        self.changes += 1;
        if slot(token).is_some() {
            self.table.trigger = trigger;
        }
        self.table.watched.insert(fd, Watch { token, interest, is_armed: true });
        self.table.by_token.insert(token, fd);
    }

    pub(in crate::live) fn set(&mut self, selector: u64, fd: RawFd, interest: Interest) {
        if selector != self.selector {
            return;
        }
        self.changes += 1;
        if let Some(watch) = self.table.watched.get_mut(&fd) {
            (watch.interest, watch.is_armed) = (interest, true);
        }
    }

    pub(in crate::live) fn removed(&mut self, selector: u64, fd: RawFd) {
        if selector != self.selector {
            return;
        }
        self.changes += 1;
        let Some(watch) = self.table.watched.remove(&fd) else { return };
        self.table.by_token.remove(&watch.token);
        self.table.described.remove(&fd);
        self.table.views.remove(&fd);
        self.removed.insert(watch.token, fd);
        if self.gone.len() < MOST_GONE {
            self.gone.insert(watch.token, fd);
        }
        let last = self.turn.calls.iter().rev().find(|call| call.fd == fd);
        let why = match last {
            Some(Call { error: Some(error), .. }) if error != "EAGAIN" => error.clone(),
            _ if self.has_ended(fd) => "end".to_string(),
            _ => "removed".to_string(),
        };
        let (slot, generation) = (slot(watch.token), watch.token.generation());
        self.turn.gone.push(Gone { slot, generation, fd, why });
    }

    /// Returns whether the end of the stream was read in this turn.
    fn has_ended(&self, fd: RawFd) -> bool {
        let is_end = |call: &Call| call.fd == fd && call.what == "read" && call.result == Some(0);
        self.turn.calls.iter().any(is_end)
    }

    pub(in crate::live) fn waiting(&mut self, deadline: Deadline, capacity: usize) {
        let timeout_ms = deadline.remaining().map(|left| left.as_micros().div_ceil(1_000) as u64);
        self.turn.wait = Wait { timeout_ms, ..Wait::default() };
        if !self.is_full {
            return;
        }
        let (backend, epoll) = (self.table.backend, self.table.epoll);
        let watching = Watching { backend, epoll, capacity, timeout_ms };
        let sources = self.table.watched.iter().map(|(fd, watch)| (*fd, watch.interest));
        self.turn.wait.args = tripoll_trace::arguments(&watching, sources);
        self.turn.wait.call = Text::Borrowed(tripoll_trace::call(backend));
    }

    pub(in crate::live) fn waited(
        &mut self,
        slept: Duration,
        events: &Events,
        is_nudged: bool,
        error: Option<&io::Error>,
    ) {
        let began = Instant::now();
        let wait = &mut self.turn.wait;
        wait.slept_ns = slept.as_nanos() as u64;
        (wait.nudged, wait.returned) = (is_nudged, events.len());
        wait.error = error.map(ToString::to_string);
        for event in events {
            let token = event.token();
            let Some(&fd) = self.table.by_token.get(&token) else {
                // A registration that outlived its descriptor.
                if let (Some(&fd), true) = (self.gone.get(&token), self.is_full) {
                    let mask = masks::raw(self.table.backend, event.readiness());
                    wait.raw.push(Raw { fd, mask });
                }
                continue;
            };
            let readiness = event.readiness();
            if self.is_full {
                let mask = masks::raw(self.table.backend, readiness);
                wait.raw.push(Raw { fd, mask });
            }
            if self.table.trigger == Trigger::OneShot
                && let Some(watch) = self.table.watched.get_mut(&fd)
            {
                watch.is_armed = false;
            }
            let e = readiness.intersects(Is::PRIORITY | Is::ERROR | Is::HANGUP | Is::INVALID);
            let (r, w) = (event.is_readable(), event.is_writable());
            let (slot, generation) = (slot(token), token.generation());
            self.turn.reported.push(Reported { fd, slot, generation, r, w, e, again: false });
        }
        if self.is_full {
            self.turn.ready = self.table.ready();
            let before = std::mem::take(&mut self.ghosts);
            self.ghosts = self.table.ghosts(&self.turn.ready, &self.turn.reported, &before);
            self.turn.ghosts.clone_from(&self.ghosts);
        }
        self.judge_prediction();
        self.probe_time += began.elapsed();
    }

    fn judge_prediction(&mut self) {
        let Some(mut fds) = self.prediction.take() else { return };
        let sources = self.turn.reported.iter().filter(|reported| reported.slot.is_some());
        let mut found: Vec<RawFd> = sources.map(|reported| reported.fd).collect();
        found.sort_unstable();
        fds.sort_unstable();
        fds.dedup();
        let right = found == fds;
        self.hits += u32::from(right);
        self.predictions += 1;
        let (hits, of) = (self.hits, self.predictions);
        self.turn.predicted = Some(Predicted { fds, right, hits, of });
    }

    /// The wait and the gate after it are passed.
    pub(in crate::live) fn dispatching(&mut self) {
        self.dispatching_since = Instant::now();
    }
}
