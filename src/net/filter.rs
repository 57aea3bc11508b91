//! The trait `Filter`: what stands between a stream and its protocol.

use std::any::Any;
use std::io;

/// Changes the bytes between a stream and its protocol, in both directions: encryption, compression, a
/// record format. A [`Connection`](super::Connection) runs an unchanged protocol
/// [over](super::Connection::over) it.
///
/// A filter does no input and output. It takes bytes of one side, and appends those for the other to a
/// buffer. It may have a handshake. Until that is over, the protocol is not called: the callback
/// [`opened`](super::Protocol::opened) comes after it. The handshake has a
/// [time limit](super::Connection::handshake_timeout).
///
/// See [TLS](crate::guide::tls) in the guide.
///
/// ```
/// use std::io::{self, Read, Write};
/// use tripoll::net::{CloseReason, Closed, Connection, Filter, Protocol, Stream, Wire};
/// use tripoll::{Context, Reactor};
///
/// /// Letters are rotated by 13 places.
/// struct Rot13;
///
/// fn rotate(from: &[u8], to: &mut Vec<u8>) {
///     to.extend(from.iter().map(|byte| match byte {
///         b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
///         other => *other,
///     }));
/// }
///
/// impl Filter for Rot13 {
///     fn received(
///         &mut self,
///         data: &[u8],
///         plain: &mut Vec<u8>,
///         _: &mut Vec<u8>,
///     ) -> io::Result<()> {
///         rotate(data, plain);
///         Ok(())
///     }
///
///     fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
///         rotate(plain, out);
///         Ok(())
///     }
/// }
///
/// /// Answers with what it has read.
/// struct Echo;
///
/// impl Protocol for Echo {
///     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
///         assert_eq!(data, b"hello");
///         wire.write(b"hello yourself");
///         Ok(data.len())
///     }
///
///     fn closed(&mut self, _: &Closed, cx: &mut Context) {
///         cx.stop();
///     }
/// }
///
/// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
/// let mut reactor = Reactor::new()?;
/// Connection::new(Echo).over(Rot13).serve(Stream::from(here), &mut reactor.context())?;
/// there.write_all(b"uryyb")?;
/// there.shutdown(std::net::Shutdown::Write)?;
/// reactor.run()?;
/// let mut answer = String::new();
/// there.read_to_string(&mut answer)?;
/// assert_eq!(answer, "uryyb lbhefrys");
/// # io::Result::Ok(())
/// ```
///
/// # Errors
///
/// An error of any method closes the connection. The protocol gets it as
/// [`CloseReason::Failed`](super::CloseReason::Failed). What the method has appended to `out` is still
/// sent, such as an alert.
#[doc(alias = "tls")]
#[doc(alias = "pipeline")]
pub trait Filter: Any {
    /// Begins the connection. What is to be sent first is appended to `out`. Nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn start(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let _ = out;
        Ok(())
    }

    /// Returns whether the handshake is not over. False by default.
    fn is_handshaking(&self) -> bool {
        false
    }

    /// Takes all of `data`, which the peer has sent. Bytes for the protocol are appended to `plain`, and
    /// answers to the peer to `out`. The data comes in pieces of any size. What is appended to `plain`
    /// before the handshake is over waits for its end.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()>;

    /// Takes all of `plain`, which the protocol has written. Bytes for the peer are appended to `out`.
    /// Never called during the handshake.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()>;

    /// Ends our side, before the stream is half-closed. What tells the peer so is appended to `out`.
    /// Nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let _ = out;
        Ok(())
    }

    /// Returns whether the peer has ended its side by a message of its own. Then
    /// [`Protocol::ended`](super::Protocol::ended) is called. During the handshake the connection fails
    /// instead. False by default.
    fn has_peer_closed(&self) -> bool {
        false
    }

    /// Called when the stream has ended. By default this is the end of the peer's data.
    ///
    /// # Errors
    ///
    /// A filter whose peer must end by a message returns an error of kind `UnexpectedEof` if there was
    /// none: the data may have been cut off by somebody else.
    fn ended(&mut self) -> io::Result<()> {
        Ok(())
    }
}
