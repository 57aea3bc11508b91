//! The system call in which a thread sleeps.

use std::fs;
use std::time::Instant;

use crate::LONG;

/// The system call in which a thread of this process sleeps, and its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SleepsIn {
    pub call: libc::c_long,
    pub first_argument: u64,
}

/// Returns the call in which `thread` sleeps, if it is one that waits for descriptors.
pub fn sleeps_in(thread: rustix::thread::Pid) -> Option<SleepsIn> {
    const CALLS: &[libc::c_long] = &[
        libc::SYS_pselect6,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
    ];
    let path = format!("/proc/self/task/{}/syscall", thread.as_raw_nonzero());
    // "running", or the number of the call, and then its arguments in hexadecimal.
    let line = fs::read_to_string(path).unwrap();
    let mut words = line.split_whitespace();
    let call = words.next()?.parse().ok().filter(|call| CALLS.contains(call))?;
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
