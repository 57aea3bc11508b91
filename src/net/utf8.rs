//! Decodes UTF-8 from bytes that are split anywhere.

use std::str;

/// Decodes UTF-8 piece by piece.
///
/// A read may end in the middle of a character. The decoder keeps the bytes of an unfinished
/// character for the next piece. It replaces invalid bytes by U+FFFD, as [`String::from_utf8_lossy`]
/// does.
///
/// ```
/// use tripoll::net::Utf8Decoder;
///
/// let mut decoder = Utf8Decoder::new();
/// let bytes = "你好".as_bytes();
/// assert_eq!(decoder.decode(&bytes[..4]), "你");
/// assert_eq!(decoder.decode(&bytes[4..]), "好");
/// assert_eq!(decoder.decode(b"a\xFFb"), "a\u{FFFD}b");
/// assert_eq!(decoder.decode(&bytes[..2]), "");
/// assert_eq!(decoder.finish(), "\u{FFFD}"); // the text has ended within a character
/// ```
#[derive(Debug, Clone, Default)]
pub struct Utf8Decoder {
    /// The first bytes of an unfinished character, at most three.
    unfinished: Vec<u8>,
}

impl Utf8Decoder {
    /// Returns a decoder at the beginning of a text.
    pub fn new() -> Self {
        Utf8Decoder::default()
    }

    /// Decodes the next bytes of the text. Returns all characters that are complete.
    pub fn decode(&mut self, bytes: &[u8]) -> String {
        let mut rest = std::mem::take(&mut self.unfinished);
        rest.extend_from_slice(bytes);
        let mut text = String::with_capacity(rest.len());
        let mut from = 0;
        loop {
            match str::from_utf8(&rest[from..]) {
                Ok(valid) => {
                    text.push_str(valid);
                    return text;
                }
                Err(error) => {
                    let end = from + error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&rest[from..end]));
                    match error.error_len() {
                        Some(length) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            from = end + length;
                        }
                        None => {
                            self.unfinished = rest.split_off(end);
                            return text;
                        }
                    }
                }
            }
        }
    }

    /// Ends the text. Returns U+FFFD if a character is unfinished, and nothing otherwise. The decoder is
    /// then at the beginning of the next text.
    pub fn finish(&mut self) -> &'static str {
        let unfinished = !self.unfinished.is_empty();
        self.unfinished.clear();
        if unfinished { "\u{FFFD}" } else { "" }
    }

    /// Returns whether the last character is unfinished.
    pub fn is_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }
}
