//! The end of a child process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{self, ExitStatus};
use std::time::Duration;

use crate::reactor::context::Context;
use crate::reactor::handler::{Handler, Next};
use crate::reactor::source::Source;
use crate::selector::{Interest, Token};
use crate::sys::{self, TimerFd};

/// A source that is ready when a child process has ended: `pidfd_open(2)`.
///
/// ```
/// use std::process::Command;
/// use tripoll::Reactor;
/// use tripoll::reactor::sources::Child;
///
/// let mut reactor = Reactor::builder().build_with(None)?;
/// let child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
/// Child::new(child)?.on(&mut reactor.context(), |status, cx| {
///     *cx.state = status.ok().and_then(|status| status.code());
///     cx.stop();
/// })?;
/// reactor.run()?;
/// assert_eq!(*reactor.state(), Some(3));
/// # std::io::Result::Ok(())
/// ```
///
/// It waits for its own child, and for no other: unlike a loop with `waitpid(-1)` after SIGCHLD, it
/// takes no status from other code. Where the kernel has no pidfd (before Linux 5.3), or forbids it (a
/// sandbox), the child is asked after every 20 ms: see [`polling`](Self::polling).
///
/// A `Child` that is dropped before the process has ended neither kills nor reaps it, as
/// [`process::Child`].
#[derive(Debug)]
pub struct Child {
    child: process::Child,
    watch: Watch,
}

#[derive(Debug)]
enum Watch {
    Pidfd(OwnedFd),
    Timer(TimerFd),
}

/// Poll interval for children that have no pidfd.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Child {
    /// Watches a child.
    ///
    /// # Errors
    ///
    /// Fails when the process or the system has no descriptors left. The process goes on then.
    pub fn new(child: process::Child) -> io::Result<Self> {
        // The number is the child's, because nothing but this object can reap it.
        match pid_of(&child).and_then(sys::watch_child) {
            Ok(pidfd) => Ok(Child { child, watch: Watch::Pidfd(pidfd) }),
            Err(_) => Child::polling(child, POLL_INTERVAL),
        }
    }

    /// Watches a child without a pidfd, by asking after it at this interval.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `interval` is zero. Otherwise as [`new`](Self::new).
    pub fn polling(child: process::Child, interval: Duration) -> io::Result<Self> {
        if interval.is_zero() {
            let message = "the interval at which a child is polled is zero";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let timer_fd = TimerFd::new()?;
        timer_fd.set_every(Duration::ZERO, interval)?;
        Ok(Child { child, watch: Watch::Timer(timer_fd) })
    }

    /// Returns whether the child is polled, because there is no pidfd.
    pub fn is_polled(&self) -> bool {
        matches!(self.watch, Watch::Timer(_))
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL. The source is ready when the process has ended.
    ///
    /// # Errors
    ///
    /// As [`process::Child::kill`].
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Returns the process, and ends the watch.
    pub fn into_inner(self) -> process::Child {
        self.child
    }

    /// Returns the exit status, and reaps the process.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while the process runs. Those of `waitpid(2)`: other code has reaped it, or SIGCHLD
    /// is ignored.
    pub fn try_wait(&mut self) -> io::Result<ExitStatus> {
        if let Watch::Timer(timer_fd) = &self.watch {
            timer_fd.clear();
        }
        self.child.try_wait()?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// Adds the child to a reactor. `callback` is called once, when the process has ended, with its
    /// exit status, or with the error of [`try_wait`](Self::try_wait). Then the source is removed.
    ///
    /// When the reactor [shuts down](Context::shutdown) before, the source is removed, and `callback`
    /// is not called.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the source.
    pub fn on<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        callback: impl FnOnce(io::Result<ExitStatus>, &mut Context<'_, S>) + 'static,
    ) -> io::Result<Token> {
        Ok(cx.add(self, Interest::READ, AtEnd(Some(callback)))?)
    }
}

fn pid_of(child: &process::Child) -> io::Result<i32> {
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// Calls its callback once.
struct AtEnd<C>(Option<C>);

impl<S, C> Handler<Child, S> for AtEnd<C>
where
    S: 'static,
    C: FnOnce(io::Result<ExitStatus>, &mut Context<'_, S>),
{
    fn ready(
        &mut self,
        source: &mut Source<'_, Child>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let result = source.try_io(Interest::READ, Child::try_wait);
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::WouldBlock
        {
            return Ok(Next::Keep);
        }
        if let Some(callback) = self.0.take() {
            callback(result, cx);
        }
        Ok(Next::Remove)
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.watch {
            Watch::Pidfd(pidfd) => pidfd.as_fd(),
            Watch::Timer(timer_fd) => timer_fd.as_fd(),
        }
    }
}
