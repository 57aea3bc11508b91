//! Searches for a delimiter, each byte once.

use std::io::BufRead;

/// Searches for a delimiter in an input that grows.
#[derive(Debug, Clone)]
pub(super) struct Scanner {
    delimiter: Box<[u8]>,
    /// No delimiter begins before this position of the input.
    scanned: usize,
}

impl Scanner {
    /// `delimiter` must not be empty.
    pub(super) fn new(delimiter: &[u8]) -> Self {
        Scanner { delimiter: delimiter.into(), scanned: 0 }
    }

    pub(super) fn delimiter(&self) -> &[u8] {
        &self.delimiter
    }

    /// Returns where the first delimiter begins, and starts from the beginning again. If there is none,
    /// the next call has the same input, followed by more, and continues where this one has stopped.
    pub(super) fn find(&mut self, input: &[u8]) -> Option<usize> {
        let mut at = self.scanned.min(input.len());
        while let Some(offset) = position(self.delimiter[0], &input[at..]) {
            at += offset;
            let rest = &input[at..];
            if rest.starts_with(&self.delimiter) {
                self.scanned = 0;
                return Some(at);
            }
            if self.delimiter.starts_with(rest) {
                self.scanned = at; // perhaps its first bytes
                return None;
            }
            at += 1;
        }
        self.scanned = input.len();
        None
    }

    /// Returns how many bytes at the beginning of the input are certainly before the next delimiter.
    pub(super) fn scanned(&self) -> usize {
        self.scanned
    }
}

/// Returns where `byte` is in `input`. The standard library searches with `memchr(3)` here.
fn position(byte: u8, input: &[u8]) -> Option<usize> {
    let mut rest = input;
    let count = rest.skip_until(byte).ok()?;
    let at = count.checked_sub(1)?;
    (input[at] == byte).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_searched_is_not_searched_again() {
        for delimiter in [&b"\n"[..], b"\r\n", b"abac", b"abb"] {
            let mut scanner = Scanner::new(delimiter);
            // All that was passed before is the delimiter now, except for what may be its beginning.
            let mut input: Vec<u8> = Vec::new();
            for _ in 0..1_000 {
                input.extend_from_slice(b"ababa");
                assert_eq!(scanner.find(&input), None);
                let scanned = scanner.scanned();
                assert!(scanned + delimiter.len() > input.len());
                for place in input[..scanned].chunks_exact_mut(delimiter.len()) {
                    place.copy_from_slice(delimiter);
                }
            }
            let end = input.len();
            input.extend_from_slice(b"..");
            input.extend_from_slice(delimiter);
            assert_eq!(scanner.find(&input), Some(end + 2));
            assert_eq!(scanner.find(delimiter), Some(0), "it begins anew");
        }
    }

    #[test]
    fn it_finds_what_a_plain_search_finds() {
        let letters = |mut number: usize, length: usize| -> Vec<u8> {
            let mut letter = || {
                number /= 2;
                b'a' + (number % 2) as u8
            };
            (0..length).map(|_| letter()).collect()
        };
        for delimiter in (1..=3).flat_map(|length| (0..16).map(move |n| letters(n, length))) {
            for input in (0..512).map(|number| letters(number, 9)) {
                let plain = input.windows(delimiter.len()).position(|window| window == delimiter);
                for cut in 0..input.len() {
                    let mut scanner = Scanner::new(&delimiter);
                    let found = scanner.find(&input[..cut]);
                    assert_eq!(found.or_else(|| scanner.find(&input)), plain);
                }
            }
        }
    }
}
