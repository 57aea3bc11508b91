//! `epoll(7)`: the list of descriptors is kept by the kernel, and only what is ready comes back.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::call_error::with_context;
use super::deadline::Deadline;
use super::{check, retry};

bitflags::bitflags! {
    /// What epoll is asked and what it answers, `epoll_ctl(2)`'s own bits.
    ///
    /// `ERR` and `HUP` are answered whether asked or not.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct EpollFlags: u32 {
        /// Data, or a connection to accept.
        const IN = libc::EPOLLIN as u32;
        /// Urgent data.
        const PRI = libc::EPOLLPRI as u32;
        /// Some bytes can be written.
        const OUT = libc::EPOLLOUT as u32;
        /// The peer will send no more.
        const RDHUP = libc::EPOLLRDHUP as u32;
        /// An error is pending, or the reading end of this pipe is gone.
        const ERR = libc::EPOLLERR as u32;
        /// Both directions are finished, or the writing end of this pipe is gone.
        const HUP = libc::EPOLLHUP as u32;
        /// Edge-triggered: report each *change* once. Without it epoll is level-triggered.
        const ET = libc::EPOLLET as u32;
        /// Report once, and not again until [`Epoll::modify`] arms the descriptor.
        const ONESHOT = libc::EPOLLONESHOT as u32;
        /// Of several epolls that watch the same file, wake one and not all. Only with
        /// [`Epoll::add`], only with `IN`, `OUT` and `ET`, and never modified: the kernel answers
        /// anything else with EINVAL.
        const EXCLUSIVE = libc::EPOLLEXCLUSIVE as u32;
    }
}

/// One answer: the kernel's `epoll_event` itself.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct EpollEvent(libc::epoll_event);

impl EpollEvent {
    /// An event as the kernel would make it.
    pub const fn new(flags: EpollFlags, data: u64) -> Self {
        EpollEvent(libc::epoll_event { events: flags.bits(), u64: data })
    }

    /// What is the case.
    #[inline]
    pub const fn flags(&self) -> EpollFlags {
        EpollFlags::from_bits_retain(self.0.events)
    }

    /// What was given with the descriptor when it was added.
    #[inline]
    pub const fn data(&self) -> u64 {
        self.0.u64
    }
}

impl std::fmt::Debug for EpollEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpollEvent")
            .field("flags", &self.flags())
            .field("data", &self.data())
            .finish()
    }
}

/// An epoll instance. Dropping it closes it.
///
/// What is watched is not the number alone, but the pair of the number and the *open file* behind
/// it: closing a descriptor takes it out only when no duplicate of the file is left anywhere
/// (`epoll(7)`, Q6), and a number that is opened anew is another pair. So [`delete`](Self::delete)
/// before closing.
///
/// ```
/// use std::{io::Write, os::fd::AsRawFd, time::Duration};
/// use tripoll::sys::{Epoll, EpollFlags};
///
/// let (mine, mut theirs) = std::os::unix::net::UnixStream::pair()?;
/// let epoll = Epoll::new()?;
/// epoll.add(mine.as_raw_fd(), EpollFlags::IN | EpollFlags::ET, 42)?;
/// theirs.write_all(b"two bytes would do")?;
///
/// let mut events = Vec::with_capacity(8);
/// epoll.wait(&mut events, None)?;
/// assert_eq!((events[0].flags(), events[0].data()), (EpollFlags::IN, 42));
///
/// // Edge-triggered, and nothing was read: the data is still there, and there is no second telling.
/// epoll.wait(&mut events, Some(Duration::ZERO))?;
/// assert!(events.is_empty());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    /// A new instance, closed on exec.
    ///
    /// # Errors
    ///
    /// When the process or the system is out of descriptors (EMFILE, ENFILE) or memory.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes a flag, returns a new descriptor or -1.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
            .map_err(|error| with_context("epoll_create1", error))?;
        // SAFETY: the kernel has just created this descriptor, and nothing else owns it.
        Ok(Epoll { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Adds `fd` with `flags`. Its events carry `data`. What is ready already is reported, too.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if it is watched already, EPERM (`PermissionDenied`) for a regular file or
    /// directory, EBADF if it is closed, ENOSPC when the user's
    /// `/proc/sys/fs/epoll/max_user_watches` are used up, EINVAL or ELOOP for an epoll inside
    /// itself. See `epoll_ctl(2)`.
    pub fn add(&self, fd: RawFd, flags: EpollFlags, data: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, flags, data)
    }

    /// Replaces the flags of `fd`. What is ready is reported again, edge-triggered too. A one-shot
    /// descriptor is armed again.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not watched, EBADF if it is closed. See `epoll_ctl(2)`.
    pub fn modify(&self, fd: RawFd, flags: EpollFlags, data: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, flags, data)
    }

    /// Removes `fd`.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not watched, EBADF if it is closed. See `epoll_ctl(2)`.
    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, EpollFlags::empty(), 0)
    }

    fn control(&self, op: i32, fd: RawFd, flags: EpollFlags, data: u64) -> io::Result<()> {
        let mut event = EpollEvent::new(flags, data);
        let event = (&raw mut event).cast();
        // SAFETY: `event` is a transparent `epoll_event` that outlives the call, which only reads
        // it. A wrong number cannot harm memory: the kernel answers EBADF.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), op, fd, event) }).map(drop)
    }

    /// Waits until something is ready and replaces what is in `events` by it: as many as
    /// `events` has capacity for, at least one. The others come first the next time.
    ///
    /// `timeout`: `None` waits forever, zero does not block. A signal does not end the wait.
    ///
    /// # Errors
    ///
    /// None that a program could cause; see `epoll_wait(2)`.
    pub fn wait(&self, events: &mut Vec<EpollEvent>, timeout: Option<Duration>) -> io::Result<()> {
        let deadline = Deadline::from(timeout);
        events.clear();
        events.reserve(1);
        retry(|| self.wait_once(events, deadline))
    }

    /// The wait that a signal ends with `Interrupted`, for a buffer with room for one event at least:
    /// for none the kernel answers EINVAL.
    #[inline(always)] // into the wait of the selector
    pub(crate) fn wait_once(
        &self,
        events: &mut Vec<EpollEvent>,
        deadline: Deadline,
    ) -> io::Result<()> {
        events.clear();
        let ready = match deadline {
            Deadline::Never => self.wait_millis(events, -1)?,
            Deadline::Now => self.wait_millis(events, 0)?,
            Deadline::At(_) => self.wait_until(events, deadline)?,
        };
        // SAFETY: the kernel has written `ready` events at the front of the buffer, and knows
        // that it has no more room than `capacity`.
        unsafe { events.set_len(ready) };
        Ok(())
    }

    /// `epoll_wait`, for the two deadlines that need no clock.
    #[inline]
    fn wait_millis(&self, events: &mut Vec<EpollEvent>, millis: i32) -> io::Result<usize> {
        let (buffer, room) = buffer_of(events);
        // SAFETY: `buffer` has room for `room` events and is borrowed for the call alone.
        let ready = check(unsafe { libc::epoll_wait(self.fd.as_raw_fd(), buffer, room, millis) })?;
        Ok(ready as usize)
    }

    /// `epoll_pwait2`, which can say nanoseconds; where it is missing, `epoll_wait` until the
    /// deadline has really come.
    #[inline(never)]
    fn wait_until(&self, events: &mut Vec<EpollEvent>, deadline: Deadline) -> io::Result<usize> {
        loop {
            let left = deadline.remaining().unwrap_or(Duration::MAX);
            let ready = match self.wait_precise(events, left)? {
                Some(ready) => ready,
                None => self.wait_millis(events, millis_rounded_up(left))?,
            };
            if ready > 0 || deadline.has_passed() {
                return Ok(ready);
            }
        }
    }

    /// One `epoll_pwait2`; `None` where there is none: a kernel before 5.11, a sandbox which
    /// refuses calls it does not know (ENOSYS or EPERM), valgrind. Asked once a process.
    fn wait_precise(
        &self,
        events: &mut Vec<EpollEvent>,
        left: Duration,
    ) -> io::Result<Option<usize>> {
        static MISSING: AtomicBool = AtomicBool::new(false);
        if MISSING.load(Ordering::Relaxed) {
            return Ok(None);
        }
        /// The kernel's own layout: 64 bits a field on every architecture.
        #[repr(C)]
        struct Timespec {
            seconds: i64,
            nanoseconds: i64,
        }
        let time = Timespec {
            seconds: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: left.subsec_nanos().into(),
        };
        let (buffer, room) = buffer_of(events);
        // SAFETY: `buffer` has room for `room` events and is borrowed for the call alone; `time`
        // has the kernel's layout and outlives the call; a null mask changes no signal.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                buffer,
                room,
                &raw const time,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        match check(answer as libc::c_int) {
            Ok(ready) => Ok(Some(ready as usize)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                MISSING.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// `EP_MAX_EVENTS`: the kernel refuses to be given room for more.
const MOST_EVENTS: usize = i32::MAX as usize / size_of::<libc::epoll_event>();

/// Where the kernel may write, and how many events fit.
#[inline]
fn buffer_of(events: &mut Vec<EpollEvent>) -> (*mut libc::epoll_event, i32) {
    // EpollEvent is a transparent epoll_event.
    let room = events.capacity().min(MOST_EVENTS);
    (events.as_mut_ptr().cast(), room as i32)
}

/// The timeout of `epoll_wait`: rounded up, lest the last part of a millisecond be spent spinning,
/// and cut at what an `int` can say, 24 days.
fn millis_rounded_up(left: Duration) -> i32 {
    i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::millis_rounded_up;
    use std::time::Duration;

    #[test]
    fn milliseconds_round_up_and_only_when_there_is_a_remainder() {
        for (left, millis) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(900), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_micros(1_001), 2),
            (Duration::from_millis(1 << 31), i32::MAX),
            (Duration::from_millis((1 << 32) + 5), i32::MAX),
            (Duration::MAX, i32::MAX),
        ] {
            assert_eq!(millis_rounded_up(left), millis, "{left:?}");
        }
    }
}
