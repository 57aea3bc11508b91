//! SIGINT and SIGTERM.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tripoll::{Context, Interest, Next, Reactor, Source};

/// How long the clients have, after the signal, to take what is owed to them.
pub const GRACE: Duration = Duration::from_millis(1_500);

/// Winds the reactor down on the first SIGINT or SIGTERM: each handler is told, and the loop ends
/// when the last source is gone, or after a moment of grace.
///
/// To the reactor a signal is a source like any other.
pub fn wind_down_on_signal<S: 'static>(reactor: &mut Reactor<S>) -> io::Result<()> {
    let signalled = |signals: &mut Source<UnixStream>, cx: &mut Context<S>| {
        signals.read(&mut [0])?;
        cx.wind_down(GRACE);
        Ok(Next::Remove)
    };
    reactor.add(signals()?, Interest::READ, signalled)?;
    Ok(())
}

/// One end of a pair of sockets, which can be read as soon as SIGINT or SIGTERM has come: a signal
/// handler may do next to nothing, but it may write a byte into the other end.
pub fn signals() -> io::Result<UnixStream> {
    let (signals, ours) = UnixStream::pair()?;
    pipe::register(SIGINT, ours.try_clone()?)?;
    pipe::register(SIGTERM, ours)?;
    Ok(signals)
}
