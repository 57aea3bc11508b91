//! A connection of frames: however its bytes are cut, and whenever it pauses, it gets the frames that
//! a plain search of the whole stream finds.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Instant;

use tripoll::net::framing::{
    Delimited, FrameProtocol, FrameWire, Framed, Framing, LengthPrefixed, Lines, Prefix,
};
use tripoll::net::{CloseReason, Closed, Connection, Stream};
use tripoll::{Context, Deadline};

use super::Script;
use crate::LONG;
use crate::sockets::unix_pair;

/// What a connection has come to: its frames, and whether it has ended well.
type History = (Vec<Vec<u8>>, bool);

/// Records its frames, and pauses when its script says so.
struct Recorder {
    pauses: Script,
    history: Rc<RefCell<History>>,
}

impl FrameProtocol for Recorder {
    fn frame(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        frame: &[u8],
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        self.history.borrow_mut().0.push(frame.to_vec());
        if self.pauses.next().is_some_and(|decision| decision % 2 == 1) {
            wire.pause();
            cx.set_deadline(wire.token(), Some(Instant::now()))?;
        }
        Ok(())
    }

    fn timed_out(&mut self, wire: &mut FrameWire<'_, '_>, _: &mut Context<'_>) -> io::Result<()> {
        wire.resume();
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_>) {
        self.history.borrow_mut().1 = matches!(closed.reason, CloseReason::Finished);
        cx.stop();
    }
}

/// Splits a stream at its delimiters, and removes `ending` from the end of each delimited frame.
fn split(stream: &[u8], delimiter: &[u8], ending: &[u8], most: usize) -> History {
    let (mut frames, mut from) = (Vec::new(), 0);
    while from < stream.len() {
        let rest = &stream[from..];
        let end = rest.windows(delimiter.len()).position(|window| window == delimiter);
        let frame = &rest[..end.unwrap_or(rest.len())];
        let content = if end.is_some() { frame.strip_suffix(ending) } else { None };
        let content = content.unwrap_or(frame);
        if content.len() > most {
            return (frames, false);
        }
        frames.push(content.to_vec());
        from += end.map_or(rest.len(), |end| end + delimiter.len());
    }
    (frames, true)
}

/// Splits a stream by the lengths in it.
fn measure(mut stream: &[u8], size: usize, little: bool, own: usize, most: usize) -> History {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let Some((prefix, rest)) = stream.split_at_checked(size) else { return (frames, false) };
        let mut digits = [0; 8];
        match little {
            true => digits[..size].copy_from_slice(prefix),
            false => digits[8 - size..].copy_from_slice(prefix),
        }
        let length = if little { u64::from_le_bytes(digits) } else { u64::from_be_bytes(digits) };
        let length = length.checked_sub(own as u64).filter(|length| *length <= most as u64);
        let Some((frame, rest)) = length.and_then(|length| rest.split_at_checked(length as usize))
        else {
            return (frames, false);
        };
        frames.push(frame.to_vec());
        stream = rest;
    }
    (frames, true)
}

/// Sends `stream` to a connection in pieces, and returns what has become of it.
fn serve<F: Framing + 'static>(
    pair: u8,
    script: &[u8],
    stream: &[u8],
    framed: impl FnOnce(Recorder) -> Framed<F, Recorder>,
) -> History {
    let mut reactor = super::pair(pair).reactor(());
    let (mine, mut theirs) = unix_pair();
    let history = Rc::new(RefCell::new((Vec::new(), false)));
    let protocol = Recorder { pauses: Script::new(script), history: Rc::clone(&history) };
    Connection::new(framed(protocol)).serve(Stream::from(mine), &mut reactor.context()).unwrap();
    let (mut cuts, mut left) = (Script::new(script), stream);
    while !left.is_empty() {
        let count = cuts.next().map_or(left.len(), |cut| usize::from(cut % 16) + 1);
        let (piece, others) = left.split_at(count.min(left.len()));
        if theirs.write_all(piece).is_err() {
            break; // it is closed
        }
        left = others;
        reactor.turn(Deadline::Now).unwrap();
    }
    let _ = theirs.shutdown(Shutdown::Write);
    let give_up = Instant::now() + LONG;
    while !reactor.handle().is_stopped() {
        reactor.turn(Deadline::At(give_up)).unwrap();
        let _ = theirs.read(&mut [0; 64]);
        assert!(Instant::now() < give_up, "no end: {:?}", reactor.context().counters());
    }
    let counters = reactor.context().counters();
    assert_eq!(counters.panics, 0, "{counters:?}");
    history.take()
}

/// The first bytes are the pair, the framing and the limit. The next says how many bytes are the script
/// of cuts and pauses. The rest is sent.
pub fn frames(data: &[u8]) {
    let [pair, kind, most, length, rest @ ..] = data else { return };
    let (script, stream) = rest.split_at(usize::from(*length).min(rest.len() / 2));
    let most = usize::from(*most);
    let (got, expected) = match kind % 4 {
        0 => {
            let got = serve(*pair, script, stream, |p| Lines::new(p).max_frame(most));
            (got, split(stream, b"\n", b"\r", most))
        }
        1 => {
            let delimiter = [&b"\0"[..], b"::", b"aab", b"\r\n\r\n"][usize::from(kind / 4 % 4)];
            let framed = |p| Delimited::new(p, delimiter).max_frame(most);
            (serve(*pair, script, stream, framed), split(stream, delimiter, b"", most))
        }
        _ => {
            let prefixes = [Prefix::U8, Prefix::U16, Prefix::U32, Prefix::U64];
            let prefix = prefixes[usize::from(kind / 4 % 4)];
            let (little, counts) = (kind & 16 != 0, kind & 32 != 0);
            let framed = |p| {
                let framed = LengthPrefixed::new(p).prefix(prefix).max_frame(most);
                framed.little_endian(little).counts_itself(counts)
            };
            let own = if counts { prefix.size() } else { 0 };
            let expected = measure(stream, prefix.size(), little, own, most);
            (serve(*pair, script, stream, framed), expected)
        }
    };
    assert_eq!(got, expected);
}
