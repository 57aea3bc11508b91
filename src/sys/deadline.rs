//! Until when a wait may last.

use std::time::{Duration, Instant};

/// Until when a wait may last.
///
/// A deadline is a point in time, not a length, so that a wait which is interrupted and begun again
/// does not start counting from the beginning. *Now* and *never* need no clock at all: reading it
/// would cost a tenth of a wait.
///
/// The clock is [`Instant`], which is `CLOCK_MONOTONIC` on Linux: it does not jump when the wall
/// clock is set, and it stands still while the machine is suspended.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tripoll::sys::Deadline;
///
/// assert_eq!(Deadline::after(Duration::ZERO), Deadline::Now);
/// assert_eq!(Deadline::after(Duration::MAX), Deadline::Never); // beyond what the clock can say
/// assert!(matches!(Deadline::after(Duration::from_millis(5)), Deadline::At(_)));
/// assert_eq!(Deadline::from(None), Deadline::Never); // as the tutorials' select: no timeout
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Poll without blocking.
    Now,
    /// Wait until this instant at the latest.
    At(Instant),
    /// Wait without a limit.
    Never,
}

impl Deadline {
    /// Returns the deadline `timeout` from now. Zero is [`Deadline::Now`]; a time too far for the
    /// clock to express is [`Deadline::Never`].
    pub fn after(timeout: Duration) -> Self {
        if timeout.is_zero() {
            Deadline::Now
        } else {
            Instant::now().checked_add(timeout).map_or(Deadline::Never, Deadline::At)
        }
    }

    /// Returns the time that is left, or `None` for [`Deadline::Never`].
    pub fn remaining(self) -> Option<Duration> {
        match self {
            Deadline::Now => Some(Duration::ZERO),
            Deadline::At(instant) => Some(instant.saturating_duration_since(Instant::now())),
            Deadline::Never => None,
        }
    }

    /// Returns whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }
}

impl From<Option<Duration>> for Deadline {
    /// `None` waits for ever, as a missing timeout does in Python's `select.select`.
    fn from(timeout: Option<Duration>) -> Self {
        timeout.map_or(Deadline::Never, Deadline::after)
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Deadline::At(instant)
    }
}

/// What is left of a deadline as the kernel takes it: `None` (a null pointer) waits for ever.
pub(super) fn timespec(deadline: Deadline) -> Option<libc::timespec> {
    deadline.remaining().map(|left| libc::timespec {
        tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
        // Less than 10^9: fits whatever the platform's type is.
        tv_nsec: left.subsec_nanos() as _,
    })
}

/// A pointer for the call, null for *never*. It points into `time`, which must outlive the call.
pub(super) fn timespec_ptr(time: &Option<libc::timespec>) -> *const libc::timespec {
    time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref)
}
