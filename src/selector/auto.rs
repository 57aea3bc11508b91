//! `poll` or `epoll`, whichever costs less for the present load.
//!
//! # How it chooses
//!
//! A wait with `poll` pays for each descriptor that is watched; `epoll` pays for each that is ready, and
//! a system call for each change of interest. Which is cheaper depends on three counts that a
//! selector knows anyway: watched, ready and changed. The prices of each are measured once a process:
//! [`Prices`]. After some waits the selector works out what they have cost, and what the other call
//! would have cost. When the difference has added up to the price of a switch, it switches: all
//! descriptors move, and nothing is lost, for all are level-triggered.
//!
//! So it is never much worse than the better call, whatever the load does: it pays at most four times
//! what the best plan would have paid that knew the load before. For a steady load it pays one
//! switch. A count of descriptors alone, which some loops decide by, knows nothing of the ready ones.
//!
//! # When it helps
//!
//! * With few descriptors (up to about eight, where one is ready) `poll` is a little cheaper. With
//!   many descriptors of which most are ready, too. With many of which few are ready, `epoll` is many
//!   times cheaper.
//! * Reading and writing cost more than a wait: some two microseconds on TCP. For a loop that does both,
//!   a wrong choice among few descriptors costs a few percent. A wrong choice among many idle ones is
//!   what costs.
//! * A switch moves all descriptors at once: with 10,000 of them some milliseconds.
//!
//! # What was measured
//!
//! `tripoll compare --preset auto --quick` on 28 November 2026, on a virtual machine with two processors
//! and a load of 9. Costs are in terms of the better call; the aim is 1.05 under a steady load.
//!
//! * At 17 of 22 points it cost at most 1.05, typically 1.01. Four of the other five were between 1.10
//!   and 1.19; at 1,000 watched and 100 ready on pipes, where both calls cost about the same, it was
//!   1.28. Other work on the machine made single points vary by as much. So the aim is not shown to hold
//!   everywhere.
//! * Always `epoll` cost up to 1.35. `poll` below 64 watched, and else `epoll`, cost up to 1.93.
//! * With 1,000 watched, of which one and all were ready in turn for 250 ms each, it cost 1.05 times the
//!   better call of each phase on pipes, and 1.07 on TCP. Always `epoll` cost 1.14 and 1.03.

mod prices;
mod regret;

use std::io;
use std::os::fd::RawFd;

pub use prices::Prices;

use self::regret::Regret;
use super::caps::{Caps, Cost};
use super::epoll::EpollSelector;
use super::event::{Events, Interest, Readiness, Token, Trigger};
use super::poll::PollSelector;
use super::table::Table;
use super::{Selector, SelectorCounters};
use crate::sys::{self, Deadline};

/// The selector that uses `poll(2)` or `epoll(7)`, whichever costs less for the present load.
///
/// It begins with `poll`. It is level-triggered. It needs a descriptor of its own while it uses
/// `epoll`; where there is none to be had, it stays with `poll`.
///
/// ```
/// use tripoll::selector::{Backend, Selector};
/// use tripoll::Reactor;
///
/// let mut reactor = Reactor::builder().backend("auto".parse()?).build()?;
/// assert_eq!(reactor.context().backend(), "auto");
/// assert_eq!(Backend::Auto.selector()?.name(), "auto");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AutoSelector {
    call: Call,
    table: Table<Entry>,
    /// The number of descriptors with an interest.
    watched: usize,
    load: Load,
    regret: Regret,
    prices: Prices,
    /// What the calls before the present one have done.
    past: SelectorCounters,
}

/// The call that is used.
#[derive(Debug)]
enum Call {
    Poll(PollSelector),
    Epoll(EpollSelector),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    token: Token,
    interest: Interest,
}

/// What has happened since the last decision.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    /// Grows with what was done, up to the next decision.
    work: usize,
    waits: usize,
    /// The watched descriptors of all waits, added up. So are the ready ones.
    watched: usize,
    ready: usize,
    /// Changes of an interest.
    changed: usize,
    /// Descriptors that were added or removed, or whose interest was set from nothing or to nothing.
    added: usize,
    /// How many system calls the present call has made, and how often the thread has slept, when this
    /// load began.
    calls_before: u64,
    sleeps_before: u64,
}

/// The work between two decisions. A decision costs about as much as this work's hundredth part.
const WORK: usize = 1_024;

/// The work of a wait, whatever it watches.
const WAIT: usize = 8;

impl AutoSelector {
    /// Returns a selector that decides by the [prices of this machine](Prices::of_this_machine).
    pub fn new() -> Self {
        AutoSelector::with_prices(Prices::of_this_machine())
    }

    /// Returns a selector that decides by these prices.
    pub fn with_prices(prices: Prices) -> Self {
        AutoSelector {
            call: Call::Poll(PollSelector::new()),
            table: Table::new(),
            watched: 0,
            load: Load { sleeps_before: sys::voluntary_switches(), ..Load::default() },
            regret: Regret::default(),
            prices,
            past: SelectorCounters::default(),
        }
    }

    /// Returns the name of the call that is used at present: `"poll"` or `"epoll"`.
    pub fn call(&self) -> &'static str {
        self.call.selector().name()
    }

    /// Notes that the interest of a descriptor has changed. `before` is empty for one that was not added
    /// and `after` for one that was removed.
    fn note_change(&mut self, before: Interest, after: Interest) {
        match (before.is_empty(), after.is_empty()) {
            (true, true) => {}
            (false, false) => self.load.changed += 1,
            (true, false) => {
                self.load.added += 1;
                self.watched += 1;
            }
            (false, true) => {
                self.load.added += 1;
                self.watched -= 1;
            }
        }
    }

    /// Works out what the last waits have cost, and switches if the other call has been cheaper for
    /// long enough.
    #[cold]
    #[inline(never)]
    fn decide(&mut self) {
        let (calls, sleeps) = (self.call.selector().counters().waits, sys::voluntary_switches());
        let next = Load { calls_before: calls, sleeps_before: sleeps, ..Load::default() };
        let load = std::mem::replace(&mut self.load, next);
        let (poll, epoll) = load.costs(&self.prices, calls, sleeps);
        let (paid, other) = match self.call {
            Call::Poll(_) => (poll, epoll),
            Call::Epoll(_) => (epoll, poll),
        };
        if self.regret.add(paid, other, self.prices.switch(self.watched)) {
            self.regret.reset();
            match self.switch() {
                Ok(()) => log::debug!(
                    "auto: {} from now on, with {} descriptors watched",
                    self.call(),
                    self.watched
                ),
                Err(error) => log::debug!("auto: still {}: {error}", self.call()),
            }
        }
    }

    /// Moves all descriptors to the other call. If that fails for one of them, nothing has changed.
    fn switch(&mut self) -> io::Result<()> {
        let mut other = match self.call {
            Call::Poll(_) => Call::Epoll(EpollSelector::new()?),
            Call::Epoll(_) => Call::Poll(PollSelector::new()),
        };
        let selector = other.selector_mut();
        for (fd, &mut Entry { token, interest }) in self.table.iter_mut() {
            selector.add(fd, token, interest, Trigger::Level)?;
        }
        self.past = self.counters();
        self.past.switches += 1;
        self.call = other;
        self.load.calls_before = 0;
        Ok(())
    }
}

impl Call {
    fn selector(&self) -> &dyn Selector {
        match self {
            Call::Poll(selector) => selector,
            Call::Epoll(selector) => selector,
        }
    }

    fn selector_mut(&mut self) -> &mut dyn Selector {
        match self {
            Call::Poll(selector) => selector,
            Call::Epoll(selector) => selector,
        }
    }
}

impl Load {
    /// Returns what this load costs with `poll` and with `epoll`. `calls` and `sleeps` are the counts at
    /// its end.
    fn costs(&self, prices: &Prices, calls: u64, sleeps: u64) -> (f64, f64) {
        let [waits, watched, ready] = [self.waits, self.watched, self.ready].map(|n| n as f64);
        let [changed, added] = [self.changed, self.added].map(|n| n as f64);
        let average = if self.waits == 0 { 0.0 } else { watched / waits };
        // The thread may have slept elsewhere, and another thread may have made the last wait.
        let asleep = sleeps.saturating_sub(self.sleeps_before).min(self.waits as u64) as f64;
        let asked_twice = (calls - self.calls_before).saturating_sub(self.waits as u64) as f64;
        let poll = (waits + asked_twice) * prices.poll
            + (watched + asked_twice * average) * prices.poll_watched
            + ready * prices.poll_ready
            + asleep * average * prices.poll_asleep;
        let epoll = waits * prices.epoll
            + ready * prices.epoll_ready
            + changed * prices.epoll_change
            + added * prices.epoll_add;
        (poll, epoll)
    }
}

impl Default for AutoSelector {
    fn default() -> Self {
        AutoSelector::new()
    }
}

impl Selector for AutoSelector {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn caps(&self) -> Caps {
        Caps {
            wait_cost: Cost::PerReady,
            change_is_a_system_call: true,
            reports_hangup_alone: true,
            ..Caps::new(&[Trigger::Level], Readiness::all().difference(Readiness::INVALID))
        }
    }

    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.table.check_vacant(fd)?;
        self.caps().check(self.name(), fd, trigger)?;
        self.call.selector_mut().add(fd, token, interest, trigger)?;
        self.table.insert(fd, Entry { token, interest });
        self.note_change(Interest::NONE, interest);
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let entry = self.table.entry(fd)?;
        let before = entry.interest;
        let answer = self.call.selector_mut().set(fd, interest);
        // The contract of `set`: after a failure it stays added, without interest.
        let after = if answer.is_ok() { interest } else { Interest::NONE };
        entry.interest = after;
        self.note_change(before, after);
        answer
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        let Entry { interest, .. } = self.table.remove(fd)?;
        self.note_change(interest, Interest::NONE);
        self.call.selector_mut().remove(fd)
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        if self.load.work >= WORK {
            self.decide();
        }
        let looked_at = match &mut self.call {
            Call::Poll(selector) => {
                selector.wait_interruptible(events, deadline)?;
                self.watched
            }
            Call::Epoll(selector) => {
                selector.wait_interruptible(events, deadline)?;
                events.len()
            }
        };
        let load = &mut self.load;
        load.work += WAIT + looked_at;
        load.waits += 1;
        load.watched += self.watched;
        load.ready += events.len();
        Ok(())
    }

    fn counters(&self) -> SelectorCounters {
        let (past, now) = (self.past, self.call.selector().counters());
        SelectorCounters {
            waits: past.waits + now.waits,
            controls: past.controls + now.controls,
            repairs: past.repairs + now.repairs,
            switches: past.switches,
        }
    }
}
