//! A selector that observes another one: what it is asked, when it waits, and what it returns.
//!
//! Both kinds of subject wait through it. So the records of a reactor and of a bare loop are made in one
//! place, and the crate needs nothing for it. It is also where the subject stops *after* its wait.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{EventfdFlags, eventfd};
use tripoll::selector::{Caps, PollSelector, SelectSelector, Selector, SelectorCounters};
use tripoll::{Backend, Deadline, Events, Interest, Token, Trigger};

use super::gate::Gate;
use super::recorder;

/// The token of the descriptor by which the lab ends a wait.
pub(super) const NUDGE: Token = Token::new(u32::MAX, u32::MAX);

/// The selector of a subject.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Box<dyn Selector>,
    nudge: Arc<OwnedFd>,
    gate: Arc<Gate>,
    /// The triggers that it offers.
    triggers: &'static [Trigger],
    /// Tells it from the selectors before and after it.
    id: u64,
}

/// Returns a new descriptor by which the lab ends a wait.
pub(super) fn new_nudge() -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
}

/// Ends the wait.
pub(super) fn nudge(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1_u64.to_ne_bytes()); // if it is full, it is readable
}

impl Watched {
    /// Returns a selector for the subject of this thread. One wait is one system call: it does not ask
    /// first whether something is ready. It offers only `wanted`, if its backend has it: so a reactor,
    /// whose trigger is set once, changes it with its selector.
    pub(super) fn new(
        backend: Backend,
        wanted: Trigger,
        gate: Arc<Gate>,
        nudge: Arc<OwnedFd>,
    ) -> io::Result<Self> {
        let mut inner: Box<dyn Selector> = match backend {
            Backend::Select => Box::new(SelectSelector::new().asking_first(false)),
            Backend::Poll => Box::new(PollSelector::new().asking_first(false)),
            backend => backend.selector()?,
        };
        let triggers = match wanted {
            // The reactor implements one-shot by itself, above level.
            wanted if !inner.caps().triggers.contains(&wanted) => inner.caps().triggers,
            Trigger::Level => &[Trigger::Level],
            Trigger::Edge => &[Trigger::Edge],
            _ => &[Trigger::OneShot, Trigger::Level],
        };
        let trigger = inner.caps().triggers.first().copied().unwrap_or_default();
        inner.add(nudge.as_raw_fd(), NUDGE, Interest::READ, trigger)?;
        let id = recorder::with(|recorder| {
            let epoll = inner.own_fd().map(|fd| fd.as_raw_fd());
            let id = recorder.selector_changed(inner.name(), trigger, epoll);
            recorder.added(id, nudge.as_raw_fd(), NUDGE, Interest::READ, trigger);
            recorder.describe(nudge.as_raw_fd(), "waker", "lab");
            id
        });
        Ok(Watched { inner, nudge, gate, triggers, id })
    }

    /// Removes the lab's own event. Returns whether it was there.
    fn clear_nudge(&self, events: &mut Events) -> bool {
        if !events.iter().any(|event| event.token() == NUDGE) {
            return false;
        }
        let _ = rustix::io::read(&*self.nudge, &mut [0; 8]); // it is empty afterwards in any case
        let others: Vec<_> = events.iter().filter(|event| event.token() != NUDGE).collect();
        events.clear();
        others.into_iter().for_each(|event| events.push(event));
        true
    }
}

impl Selector for Watched {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn caps(&self) -> Caps {
        let mut caps = self.inner.caps();
        caps.triggers = self.triggers;
        caps
    }

    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.inner.add(fd, token, interest, trigger)?;
        recorder::with(|recorder| recorder.added(self.id, fd, token, interest, trigger));
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.inner.set(fd, interest)?;
        recorder::with(|recorder| recorder.set(self.id, fd, interest));
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.inner.remove(fd)?;
        recorder::with(|recorder| recorder.removed(self.id, fd));
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        let capacity = events.capacity();
        recorder::with(|recorder| recorder.waiting(deadline, capacity));
        let began = Instant::now();
        let mut is_nudged = false;
        let waited = loop {
            let until = recorder::with(|recorder| recorder.flush_at(deadline));
            let waited = self.inner.wait_interruptible(events, until.unwrap_or(deadline));
            if waited.is_ok() && events.is_empty() && until.is_some() {
                recorder::with(|recorder| recorder.flush());
                continue;
            }
            if waited.is_err() || !self.clear_nudge(events) {
                break waited;
            }
            is_nudged = self.gate.wants_attention();
            if is_nudged || !events.is_empty() || deadline == Deadline::Now {
                break waited;
            }
        };
        let slept = began.elapsed();
        recorder::with(|recorder| {
            recorder.waited(slept, events, is_nudged, waited.as_ref().err());
        });
        self.gate.after_wait(|| recorder::with(|recorder| recorder.look_after_wait()));
        recorder::with(|recorder| recorder.dispatching());
        waited
    }

    fn own_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.own_fd()
    }

    fn counters(&self) -> SelectorCounters {
        self.inner.counters()
    }
}
