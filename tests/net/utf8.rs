//! The incremental decoder, against the standard library's: the same text wherever the bytes are
//! cut.

use proptest::collection::vec;
use proptest::prelude::*;

use tripoll::net::Utf8Decoder;

/// Decodes `bytes`, cut at `cuts`.
fn decoded(bytes: &[u8], cuts: &[usize]) -> String {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let mut decoder = Utf8Decoder::new();
    let mut text = String::new();
    for piece in cuts.windows(2) {
        text += &decoder.decode(&bytes[piece[0]..piece[1]]);
    }
    text += decoder.finish();
    assert!(!decoder.is_unfinished());
    assert_eq!(decoder.finish(), "", "finished is finished");
    text
}

/// Bytes that are interesting: characters of each length, whole and not, and what never is one.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        (any::<char>(), 0..4_usize).prop_map(|(c, keep)| {
            let mut bytes = c.to_string().into_bytes();
            bytes.truncate(keep);
            bytes
        }),
        vec(any::<u8>(), 0..4),
        vec(0x80..=0xFF_u8, 0..6),
        // Overlong forms, surrogates, and what is above the last character.
        prop::sample::select(vec![
            b"\xC0\x80".to_vec(),
            b"\xE0\x80\x80".to_vec(),
            b"\xED\xA0\x80".to_vec(),
            b"\xF4\x90\x80\x80".to_vec(),
            b"\xF0\x80\x80\x80".to_vec(),
        ]),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere_it_is_the_same_text(bytes in bytes(), cuts in vec(any::<usize>(), 0..10)) {
        prop_assert_eq!(decoded(&bytes, &cuts), String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn byte_by_byte_it_is_the_same_text(bytes in bytes()) {
        let everywhere: Vec<_> = (0..=bytes.len()).collect();
        prop_assert_eq!(decoded(&bytes, &everywhere), String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn what_can_be_told_is_told_at_once(text in any::<String>(), cut in any::<usize>()) {
        let cut = cut % (text.len() + 1);
        let whole = (0..=cut).rev().find(|&at| text.is_char_boundary(at)).unwrap();
        let mut decoder = Utf8Decoder::new();
        prop_assert_eq!(decoder.decode(&text.as_bytes()[..cut]), &text[..whole]);
        prop_assert_eq!(decoder.is_unfinished(), whole != cut);
        prop_assert_eq!(decoder.decode(&text.as_bytes()[cut..]), &text[whole..]);
        prop_assert!(!decoder.is_unfinished());
    }
}

#[test]
fn every_pair_of_bytes_in_one_piece_and_in_two() {
    for first in 0..=0xFF {
        for second in 0..=0xFF {
            let bytes = [first, second, b'.'];
            let lossy = String::from_utf8_lossy(&bytes);
            assert_eq!(decoded(&bytes, &[]), lossy, "{bytes:?}");
            assert_eq!(decoded(&bytes, &[1]), lossy, "{bytes:?}");
            assert_eq!(decoded(&bytes[..2], &[1]), String::from_utf8_lossy(&bytes[..2]));
        }
    }
}

#[test]
fn what_is_never_text_is_decoded_in_one_pass() {
    let bytes = vec![0xFF; 1 << 20];
    assert_eq!(Utf8Decoder::new().decode(&bytes).len(), 3 << 20);
}
