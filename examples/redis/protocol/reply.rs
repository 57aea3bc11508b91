//! Replies of RESP2.

use std::io::Write as _;

/// The most bytes of one reply: 16 MiB.
pub const MAX_REPLY: usize = 16 << 20;

/// The reply to one request, behind those before it.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    is_too_long: bool,
}

impl<'a> Reply<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Reply { start: out.len(), out, is_too_long: false }
    }

    /// Writes a text, such as `OK`.
    pub fn text(&mut self, text: &str) {
        self.line('+', text);
    }

    /// Writes an error. Its first word is its kind.
    pub fn error(&mut self, error: &str) {
        self.line('-', error);
    }

    pub fn integer(&mut self, number: i64) {
        self.line(':', &number.to_string());
    }

    /// Writes a number of things.
    pub fn count(&mut self, count: usize) {
        self.integer(count as i64);
    }

    /// Writes how many values follow.
    pub fn array(&mut self, length: usize) {
        self.line('*', &length.to_string());
    }

    pub fn null(&mut self) {
        self.out.extend_from_slice(b"$-1\r\n");
    }

    pub fn bulk(&mut self, value: &[u8]) {
        if self.out.len() - self.start + value.len() > MAX_REPLY {
            self.is_too_long = true;
        } else {
            self.line('$', &value.len().to_string());
            self.out.extend_from_slice(value);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Ends the reply. One above the limit is replaced by an error.
    pub fn end(mut self) {
        if self.is_too_long {
            self.out.truncate(self.start);
            self.error(&format!("ERR the reply is above the limit of {MAX_REPLY} bytes"));
        }
    }

    fn line(&mut self, kind: char, text: &str) {
        // A write to a vector does not fail.
        let _ = write!(self.out, "{kind}{text}\r\n");
    }
}
