//! A loop without a reactor: a selector, and a table of what it watches.
//!
//! It does what it is told and repairs nothing. A source that is not read to its end, edge-triggered, is not
//! reported again; a descriptor that is closed stays in the table.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use tripoll::selector::{Event, Readiness, Selector};
use tripoll::{Deadline, Events, Interest, Token, Trigger};

use super::gate::Gate;
use super::program::Beginning;
use super::record::Text;
use super::recorder;
use super::settings::Settings;
use super::table::View;
use super::watched::Watched;

/// A selector with its table.
#[derive(Debug)]
pub(super) struct Bare {
    selector: Watched,
    events: Events,
    watched: BTreeMap<RawFd, (Token, Interest)>,
    /// The generation of each slot.
    generations: Vec<u32>,
    gate: Arc<Gate>,
    nudge: Arc<OwnedFd>,
    settings: Settings,
}

/// A descriptor that was reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported {
    pub(super) fd: RawFd,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    pub(super) is_urgent: bool,
}

impl Bare {
    /// Returns a loop that watches nothing.
    pub(super) fn new(beginning: &Beginning) -> io::Result<Self> {
        let Beginning { gate, nudge, settings, .. } = beginning;
        let (gate, nudge, settings) = (Arc::clone(gate), Arc::clone(nudge), *settings);
        let selector = new_selector(&settings, &gate, &nudge)?;
        let (events, watched) = (Events::new(), BTreeMap::new());
        Ok(Bare { selector, events, watched, generations: Vec::new(), gate, nudge, settings })
    }

    /// Watches a descriptor, or changes its interest.
    pub(super) fn watch(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        if let Some((_, known)) = self.watched.get_mut(&fd) {
            if *known != interest {
                self.selector.set(fd, interest)?;
                *known = interest;
            }
            return Ok(());
        }
        let is_free =
            |slot: &usize| !self.watched.values().any(|(token, _)| token.index() as usize == *slot);
        let slot = (0..).find(is_free).unwrap_or_default();
        if slot == self.generations.len() {
            self.generations.push(0);
        }
        self.generations[slot] += 1;
        let token = Token::new(slot as u32, self.generations[slot]);
        let trigger = self.settings.effective(self.selector.caps().triggers);
        self.selector.add(fd, token, interest, trigger)?;
        self.watched.insert(fd, (token, interest));
        Ok(())
    }

    /// Arms a descriptor again, if it is one-shot.
    pub(super) fn arm(&mut self, fd: RawFd) -> io::Result<()> {
        match self.watched.get(&fd) {
            Some((_, interest)) if self.settings.trigger == Trigger::OneShot => {
                self.selector.set(fd, *interest)
            }
            _ => Ok(()),
        }
    }

    /// Watches a descriptor no longer.
    pub(super) fn forget(&mut self, fd: RawFd) {
        if self.watched.remove(&fd).is_some() {
            let _ = self.selector.remove(fd); // it was added
        }
    }

    /// Returns what is watched.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        self.watched.keys().copied().collect()
    }

    /// Waits, and returns what was reported.
    pub(super) fn wait(&mut self) -> io::Result<Vec<Reported>> {
        let deadline = Deadline::after(Duration::from_millis(self.settings.timeout));
        self.selector.wait(&mut self.events, deadline)?;
        let reported = |event: Event| {
            let token = event.token();
            let fd = *self.watched.iter().find(|(_, (known, _))| *known == token)?.0;
            let (is_readable, is_writable) = (event.is_readable(), event.is_writable());
            let is_urgent = event.readiness().contains(Readiness::PRIORITY);
            Some(Reported { fd, is_readable, is_writable, is_urgent })
        };
        Ok(self.events.iter().filter_map(reported).collect())
    }

    /// Calls `handler` for a source, and records the call.
    pub(super) fn dispatch<T>(
        &mut self,
        fd: RawFd,
        handler: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        recorder::with(|recorder| recorder.begin_dispatch());
        let token = self.watched.get(&fd).map(|(token, _)| *token);
        let result = handler(self);
        let outcome = if self.watched.contains_key(&fd) { "waiting" } else { "removed" };
        if let Some(token) = token {
            recorder::with(|recorder| recorder.end_dispatch(fd, token, outcome));
        }
        result
    }

    pub(super) fn set_settings(&mut self, settings: &Settings) {
        self.settings = *settings;
    }

    /// Changes its backend or trigger. All descriptors are added to a new selector.
    pub(super) fn switch(&mut self, settings: &Settings) -> io::Result<()> {
        let mut selector = new_selector(settings, &self.gate, &self.nudge)?;
        let trigger = settings.effective(selector.caps().triggers);
        for (&fd, &(token, interest)) in &self.watched {
            selector.add(fd, token, interest, trigger)?;
        }
        (self.selector, self.settings) = (selector, *settings);
        Ok(())
    }

    pub(super) fn views(&self) -> Vec<View> {
        let view = |(&fd, &(_, interest)): (&RawFd, &(Token, Interest))| View {
            fd,
            interest,
            remembered: Interest::NONE,
            is_disarmed: false,
            deadline: None,
        };
        self.watched.iter().map(view).collect()
    }

    pub(super) fn effective(&self) -> Text {
        self.settings.effective(self.selector.caps().triggers).name().into()
    }
}

fn new_selector(
    settings: &Settings,
    gate: &Arc<Gate>,
    nudge: &Arc<OwnedFd>,
) -> io::Result<Watched> {
    Watched::new(settings.backend, settings.trigger, Arc::clone(gate), Arc::clone(nudge))
}
