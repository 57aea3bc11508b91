//! Requests of Redis: however they are cut, they are the same requests, each with one reply.

use std::time::Instant;

use crate::protocols::redis::request::{MAX_ARGUMENTS, MAX_BULK, ProtocolError, Requests};
use crate::protocols::redis::{Session, Store};

/// What a stream is parsed to: its requests, and the error after them.
type Parsed = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

fn parse(stream: &[u8], length: usize) -> Parsed {
    let mut requests = Requests::default();
    let mut parsed = Vec::new();
    for mut piece in stream.chunks(length) {
        loop {
            match requests.parse(&mut piece) {
                Ok(Some(request)) => parsed.push(request.strings().map(<[u8]>::to_vec).collect()),
                Ok(None) => break,
                Err(error) => return (parsed, Some(error)),
            }
        }
        assert!(piece.is_empty());
    }
    (parsed, None)
}

/// Takes one reply. Panics if there is none.
fn take_reply(replies: &mut &[u8]) {
    let end = replies.windows(2).position(|two| two == b"\r\n").expect("a line");
    let (line, rest) = (&replies[..end], &replies[end + 2..]);
    *replies = rest;
    let text = str::from_utf8(&line[1..]).expect("text");
    assert!(!text.contains(char::is_control), "{text:?}");
    let number = || text.parse::<i64>().expect("a number");
    match line[0] {
        b'+' | b'-' => {}
        b':' => _ = number(),
        b'$' => {
            if let Ok(length) = usize::try_from(number()) {
                assert_eq!(&rest[length..length + 2], b"\r\n");
                *replies = &rest[length + 2..];
            }
        }
        b'*' => (0..number()).for_each(|_| take_reply(replies)),
        other => panic!("a reply of kind {other}"),
    }
}

/// The first byte says where the stream is cut.
pub fn redis(data: &[u8]) {
    let Some((&length, stream)) = data.split_first() else { return };
    let length = usize::from(length).max(1);
    let whole = parse(stream, stream.len().max(1));
    assert_eq!(parse(stream, length), whole);
    for request in &whole.0 {
        assert!((1..=MAX_ARGUMENTS).contains(&request.len()));
        assert!(request.iter().all(|string| string.len() <= MAX_BULK));
    }

    let mut store = Store::new(10_000, Instant::now());
    let (mut session, mut out) = (Session::default(), Vec::new());
    for piece in stream.chunks(length) {
        assert!(session.is_over() || session.receive(piece, &mut store, &mut out) > 0);
    }
    let is_quit = |request: &Vec<Vec<u8>>| request[0].eq_ignore_ascii_case(b"quit");
    let quit = whole.0.iter().position(is_quit).map(|place| place + 1);
    let expected = quit.unwrap_or(whole.0.len() + usize::from(whole.1.is_some()));
    let mut replies = &out[..];
    (0..expected).for_each(|_| take_reply(&mut replies));
    assert!(replies.is_empty(), "{}", replies.escape_ascii());
}
