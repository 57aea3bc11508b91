//! Processes: making one, waiting for one, and leaving.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;

use super::call_error::with_context;
use super::check;
use super::fd::duplicate;

/// The result of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForkResult {
    /// In the parent, with the process id of the child.
    Parent(libc::pid_t),
    Child,
}

/// Permits to fork in a process with several threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DespiteThreads(());

impl DespiteThreads {
    /// Promises that forking is sound in spite of other threads.
    ///
    /// # Safety
    ///
    /// The child has only the thread that forked. Whatever the other threads were doing stays
    /// unfinished: a lock that one of them held is never released, and what it protects may be half
    /// changed. So until the child exits, its code must use nothing that another thread may have
    /// been using at that moment, except by async-signal-safe functions (`signal-safety(7)`).
    /// Allocation is safe with glibc. The standard streams are safe, because this crate holds their
    /// locks while it forks.
    pub unsafe fn promise() -> Self {
        DespiteThreads(())
    }
}

/// Forks this process. The child has this thread only. With other threads it fails, unless it is
/// permitted.
///
/// The buffers of the standard streams are flushed before, so that their contents are not written
/// twice.
pub(crate) fn fork(promise: Option<DespiteThreads>) -> io::Result<ForkResult> {
    if promise.is_none() {
        check_alone()?;
    }
    let (mut out, err) = (io::stdout().lock(), io::stderr().lock());
    let _ = out.flush();
    // SAFETY: without other threads the child is a complete copy. With them, the caller of
    // `promise` guarantees that the child uses nothing of theirs. The thread that continues in the
    // child holds the locks of the standard streams.
    let answer = check(unsafe { libc::fork() });
    drop((out, err));
    let answer = answer.map_err(|error| {
        let context = "no child can be started (see RLIMIT_NPROC, /proc/sys/kernel/pid_max and the \
                       memory)";
        with_context(context, error)
    });
    Ok(match answer? {
        0 => ForkResult::Child,
        child => ForkResult::Parent(child),
    })
}

/// Returns an error if this process has several threads.
pub(crate) fn check_alone() -> io::Result<()> {
    // Each thread has a directory there, which is one link. To count links takes no descriptor.
    let count = fs::metadata("/proc/self/task")?.nlink().saturating_sub(2);
    if count == 1 {
        return Ok(());
    }
    let message = format!(
        "this process has {count} threads, but forking is safe only with one: what the others hold \
         locked would stay locked in the child. Serve before the first thread is started (signals \
         need none: a loop can watch for them), or see DespiteThreads"
    );
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Ends this process at once. Nothing is unwound or dropped, and no exit handler runs. Only the
/// buffer of the standard output is flushed.
pub(crate) fn exit_now(status: i32) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Returns whether a child has ended, and reaps it. A process that is not (or no longer) a child
/// counts as ended.
pub(crate) fn has_ended(child: libc::pid_t) -> bool {
    // SAFETY: the status is not asked for; a child is named, by its number.
    let wait = || check(unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) });
    super::retry(wait).map_or(true, |ended| ended == child)
}

/// Returns a descriptor that is readable when a child has ended (`pidfd_open(2)`).
pub(crate) fn watch_child(child: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers, returns a new descriptor, closed on exec, or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) };
    let fd = check(fd as libc::c_int)?;
    // SAFETY: the kernel has just created this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Kills a child: by its [descriptor](watch_child) exactly that one (`pidfd_send_signal(2)`).
/// Without, by its process id, so it must not have been reaped.
pub(crate) fn kill(child: libc::pid_t, watch: Option<BorrowedFd<'_>>) {
    let details = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: both take numbers; that there are no details is allowed.
    let _ = unsafe {
        match watch.map(|fd| fd.as_raw_fd()) {
            Some(fd) => libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGKILL, details, 0),
            None => libc::kill(child, libc::SIGKILL).into(),
        }
    };
}

/// Closes these descriptors in a child, and puts `instead` in their places, because the owners in
/// the copy still hold the numbers.
pub(crate) fn close_inherited(fds: &[RawFd], instead: BorrowedFd<'_>) -> io::Result<()> {
    for &fd in fds {
        duplicate(instead, fd)?;
    }
    Ok(())
}
