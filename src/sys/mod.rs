//! One safe, thin function for each system call of the crate.
//!
//! This is the lowest layer, and the only module with `unsafe` in it. It keeps no state: what is
//! watched is an argument of each call ([`select()`], [`poll()`]) or kept by the kernel
//! ([`Epoll`]). Tables and tokens begin one layer above, in [`selector`](crate::selector).
//!
//! Three rules hold for every wait:
//!
//! * **Time.** A wait has a [`Deadline`]: *now*, *at an instant*, or *never*. What is left of it is
//!   computed again for each call, as a `timespec`. Where only milliseconds are possible, they are
//!   rounded *up*: to round down turns a short wait into a busy loop.
//! * **Signals.** A signal does not end a wait. The public calls continue for the time that is
//!   left, as Python does since PEP 475.
//! * **Descriptors** are plain numbers: a closed number is a lesson worth having, and no memory
//!   fault. The reactor owns its descriptors.
//!
//! ```
//! use std::{io::Write, os::fd::AsRawFd, time::Duration};
//!
//! let (mine, mut theirs) = std::os::unix::net::UnixStream::pair()?;
//! let inputs = [mine.as_raw_fd()];
//! theirs.write_all(b"hello")?;
//!
//! let (r_list, w_list, e_list) =
//!     tripoll::sys::select(&inputs, &[], &inputs, Some(Duration::from_secs(1)))?;
//! assert_eq!(r_list, inputs);
//! assert!(w_list.is_empty() && e_list.is_empty());
//! # std::io::Result::Ok(())
//! ```

#![allow(unsafe_code)]

mod call_error;
mod deadline;
mod epoll;
mod event_fd;
#[cfg(loom)]
mod event_fd_model;
mod fd;
mod fd_set;
#[cfg(not(loom))]
mod forks;
#[cfg(loom)]
mod forks_model;
mod inherited;
mod limits;
mod messages;
mod poll;
mod process;
mod read_now;
mod select;
mod send_file;
#[cfg(not(loom))]
mod signal_fd;
mod signal_io;
mod timer_fd;
mod usage;
mod write_now;

pub use call_error::errno;
pub(crate) use call_error::{is_shortage, with_context, with_context_and_hint, with_context_as};
pub use deadline::Deadline;
pub use epoll::{Epoll, EpollEvent, EpollFlags};
#[cfg(not(loom))]
pub(crate) use event_fd::EventFd;
#[cfg(loom)]
pub(crate) use event_fd_model::EventFd;
#[cfg(loom)]
#[doc(hidden)]
pub use event_fd_model::{is_event_fd_readable, wait_for_event_fd};
#[cfg(feature = "mio")]
pub(crate) use fd::of_mio;
pub(crate) use fd::{
    FileId, accept, can_always_wait, check_number, check_open, disconnect, is_bad_descriptor,
    is_blocking, is_stream, is_tcp, receive_from, send_queue, set_nonblocking, shared_file,
    try_lock, with_fd_and_call,
};
#[cfg(not(loom))]
pub(crate) use forks::{count_forks, forks};
#[cfg(loom)]
#[doc(hidden)]
pub use forks_model::become_child;
#[cfg(loom)]
pub(crate) use forks_model::{count_forks, forks};
pub(crate) use inherited::take_inherited;
pub use limits::{DescriptorLimit, descriptor_limit, raise_descriptor_limit};
pub(crate) use messages::{MOST_MESSAGES, Message, receive_many, send_many};
pub(crate) use poll::ppoll;
pub use poll::{PollFd, PollFlags, poll};
pub use process::DespiteThreads;
pub(crate) use process::{
    ForkResult, check_alone, close_inherited, exit_now, fork, has_ended, kill, watch_child,
};
pub(crate) use read_now::read_now;
pub use select::select;
pub(crate) use select::{FdSets, pselect};
pub(crate) use send_file::send_file;
#[cfg(not(loom))]
pub(crate) use signal_fd::{
    SignalDetails, SignalFd, block_signals, thread_without, unblock_signals, unblock_signals_in,
};
pub use signal_io::signal_when_ready;
pub(crate) use timer_fd::TimerFd;
pub(crate) use usage::{thread_time, voluntary_switches};
pub use write_now::write_now;

use std::io;

/// Turns the kernel's `-1` into the error that `errno` names.
#[inline]
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Repeats a call that a signal interrupted. The time that is left needs no care: the call works
/// it out from its deadline, each time anew.
#[inline]
pub(crate) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match call() {
        Ok(answer) => Ok(answer),
        Err(error) => retry_after(error, call),
    }
}

#[cold]
fn retry_after<T>(mut error: io::Error, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    while error.kind() == io::ErrorKind::Interrupted {
        match call() {
            Ok(answer) => return Ok(answer),
            Err(next) => error = next,
        }
    }
    Err(error)
}
