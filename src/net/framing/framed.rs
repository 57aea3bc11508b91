//! The adaptor between a frame protocol and a connection.

use std::io;

use super::frame_protocol::FrameProtocol;
use super::frame_wire::FrameWire;
use super::framing::{Decoded, Framing};
use crate::net::closed::Closed;
use crate::net::protocol::Protocol;
use crate::net::wire::Wire;
use crate::reactor::Context;

/// A [`Protocol`] that finds the frames in its input, and passes them to a [`FrameProtocol`].
///
/// [`Lines`](super::Lines), [`LengthPrefixed`](super::LengthPrefixed) and
/// [`Delimited`](super::Delimited) are this type with the framings of this module.
///
/// ```
/// use std::io;
/// use tripoll::Context;
/// use tripoll::net::framing::{FrameProtocol, FrameWire, LengthPrefixed, Prefix};
/// use tripoll::net::testing::ProtocolTest;
///
/// struct Upper;
///
/// impl FrameProtocol for Upper {
///     fn frame(&mut self, wire: &mut FrameWire, frame: &[u8], _: &mut Context) -> io::Result<()> {
///         wire.send_frame(&frame.to_ascii_uppercase())
///     }
/// }
///
/// let protocol = LengthPrefixed::new(Upper).prefix(Prefix::U16).max_frame(1_000);
/// let mut test = ProtocolTest::new(protocol, ())?; // or `Connection::new(protocol)`
/// test.receive(b"\0\x05hello\0\x02o");
/// assert_eq!(test.written(), b"\0\x05HELLO"); // the second frame is not complete
/// test.receive(b"k");
/// assert_eq!(test.written(), b"\0\x02OK");
/// test.receive(b"\xff\xff"); // over `max_frame`
/// assert!(test.is_closing());
/// # io::Result::Ok(())
/// ```
#[doc(alias = "codec")]
#[doc(alias = "decoder")]
#[derive(Debug)]
pub struct Framed<F, P> {
    pub(super) framing: F,
    protocol: P,
    max_frame: usize,
}

/// The same as the limit of a line in Python's `asyncio`.
const MAX_FRAME: usize = 64 << 10;

impl<F: Framing, P> Framed<F, P> {
    /// Returns a protocol with this framing.
    pub fn with(framing: F, protocol: P) -> Self {
        Framed { framing, protocol, max_frame: MAX_FRAME }
    }

    /// Sets how many bytes of content a received frame may have. A longer one is
    /// [refused](FrameProtocol::refused) as soon as that is certain. Default: 64 KiB.
    ///
    /// A smaller [`Connection::max_unused`](crate::net::Connection::max_unused) is raised, so that a
    /// frame finds room.
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Returns the framing alone, to decode what does not come from a connection.
    pub fn into_framing(self) -> F {
        self.framing
    }

    /// Passes an error to the protocol, and closes the connection.
    fn refuse<S>(
        &mut self,
        error: io::Error,
        wire: &mut Wire<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()>
    where
        P: FrameProtocol<S>,
    {
        self.protocol.refused(&mut FrameWire::new(wire, &self.framing), error, cx)?;
        wire.close();
        Ok(())
    }
}

impl<S, F: Framing, P: FrameProtocol<S>> Protocol<S> for Framed<F, P> {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        wire.allow_unused(self.max_frame.saturating_add(self.framing.overhead()));
        self.protocol.opened(&mut FrameWire::new(wire, &self.framing), cx)
    }

    /// Passes one frame. The connection calls again for the next one, unless it has paused.
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<usize> {
        match self.framing.decode(data, self.max_frame) {
            Ok(None) => Ok(0),
            Ok(Some(Decoded { content, used })) => {
                let wire = &mut FrameWire::new(wire, &self.framing);
                self.protocol.frame(wire, &data[content], cx)?;
                Ok(used)
            }
            Err(error) => {
                self.refuse(error, wire, cx)?;
                Ok(data.len())
            }
        }
    }

    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        rest: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        if !rest.is_empty() {
            match self.framing.decode_last(rest, self.max_frame) {
                Ok(None) => {}
                Ok(Some(content)) => {
                    let wire = &mut FrameWire::new(wire, &self.framing);
                    self.protocol.frame(wire, &rest[content], cx)?;
                }
                Err(error) => return self.refuse(error, wire, cx),
            }
            if !wire.is_open() {
                return Ok(()); // the last frame was enough
            }
        }
        self.protocol.ended(&mut FrameWire::new(wire, &self.framing), cx)
    }

    fn below_low_mark(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.below_low_mark(&mut FrameWire::new(wire, &self.framing), cx)
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.drained(&mut FrameWire::new(wire, &self.framing), cx)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.timed_out(&mut FrameWire::new(wire, &self.framing), cx)
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.notified(&mut FrameWire::new(wire, &self.framing), cx)
    }

    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.shutting_down(&mut FrameWire::new(wire, &self.framing), cx)
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, S>) {
        self.protocol.closed(closed, cx);
    }
}
