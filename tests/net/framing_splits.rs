//! Framings without connections: wherever a stream is cut, it has the same frames; what is encoded is
//! decoded again; and the work does not grow with the square of a frame.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use tripoll::net::framing::{
    Delimited, DelimiterFraming, Framed, Framing, LengthPrefixed, Lines, Prefix,
};

/// Decodes a stream that comes in pieces, cut at `cuts`. An error is the last frame.
fn decoded(mut framing: impl Framing, stream: &[u8], cuts: &[usize], most: usize) -> Vec<Vec<u8>> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.push(stream.len());
    cuts.sort_unstable();
    let (mut frames, mut used) = (Vec::new(), 0);
    for end in cuts {
        loop {
            match framing.decode(&stream[used..end], most) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    frames.push(stream[used..end][frame.content].to_vec());
                    assert!(frame.used > 0);
                    used += frame.used;
                }
                Err(error) => {
                    frames.push(error.to_string().into());
                    return frames;
                }
            }
        }
        assert!(end - used <= most + framing.overhead(), "it keeps {} bytes", end - used);
    }
    let rest = &stream[used..];
    if !rest.is_empty() {
        match framing.decode_last(rest, most) {
            Ok(None) => {}
            Ok(Some(content)) => frames.push(rest[content].to_vec()),
            Err(error) => frames.push(error.to_string().into()),
        }
    }
    frames
}

fn delimited(delimiter: &[u8]) -> DelimiterFraming {
    Framed::into_framing(Delimited::new((), delimiter))
}

fn prefixed(prefix: Prefix, little: bool, counts: bool) -> impl Framing + Clone {
    let framed = LengthPrefixed::new(()).prefix(prefix).little_endian(little).counts_itself(counts);
    Framed::into_framing(framed)
}

fn prefixes() -> impl Strategy<Value = (Prefix, bool, bool)> {
    let sizes = vec![Prefix::U8, Prefix::U16, Prefix::U32, Prefix::U64];
    (prop::sample::select(sizes), any::<bool>(), any::<bool>())
}

/// Encodes frames, and returns those that could be.
fn encoded(framing: &impl Framing, frames: Vec<Vec<u8>>) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut stream = Vec::new();
    let mut frames = frames;
    frames.retain(|frame| {
        let before = stream.len();
        let is_frame = framing.encode(frame, &mut stream).is_ok();
        stream.truncate(if is_frame { stream.len() } else { before });
        is_frame
    });
    (stream, frames)
}

/// Few letters, so that delimiters and their beginnings are frequent.
fn text(letters: &'static [u8], most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(letters), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere_the_lines_are_the_same(
        stream in text(b"ab\r\n", 60), cuts in vec(any::<usize>(), 0..20), most in 0..12_usize,
    ) {
        let framing = Framed::into_framing(Lines::new(()));
        let whole = decoded(framing.clone(), &stream, &[], most);
        prop_assert_eq!(&decoded(framing.clone(), &stream, &cuts, most), &whole);
        let everywhere: Vec<_> = (0..stream.len()).collect();
        prop_assert_eq!(&decoded(framing, &stream, &everywhere, most), &whole);
    }

    #[test]
    fn cut_anywhere_the_delimited_frames_are_the_same(
        stream in text(b"ab", 60), delimiter in text(b"ab", 4),
        cuts in vec(any::<usize>(), 0..20), most in 0..12_usize,
    ) {
        let delimiter = if delimiter.is_empty() { b"b".to_vec() } else { delimiter };
        let whole = decoded(delimited(&delimiter), &stream, &[], most);
        prop_assert_eq!(&decoded(delimited(&delimiter), &stream, &cuts, most), &whole);
        let everywhere: Vec<_> = (0..stream.len()).collect();
        prop_assert_eq!(&decoded(delimited(&delimiter), &stream, &everywhere, most), &whole);
    }

    #[test]
    fn cut_anywhere_the_frames_with_a_length_are_the_same(
        stream in text(b"\0\x01\x02\x03\x09", 60), kind in prefixes(),
        cuts in vec(any::<usize>(), 0..20), most in 0..12_usize,
    ) {
        let framing = prefixed(kind.0, kind.1, kind.2);
        let whole = decoded(framing.clone(), &stream, &[], most);
        prop_assert_eq!(&decoded(framing.clone(), &stream, &cuts, most), &whole);
        let everywhere: Vec<_> = (0..stream.len()).collect();
        prop_assert_eq!(&decoded(framing, &stream, &everywhere, most), &whole);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        frames in vec(text(b"ab\r\n", 300), 0..10), delimiter in text(b"ab", 4),
        kind in prefixes(), cuts in vec(any::<usize>(), 0..20), crlf in any::<bool>(),
    ) {
        let lines = Framed::into_framing(Lines::new(()).send_crlf(crlf).last_needs_end(true));
        let (stream, kept) = encoded(&lines, frames.clone());
        prop_assert_eq!(decoded(lines, &stream, &cuts, 300), kept);

        let delimiter = if delimiter.is_empty() { b"b".to_vec() } else { delimiter };
        let (stream, kept) = encoded(&delimited(&delimiter), frames.clone());
        prop_assert_eq!(decoded(delimited(&delimiter), &stream, &cuts, 300), kept);

        let prefixed = prefixed(kind.0, kind.1, kind.2);
        let (stream, kept) = encoded(&prefixed, frames);
        prop_assert_eq!(decoded(prefixed, &stream, &cuts, 300), kept);
    }
}

/// Searched anew for each byte, this would be 200 GB.
#[test]
fn a_long_frame_that_comes_byte_by_byte_is_searched_once() {
    const LENGTH: usize = 4 << 20;
    let stream = [vec![b'-'; LENGTH], b"-\r\n".to_vec()].concat();
    let mut lines = Framed::into_framing(Lines::new(()));
    let mut delimited = delimited(b"--\r\n");
    let began = Instant::now();
    for end in (0..stream.len()).step_by(20) {
        assert_eq!(lines.decode(&stream[..end], usize::MAX).unwrap(), None);
        assert_eq!(delimited.decode(&stream[..end], usize::MAX).unwrap(), None);
    }
    let found = delimited.decode(&stream, usize::MAX).unwrap().unwrap();
    assert_eq!(found.content, 0..LENGTH - 1);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
#[should_panic(expected = "a delimiter has at least one byte")]
fn a_delimiter_is_not_empty() {
    Delimited::new((), b"");
}
