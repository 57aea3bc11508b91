//! Framings: where a message begins and ends in a stream of bytes.
//!
//! TCP delivers bytes, and no messages: two sends may arrive as one read, and one send as two. A
//! framing finds the messages again. [`Framed`] is the [`Protocol`](crate::net::Protocol) that does
//! it, for a [`FrameProtocol`] that is called with whole frames:
//!
//! | framing | a frame is |
//! |---|---|
//! | [`Lines`] | what stands before LF or CRLF |
//! | [`LengthPrefixed`] | as many bytes as a number before it says |
//! | [`Delimited`] | what stands before a delimiter of any bytes |
//!
//! Another one is a type that implements [`Framing`].
//!
//! A server that sends each frame back:
//!
//! ```
//! use std::io::{self, Read, Write};
//! use tripoll::net::framing::{FrameProtocol, FrameWire, LengthPrefixed};
//! use tripoll::net::{Closed, Connection, Stream};
//! use tripoll::{Context, Reactor};
//!
//! struct Echo;
//!
//! impl FrameProtocol for Echo {
//!     fn frame(&mut self, wire: &mut FrameWire, frame: &[u8], _: &mut Context) -> io::Result<()> {
//!         wire.send_frame(frame)
//!     }
//!
//!     fn closed(&mut self, _: &Closed, cx: &mut Context) {
//!         cx.stop();
//!     }
//! }
//!
//! let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
//! let mut reactor = Reactor::new()?;
//! let echo = LengthPrefixed::new(Echo).max_frame(1_000);
//! Connection::new(echo).serve(Stream::from(here), &mut reactor.context())?;
//! there.write_all(b"\0\0\0\x05hel")?; // a frame may come in pieces
//! there.write_all(b"lo\0\0\0\x02ok")?;
//! there.shutdown(std::net::Shutdown::Write)?;
//! reactor.run()?;
//! let mut answer = Vec::new();
//! there.read_to_end(&mut answer)?;
//! assert_eq!(answer, b"\0\0\0\x05hello\0\0\0\x02ok");
//! # io::Result::Ok(())
//! ```
//!
//! # Bounds
//!
//! A frame longer than [`max_frame`](Framed::max_frame) is not a frame: the error names the limit,
//! and the connection is closed. So a connection keeps one unfinished frame at most, and what it has
//! read in one go. The bytes of an unfinished frame are searched once, however small the pieces are in
//! which it arrives.

mod delimited;
mod frame_protocol;
mod frame_wire;
mod framed;
#[allow(clippy::module_inception)] // the module is named after its main type
mod framing;
mod length_prefixed;
mod lines;
mod scanner;

pub use delimited::{Delimited, DelimiterFraming};
pub use frame_protocol::FrameProtocol;
pub use frame_wire::FrameWire;
pub use framed::Framed;
pub use framing::{Decoded, Framing};
pub use length_prefixed::{LengthFraming, LengthPrefixed, Prefix};
pub use lines::{LineFraming, Lines};
