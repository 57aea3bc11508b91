//! Snapshots: the state between turns.

use std::os::fd::RawFd;

use super::Recorder;
use crate::live::record::{Lines, Place, Record, Snapshot, Text};

impl Recorder {
    /// Publishes a snapshot, if something has changed since the last one.
    pub(in crate::live) fn look(&mut self, gate: Place) {
        let ready = self.table.ready();
        let ghosts = self.table.ghosts(&ready, &[], &self.ghosts);
        self.ghosts.clone_from(&ghosts);
        let sources = self.table.rows(&ready, &[], &ghosts);
        self.show(Snapshot { gate, sources, ready, ghosts, ..Snapshot::default() });
    }

    /// As [`look`](Self::look), after a wait.
    pub(in crate::live) fn look_after_wait(&mut self) {
        let sources = self.rows(&self.table.ready(), &self.turn.reported);
        self.show(Snapshot {
            gate: Place::After,
            sources,
            wait: Some(self.turn.wait.clone()),
            reported: Some(self.turn.reported.clone()),
            ready: self.turn.ready.clone(),
            ghosts: self.ghosts.clone(),
            predicted: self.turn.predicted.clone(),
            ..Snapshot::default()
        });
    }

    fn show(&mut self, mut snapshot: Snapshot) {
        let is_after = snapshot.gate == Place::After;
        snapshot.turn = if is_after { self.turn.t - 1 } else { self.turn.t };
        snapshot.clients = self.directory.clients();
        snapshot.lists.clone_from(&self.lists);
        snapshot.kernel = self.kernel();
        snapshot.line = self.wait_line.map(|(rust, python)| Lines {
            handler: Text::Borrowed(self.handler),
            rust: vec![rust],
            python: vec![python],
        });
        if self.shown.as_ref() != Some(&snapshot) {
            self.hub.publish(&Record::Snapshot(Box::new(snapshot.clone())));
            self.shown = Some(snapshot);
        }
    }

    /// Returns the descriptors that a new selector reports at once, as far as they are wanted.
    pub(in crate::live) fn reported_by_new_selector(&self) -> Vec<RawFd> {
        self.table.wanted(&self.table.ready())
    }
}
