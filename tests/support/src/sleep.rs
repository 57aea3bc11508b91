//! The system call in which a thread sleeps.

use std::fs;
use std::time::Instant;

use crate::LONG;

/// A system call that waits for descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCall {
    Select,
    Poll,
    /// With a timeout in milliseconds.
    Epoll,
    /// With a `timespec`.
    EpollPwait2,
}

/// The numbers of these calls. A C library of 32 bits with a time of 64 bits makes calls of its own.
const CALLS: &[(libc::c_long, WaitCall)] = &[
    (libc::SYS_pselect6, WaitCall::Select),
    (libc::SYS_ppoll, WaitCall::Poll),
    #[cfg(target_pointer_width = "32")]
    (413, WaitCall::Select), // pselect6_time64
    #[cfg(target_pointer_width = "32")]
    (414, WaitCall::Poll), // ppoll_time64
    // The machines that came later have `epoll_pwait` alone.
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "loongarch64",
        target_arch = "riscv32",
        target_arch = "riscv64"
    )))]
    (libc::SYS_epoll_wait, WaitCall::Epoll),
    (libc::SYS_epoll_pwait, WaitCall::Epoll),
    (libc::SYS_epoll_pwait2, WaitCall::EpollPwait2),
];

/// The system call in which a thread of this process sleeps, and its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SleepsIn {
    pub call: WaitCall,
    pub first_argument: u64,
}

/// Returns the call in which `thread` sleeps, if it is one that waits for descriptors.
pub fn sleeps_in(thread: rustix::thread::Pid) -> Option<SleepsIn> {
    let path = format!("/proc/self/task/{}/syscall", thread.as_raw_nonzero());
    // "running", or the number of the call, and then its arguments in hexadecimal.
    let line = fs::read_to_string(path).unwrap();
    let mut words = line.split_whitespace();
    let number: libc::c_long = words.next()?.parse().ok()?;
    let &(_, call) = CALLS.iter().find(|(known, _)| *known == number)?;
    let first_argument = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).unwrap();
    Some(SleepsIn { call, first_argument })
}

/// Waits until `thread` sleeps in such a call.
pub fn await_sleep(thread: rustix::thread::Pid) -> SleepsIn {
    let give_up = Instant::now() + LONG;
    loop {
        if let Some(sleeps) = sleeps_in(thread) {
            return sleeps;
        }
        assert!(Instant::now() < give_up, "thread {thread:?} does not wait for descriptors");
        std::thread::yield_now();
    }
}
