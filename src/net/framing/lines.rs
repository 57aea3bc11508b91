//! Frames that are lines.

use std::io;
use std::ops::Range;

use super::delimited::{too_long, unfinished};
use super::framed::Framed;
use super::framing::{Decoded, Framing};
use super::scanner::Scanner;

/// A protocol of lines. A received line ends with LF or CRLF. Neither belongs to its content.
///
/// ```
/// use tripoll::net::framing::Lines;
///
/// # struct MyProtocol;
/// let protocol = Lines::new(MyProtocol).max_frame(1_000).send_crlf(true);
/// ```
pub type Lines<P> = Framed<LineFraming, P>;

/// The framing of [`Lines`].
#[derive(Debug, Clone)]
pub struct LineFraming {
    scanner: Scanner,
    sends_crlf: bool,
    last_needs_end: bool,
}

impl<P> Framed<LineFraming, P> {
    /// Returns a protocol of lines.
    pub fn new(protocol: P) -> Self {
        let scanner = Scanner::new(b"\n");
        let framing = LineFraming { scanner, sends_crlf: false, last_needs_end: false };
        Framed::with(framing, protocol)
    }

    /// Sets whether the lines that are sent end with CRLF in place of LF. Default: false.
    pub fn send_crlf(mut self, yes: bool) -> Self {
        self.framing.sends_crlf = yes;
        self
    }

    /// Sets whether the last line must end with LF, too. If not, what comes before the end of the
    /// stream is a line. If so, it is [refused](super::FrameProtocol::refused) with `UnexpectedEof`.
    /// Default: false.
    pub fn last_needs_end(mut self, yes: bool) -> Self {
        self.framing.last_needs_end = yes;
        self
    }
}

/// Returns the length of a line without the CR at its end.
fn without_cr(line: &[u8]) -> usize {
    line.strip_suffix(b"\r").unwrap_or(line).len()
}

impl Framing for LineFraming {
    fn decode(&mut self, input: &[u8], max_frame: usize) -> io::Result<Option<Decoded>> {
        let found = self.scanner.find(input);
        // A CR at the end may belong to a CRLF of which the rest has not come.
        let length = without_cr(&input[..found.unwrap_or(input.len())]);
        if length > max_frame {
            return Err(too_long("line", max_frame));
        }
        Ok(found.map(|end| Decoded::new(0..length, end + 1)))
    }

    fn decode_last(&mut self, rest: &[u8], max_frame: usize) -> io::Result<Option<Range<usize>>> {
        if self.last_needs_end {
            return Err(unfinished("line", "end", rest.len()));
        }
        if rest.len() > max_frame {
            return Err(too_long("line", max_frame)); // its CR was not followed by LF
        }
        Ok(Some(0..rest.len()))
    }

    fn encode(&self, line: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let message = match Scanner::new(b"\n").find(line) {
            Some(at) => format!("a line cannot contain LF, here at byte {at}"),
            None if line.ends_with(b"\r") => "a line cannot end with CR before its end".into(),
            None => {
                output.extend_from_slice(line);
                output.extend_from_slice(if self.sends_crlf { b"\r\n" } else { b"\n" });
                return Ok(());
            }
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    fn overhead(&self) -> usize {
        2
    }
}
