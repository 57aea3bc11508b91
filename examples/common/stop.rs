//! SIGINT and SIGTERM.
//!
//! The usual way is a signal handler that writes into a pipe. But a forked child inherits both: a
//! signal to one child would be reported to its parent, and end them all. So there is no signal
//! handler here. Both signals are blocked, and a `signalfd(2)` is readable while one is pending. A
//! child inherits the blocked mask and no pending signal, so a signal to it stays pending in it
//! alone.

use std::io;
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Context, Interest, Next, Reactor, Source};

/// How long clients may read their answers after a signal.
pub const GRACE: Duration = Duration::from_millis(700);

/// Blocks SIGINT and SIGTERM. Must be called before the first thread is started: a thread inherits
/// the mask, and the kernel delivers a signal to any thread that does not block it.
///
/// It also blocks SIGXFSZ. Otherwise the kernel ends a process that writes more to a file, such as its
/// log, than `ulimit -f` allows. Blocked, the signal has no effect, and the write fails.
pub fn block_signals() -> io::Result<()> {
    let mut signals = both();
    signals.add(Signal::SIGXFSZ);
    Ok(signals.thread_block()?)
}

/// Returns a descriptor that is readable when SIGINT or SIGTERM is pending. It is never read, so
/// that the signal stays pending for all that wait for it.
pub fn signals() -> io::Result<SignalFd> {
    let signals = SignalFd::new(&both()).map_err(io::Error::from);
    signals.map_err(|error| io::Error::new(error.kind(), format!("signalfd: {error}")))
}

/// Waits until SIGINT or SIGTERM is pending.
pub fn wait_for(signals: &SignalFd) {
    // The system may have no memory for a moment. That is no signal.
    while poll(&mut [PollFd::new(signals.as_raw_fd(), PollFlags::IN)], None).is_err() {
        thread::sleep(Duration::from_millis(100));
    }
}

/// Starts a thread.
pub fn start_thread<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let started = thread::Builder::new().spawn(body);
    started.map_err(|error| io::Error::new(error.kind(), format!("cannot start a thread: {error}")))
}

/// Shuts the reactor down on the first SIGINT or SIGTERM. To the reactor a signal is a source like
/// any other.
pub fn shut_down_on_signals<S: 'static>(reactor: &mut Reactor<S>) -> io::Result<()> {
    let signalled = |_: &mut Source<SignalFd>, cx: &mut Context<S>| {
        cx.shutdown(GRACE);
        Ok(Next::Remove)
    };
    reactor.context().add(signals()?, Interest::READ, signalled)?;
    Ok(())
}

fn both() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM].into_iter().collect()
}
