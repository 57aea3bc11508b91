//! The body of a request, which arrives in pieces (RFC 9112, sections 6 and 7).

use httparse::EMPTY_HEADER;
use memchr::memchr;

use super::head::{Framing, is_token};
use super::status::Status;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 64 << 10;
/// The most bytes of chunk extensions and of trailers, each.
pub const MAX_EXTRA: usize = 4 << 10;
/// The longest line with the size of a chunk, in bytes.
const MAX_SIZE_LINE: usize = 256;

/// Decodes a body.
#[derive(Debug)]
pub struct Body {
    state: State,
    /// Number of bytes of the body that were received.
    received: u64,
    /// Number of bytes of chunk extensions.
    extensions: usize,
    /// Number of bytes of trailers.
    trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes are missing.
    Length(u64),
    /// The line with the size of the next chunk.
    ChunkSize,
    /// So many bytes of the chunk are missing.
    Chunk(u64),
    /// The end of line behind a chunk.
    ChunkEnd,
    /// The fields behind the last chunk.
    Trailers,
    Complete,
}

impl Body {
    pub fn new(framing: Framing) -> Result<Self, Status> {
        let state = match framing {
            Framing::Length(0) => State::Complete,
            Framing::Length(length) if length > MAX_BODY as u64 => {
                return Err(Status::CONTENT_TOO_LARGE);
            }
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
        };
        Ok(Body { state, received: 0, extensions: 0, trailers: 0 })
    }

    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Uses as much of `input` as it can, and appends what it holds to `content`, if that is needed.
    /// Returns how many bytes were used. An incomplete line is left unused.
    pub fn decode(
        &mut self,
        input: &[u8],
        mut content: Option<&mut Vec<u8>>,
    ) -> Result<usize, Status> {
        let mut used = 0;
        while !self.is_complete() {
            let rest = &input[used..];
            let count = match self.state {
                State::Length(missing) | State::Chunk(missing) => {
                    let count = rest.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
                    if let Some(content) = &mut content {
                        content.extend_from_slice(&rest[..count]);
                    }
                    self.state = match (self.state, missing - count as u64) {
                        (State::Length(_), 0) => State::Complete,
                        (State::Length(_), missing) => State::Length(missing),
                        (_, 0) => State::ChunkEnd,
                        (_, missing) => State::Chunk(missing),
                    };
                    count
                }
                State::ChunkSize => self.chunk_size(rest)?,
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.state = State::ChunkSize;
                        2
                    }
                    [] | [b'\r'] => 0,
                    _ => return Err(Status::BAD_REQUEST),
                },
                State::Trailers => self.trailer(rest)?,
                State::Complete => 0,
            };
            if count == 0 {
                break; // more input is needed
            }
            used += count;
        }
        Ok(used)
    }

    /// Reads the size of a chunk. Returns 0 if the line is not complete.
    fn chunk_size(&mut self, input: &[u8]) -> Result<usize, Status> {
        let digits = input.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 16 || digits == 0 && !input.is_empty() {
            return Err(Status::BAD_REQUEST);
        }
        let Some((line, length)) = line(input, MAX_SIZE_LINE, Status::BAD_REQUEST)? else {
            return Ok(0);
        };
        let (size, extensions) = line.split_at(digits);
        self.extensions += extensions.len();
        if self.extensions > MAX_EXTRA || !are_extensions(extensions) {
            return Err(Status::BAD_REQUEST);
        }
        let size = str::from_utf8(size).unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| Status::BAD_REQUEST)?;
        self.received = self.received.saturating_add(size);
        if self.received > MAX_BODY as u64 {
            return Err(Status::CONTENT_TOO_LARGE);
        }
        self.state = if size == 0 { State::Trailers } else { State::Chunk(size) };
        Ok(length)
    }

    /// Reads a trailer, or the empty line that is the end. Returns 0 if the line is not complete.
    fn trailer(&mut self, input: &[u8]) -> Result<usize, Status> {
        let line = line(input, MAX_EXTRA, Status::FIELDS_TOO_LARGE)?;
        let Some((text, length)) = line else { return Ok(0) };
        if text.is_empty() {
            self.state = State::Complete;
            return Ok(length);
        }
        self.trailers += length;
        if self.trailers > MAX_EXTRA {
            return Err(Status::FIELDS_TOO_LARGE);
        }
        // A field without the empty line behind it is not complete, and no error.
        let mut field = [EMPTY_HEADER];
        match httparse::parse_headers(&input[..length], &mut field) {
            Ok(httparse::Status::Partial) => Ok(length),
            _ => Err(Status::BAD_REQUEST),
        }
    }
}

/// Returns the first line of `input` without its end, and its length with it. `None` if it is not
/// complete. It ends with CRLF, and contains no other control characters than tabs. A line that is
/// longer than `longest` is refused with `too_long`.
fn line(input: &[u8], longest: usize, too_long: Status) -> Result<Option<(&[u8], usize)>, Status> {
    let (line, length) = match memchr(b'\n', &input[..input.len().min(longest)]) {
        Some(end) => {
            let line = input[..end].strip_suffix(b"\r").ok_or(Status::BAD_REQUEST)?;
            (line, Some(end + 1))
        }
        None if input.len() >= longest => return Err(too_long),
        None => (input.strip_suffix(b"\r").unwrap_or(input), None),
    };
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if line.iter().any(is_control) {
        return Err(Status::BAD_REQUEST);
    }
    Ok(length.map(|length| (line, length)))
}

/// Returns whether the text behind a chunk size is a list of extensions: `;name` or `;name=value`. A
/// value may be quoted, and then contain anything (RFC 9112, section 7.1.1).
fn are_extensions(text: &[u8]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(extension) = rest.trim_ascii_start().strip_prefix(b";") else { return false };
        let extension = extension.trim_ascii_start();
        let (name, behind) = split_token(extension);
        if name.is_empty() {
            return false;
        }
        rest = behind;
        if let Some(value) = behind.trim_ascii_start().strip_prefix(b"=") {
            let value = value.trim_ascii_start();
            let split = if value.starts_with(b"\"") { quoted(value) } else { split_token(value) };
            if split.0.is_empty() {
                return false;
            }
            rest = split.1;
        }
    }
    true
}

/// Splits the token off with which `text` begins.
fn split_token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|&&byte| is_token(&[byte])).count())
}

/// Splits the quoted string off with which `text` begins. It is empty if it does not end.
fn quoted(text: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return text.split_at(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    (b"", text)
}
