//! The trait `Framing`: how frames are found in a stream, and written to one.

use std::io;
use std::ops::Range;

/// Finds the frames in a stream of bytes, and encodes frames.
///
/// A framing for frames of four bytes:
///
/// ```
/// use std::io;
/// use std::ops::Range;
/// use tripoll::net::framing::{Decoded, Framed, Framing};
///
/// #[derive(Debug)]
/// struct Words;
///
/// impl Framing for Words {
///     fn decode(&mut self, input: &[u8], _: usize) -> io::Result<Option<Decoded>> {
///         Ok((input.len() >= 4).then(|| Decoded::new(0..4, 4)))
///     }
///
///     fn decode_last(&mut self, _: &[u8], _: usize) -> io::Result<Option<Range<usize>>> {
///         Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended inside a word"))
///     }
///
///     fn encode(&self, frame: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
///         if frame.len() != 4 {
///             let message = format!("a word has 4 bytes, not {}", frame.len());
///             return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
///         }
///         output.extend_from_slice(frame);
///         Ok(())
///     }
///
///     fn overhead(&self) -> usize {
///         0
///     }
/// }
///
/// # struct MyProtocol;
/// let protocol = Framed::with(Words, MyProtocol);
/// ```
pub trait Framing {
    /// Looks for a frame at the beginning of `input`. Returns `None` if it is not there as a whole.
    ///
    /// The next call begins behind the frame that this one has found. If it has found none, the next
    /// call has the same input, followed by more. So a framing can remember how far it has searched.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the input is no frame, or one with more than `max_frame` bytes of content.
    /// The error must come as soon as this is certain. Otherwise the memory is not bounded.
    fn decode(&mut self, input: &[u8], max_frame: usize) -> io::Result<Option<Decoded>>;

    /// Decides what the rest of a stream is that has ended: the last frame, of which the range is the
    /// content, or none. `rest` is not empty, and [`decode`](Self::decode) has found no frame in it.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream must not end here. Otherwise as [`decode`](Self::decode).
    fn decode_last(&mut self, rest: &[u8], max_frame: usize) -> io::Result<Option<Range<usize>>>;

    /// Appends a frame with this content to `output`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a frame cannot have this content. What was appended then is discarded.
    fn encode(&self, frame: &[u8], output: &mut Vec<u8>) -> io::Result<()>;

    /// Returns how many bytes of a frame are not its content, at most.
    fn overhead(&self) -> usize;
}

/// A frame that a [`Framing`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded {
    /// Where its content is in the input.
    pub content: Range<usize>,
    /// How many bytes of the input the frame takes, at least one.
    pub used: usize,
}

impl Decoded {
    /// Returns a frame whose content is in this range, and that takes `used` bytes of the input.
    pub fn new(content: Range<usize>, used: usize) -> Self {
        Decoded { content, used }
    }
}
