//! What follows when a wait fails: a pause, or the end of the loop.

use std::io;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use crate::sys;

/// How long an error of the kernel may last that is not a shortage.
const PATIENCE: Duration = Duration::from_secs(1);

/// The waits that have failed one after another.
#[derive(Debug)]
pub(super) struct FailedWaits {
    backoff: Backoff,
    /// When the first of them failed.
    since: Option<Instant>,
}

impl FailedWaits {
    pub(super) fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
        FailedWaits { backoff, since: None }
    }

    #[inline]
    pub(super) fn are_failing(&self) -> bool {
        self.since.is_some()
    }

    /// Notes that a wait of the selector `name` failed at `now`, and logs the first of a series.
    /// Returns the pause before the next wait.
    ///
    /// # Errors
    ///
    /// Returns the error, with the name of the selector, if the loop must end. A shortage may last.
    /// Another error of the kernel may last for a second. One that has no number is the verdict of a
    /// selector of the user, and final.
    pub(super) fn fail(
        &mut self,
        name: &str,
        error: io::Error,
        now: Instant,
    ) -> io::Result<Duration> {
        let is_first = self.since.is_none();
        let since = *self.since.get_or_insert(now);
        let may_pass = sys::is_shortage(&error)
            || sys::errno(&error).is_some() && now.saturating_duration_since(since) < PATIENCE;
        let context = format!("the wait of {name} failed");
        if !may_pass {
            self.succeed();
            return Err(sys::with_context(context, error));
        }
        if is_first {
            log::error!("{context} and is tried again: {error}");
        }
        Ok(self.backoff.fail())
    }

    /// Notes that a wait did not fail.
    pub(super) fn succeed(&mut self) {
        self.backoff.succeed();
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn a_shortage_may_last_and_its_pauses_grow() {
        let (mut waits, start) = (FailedWaits::new(), Instant::now());
        for second in 0..100_u64 {
            let now = start + Duration::from_secs(second);
            let pause = waits.fail("poll", kernel(libc::ENOMEM), now).unwrap();
            assert_eq!(pause, Duration::from_millis((10 << second.min(4)).min(100)));
            assert!(waits.are_failing());
        }
        waits.succeed();
        assert!(!waits.are_failing());
        assert_eq!(
            waits.fail("poll", kernel(libc::EAGAIN), start).unwrap(),
            Duration::from_millis(10)
        );
    }

    #[test]
    fn another_error_of_the_kernel_may_last_for_a_second() {
        let (mut waits, start) = (FailedWaits::new(), Instant::now());
        let fail = |waits: &mut FailedWaits, millis| {
            waits.fail("epoll", kernel(libc::EBADF), start + Duration::from_millis(millis))
        };
        assert!(fail(&mut waits, 0).is_ok());
        assert!(fail(&mut waits, 999).is_ok());
        let error = fail(&mut waits, 1_000).unwrap_err();
        assert_eq!(sys::errno(&error), Some(libc::EBADF));
        assert!(error.to_string().starts_with("the wait of epoll failed: "), "{error}");
        // The loop may go on, and is as patient as before.
        assert!(fail(&mut waits, 2_000).is_ok());
        waits.succeed();
        assert!(fail(&mut waits, 5_000).is_ok());
    }

    #[test]
    fn what_a_selector_of_the_user_says_is_final() {
        let mut waits = FailedWaits::new();
        let error = waits.fail("mine", io::Error::other("broken"), Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "the wait of mine failed: broken");
    }
}
