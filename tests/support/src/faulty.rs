//! A selector with the faults that a kernel may have.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard};

use tripoll::selector::{
    Backend, Caps, Deadline, Event, Events, Interest, Readiness, Selector, SelectorCounters, Token,
    Trigger,
};

use crate::noise::{Kind, Noise};

/// The faults of a selector, planned and made. The test keeps a copy.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
pub struct Plan {
    /// How many additions succeed before one fails, as when the user's limit of watches is reached.
    pub refuse_add_after: Option<usize>,
    /// The numbers of the errors with which the next changes of interest fail.
    pub set_errors: VecDeque<i32>,
    /// The numbers of the errors with which the next waits fail.
    pub wait_errors: VecDeque<i32>,
    /// Whether the next wait fails.
    pub fail_wait: bool,
    /// The faults that are made at random.
    pub noise: Noise,
    /// Events that the next wait reports too.
    pub extra: Vec<Event>,
    /// The deadlines of the waits so far.
    pub deadlines: Vec<Deadline>,
}

impl Faults {
    /// Returns faults that are made at random: the same ones for the same seed and calls.
    pub fn noisy(noise: Noise) -> Self {
        let faults = Faults::default();
        faults.plan().noise = noise;
        faults
    }

    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap()
    }

    /// Returns a selector of `backend` with these faults.
    pub fn of(&self, backend: Backend) -> Faulty {
        Faulty {
            inner: backend.selector().unwrap(),
            faults: self.clone(),
            tokens: Vec::new(),
            removed: VecDeque::new(),
            late: VecDeque::new(),
        }
    }
}

thread_local! {
    static NOISELESS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` without noise. Events that are late come with the first wait.
pub fn without_noise<R>(body: impl FnOnce() -> R) -> R {
    let before = NOISELESS.replace(true);
    let returned = body();
    NOISELESS.set(before);
    returned
}

#[derive(Debug)]
pub struct Faulty {
    inner: Box<dyn Selector>,
    faults: Faults,
    tokens: Vec<(RawFd, Token)>,
    /// The tokens that were removed last.
    removed: VecDeque<Token>,
    late: VecDeque<Event>,
}

/// How many of the removed tokens may still be reported.
const REMEMBERED: usize = 16;

impl Faulty {
    /// Makes a fault of this kind, or not, as the dice fall.
    fn makes(&self, kind: Kind) -> bool {
        !NOISELESS.get() && self.faults.plan().noise.makes(kind)
    }

    fn below(&self, limit: usize) -> usize {
        self.faults.plan().noise.below(limit)
    }

    /// Refuses a call as the kernel does when it has no memory or no watches left.
    fn refusal(&self, kind: Kind) -> io::Result<()> {
        if !self.makes(kind) {
            return Ok(());
        }
        let errno = [libc::ENOMEM, libc::ENOSPC][self.below(2)];
        Err(io::Error::from_raw_os_error(errno))
    }

    fn wait_noisily(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        if self.makes(Kind::Interrupted) {
            return Err(ErrorKind::Interrupted.into());
        }
        self.refusal(Kind::FailedWait)?;
        let unasked = self.unasked_events();
        // The wait must not block while there is something to report.
        let is_empty = self.late.is_empty() && unasked.is_empty();
        let deadline = if is_empty { deadline } else { Deadline::Now };
        self.inner.wait_interruptible(events, deadline)?;
        for event in &*events {
            // One event a source and wait: what is late is merged.
            match self.late.iter_mut().find(|late| late.token() == event.token()) {
                Some(late) => *late = merged(*late, event.readiness()),
                None => self.late.push_back(event),
            }
        }
        events.clear();
        if self.late.len() > 1 && self.makes(Kind::Reordered) {
            let turn = self.below(self.late.len());
            self.late.rotate_left(turn);
            let (one, other) = (self.below(self.late.len()), self.below(self.late.len()));
            self.late.swap(one, other);
        }
        let batch = match self.late.len() {
            2.. if self.makes(Kind::Short) => 1,
            1.. if self.makes(Kind::Late) => self.below(self.late.len()),
            all => all,
        };
        for event in self.late.drain(..batch) {
            events.push(event);
        }
        for event in unasked {
            events.push(event);
        }
        if !events.is_empty() && self.makes(Kind::Repeated) {
            let again = events.iter().nth(self.below(events.len())).unwrap();
            events.push(again);
            self.late.push_back(again);
        }
        Ok(())
    }

    /// Returns events that the kernel did not report: of sources that are not ready, and of sources
    /// that were removed.
    fn unasked_events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.tokens.is_empty() && self.makes(Kind::Spurious) {
            let (_, token) = self.tokens[self.below(self.tokens.len())];
            events.push(Event::new(token, Readiness::READ | Readiness::WRITE));
        }
        if !self.removed.is_empty() && self.makes(Kind::Stale) {
            let token = self.removed[self.below(self.removed.len())];
            let readiness = Readiness::READ | Readiness::WRITE | Readiness::HANGUP;
            events.push(Event::new(token, readiness));
        }
        events
    }
}

fn merged(event: Event, readiness: Readiness) -> Event {
    Event::new(event.token(), event.readiness() | readiness)
}

impl Selector for Faulty {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        if let Some(left) = &mut self.faults.plan().refuse_add_after {
            if *left == 0 {
                return Err(io::Error::new(ErrorKind::StorageFull, "no watches left"));
            }
            *left -= 1;
        }
        self.refusal(Kind::RefusedAdd)?;
        self.inner.add(fd, token, interest, trigger)?;
        self.tokens.push((fd, token));
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        // Only a change to some interest needs memory of the kernel.
        let planned = match interest.is_empty() {
            true => None,
            false => self.faults.plan().set_errors.pop_front(),
        };
        let refusal = match planned {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None if interest.is_empty() => Ok(()),
            None => self.refusal(Kind::RefusedSet),
        };
        if refusal.is_err() {
            // The trait's contract: the descriptor stays added, and is watched for nothing.
            self.inner.set(fd, Interest::NONE)?;
            return refusal;
        }
        self.inner.set(fd, interest)
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.inner.remove(fd)?;
        if let Some(at) = self.tokens.iter().position(|(number, _)| *number == fd) {
            self.removed.push_back(self.tokens.remove(at).1);
            if self.removed.len() > REMEMBERED {
                self.removed.pop_front();
            }
        }
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        let failing = self.faults.plan().wait_errors.pop_front();
        if let Some(errno) = failing {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let (fails, is_noisy, extra) = {
            let mut plan = self.faults.plan();
            plan.deadlines.push(deadline);
            let extra = std::mem::take(&mut plan.extra);
            (std::mem::take(&mut plan.fail_wait), plan.noise.is_any(), extra)
        };
        if fails {
            return Err(io::Error::other("the wait has failed"));
        }
        if is_noisy {
            self.wait_noisily(events, deadline)?;
        } else {
            let deadline = if extra.is_empty() { deadline } else { Deadline::Now };
            self.inner.wait_interruptible(events, deadline)?;
        }
        for event in extra {
            events.push(event);
        }
        Ok(())
    }

    fn counters(&self) -> SelectorCounters {
        self.inner.counters()
    }
}
