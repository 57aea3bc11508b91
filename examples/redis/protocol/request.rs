//! Requests: an array of bulk strings (RESP2), or a line of words.
//!
//! ```text
//! *2\r\n $3\r\nGET\r\n $4\r\nname\r\n        GET name\r\n
//! ```
//!
//! The parser takes its input as it comes, and never looks at a byte twice. It allocates what has
//! arrived, and not what a peer announces.

use std::fmt;

/// The most bytes of one string: 1 MiB.
pub const MAX_BULK: usize = 1 << 20;
/// The most strings of one request.
pub const MAX_ARGUMENTS: usize = 1_024;
/// The most bytes of all strings of one request: 4 MiB.
pub const MAX_REQUEST: usize = 4 << 20;
/// The most bytes of a request that is a line: 64 KiB.
pub const MAX_INLINE: usize = 64 << 10;
/// The most bytes of a line that announces a length.
const MAX_LENGTH_LINE: usize = 32;
/// A buffer that has grown beyond this is freed after its request.
const KEPT: usize = 64 << 10;

/// The strings of a request: the name of a command, and its arguments.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Request {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`.
    ends: Vec<usize>,
}

impl Request {
    /// Returns the strings.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    fn end_string(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.ends.clear();
    }
}

/// Why input is no request. The connection must be closed: what follows has no meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProtocolError {
    /// A number is missing, is none, or is out of range.
    Length { what: &'static str, limit: usize },
    /// A line, or a request, has too many bytes.
    TooLong { what: &'static str, limit: usize },
    /// Another byte must be here.
    Expected(&'static str, u8),
    /// A quoted word has no end.
    Quotes,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::Length { what, limit } => {
                write!(f, "Protocol error: invalid {what}, the limit is {limit}")
            }
            ProtocolError::TooLong { what, limit } => {
                write!(f, "Protocol error: too big {what}, the limit is {limit} bytes")
            }
            ProtocolError::Expected(expected, byte) => {
                write!(f, "Protocol error: expected '{expected}', got '{}'", byte.escape_ascii())
            }
            ProtocolError::Quotes => f.write_str("Protocol error: unbalanced quotes in request"),
        }
    }
}

/// What comes next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The first line of a request.
    #[default]
    Request,
    /// The length of a string.
    Length,
    /// So many bytes of a string.
    String(usize),
    /// `\r\n` after a string, of which so many bytes are missing.
    End(u8),
}

/// Parses the requests of one client.
#[derive(Debug, Default)]
pub struct Requests {
    next: Next,
    /// The beginning of a line.
    line: Vec<u8>,
    request: Request,
    /// How many strings of the request have not arrived.
    missing: usize,
}

impl Requests {
    /// Takes one request from `input`, or all of it. Returns `None` if the request is incomplete.
    ///
    /// # Errors
    ///
    /// Fails when the input is no request, or is above a limit.
    pub fn parse(&mut self, input: &mut &[u8]) -> Result<Option<&Request>, ProtocolError> {
        if self.next == Next::Request {
            self.request.clear();
        }
        while !input.is_empty() {
            match self.next {
                Next::Request => {
                    if self.take_line(input, "inline request", MAX_INLINE)? && self.begin()? {
                        return Ok(Some(&self.request));
                    }
                }
                Next::Length => {
                    if self.take_line(input, "bulk length", MAX_LENGTH_LINE)? {
                        self.begin_string()?;
                    }
                }
                Next::String(left) => {
                    let piece = take(input, left);
                    self.request.bytes.extend_from_slice(piece);
                    let left = left - piece.len();
                    self.next = if left == 0 { Next::End(2) } else { Next::String(left) };
                }
                Next::End(left) => {
                    let (expected, name) = if left == 2 { (b'\r', "\\r") } else { (b'\n', "\\n") };
                    let byte = take(input, 1)[0];
                    if byte != expected {
                        return Err(ProtocolError::Expected(name, byte));
                    }
                    self.next = Next::End(left - 1);
                    if left == 1 && self.end_string() {
                        return Ok(Some(&self.request));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes a line, without its end, or a part of it. Returns whether it is complete.
    fn take_line(
        &mut self,
        input: &mut &[u8],
        what: &'static str,
        limit: usize,
    ) -> Result<bool, ProtocolError> {
        // The line that announces an array is as short as those of the lengths.
        let first = self.line.first().or(input.first());
        let (what, limit) = match (self.next, first) {
            (Next::Request, Some(b'*')) => ("multibulk length", MAX_LENGTH_LINE),
            _ => (what, limit),
        };
        let most = (limit + 1).saturating_sub(self.line.len()).min(input.len());
        let end = input[..most].iter().position(|&byte| byte == b'\n');
        self.line.extend_from_slice(take(input, end.map_or(most, |end| end + 1)));
        if end.is_none() {
            let is_too_long = self.line.len() > limit;
            return if is_too_long {
                Err(ProtocolError::TooLong { what, limit })
            } else {
                Ok(false)
            };
        }
        self.line.pop();
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(true)
    }

    /// Begins a request with its first line. Returns whether it is complete.
    fn begin(&mut self) -> Result<bool, ProtocolError> {
        if self.line.first() == Some(&b'*') {
            let count = self.length("multibulk length", MAX_ARGUMENTS)?;
            // An array of nothing, and one of a negative length, is skipped, as Redis does.
            if let Some(count @ 1..) = count {
                (self.missing, self.next) = (count, Next::Length);
            }
            return Ok(false);
        }
        let line = std::mem::take(&mut self.line);
        let split = split(&line, &mut self.request);
        self.line = line;
        self.line.clear();
        self.line.shrink_to(MAX_LENGTH_LINE);
        split?;
        Ok(!self.request.ends.is_empty())
    }

    /// Begins a string with its length.
    fn begin_string(&mut self) -> Result<(), ProtocolError> {
        if self.line.first() != Some(&b'$') {
            let byte = self.line.first().copied().unwrap_or(b'\n');
            return Err(ProtocolError::Expected("$", byte));
        }
        let what = "bulk length";
        let length = self.length(what, MAX_BULK)?;
        let length = length.ok_or(ProtocolError::Length { what, limit: MAX_BULK })?;
        if self.request.bytes.len() + length > MAX_REQUEST {
            return Err(ProtocolError::TooLong { what: "request", limit: MAX_REQUEST });
        }
        self.next = if length == 0 { Next::End(2) } else { Next::String(length) };
        Ok(())
    }

    /// Ends a string. Returns whether it was the last one.
    fn end_string(&mut self) -> bool {
        self.request.end_string();
        self.missing -= 1;
        self.next = if self.missing == 0 { Next::Request } else { Next::Length };
        self.missing == 0
    }

    /// Returns the number in a line, behind its first byte. Returns `None` if it is negative.
    fn length(&mut self, what: &'static str, limit: usize) -> Result<Option<usize>, ProtocolError> {
        let number = integer(&self.line[1..]);
        self.line.clear();
        let number = number.filter(|&number| number <= limit as i64);
        let number = number.ok_or(ProtocolError::Length { what, limit })?;
        Ok(usize::try_from(number).ok())
    }
}

/// Takes up to `most` bytes.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

/// Returns the number that is written in decimal digits, and in no other way.
pub fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| is_plain)?.parse().ok()
}

/// Splits a line into words. A word in quotes may contain blanks, and in double quotes the escapes
/// `\n`, `\r`, `\t`, `\\`, `\"` and `\xFF`.
fn split(line: &[u8], words: &mut Request) -> Result<(), ProtocolError> {
    let mut rest = line.iter().copied().peekable();
    loop {
        while rest.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(first) = rest.next() else { return Ok(()) };
        if words.ends.len() == MAX_ARGUMENTS {
            return Err(ProtocolError::Length { what: "number of words", limit: MAX_ARGUMENTS });
        }
        if !matches!(first, b'"' | b'\'') {
            words.bytes.push(first);
            while let Some(byte) = rest.next_if(|byte| !byte.is_ascii_whitespace()) {
                words.bytes.push(byte);
            }
        } else {
            loop {
                match rest.next().ok_or(ProtocolError::Quotes)? {
                    quote if quote == first => break,
                    b'\\' if first == b'"' => {
                        let byte = escaped(&mut rest).ok_or(ProtocolError::Quotes)?;
                        words.bytes.push(byte);
                    }
                    byte => words.bytes.push(byte),
                }
            }
            if rest.peek().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                return Err(ProtocolError::Quotes);
            }
        }
        words.end_string();
    }
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    Some(match rest.next()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            (digit()? * 16 + digit()?) as u8
        }
        byte => byte,
    })
}
