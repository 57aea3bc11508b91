//! Frames with their length before them.

use std::io;
use std::ops::Range;

use super::framed::Framed;
use super::framing::{Decoded, Framing};

/// A protocol of frames that begin with their length: four bytes in network byte order by default.
///
/// ```
/// use tripoll::net::framing::{LengthPrefixed, Prefix};
///
/// # struct MyProtocol;
/// let protocol = LengthPrefixed::new(MyProtocol).max_frame(1 << 20).prefix(Prefix::U16);
/// ```
pub type LengthPrefixed<P> = Framed<LengthFraming, P>;

/// The framing of [`LengthPrefixed`].
#[derive(Debug, Clone)]
pub struct LengthFraming {
    prefix: Prefix,
    is_little_endian: bool,
    counts_itself: bool,
}

/// The size of a length before a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// One byte.
    U8,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
    /// Eight bytes.
    U64,
}

impl Prefix {
    /// Returns how many bytes it has.
    pub const fn size(self) -> usize {
        match self {
            Prefix::U8 => 1,
            Prefix::U16 => 2,
            Prefix::U32 => 4,
            Prefix::U64 => 8,
        }
    }

    /// Returns the greatest length that it can hold.
    const fn max(self) -> u64 {
        u64::MAX >> (64 - 8 * self.size())
    }
}

impl<P> Framed<LengthFraming, P> {
    /// Returns a protocol of frames with a length before them.
    pub fn new(protocol: P) -> Self {
        let prefix = Prefix::U32;
        let framing = LengthFraming { prefix, is_little_endian: false, counts_itself: false };
        Framed::with(framing, protocol)
    }

    /// Sets the size of the length. Default: four bytes.
    pub fn prefix(mut self, prefix: Prefix) -> Self {
        self.framing.prefix = prefix;
        self
    }

    /// Sets whether the first byte of the length is the least significant one. Default: false, the
    /// network byte order.
    pub fn little_endian(mut self, yes: bool) -> Self {
        self.framing.is_little_endian = yes;
        self
    }

    /// Sets whether the length counts its own bytes, too. Default: false.
    pub fn counts_itself(mut self, yes: bool) -> Self {
        self.framing.counts_itself = yes;
        self
    }
}

impl LengthFraming {
    /// Returns how many bytes of the length are its own.
    fn counted_prefix(&self) -> u64 {
        if self.counts_itself { self.prefix.size() as u64 } else { 0 }
    }

    /// Reads a length.
    fn read(&self, prefix: &[u8]) -> u64 {
        let append = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        match self.is_little_endian {
            true => prefix.iter().rev().fold(0, append),
            false => prefix.iter().fold(0, append),
        }
    }
}

impl Framing for LengthFraming {
    fn decode(&mut self, input: &[u8], max_frame: usize) -> io::Result<Option<Decoded>> {
        let start = self.prefix.size();
        let Some(prefix) = input.get(..start) else { return Ok(None) };
        let length = self.read(prefix);
        let Some(content) = length.checked_sub(self.counted_prefix()) else {
            let message = format!("the length of a frame is {length}, and counts {start} itself");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        match usize::try_from(content) {
            Ok(content) if content <= max_frame => {
                let is_whole = input.len() - start >= content;
                Ok(is_whole.then(|| Decoded::new(start..start + content, start + content)))
            }
            _ => {
                let message = format!(
                    "a frame of {content} bytes is longer than max_frame, which is {max_frame} bytes"
                );
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }

    fn decode_last(&mut self, rest: &[u8], _: usize) -> io::Result<Option<Range<usize>>> {
        let start = self.prefix.size();
        let message = match rest.get(..start) {
            None => format!("the stream ended after {} of {start} bytes of a length", rest.len()),
            Some(prefix) => {
                let content = self.read(prefix) - self.counted_prefix(); // `decode` has checked it
                let got = rest.len() - start;
                format!("the stream ended after {got} of {content} bytes of a frame")
            }
        };
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
    }

    fn encode(&self, frame: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let (size, length) = (self.prefix.size(), frame.len() as u64);
        let most = self.prefix.max() - self.counted_prefix();
        if length > most {
            let message = format!(
                "a frame of {length} bytes is too long for a length of {size} bytes, which allows {most}"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let length = length + self.counted_prefix();
        match self.is_little_endian {
            true => output.extend_from_slice(&length.to_le_bytes()[..size]),
            false => output.extend_from_slice(&length.to_be_bytes()[8 - size..]),
        }
        output.extend_from_slice(frame);
        Ok(())
    }

    fn overhead(&self) -> usize {
        self.prefix.size()
    }
}
