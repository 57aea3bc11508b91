//! Processes: making one, waiting for one, and leaving.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;

use super::check;

/// On which side of a fork one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// With the child's number.
    Parent(libc::pid_t),
    Child,
}

/// The promise of whoever forks in a process with several threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DespiteThreads(());

impl DespiteThreads {
    /// Promises that forking is sound in spite of other threads.
    ///
    /// # Safety
    ///
    /// In the child the forking thread is alone, and whatever the other threads were in the middle
    /// of stays so for ever: a lock that one of them held is never released, and what it protects
    /// may be half changed. So until the child exits, whoever runs in it uses nothing that another
    /// thread may have been using at that moment, except by functions that are async-signal-safe
    /// (`signal-safety(7)`). Allocation and the standard streams are safe with glibc and this
    /// crate: the one is protected by the C library, the others by this crate, which holds their
    /// locks while it forks.
    pub unsafe fn promise() -> Self {
        DespiteThreads(())
    }
}

/// Makes a copy of this process: of this thread of it alone. With other threads it is refused, if
/// nobody has promised anything.
///
/// What is in the buffers of the standard streams is written before, so that it is not written
/// twice.
pub(crate) fn fork(promise: Option<DespiteThreads>) -> io::Result<Side> {
    if promise.is_none() {
        check_alone()?;
    }
    let (mut out, err) = (io::stdout().lock(), io::stderr().lock());
    let _ = out.flush();
    // SAFETY: without other threads the child is a copy in which all is as it was. With them,
    // somebody has promised that the child uses nothing of theirs; the locks of the standard streams
    // are held by the thread that goes on in the child.
    let answer = check(unsafe { libc::fork() });
    drop((out, err));
    Ok(match answer? {
        0 => Side::Child,
        child => Side::Parent(child),
    })
}

/// Refuses when this process has several threads.
pub(crate) fn check_alone() -> io::Result<()> {
    // A directory for each, and a link from each: to count these takes no descriptor, of which there
    // may be no more.
    let count = fs::metadata("/proc/self/task")?.nlink().saturating_sub(2);
    if count == 1 {
        return Ok(());
    }
    let message = format!(
        "this process has {count} threads, and forking is safe in a process with one alone: what \
         the others hold locked would stay so in the child for ever. Serve before the first thread \
         is made (signals need none: a loop can watch for them), or see DespiteThreads"
    );
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Ends this process here and now: nothing is unwound, nothing dropped, no exit handler runs; of the
/// buffers only the standard output's is written.
pub(crate) fn exit_now(status: i32) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Whether a child has ended, which then is reaped. A process that is no child of ours (any more) has
/// ended.
pub(crate) fn has_ended(child: libc::pid_t) -> bool {
    // SAFETY: the status is not asked for; a child is named, by its number.
    let wait = || check(unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) });
    super::retry(wait).map_or(true, |ended| ended == child)
}

/// A descriptor that is readable when a child has ended (`pidfd_open(2)`).
pub(crate) fn watch_child(child: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers, returns a new descriptor, closed on exec, or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) };
    let fd = check(fd as libc::c_int)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Kills a child: with its [descriptor](watch_child), that one and no other (`pidfd_send_signal(2)`).
/// Without, whoever has its number, so that nobody may have reaped it.
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

/// Lets go of what these descriptors stand for, and leaves `instead` in their places: in a child,
/// whose copies of their owners still hold the numbers.
pub(crate) fn close_inherited(fds: &[RawFd], instead: BorrowedFd<'_>) -> io::Result<()> {
    for &fd in fds {
        // SAFETY: takes numbers. The descriptor stays open, as its owner believes it to be.
        check(unsafe { libc::dup3(instead.as_raw_fd(), fd, libc::O_CLOEXEC) })?;
    }
    Ok(())
}
