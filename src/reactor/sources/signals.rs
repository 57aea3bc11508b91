//! Signals as events.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;

use super::events::{self, Events};
use super::signal::Signal;
use crate::reactor::context::Context;
use crate::selector::Token;
use crate::sys::{self, SignalDetails, SignalFd};

/// A source of signals: `signalfd(2)`.
///
/// The signals are *blocked*, so that they are not delivered but stay pending, and the source is ready
/// while one is pending. No signal handler runs, so nothing is interrupted.
///
/// See [signals](crate::guide::signals) in the guide.
///
/// ```
/// use std::time::Duration;
/// use tripoll::Reactor;
/// use tripoll::reactor::sources::{Signal, Signals};
///
/// Signals::block([Signal::INT, Signal::TERM])?; // before the first thread is started
/// let mut reactor = Reactor::new()?;
/// Signals::new([Signal::INT, Signal::TERM])?.on(&mut reactor.context(), |signal, cx| {
///     println!("{} from process {:?}", signal.signal(), signal.pid());
///     cx.shutdown(Duration::from_secs(1));
/// })?;
/// # let pid = std::process::id().to_string();
/// # assert!(std::process::Command::new("sh").args(["-c", "kill $0", &pid]).status()?.success());
/// reactor.run()?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Threads
///
/// The kernel delivers a signal to any thread that does not block it. Then the signal does what it does
/// by default, which is mostly to end the process. A thread inherits the mask of the thread that starts
/// it. So **block the signals before the first thread is started**, with [`block`](Self::block).
/// [`new`](Self::new) fails when a thread does not block them.
///
/// # Children
///
/// * A child inherits the mask, and no pending signals. So does a program that
///   [`Command`](std::process::Command) starts. A signal to it stays pending in it, and has no effect.
/// * [`unblock_in`](Self::unblock_in) unblocks the signals in a program that a `Command` starts. All
///   else is as it should be: no signal handler was set, and the standard library gives SIGPIPE its
///   default back.
/// * A *forked* child calls [`unblock`](Self::unblock), before an `exec` of its own, too.
/// * A `Signals` that a forked child has inherited returns signals to the child. It takes none of the
///   parent's. (With a signal handler and a pipe, a signal to the child would be reported in the
///   parent.)
///
/// # Coalesced signals
///
/// A signal that is pending already is not pending twice. So several signals of a kind may be one
/// event, except for the real-time signals. After [`Signal::CHLD`], call `waitpid(2)` in a loop until no
/// further child has ended. To wait for certain children only, see [`Child`](super::Child).
#[doc(alias = "SIGTERM")]
#[doc(alias = "SIGINT")]
#[doc(alias = "Ctrl-C")]
#[doc(alias = "signalfd")]
#[derive(Debug)]
pub struct Signals {
    signal_fd: SignalFd,
}

impl Signals {
    /// Blocks these signals in the calling thread, and in the threads that it starts later.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a signal that cannot be received as an event: SIGKILL and SIGSTOP, and the
    /// faults of an instruction, such as SIGSEGV. Also for two numbers that the C library keeps for
    /// itself.
    pub fn block(signals: impl IntoIterator<Item = Signal>) -> io::Result<()> {
        sys::block_signals(numbers(signals)?).map(drop)
    }

    /// Unblocks these signals in the calling thread. For a forked child.
    ///
    /// One that is pending is delivered at once. This call is async-signal-safe, as a child needs that
    /// was forked from several threads.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for two numbers that the C library keeps for itself.
    pub fn unblock(signals: impl IntoIterator<Item = Signal>) -> io::Result<()> {
        sys::unblock_signals(signals.into_iter().map(Signal::number))
    }

    /// Unblocks these signals in the program that `command` starts, between `fork` and `exec`.
    ///
    /// ```
    /// use std::os::unix::process::ExitStatusExt;
    /// use std::process::Command;
    /// use tripoll::reactor::sources::{Signal, Signals};
    ///
    /// Signals::block([Signal::TERM])?;
    /// let mut command = Command::new("sh");
    /// Signals::unblock_in(&mut command, [Signal::TERM])?;
    /// let status = command.args(["-c", "kill $$; sleep 60"]).status()?;
    /// assert_eq!(status.signal(), Some(Signal::TERM.number()));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`unblock`](Self::unblock).
    pub fn unblock_in(
        command: &mut Command,
        signals: impl IntoIterator<Item = Signal>,
    ) -> io::Result<()> {
        sys::unblock_signals_in(command, signals.into_iter().map(Signal::number))
    }

    /// Blocks these signals in the calling thread, and creates a source of them. Each signal is reported
    /// by one source, if several sources have it.
    ///
    /// When it is dropped, the signals stay blocked: those that are pending could end the process.
    ///
    /// # Errors
    ///
    /// `Unsupported` if another thread does not block one of the signals. Where `/proc` is not mounted,
    /// that is not noticed. Otherwise as [`block`](Self::block), and those of `signalfd(2)` when the
    /// process or the system has no descriptors left. After an error the thread blocks what it has
    /// blocked before.
    pub fn new(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let numbers = numbers(signals)?;
        let mask = sys::block_signals(numbers.iter().copied())?;
        let opened = Self::open(&numbers);
        if opened.is_err() {
            mask.restore()?; // nothing would take what it blocks
        }
        opened
    }

    /// Creates a source of signals that this thread blocks.
    fn open(numbers: &[i32]) -> io::Result<Self> {
        if let Some((number, thread)) = sys::thread_without(numbers) {
            let name = Signal::new(number).map_or(String::new(), |signal| signal.to_string());
            let message = format!(
                "thread {thread} does not block {name}, and would receive it: call Signals::block \
                 before the first thread is started"
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(Signals { signal_fd: SignalFd::new(numbers)? })
    }

    /// Returns a pending signal, which is then no longer pending.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is pending.
    pub fn receive(&mut self) -> io::Result<SignalInfo> {
        Ok(SignalInfo { details: self.signal_fd.read()? })
    }

    /// Adds the signals to a reactor. `callback` is called with each signal.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the source.
    pub fn on<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        callback: impl FnMut(SignalInfo, &mut Context<'_, S>) + 'static,
    ) -> io::Result<Token> {
        events::on(self, cx, callback)
    }
}

/// Returns the numbers of signals that can be received as events.
fn numbers(signals: impl IntoIterator<Item = Signal>) -> io::Result<Vec<i32>> {
    let number = |signal: Signal| match signal.refusal() {
        None => Ok(signal.number()),
        Some(why) => {
            let message = format!("{signal} cannot be received as an event: {why}");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    };
    signals.into_iter().map(number).collect()
}

/// What is known of a received signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalInfo {
    details: SignalDetails,
}

impl SignalInfo {
    /// Returns which signal it is.
    pub fn signal(&self) -> Signal {
        Signal::new(self.details.number).expect("the kernel reports its own signals")
    }

    /// Returns the process that has sent it: for [`Signal::CHLD`], the child. `None` if the kernel has
    /// sent it, as after Ctrl-C, or a process of another PID namespace.
    pub fn pid(&self) -> Option<u32> {
        self.details.has_sender().then_some(self.details.pid)
    }

    /// Returns the real user id of that process, or `None` as [`pid`](Self::pid).
    pub fn uid(&self) -> Option<u32> {
        self.details.has_sender().then_some(self.details.uid)
    }

    /// Returns the signal code (`si_code`), as in `sigaction(2)`: how the signal came about.
    pub fn code(&self) -> i32 {
        self.details.code
    }
}

impl Events for Signals {
    type Event = SignalInfo;

    fn next(&mut self) -> io::Result<SignalInfo> {
        self.receive()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signal_fd.as_fd()
    }
}
