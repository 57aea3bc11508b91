//! An attempt to connect one socket to one address.
//!
//! ```text
//!   connect(2):
//!     0, EISCONN ───────────────────► CONNECTED
//!     EINPROGRESS, EALREADY, EINTR ─► IN PROGRESS ── writable ──► SO_ERROR: none, and it has a peer
//!                                                                 SO_ERROR: an error
//!                                                                 neither: asked again after a pause
//!     EAGAIN of a Unix socket ──────► FULL ────────► connect(2) again after a pause
//!     other ────────────────────────► an error
//! ```
//!
//! The socket is added to the reactor after `connect(2)`. Before, it would be reported as hung up.

use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket, Type};

use super::super::address::Address;
use super::super::socket_file::SocketFile;
use super::super::stage::{Cause, Wait};
use super::super::stream::Stream;
use super::super::time_limit::TimeLimit;
use crate::reactor::{Backoff, Source};
use crate::selector::Interest;
use crate::sys;

/// Waits until a socket is connected.
#[derive(Debug)]
pub(super) struct Attempt {
    target: SockAddr,
    answer: Answer,
    /// Until when the kernel is not asked again.
    paused: Option<Instant>,
    pauses: Backoff,
    limit: TimeLimit,
    /// The file of a Unix socket that was bound. It stays when the socket is connected, for the peer
    /// may look at it.
    file: Option<SocketFile>,
}

/// What `connect(2)` said last, unless it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Connected,
    InProgress,
    /// The backlog of a Unix listener is full. The kernel does not report when there is room.
    Full,
}

/// The pauses between two questions.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);

impl Attempt {
    /// Makes a socket and begins to connect it. Returns it with the interest in which to watch it.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `bind(2)` and `connect(2)`.
    pub(super) fn begin(
        address: &Address,
        local: Option<&Address>,
        limit: TimeLimit,
        now: Instant,
    ) -> io::Result<(Socket, Interest, Self)> {
        let target = address.to_sock_addr()?;
        let socket = Socket::new(target.domain(), Type::STREAM.nonblocking().cloexec(), None)
            .map_err(|error| sys::with_context("socket", error))?;
        let file = match local {
            None => None,
            Some(local) => bind(&socket, local, address)?,
        };
        let answer = connect(&socket, &target)?;
        let interest = match answer {
            Answer::InProgress => Interest::WRITE,
            Answer::Connected | Answer::Full => Interest::NONE,
        };
        let pauses = Backoff::new(SHORTEST, LONGEST);
        let mut attempt = Attempt { target, answer, paused: None, pauses, limit, file };
        if answer == Answer::Full {
            attempt.pause(now);
        }
        Ok((socket, interest, attempt))
    }

    fn pause(&mut self, now: Instant) {
        self.paused = Some(now + self.pauses.fail());
    }

    /// Looks whether a socket that is writable is connected.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is not yet: the event was spurious.
    fn check(&self, socket: &Socket) -> io::Result<()> {
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => Ok(()),
            // Not connected yet, or not any more: only the call itself knows. It begins no second
            // connect.
            Err(_) => match connect(socket, &self.target)? {
                Answer::Connected => Ok(()),
                Answer::InProgress | Answer::Full => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// Looks at a socket that is writable.
    fn writable(&mut self, source: &mut Source<'_, Socket>, now: Instant) -> Poll<io::Result<()>> {
        match source.try_io(Interest::WRITE, |socket| self.check(socket)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // It is not asked in each turn, should it be reported in each.
                source.set_interest(Interest::NONE);
                self.pause(now);
                Poll::Pending
            }
            checked => Poll::Ready(checked),
        }
    }

    /// Ends a pause, if it is time.
    fn asked_again(
        &mut self,
        source: &mut Source<'_, Socket>,
        now: Instant,
    ) -> Poll<io::Result<()>> {
        if self.paused.is_none_or(|until| now < until) {
            return Poll::Pending;
        }
        self.paused = None;
        if self.answer == Answer::InProgress {
            source.set_interest(Interest::WRITE);
            return Poll::Pending;
        }
        match connect(source.get_ref(), &self.target) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(Answer::Connected) => Poll::Ready(Ok(())),
            Ok(Answer::InProgress | Answer::Full) => {
                self.pause(now);
                Poll::Pending
            }
        }
    }
}

impl Wait<Socket> for Attempt {
    type Output = Stream;

    fn poll(
        &mut self,
        cause: Cause,
        source: &mut Source<'_, Socket>,
        now: Instant,
    ) -> Poll<io::Result<()>> {
        let polled = match (self.answer, cause) {
            (Answer::Connected, _) => Poll::Ready(Ok(())),
            (Answer::InProgress, Cause::Ready) => self.writable(source, now),
            (_, Cause::Deadline) => self.asked_again(source, now),
            _ => Poll::Pending,
        };
        if polled.is_pending() && self.limit.is_over(now) {
            let what = match self.answer {
                Answer::Full => "the backlog of the listener was not free",
                _ => "no answer",
            };
            return Poll::Ready(Err(self.limit.error(what)));
        }
        polled
    }

    fn deadline(&self) -> Option<Instant> {
        self.paused.into_iter().chain(self.limit.until()).min()
    }

    fn finish(mut self, socket: Socket) -> io::Result<Stream> {
        // If the peer has reset the connection meanwhile, the first read returns that error.
        let peer = socket.peer_addr().unwrap_or_else(|_| self.target.clone());
        if let Some(peer) = peer.as_socket()
            && is_own_address(&socket, peer)
        {
            // A plain close would leave the port in TIME_WAIT, and the server could not have it.
            let _ = socket.set_linger(Some(Duration::ZERO));
            return Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "the socket has connected to itself, for no process listens there",
            ));
        }
        if let Some(file) = &mut self.file {
            file.set_unlink(false);
        }
        Ok(Stream::accepted(socket, &peer))
    }
}

/// Returns whether a socket has this address: the kernel chose the port of the target for it, and TCP
/// connected it to itself (a simultaneous open).
fn is_own_address(socket: &Socket, peer: SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|local| local.as_socket() == Some(peer))
}

/// Binds a socket that will be connected to `address`.
fn bind(socket: &Socket, local: &Address, address: &Address) -> io::Result<Option<SocketFile>> {
    let is_same_kind = match (local, address) {
        (Address::Inet(local), Address::Inet(address)) => local.is_ipv4() == address.is_ipv4(),
        (Address::Inet(_), _) | (_, Address::Inet(_)) => false,
        _ => true,
    };
    if !is_same_kind {
        let text = format!("the local address {local} is of another family");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let bound = || {
        if let Address::Inet(local) = local
            && local.port() != 0
        {
            socket.set_reuse_address(true)?; // old connections from this port may be in TIME_WAIT
        }
        socket.bind(&local.to_sock_addr()?)
    };
    bound().map_err(|error| sys::with_context(format!("cannot bind to {local}"), error))?;
    match local {
        Address::Unix(path) => Ok(SocketFile::of(path)),
        _ => Ok(None),
    }
}

/// Calls `connect(2)` on a socket that does not block.
fn connect(socket: &Socket, target: &SockAddr) -> io::Result<Answer> {
    let Err(error) = socket.connect(target) else { return Ok(Answer::Connected) };
    match (error.raw_os_error(), target.is_unix()) {
        (Some(libc::EISCONN), _) => Ok(Answer::Connected),
        // A call that a signal has interrupted goes on. Of a Unix socket, it has done nothing.
        (Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR), false) => Ok(Answer::InProgress),
        (Some(libc::EAGAIN | libc::EINTR), true) => Ok(Answer::Full),
        // "No more free local ports", on some kernels. A handler must not take it for WouldBlock.
        (Some(libc::EAGAIN), false) => Err(sys::with_context_as(
            io::ErrorKind::AddrNotAvailable,
            "no local port is free",
            error,
        )),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_local_port_that_was_chosen_may_be_in_time_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Inet(listener.local_addr().unwrap());
        let is_reused = |local: &Address| {
            let now = Instant::now();
            let limit = TimeLimit::of(Duration::MAX, now);
            let (socket, ..) = Attempt::begin(&address, Some(local), limit, now).unwrap();
            socket.reuse_address().unwrap()
        };
        assert!(!is_reused(&"127.0.0.1:0".parse().unwrap()));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(is_reused(&Address::Inet(free)));
    }
}
