//! Blocked signals, and a wrapper for `signalfd(2)`.

use std::fs;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

use super::call_error::with_context;
use super::check;

/// Returns a set of these signals.
fn set_of(signals: impl IntoIterator<Item = i32>) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `set` has room for a set, which this call initializes. It cannot fail.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: `set` is initialized.
        check(unsafe { libc::sigaddset(set.as_mut_ptr(), signal) })
            .map_err(|error| with_context(format!("signal {signal}"), error))?;
    }
    // SAFETY: it is initialized.
    Ok(unsafe { set.assume_init() })
}

/// Changes the mask of this thread, and returns it as it was.
fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: `set` is a valid set that the call only reads, and `before` has room for a set.
    match unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) } {
        // SAFETY: the call has succeeded, and has written the old mask.
        0 => Ok(unsafe { before.assume_init() }),
        number => Err(with_context("pthread_sigmask", io::Error::from_raw_os_error(number))),
    }
}

/// The signals that a thread has blocked.
pub(crate) struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// Makes it the mask of this thread.
    pub(crate) fn restore(&self) -> io::Result<()> {
        change_mask(libc::SIG_SETMASK, &self.0).map(drop)
    }
}

/// Blocks these signals in this thread. Returns the mask as it was.
pub(crate) fn block_signals(signals: impl IntoIterator<Item = i32>) -> io::Result<SignalMask> {
    change_mask(libc::SIG_BLOCK, &set_of(signals)?).map(SignalMask)
}

/// Unblocks these signals in this thread.
pub(crate) fn unblock_signals(signals: impl IntoIterator<Item = i32>) -> io::Result<()> {
    change_mask(libc::SIG_UNBLOCK, &set_of(signals)?).map(drop)
}

/// Unblocks these signals in the program that `command` starts.
pub(crate) fn unblock_signals_in(
    command: &mut Command,
    signals: impl IntoIterator<Item = i32>,
) -> io::Result<()> {
    let set = set_of(signals)?;
    let unblock = move || {
        // SAFETY: `set` is a valid set that the call only reads; a null pointer asks for no old mask.
        match unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut()) } {
            0 => Ok(()),
            number => Err(io::Error::from_raw_os_error(number)),
        }
    };
    // SAFETY: between fork and exec, `unblock` makes one call, which is async-signal-safe, and
    // allocates nothing.
    unsafe { command.pre_exec(unblock) };
    Ok(())
}

/// Returns one of these signals that a thread of this process does not block, with the id and the name
/// of the thread. `None` also where `/proc` is not mounted.
pub(crate) fn thread_without(signals: &[i32]) -> Option<(i32, String)> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    for thread in threads.flatten() {
        let Ok(status) = fs::read_to_string(thread.path().join("status")) else {
            continue; // it has ended meanwhile
        };
        let field = |name| {
            status.lines().find_map(|line: &str| line.strip_prefix(name)).unwrap_or_default().trim()
        };
        if field("Threads:") == "0" {
            continue; // it ends just now: the kernel says that it blocks nothing, and it receives nothing
        }
        let Ok(mask) = u64::from_str_radix(field("SigBlk:"), 16) else { continue };
        // The kernel has at most 64 signals, and signal 1 is bit 0.
        let is_free = |signal: &&i32| {
            1_u64.checked_shl((**signal - 1) as u32).is_some_and(|bit| mask & bit == 0)
        };
        if let Some(&signal) = signals.iter().find(is_free) {
            let id = thread.file_name();
            return Some((signal, format!("{} ({})", id.display(), field("Name:"))));
        }
    }
    None
}

/// What is known of a signal: see `signalfd(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignalDetails {
    pub(crate) number: i32,
    /// `SI_USER` and the like.
    pub(crate) code: i32,
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

impl SignalDetails {
    /// Returns whether a process has sent it, or is its cause.
    pub(crate) fn has_sender(&self) -> bool {
        self.pid != 0
    }
}

/// A descriptor that is readable while one of its signals is pending.
#[derive(Debug)]
pub(crate) struct SignalFd(OwnedFd);

impl SignalFd {
    pub(crate) fn new(signals: &[i32]) -> io::Result<Self> {
        let set = set_of(signals.iter().copied())?;
        // SAFETY: `set` is a valid set that the call only reads; returns a new descriptor or -1.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
            .map_err(|error| with_context("signalfd", error))?;
        // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes a pending signal.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is pending.
    pub(crate) fn read(&self) -> io::Result<SignalDetails> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        // SAFETY: `info` has room for `SIZE` bytes. The kernel writes whole structures only.
        let size = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), SIZE) };
        if size == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all fields are numbers, for which any bits are valid, and were zero at first.
        let info = unsafe { info.assume_init() };
        Ok(SignalDetails {
            number: info.ssi_signo as i32,
            code: info.ssi_code,
            pid: info.ssi_pid,
            uid: info.ssi_uid,
        })
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
