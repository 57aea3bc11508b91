//! The clock of a reactor: the system's, or one that a test advances.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::sync::{Mutex, MutexGuard, lock};
use crate::sys::TimerFd;

/// A clock that stands still until it is advanced, for tests of code with timers and deadlines.
///
/// A reactor [with this clock](super::ReactorBuilder::clock) reads no other. Its timers, deadlines,
/// intervals and graces are over when the clock was advanced to them, and no test has to sleep. Clones
/// are handles to one clock, which several reactors may share.
///
/// ```
/// use std::time::Duration;
/// use tripoll::reactor::ManualClock;
/// use tripoll::{Context, Deadline, Reactor};
///
/// let clock = ManualClock::new();
/// let mut reactor = Reactor::builder().clock(clock.clone()).build_with(0)?;
/// let mut cx = reactor.context();
/// let in_an_hour = cx.now() + Duration::from_secs(3_600);
/// cx.set_timer(in_an_hour, |cx: &mut Context<i32>| *cx.state += 1);
///
/// reactor.turn(Deadline::Now)?;
/// assert_eq!(*reactor.state(), 0);
/// clock.advance(Duration::from_secs(3_600));
/// reactor.turn(Deadline::Now)?;
/// assert_eq!(*reactor.state(), 1);
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "mock")]
#[doc(alias = "virtual time")]
#[derive(Clone)]
pub struct ManualClock {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    now: Instant,
    /// The timer descriptors of sleeping reactors, and when they must expire.
    alarms: Vec<(Instant, Weak<TimerFd>)>,
}

impl ManualClock {
    /// Creates a clock that shows the current time of the system's monotonic clock.
    pub fn new() -> Self {
        let shared = Shared { now: Instant::now(), alarms: Vec::new() };
        ManualClock { shared: Arc::new(Mutex::new(shared)) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Returns what the clock shows.
    pub fn now(&self) -> Instant {
        self.shared().now
    }

    /// Advances the clock, from any thread. A reactor that sleeps wakes if one of its timers is due
    /// now. Its next turn runs all that are due, each once, in their order.
    ///
    /// # Panics
    ///
    /// Panics if the result is beyond what an [`Instant`] can express.
    pub fn advance(&self, by: Duration) {
        let mut shared = self.shared();
        let now = shared.now + by;
        shared.set(now);
    }

    /// As [`advance`](Self::advance), up to an instant: that of
    /// [`Reactor::next_deadline`](super::Reactor::next_deadline), for example. Does nothing if the clock
    /// shows a later one.
    pub fn advance_to(&self, at: Instant) {
        let mut shared = self.shared();
        let now = shared.now.max(at);
        shared.set(now);
    }

    /// Makes the timer descriptor expire when the clock shows `at`. Replaces an earlier setting.
    fn set_alarm(&self, at: Instant, timer_fd: &Arc<TimerFd>) -> io::Result<()> {
        // Under the lock: an advance in between would find no alarm.
        let mut shared = self.shared();
        shared.alarms.retain(|(_, other)| other.as_ptr() != Arc::as_ptr(timer_fd));
        if at <= shared.now {
            return timer_fd.set(Duration::ZERO);
        }
        shared.alarms.push((at, Arc::downgrade(timer_fd)));
        Ok(())
    }
}

impl Shared {
    fn set(&mut self, now: Instant) {
        self.now = now;
        self.alarms.retain(|(at, timer_fd)| {
            let Some(timer_fd) = timer_fd.upgrade() else { return false };
            // An alarm that the kernel refuses stays, for the next advance.
            *at > now || timer_fd.set(Duration::ZERO).is_err()
        });
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// The clock that a reactor reads, and what it has read in this turn.
#[derive(Debug)]
pub(super) struct Clock {
    /// `None` is the system's monotonic clock.
    manual: Option<ManualClock>,
    /// The last reading for [`now`](Self::now), and the number of its turn.
    reading: Cell<Option<(u64, Instant)>>,
}

impl Clock {
    pub(super) fn new(manual: Option<ManualClock>) -> Self {
        Clock { manual, reading: Cell::new(None) }
    }

    /// Reads the clock.
    pub(super) fn read(&self) -> Instant {
        match &self.manual {
            None => Instant::now(),
            Some(manual) => manual.now(),
        }
    }

    /// Returns the time of the turn with this number. The first call in a turn reads the clock.
    pub(super) fn now(&self, turn: u64) -> Instant {
        match self.reading.get() {
            Some((of, now)) if of == turn => now,
            _ => {
                let now = self.read();
                self.reading.set(Some((turn, now)));
                now
            }
        }
    }

    /// Lets the next call of [`now`](Self::now) read the clock, in the same turn, too.
    pub(super) fn forget(&self) {
        self.reading.set(None);
    }

    /// Makes the timer descriptor expire when this clock shows `at`.
    pub(super) fn set_alarm(&self, at: Instant, timer_fd: &Arc<TimerFd>) -> io::Result<()> {
        match &self.manual {
            None => timer_fd.set(at.saturating_duration_since(Instant::now())),
            Some(manual) => manual.set_alarm(at, timer_fd),
        }
    }
}
