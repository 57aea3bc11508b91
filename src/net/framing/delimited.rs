//! Frames that end with a delimiter.

use std::io;
use std::ops::Range;

use super::framed::Framed;
use super::framing::{Decoded, Framing};
use super::scanner::Scanner;

/// A protocol of frames that end with a delimiter, which may be any bytes.
///
/// ```
/// use tripoll::net::framing::Delimited;
///
/// # struct MyProtocol;
/// let protocol = Delimited::new(MyProtocol, b"\0").max_frame(1_000);
/// ```
pub type Delimited<P> = Framed<DelimiterFraming, P>;

/// The framing of [`Delimited`].
#[derive(Debug, Clone)]
pub struct DelimiterFraming {
    scanner: Scanner,
    last_needs_end: bool,
}

impl<P> Framed<DelimiterFraming, P> {
    /// Returns a protocol whose frames end with `delimiter`.
    ///
    /// # Panics
    ///
    /// If `delimiter` is empty.
    pub fn new(protocol: P, delimiter: &[u8]) -> Self {
        assert!(!delimiter.is_empty(), "a delimiter has at least one byte");
        let framing = DelimiterFraming { scanner: Scanner::new(delimiter), last_needs_end: false };
        Framed::with(framing, protocol)
    }

    /// Sets whether the last frame must end with the delimiter, too. If not, what comes before the end
    /// of the stream is a frame. If so, it is [refused](super::FrameProtocol::refused) with
    /// `UnexpectedEof`. Default: false.
    pub fn last_needs_end(mut self, yes: bool) -> Self {
        self.framing.last_needs_end = yes;
        self
    }
}

impl Framing for DelimiterFraming {
    fn decode(&mut self, input: &[u8], max_frame: usize) -> io::Result<Option<Decoded>> {
        let found = self.scanner.find(input);
        if found.unwrap_or(self.scanner.scanned()) > max_frame {
            return Err(too_long("frame", max_frame));
        }
        Ok(found.map(|end| Decoded::new(0..end, end + self.scanner.delimiter().len())))
    }

    fn decode_last(&mut self, rest: &[u8], max_frame: usize) -> io::Result<Option<Range<usize>>> {
        if self.last_needs_end {
            return Err(unfinished("frame", "delimiter", rest.len()));
        }
        if rest.len() > max_frame {
            return Err(too_long("frame", max_frame));
        }
        Ok(Some(0..rest.len()))
    }

    fn encode(&self, frame: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let (delimiter, start) = (self.scanner.delimiter(), output.len());
        output.extend_from_slice(frame);
        output.extend_from_slice(delimiter);
        // The delimiter may also begin inside the content and end with the real one: `a` before `aa`.
        match Scanner::new(delimiter).find(&output[start..]) {
            Some(at) if at < frame.len() => {
                let message = format!(
                    "the frame contains the delimiter \"{}\", at byte {at}",
                    delimiter.escape_ascii()
                );
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
            _ => Ok(()),
        }
    }

    fn overhead(&self) -> usize {
        self.scanner.delimiter().len()
    }
}

pub(super) fn too_long(what: &str, max_frame: usize) -> io::Error {
    let message = format!("a {what} is longer than max_frame, which is {max_frame} bytes");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

pub(super) fn unfinished(what: &str, end: &str, length: usize) -> io::Error {
    let message = format!("the stream ended before the {end} of a {what}, after {length} bytes");
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}
