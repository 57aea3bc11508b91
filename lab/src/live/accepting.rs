//! What a server over the reactor does when `accept` fails: it keeps its listener.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tripoll::{Context, Next, Source};

use super::on_reactor::State;
use super::socket::Acceptor;

/// How long a listener pauses when the system has no room.
const PAUSE: Duration = Duration::from_millis(100);

/// Returns what happens with a listener whose `accept` has failed.
///
/// An error of one client costs that client only. When descriptors or memory are short, the client stays
/// in the backlog. The listener would be ready at once again, so it pauses.
///
/// # Errors
///
/// `WouldBlock`, and the errors of a listener that is broken.
pub(super) fn failed(
    listener: &Source<Acceptor>,
    cx: &mut Context<State>,
    error: io::Error,
) -> io::Result<Next> {
    match Errno::from_io_error(&error) {
        Some(Errno::BADF | Errno::FAULT | Errno::INVAL | Errno::NOTSOCK) => Err(error),
        _ if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            let (token, until) = (listener.token(), cx.now() + PAUSE);
            cx.set_timer(until, move |cx| {
                let _ = cx.arm(token); // a listener that was removed accepts no more
            });
            Ok(Next::Disarm)
        }
        _ => Ok(Next::Keep),
    }
}
