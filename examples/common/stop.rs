//! SIGINT and SIGTERM.
//!
//! The usual way is a handler that writes into a pipe. But a child is a copy of the process, handler
//! and pipe included: a signal to one child would be told to its parent, and end them all. So there
//! is no handler here. Both signals are held back, and the kernel is asked for a descriptor that can
//! be read while one of them waits (`signalfd`). A child inherits that they are held back, and none
//! that waits: what is sent to it waits in it, and nobody else hears of it.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Context, Interest, Next, Reactor, Source};

/// How long the clients have, after the signal, to take what is owed to them.
pub const GRACE: Duration = Duration::from_millis(700);

/// From now on SIGINT and SIGTERM wait until somebody looks. To be called before the first thread is
/// made: a thread takes after the one that makes it, and a signal finds any that does not hold it
/// back.
pub fn hold_back_signals() -> io::Result<()> {
    Ok(both().thread_block()?)
}

/// Can be read when SIGINT or SIGTERM has come. Nobody does read it: the signal stays, and however
/// many look at it, all of them see it.
pub fn signals() -> io::Result<SignalFd> {
    Ok(SignalFd::new(&both())?)
}

/// Sleeps until SIGINT or SIGTERM has come.
pub fn wait_for(signals: &SignalFd) -> io::Result<()> {
    poll(&mut [PollFd::new(signals.as_raw_fd(), PollFlags::IN)], None)?;
    Ok(())
}

/// Has the reactor wind down on the first SIGINT or SIGTERM. To the reactor a signal is a source like
/// any other.
pub fn wind_down_on_signals<S: 'static>(reactor: &mut Reactor<S>) -> io::Result<()> {
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
