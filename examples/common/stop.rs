//! SIGINT and SIGTERM.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tripoll::{Context, Interest, Next, Reactor, Source};

/// How long the clients have, after the signal, to take what is owed to them.
pub const GRACE: Duration = Duration::from_millis(700);

/// Has the reactor wind down on the first SIGINT or SIGTERM. To the reactor a signal is a source like
/// any other.
pub fn wind_down_on_signals<S: 'static>(reactor: &mut Reactor<S>) -> io::Result<()> {
    let signalled = |signals: &mut Source<UnixStream>, cx: &mut Context<S>| {
        let _one_byte = signals.read(&mut [0])?;
        cx.wind_down(GRACE);
        Ok(Next::Remove)
    };
    reactor.add(signals()?, Interest::READ, signalled)?;
    Ok(())
}

/// Can be read when SIGINT or SIGTERM has come. The signal handler, which may do next to nothing,
/// writes a byte into one of a pair of sockets; this is the other.
pub fn signals() -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    pipe::register(SIGINT, theirs.try_clone()?)?;
    pipe::register(SIGTERM, theirs)?;
    Ok(ours)
}
