//! SIGINT and SIGTERM.
//!
//! Both are blocked, and [`Signals`] are ready while one is pending. A forked child inherits the blocked
//! mask and no pending signal, so a signal to it stays pending in it alone.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tripoll::reactor::sources::{Signal, Signals};
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Context, Interest, Next, Reactor, Source};

const BOTH: [Signal; 2] = [Signal::INT, Signal::TERM];

/// How long clients may read their answers after a signal.
pub const GRACE: Duration = Duration::from_millis(700);

/// Blocks SIGINT and SIGTERM. Must be called before the first thread is started: a thread inherits
/// the mask, and the kernel delivers a signal to any thread that does not block it.
///
/// It also blocks SIGXFSZ. Otherwise the kernel ends a process that writes more to a file, such as its
/// log, than `ulimit -f` allows. Blocked, the signal has no effect, and the write fails.
pub fn block_signals() -> io::Result<()> {
    Signals::block(BOTH.into_iter().chain([Signal::XFSZ]))
}

/// Returns a source that is ready when SIGINT or SIGTERM is pending. No code receives the signal, so
/// that it stays pending for all that wait for it.
pub fn signals() -> io::Result<Signals> {
    Signals::new(BOTH)
}

/// Waits until SIGINT or SIGTERM is pending.
pub fn wait_for(signals: &Signals) {
    let fd = signals.as_fd().as_raw_fd();
    // The system may have no memory for a moment. That is no signal.
    while poll(&mut [PollFd::new(fd, PollFlags::IN)], None).is_err() {
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
    let signalled = |_: &mut Source<Signals>, cx: &mut Context<S>| {
        cx.shutdown(GRACE);
        Ok(Next::Remove)
    };
    reactor.context().add(signals()?, Interest::READ, signalled)?;
    Ok(())
}
