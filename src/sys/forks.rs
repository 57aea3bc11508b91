//! How often this process, or an ancestor of it, has forked: whether a forked child is running.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The forks between the first process that counted and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    // Not in every `libc` that this crate can be built with.
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> libc::c_int;
}

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Returns a number that is another one in a forked child than in its parent.
///
/// What a process has in the kernel's name and shares with its child, such as an epoll instance, must
/// not be used by both. The number tells them apart without a system call. A child made by a bare
/// `clone(2)` is not noticed: only `fork(3)` and its like call `pthread_atfork` handlers.
#[inline]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Begins to count.
pub(crate) fn count_forks() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // SAFETY: the handler only adds to an atomic number, which is safe in a child that was forked
        // from several threads. If there is no memory to register it, forks are not noticed.
        let _: libc::c_int = unsafe { pthread_atfork(None, None, Some(count_fork)) };
    });
}
