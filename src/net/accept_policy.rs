//! What the accept loop does after each attempt to accept: a state machine without input or output.
//!
//! `accept(2)` fails for reasons that concern different parties. [`Class`] tells them apart by the
//! error's number, and [`AcceptPolicy`] decides:
//!
//! | class | errors | what the loop does |
//! |---|---|---|
//! | nothing pending | EAGAIN | waits for the kernel's next report |
//! | pending, but not found | EAGAIN, and `poll(2)` reports a connection | tries again, then pauses |
//! | interrupted | EINTR | tries again |
//! | the client's | ECONNABORTED, EPROTO, EPERM of a firewall, errors of the network | continues with the next connection |
//! | no descriptors | EMFILE, ENFILE | pauses; after a second it sheds |
//! | no memory | ENOBUFS, ENOMEM, ENOSR | pauses |
//! | the listener's | EBADF, EFAULT, EINVAL, ENOTSOCK | ends |
//! | unknown | all others, EOPNOTSUPP too | pauses; after a second it ends |
//!
//! *Pauses*: the connection stays in the backlog, so a level-triggered listener would be ready again
//! at once, forever, and an edge-triggered one would not be reported again. Therefore the listener has
//! no interest for 10 ms, then 20 ms, 40 ms and so on up to a second. A success makes the next pause
//! 10 ms again.
//!
//! *Sheds*: closes a descriptor kept in reserve, and with it accepts and closes the pending
//! connections. A closed connection is an answer; silence is not.
//!
//! *EOPNOTSUPP* stands twice in the manual page: as an error of the network, which concerns one
//! client, and as one of a socket that cannot listen. One such error is survived, like any that the
//! page does not know. Errors that last for a second are the listener's.

use std::time::{Duration, Instant};

use super::accept_class::Class;

/// What the accept loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Tries to accept the next connection.
    Next,
    /// Waits until the kernel reports a connection.
    Wait,
    /// Does not accept for a while.
    Pause(Duration),
    /// Gives up the reserve, rejects the pending connections, opens the reserve again, and calls
    /// [`AcceptPolicy::shed`].
    Shed,
    /// Gives up.
    End,
}

/// Decides what the accept loop does. The caller reads the clock and makes the calls.
#[derive(Debug)]
pub(super) struct AcceptPolicy {
    /// Failures without a success in between, and when they began.
    failing: Option<(Failing, Instant)>,
    /// The length of the next pause.
    pause: Duration,
    /// The number of connections lost in a row.
    lost: u32,
    is_short: bool,
    /// Whether the last call found no connection, although one is pending.
    is_denied: bool,
    has_reserve: bool,
}

/// A kind of failures that may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Shortage,
    Unknown,
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a shortage lasts before pending connections are shed.
const SHED_AFTER: Duration = Duration::from_secs(1);
/// How long unknown errors last before the listener ends.
const END_AFTER: Duration = Duration::from_secs(1);
/// How many connections are lost in a row before the loop pauses: they may be lost forever.
const MOST_LOST: u32 = 32;

impl AcceptPolicy {
    pub(super) fn new(has_reserve: bool) -> Self {
        AcceptPolicy {
            failing: None,
            pause: FIRST_PAUSE,
            lost: 0,
            is_short: false,
            is_denied: false,
            has_reserve,
        }
    }

    /// Returns whether there is a shortage of descriptors or memory. It ends when no connection is
    /// pending any more. As long as one connection after the other takes the last descriptor, it is
    /// one shortage.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Returns whether the reserve should be opened again. It could not be after it was given up.
    /// While connections are pending, a free descriptor is theirs.
    pub(super) fn wants_reserve(&self) -> bool {
        !self.has_reserve && !self.is_short
    }

    /// Opening the reserve again was tried.
    pub(super) fn reserve_opened(&mut self, has_reserve: bool) {
        self.has_reserve = has_reserve;
    }

    /// A connection was accepted.
    pub(super) fn accepted(&mut self) {
        (self.failing, self.pause) = (None, FIRST_PAUSE);
        (self.lost, self.is_denied) = (0, false);
    }

    /// The call has failed with this number. An error without one is the program's own.
    pub(super) fn failed(&mut self, errno: Option<i32>, now: Instant) -> Decision {
        match Class::of(errno) {
            Class::Empty => {
                // Linux reserves the descriptor before it looks at the queue, so there was one.
                self.is_short = false;
                self.accepted();
                Decision::Wait
            }
            Class::Interrupted => self.lose(),
            Class::Client => {
                self.failing = None;
                self.lose()
            }
            class @ (Class::Descriptors | Class::Memory) => {
                self.is_short = true;
                let is_long = self.lasts(Failing::Shortage, now) >= SHED_AFTER;
                if is_long && class == Class::Descriptors && self.has_reserve {
                    Decision::Shed
                } else {
                    self.pause()
                }
            }
            Class::Unknown if self.lasts(Failing::Unknown, now) >= END_AFTER => Decision::End,
            Class::Unknown => self.pause(),
            Class::Listener => Decision::End,
        }
    }

    /// The call finds no connection, although one is pending.
    pub(super) fn denied(&mut self) -> Decision {
        if !std::mem::replace(&mut self.is_denied, true) {
            return Decision::Next; // it may have come between the two calls
        }
        self.pause()
    }

    /// Connections were shed, until a call failed with this number. `None`: until as many were
    /// rejected as the backlog has. `has_reserve`: whether the reserve could be opened again. Another
    /// thread may have taken its descriptor.
    pub(super) fn shed(&mut self, errno: Option<i32>, has_reserve: bool) -> Decision {
        self.has_reserve = has_reserve;
        match errno.map(|errno| Class::of(Some(errno))) {
            // The shortage lasts, but no connection waits for its end.
            Some(Class::Empty) => Decision::Wait,
            Some(Class::Listener) => Decision::End,
            _ => self.pause(),
        }
    }

    fn lose(&mut self) -> Decision {
        self.lost += 1;
        if self.lost < MOST_LOST {
            return Decision::Next;
        }
        self.lost = 0;
        Decision::Pause(FIRST_PAUSE)
    }

    fn pause(&mut self) -> Decision {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Decision::Pause(pause)
    }

    /// Returns how long these failures have lasted.
    fn lasts(&mut self, failing: Failing, now: Instant) -> Duration {
        let since = match self.failing {
            Some((known, since)) if known == failing => since,
            _ => now,
        };
        self.failing = Some((failing, since));
        now.saturating_duration_since(since)
    }
}

#[cfg(test)]
mod tests {
    use libc::*;

    use super::super::accept_class::tests::{all_errnos, meaning};
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// A policy with a history, and the pause that is next.
    fn histories(start: Instant) -> Vec<(&'static str, AcceptPolicy, u64)> {
        let with = |failures: &[i32], has_reserve| {
            let mut policy = AcceptPolicy::new(has_reserve);
            for &errno in failures {
                policy.failed(Some(errno), start);
            }
            policy
        };
        let mut all = Vec::new();
        for has_reserve in [true, false] {
            all.push(("new", with(&[], has_reserve), 10));
            all.push(("in a short shortage", with(&[EMFILE], has_reserve), 20));
            all.push(("in a long shortage", with(&[ENOMEM; 9], has_reserve), 1_000));
            all.push(("after an unknown error", with(&[EIO, ELOOP], has_reserve), 40));
            all.push(("after the last lost connection", with(&[EPROTO; 32], has_reserve), 10));
            all.push(("before the last lost connection", with(&[EPERM; 31], has_reserve), 10));
            all.push(("after a success", with(&[EMFILE, EMFILE, EAGAIN], has_reserve), 10));
        }
        all
    }

    /// Every number in every state, at once, before and after a second, and much later.
    #[test]
    fn each_errno_leads_to_its_decision_in_every_state_at_any_time() {
        let start = Instant::now();
        for later in [0, 1, 999, 1_000, 1_001, 3_600_000].map(MS) {
            for errno in all_errnos() {
                for (history, mut policy, pause) in histories(start) {
                    let (was_short, has_reserve) = (policy.is_short(), policy.has_reserve);
                    let is_long = later >= MS(1_000);
                    let class = meaning(errno);
                    let expected = match class {
                        Class::Empty => Decision::Wait,
                        Class::Listener => Decision::End,
                        Class::Client | Class::Interrupted if history.starts_with("before") => {
                            Decision::Pause(MS(10))
                        }
                        Class::Client | Class::Interrupted => Decision::Next,
                        Class::Descriptors if was_short && is_long && has_reserve => Decision::Shed,
                        Class::Unknown if history.contains("unknown") && is_long => Decision::End,
                        Class::Descriptors | Class::Memory | Class::Unknown => {
                            Decision::Pause(MS(pause))
                        }
                    };
                    let decision = policy.failed(Some(errno), start + later);
                    assert_eq!(decision, expected, "{errno} {history}, {later:?} later");
                    let is_shortage = matches!(class, Class::Descriptors | Class::Memory);
                    let is_short = class != Class::Empty && (was_short || is_shortage);
                    assert_eq!(policy.is_short(), is_short, "{errno} {history}");
                    assert_eq!(policy.wants_reserve(), !has_reserve && !is_short);
                }
            }
        }
    }

    #[test]
    fn pauses_grow_to_a_second_and_a_success_makes_them_short_again() {
        let start = Instant::now();
        for errno in [ENFILE, ENOBUFS, EOPNOTSUPP] {
            let mut policy = AcceptPolicy::new(false);
            for _ in 0..2 {
                for pause in [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000] {
                    let decision = policy.failed(Some(errno), start);
                    assert_eq!(decision, Decision::Pause(MS(pause)), "{errno}");
                }
                policy.accepted();
            }
            // An empty queue is a success, too.
            policy.failed(Some(errno), start);
            assert_eq!(policy.failed(Some(EAGAIN), start), Decision::Wait);
            assert_eq!(policy.failed(Some(errno), start), Decision::Pause(MS(10)));
            // And a lost connection is none.
            policy.failed(Some(ECONNABORTED), start);
            assert_eq!(policy.failed(Some(errno), start), Decision::Pause(MS(20)));
        }
    }

    #[test]
    fn a_connection_that_is_pending_but_not_found_is_tried_at_once_and_after_growing_pauses() {
        let mut policy = AcceptPolicy::new(true);
        for _ in 0..2 {
            assert_eq!(policy.denied(), Decision::Next);
            for pause in [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000] {
                assert_eq!(policy.denied(), Decision::Pause(MS(pause)));
            }
            assert!(!policy.is_short());
            policy.accepted();
        }
    }

    #[test]
    fn a_shortage_is_long_a_second_after_its_first_failure_since_a_success() {
        let start = Instant::now();
        let mut policy = AcceptPolicy::new(true);
        let fail = |policy: &mut AcceptPolicy, at| policy.failed(Some(EMFILE), start + MS(at));
        assert_ne!(fail(&mut policy, 0), Decision::Shed);
        policy.accepted();
        assert!(policy.is_short(), "one connection ends no shortage");
        for at in [5_000, 5_999] {
            assert!(matches!(fail(&mut policy, at), Decision::Pause(_)), "{at}");
        }
        // The lack of memory is the same shortage. The reserve does not help against it.
        let memory = policy.failed(Some(ENOMEM), start + MS(6_500));
        assert!(matches!(memory, Decision::Pause(_)));
        assert_eq!(fail(&mut policy, 6_500), Decision::Shed);
        // A clock that goes back is no shorter shortage, and no panic.
        assert!(matches!(fail(&mut policy, 0), Decision::Pause(_)));
    }

    #[test]
    fn what_ends_shedding_decides_what_is_next() {
        let start = Instant::now();
        for errno in all_errnos().map(Some).chain([None]) {
            let mut policy = AcceptPolicy::new(true);
            policy.failed(Some(EMFILE), start);
            assert_eq!(policy.failed(Some(EMFILE), start + MS(1_000)), Decision::Shed);
            let expected = match errno.map(meaning) {
                Some(Class::Empty) => Decision::Wait,
                Some(Class::Listener) => Decision::End,
                // Another thread has taken the descriptor, or the queue is still not empty.
                _ => Decision::Pause(MS(20)),
            };
            assert_eq!(policy.shed(errno, true), expected, "{errno:?}");
            assert!(policy.is_short(), "the shortage lasts");
            // The next connection is shed at once.
            assert_eq!(policy.failed(Some(EMFILE), start + MS(1_001)), Decision::Shed);
        }
    }

    #[test]
    fn a_lost_reserve_is_opened_again_when_no_connection_is_pending() {
        let start = Instant::now();
        let mut policy = AcceptPolicy::new(true);
        let fail = |policy: &mut AcceptPolicy, at| policy.failed(Some(EMFILE), start + MS(at));
        fail(&mut policy, 0);
        assert_eq!(fail(&mut policy, 1_000), Decision::Shed);
        policy.shed(Some(EMFILE), false);
        // Without a reserve there is no shedding, and the free descriptor is the next client's.
        for at in [2_000, 3_000] {
            assert!(matches!(fail(&mut policy, at), Decision::Pause(_)));
            assert!(!policy.wants_reserve());
        }
        policy.accepted();
        assert!(!policy.wants_reserve());
        policy.failed(Some(EAGAIN), start);
        assert!(policy.wants_reserve());
        policy.reserve_opened(false);
        assert!(policy.wants_reserve());
        policy.reserve_opened(true);
        assert!(!policy.wants_reserve());
        fail(&mut policy, 0);
        assert_eq!(fail(&mut policy, 1_000), Decision::Shed);
    }

    #[test]
    fn connections_lost_in_a_row_pause_the_loop_but_not_those_among_others() {
        let now = Instant::now();
        for errno in [ECONNABORTED, EINTR] {
            let mut policy = AcceptPolicy::new(true);
            for _ in 0..3 {
                let lost = (0..32).map(|_| policy.failed(Some(errno), now));
                let (nexts, pauses): (Vec<_>, Vec<_>) = lost.partition(|d| *d == Decision::Next);
                assert_eq!((nexts.len(), pauses), (31, vec![Decision::Pause(MS(10))]));
            }
            for is_success in [true, false, true, false] {
                for _ in 0..31 {
                    assert_eq!(policy.failed(Some(errno), now), Decision::Next);
                }
                if is_success {
                    policy.accepted();
                } else {
                    policy.failed(Some(EAGAIN), now);
                }
            }
        }
    }

    #[test]
    fn unknown_errors_end_the_listener_only_if_they_last() {
        let start = Instant::now();
        let fail = |policy: &mut AcceptPolicy, at| policy.failed(Some(EIO), start + MS(at));
        for success in [None, Some(EAGAIN), Some(ECONNABORTED), Some(EMFILE)] {
            let mut policy = AcceptPolicy::new(true);
            for at in [0, 2_000, 4_000] {
                assert!(matches!(fail(&mut policy, at), Decision::Pause(_)), "{success:?}");
                match success {
                    None => policy.accepted(),
                    errno => drop(policy.failed(errno, start + MS(at))),
                }
            }
            assert!(matches!(fail(&mut policy, 6_000), Decision::Pause(_)));
            // A signal says nothing.
            policy.failed(Some(EINTR), start + MS(6_500));
            assert!(matches!(fail(&mut policy, 6_999), Decision::Pause(_)));
            assert_eq!(fail(&mut policy, 7_000), Decision::End);
        }
    }
}
