//! The scheduling of the helper's thread.

/// Asks the kernel not to interrupt another thread when this one wakes (`sched(7)`, `SCHED_BATCH`).
/// Otherwise the byte could be there before the measured thread waits.
pub(crate) fn yield_to_others() {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameter` is valid for the call. Without the policy the thread works as well.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameter) };
}
