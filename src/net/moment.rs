//! An instant that takes little memory.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// An instant in eight bytes, `None` included. A connection keeps one, and there may be very many
/// connections. It is exact for 146 years to both sides of the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(NonZeroU64);

/// From where moments are counted, in nanoseconds.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The moment of the origin. An instant of a clock that is moved may be before it.
const AT_ORIGIN: u64 = 1 << 62;

thread_local! {
    /// The last one that was computed. All of one turn are equal.
    static LAST: Cell<(Option<Instant>, Moment)> =
        const { Cell::new((None, Moment(NonZeroU64::MIN))) };
}

impl Moment {
    #[inline]
    pub(super) fn of(instant: Instant) -> Self {
        let (last, moment) = LAST.get();
        if last == Some(instant) { moment } else { Moment::compute(instant) }
    }

    #[inline(never)]
    fn compute(instant: Instant) -> Self {
        let nanos = |distance: Duration| u64::try_from(distance.as_nanos()).unwrap_or(AT_ORIGIN);
        let moment = match instant.checked_duration_since(*ORIGIN) {
            Some(after) => AT_ORIGIN.saturating_add(nanos(after)),
            None => AT_ORIGIN.saturating_sub(nanos(ORIGIN.duration_since(instant))),
        };
        let moment = Moment(NonZeroU64::new(moment).unwrap_or(NonZeroU64::MIN));
        LAST.set((Some(instant), moment));
        moment
    }

    pub(super) fn instant(self) -> Instant {
        let moment = self.0.get();
        let distance = Duration::from_nanos(moment.abs_diff(AT_ORIGIN));
        let instant = match moment {
            AT_ORIGIN.. => ORIGIN.checked_add(distance),
            ..AT_ORIGIN => ORIGIN.checked_sub(distance),
        };
        instant.unwrap_or(*ORIGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_instant_before_and_after_the_origin() {
        let now = Instant::now();
        for distance in [0, 1, 999_999_999, 1_000_000_000, 3_600_000_000_000] {
            let distance = Duration::from_nanos(distance);
            for instant in [now + distance, now - distance] {
                assert_eq!(Moment::of(instant).instant(), instant);
            }
        }
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
