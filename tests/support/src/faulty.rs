//! A selector with the faults that a kernel may have.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard};

use tripoll::selector::{
    Backend, Caps, Deadline, Event, Events, Interest, Readiness, Selector, SelectorCounters, Token,
    Trigger,
};

use crate::Dice;

/// The faults of a selector, planned and made. The test keeps a copy.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
pub struct Plan {
    /// How many additions succeed before one fails, as when the user's limit of watches is reached.
    pub refuse_add_after: Option<usize>,
    /// Whether the next change of interest fails.
    pub refuse_set: bool,
    /// Whether the next wait fails.
    pub fail_wait: bool,
    /// Whether waits are interrupted and events are late, in small batches, or spurious.
    pub noise: bool,
    /// Events that the next wait reports too.
    pub extra: Vec<Event>,
    /// The deadlines of the waits so far.
    pub deadlines: Vec<Deadline>,
    /// The number of interruptions, of waits with late events, and of spurious events.
    pub made: [usize; 3],
}

impl Faults {
    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap()
    }

    /// Returns a selector of `backend` with these faults.
    pub fn of(&self, backend: Backend) -> Faulty {
        let inner = backend.selector().unwrap();
        let (faults, late) = (self.clone(), VecDeque::new());
        Faulty { inner, faults, tokens: Vec::new(), late, dice: Dice(11) }
    }
}

#[derive(Debug)]
pub struct Faulty {
    inner: Box<dyn Selector>,
    faults: Faults,
    tokens: Vec<(RawFd, Token)>,
    late: VecDeque<Event>,
    dice: Dice,
}

impl Faulty {
    /// Reports some of the events, the rest later, and now and then one that is spurious.
    fn wait_noisily(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        let made = |kind: usize| self.faults.plan().made[kind] += 1;
        if self.dice.below(4) == 0 {
            made(0);
            return Err(ErrorKind::Interrupted.into());
        }
        // While an event is late the wait must not block.
        let deadline = if self.late.is_empty() { deadline } else { Deadline::Now };
        self.inner.wait_interruptible(events, deadline)?;
        for event in &*events {
            // One event a source and wait: what is late is merged.
            match self.late.iter_mut().find(|late| late.token() == event.token()) {
                Some(late) => {
                    *late = Event::new(late.token(), late.readiness() | event.readiness())
                }
                None => self.late.push_back(event),
            }
        }
        events.clear();
        let batch = 1 + self.dice.below(3);
        for event in self.late.drain(..batch.min(self.late.len())) {
            events.push(event);
        }
        if !self.late.is_empty() {
            made(1);
        }
        if self.dice.below(4) == 0 {
            let (_, token) = self.tokens[self.dice.below(self.tokens.len())];
            if events.iter().all(|event| event.token() != token) {
                made(2);
                events.push(Event::new(token, Readiness::READ | Readiness::WRITE));
            }
        }
        Ok(())
    }
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
        self.inner.add(fd, token, interest, trigger)?;
        self.tokens.push((fd, token));
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        if std::mem::take(&mut self.faults.plan().refuse_set) {
            // The trait's contract: the descriptor stays added, and is watched for nothing.
            self.inner.set(fd, Interest::NONE)?;
            return Err(io::Error::new(ErrorKind::StorageFull, "no watches left"));
        }
        self.inner.set(fd, interest)
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.inner.remove(fd)?;
        self.tokens.retain(|(number, _)| *number != fd);
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        let (fails, noise, extra) = {
            let mut plan = self.faults.plan();
            plan.deadlines.push(deadline);
            (std::mem::take(&mut plan.fail_wait), plan.noise, std::mem::take(&mut plan.extra))
        };
        if fails {
            return Err(io::Error::other("the wait has failed"));
        }
        if noise {
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
