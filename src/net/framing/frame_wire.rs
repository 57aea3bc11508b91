//! A connection as its frame protocol sees it.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

use super::framing::Framing;
use crate::net::wire::Wire;

/// A connection as its [`FrameProtocol`](super::FrameProtocol) sees it, during a callback.
///
/// [`send_frame`](Self::send_frame) sends a frame. All else is done as with a [`Wire`], to which this
/// type dereferences: [`pause`](Wire::pause), [`close`](Wire::close), [`peer`](Wire::peer) and the
/// others. [`Wire::write`] and [`Wire::send`] send bytes without a frame around them.
///
/// ```
/// use std::io;
/// use tripoll::Context;
/// use tripoll::net::framing::{FrameProtocol, FrameWire, Lines};
/// use tripoll::net::testing::ProtocolTest;
///
/// struct Greet;
///
/// impl FrameProtocol for Greet {
///     fn frame(&mut self, wire: &mut FrameWire, name: &[u8], _: &mut Context) -> io::Result<()> {
///         wire.send_frame(&[b"hello ", name].concat())?; // with the end of the line
///         if name == b"bye" {
///             wire.close(); // a method of `Wire`
///         }
///         Ok(())
///     }
/// }
///
/// let mut test = ProtocolTest::new(Lines::new(Greet), ())?;
/// test.receive(b"ann\nbo");
/// test.receive(b"b\nbye\n");
/// assert_eq!(test.written(), b"hello ann\nhello bob\nhello bye\n");
/// assert!(test.is_closing());
/// # io::Result::Ok(())
/// ```
pub struct FrameWire<'a, 'w> {
    wire: &'a mut Wire<'w>,
    framing: &'a dyn Framing,
}

impl<'a, 'w> FrameWire<'a, 'w> {
    pub(super) fn new(wire: &'a mut Wire<'w>, framing: &'a dyn Framing) -> Self {
        FrameWire { wire, framing }
    }

    /// Sends a frame with this content: adds the prefix or the delimiter, and [writes](Wire::write)
    /// all in one go. Never blocks. [`Wire::unsent`] is what waits.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a frame cannot have this content: it is too long for its prefix, or contains
    /// the delimiter. Then nothing is sent.
    pub fn send_frame(&mut self, content: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(content.len() + self.framing.overhead());
        self.framing.encode(content, &mut frame)?;
        self.wire.write(&frame);
        Ok(())
    }
}

impl<'w> Deref for FrameWire<'_, 'w> {
    type Target = Wire<'w>;

    fn deref(&self) -> &Wire<'w> {
        self.wire
    }
}

impl<'w> DerefMut for FrameWire<'_, 'w> {
    fn deref_mut(&mut self) -> &mut Wire<'w> {
        self.wire
    }
}

impl fmt::Debug for FrameWire<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWire").field("wire", &self.wire).finish_non_exhaustive()
    }
}
