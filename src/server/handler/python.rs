//! Methods of Python's `socket` objects, under Python's names.

use std::io;
use std::time::Duration;

use crate::net::{Address, DatagramSocket, Stream};

/// The methods of a Python socket that handlers use, for a blocking [`Stream`].
///
/// ```
/// use tripoll::server::{Exchange, HandlerResult, PythonSocket, ThreadingTcpServer};
///
/// fn handle(exchange: &mut Exchange) -> HandlerResult {
///     let data = exchange.request.recv(1024)?;
///     Ok(exchange.request.sendall(&data.to_ascii_uppercase())?)
/// }
///
/// let server = ThreadingTcpServer::from_fn("127.0.0.1:0", handle)?;
/// # std::io::Result::Ok(())
/// ```
pub trait PythonSocket {
    /// Receives at most `size` bytes, and blocks until there are some. Returns no bytes when the peer
    /// has finished.
    ///
    /// One call returns 64 KiB at most. So any `size` is permitted, also one that the peer has sent:
    /// memory is allocated for what has arrived.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`. `TimedOut` when nothing came within the
    /// [timeout](Self::settimeout).
    fn recv(&self, size: usize) -> io::Result<Vec<u8>>;

    /// Sends all of `data`, and blocks until the kernel has taken it. Data that other threads send at
    /// the same time comes before or after it, never in between.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`. `TimedOut` when the kernel took nothing within the
    /// [timeout](Self::settimeout). The number of bytes sent is unknown then.
    fn sendall(&self, data: &[u8]) -> io::Result<()>;

    /// Limits how long each read and each write may block. `None` is no limit.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    fn settimeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Closes the connection as its peer sees it: shuts down both directions. The descriptor itself is
    /// closed when the stream is dropped, so that its number is not reused while it is in use. A
    /// second call does nothing.
    ///
    /// In a [`StreamExchange`](crate::server::StreamExchange) the connection is closed when `finish`
    /// has returned and `wfile` is flushed. Until then `rfile` and `wfile` continue to work. In Python
    /// these files keep a closed socket open, too.
    fn close(&self);
}

/// How many bytes `recv` returns at most.
const MOST_AT_ONCE: usize = 64 << 10;

impl PythonSocket for Stream {
    fn recv(&self, size: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; size.min(MOST_AT_ONCE)];
        let count = self.read_blocking(&mut buffer)?;
        buffer.truncate(count);
        buffer.shrink_to_fit();
        Ok(buffer)
    }

    fn sendall(&self, data: &[u8]) -> io::Result<()> {
        self.send_whole(data).1
    }

    fn settimeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(timeout)?;
        self.set_write_timeout(timeout)
    }

    fn close(&self) {
        self.close_both();
    }
}

/// The method of a Python socket that handlers of datagrams use.
///
/// Python's `sendto` blocks until the receiver has room, which may be forever. Here it blocks for a
/// tenth of a second at most; in a server without threads for less, and in a loop not at all.
pub trait PythonDatagramSocket {
    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// Those of `sendto(2)`. `TimedOut` when the receiver has no room for too long.
    fn sendto(&self, data: &[u8], to: &Address) -> io::Result<usize>;
}

impl PythonDatagramSocket for DatagramSocket {
    fn sendto(&self, data: &[u8], to: &Address) -> io::Result<usize> {
        self.send_to_timeout(data, to, self.send_timeout())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn sendto_waits_for_room_as_long_as_the_server_lets_it() {
        let name = format!("tripoll-sendto-{}", std::process::id());
        let bind = |end: &str| {
            DatagramSocket::bind(Address::Abstract(format!("{name}-{end}").into())).unwrap()
        };
        let (mut socket, peer) = (bind("server"), bind("client"));
        let to = peer.local_address().clone();
        while socket.send_to(b"full", &to).is_ok() {}
        let time = Duration::from_millis(250);
        socket.set_send_timeout(time);
        let began = Instant::now();
        let error = socket.sendto(b"more", &to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= time, "after {:?}", began.elapsed());
    }
}
