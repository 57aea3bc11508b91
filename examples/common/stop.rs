//! SIGINT and SIGTERM.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tripoll::{Context, Interest, Next, Reactor, Source};

/// How long the clients have, after the signal, to take what is owed to them.
const GRACE: Duration = Duration::from_millis(1_500);

/// Calls `stop` on the first SIGINT or SIGTERM; it says farewell to the clients, and whoever sees
/// the last of them go ends the loop with [`Context::stop`]. If nobody has done so after a moment
/// of grace, the loop ends all the same.
///
/// To the reactor a signal is a source like any other: the signal handler, which may do next to
/// nothing, writes a byte into one end of a pair of sockets, and the other end becomes readable.
pub fn on_stop_signal<S: 'static>(
    reactor: &mut Reactor<S>,
    stop: impl FnOnce(&mut Context<'_, S>) + 'static,
) -> io::Result<()> {
    let (signals, ours) = UnixStream::pair()?;
    pipe::register(SIGINT, ours.try_clone()?)?;
    pipe::register(SIGTERM, ours)?;
    let mut stop = Some(stop);
    let signalled = move |signals: &mut Source<UnixStream>, cx: &mut Context<S>| {
        signals.read(&mut [0])?;
        cx.set_timer(Instant::now() + GRACE, |cx| cx.stop());
        if let Some(stop) = stop.take() {
            stop(cx);
        }
        Ok(Next::Remove)
    };
    reactor.add(signals, Interest::READ, signalled)?;
    Ok(())
}
