//! Frames over real connections: whole, in order and once, whatever the pieces, pauses and limits.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Instant;

use support::reactor::drive;
use support::sockets::unix_pair;
use support::{Pair, known_bytes, on_every_pair_and_noise};
use tripoll::net::framing::{
    Delimited, FrameProtocol, FrameWire, Framed, Framing, LengthPrefixed, Lines, Prefix,
};
use tripoll::net::{self, Connection, Stream, Watermarks};
use tripoll::{Context, Deadline, Reactor};

/// A call of a frame protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    Frame(Vec<u8>),
    Refused(String),
    Ended,
    Closed(String),
}

use Call::{Closed, Ended, Refused};

fn frame(content: impl AsRef<[u8]>) -> Call {
    Call::Frame(content.as_ref().into())
}

fn finished() -> Call {
    Closed("closed".into())
}

type Act = fn(&mut FrameWire, &Call, &mut Context<'_, u32>) -> io::Result<()>;

/// Records its calls, and does what the test says.
struct Recorder {
    calls: Rc<RefCell<Vec<Call>>>,
    act: Act,
}

impl Recorder {
    fn note(&self, wire: &mut FrameWire, call: Call, cx: &mut Context<'_, u32>) -> io::Result<()> {
        self.calls.borrow_mut().push(call.clone());
        (self.act)(wire, &call, cx)
    }
}

impl FrameProtocol<u32> for Recorder {
    fn frame(
        &mut self,
        wire: &mut FrameWire,
        frame: &[u8],
        cx: &mut Context<'_, u32>,
    ) -> io::Result<()> {
        assert!(wire.is_reading() || wire.unsent() <= 20_000, "paused, and it gets a frame");
        self.note(wire, Call::Frame(frame.into()), cx)
    }

    fn refused(
        &mut self,
        wire: &mut FrameWire,
        error: io::Error,
        cx: &mut Context<'_, u32>,
    ) -> io::Result<()> {
        self.note(wire, Refused(error.to_string()), cx)?;
        Err(error)
    }

    fn ended(&mut self, wire: &mut FrameWire, cx: &mut Context<'_, u32>) -> io::Result<()> {
        self.note(wire, Ended, cx)?;
        wire.close();
        Ok(())
    }

    fn timed_out(&mut self, wire: &mut FrameWire, _: &mut Context<'_, u32>) -> io::Result<()> {
        wire.resume();
        Ok(())
    }

    fn closed(&mut self, closed: &net::Closed, cx: &mut Context<'_, u32>) {
        self.calls.borrow_mut().push(Closed(closed.to_string()));
        *cx.state += 1;
    }
}

fn nothing(_: &mut FrameWire, _: &Call, _: &mut Context<'_, u32>) -> io::Result<()> {
    Ok(())
}

fn echo(wire: &mut FrameWire, call: &Call, _: &mut Context<'_, u32>) -> io::Result<()> {
    if let Call::Frame(content) = call { wire.send_frame(content) } else { Ok(()) }
}

/// A connection of the test, and its peer.
struct Served {
    reactor: Reactor<u32>,
    calls: Rc<RefCell<Vec<Call>>>,
    peer: UnixStream,
}

impl Served {
    fn new<F: Framing + 'static>(
        pair: Pair,
        act: Act,
        framed: impl FnOnce(Recorder) -> Framed<F, Recorder>,
    ) -> Served {
        Served::with(pair, act, framed, |connection| connection)
    }

    fn with<F: Framing + 'static>(
        pair: Pair,
        act: Act,
        framed: impl FnOnce(Recorder) -> Framed<F, Recorder>,
        set_up: impl FnOnce(Connection<Framed<F, Recorder>>) -> Connection<Framed<F, Recorder>>,
    ) -> Served {
        let (mine, peer) = unix_pair();
        let mut reactor = pair.reactor(0);
        let calls = Rc::default();
        let protocol = framed(Recorder { calls: Rc::clone(&calls), act });
        let connection = set_up(Connection::new(protocol));
        connection.serve(Stream::from(mine), &mut reactor.context()).unwrap();
        Served { reactor, calls, peer }
    }

    /// Sends these pieces, each in a turn of its own.
    fn send<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        for piece in pieces {
            self.peer.write_all(piece).unwrap();
            self.reactor.turn(Deadline::Now).unwrap();
        }
    }

    /// Turns until the connection is closed, and returns the calls and what the peer has received.
    fn end(mut self) -> (Vec<Call>, Vec<u8>) {
        let _ = self.peer.shutdown(Shutdown::Write); // fails after a reset
        let mut answer = Vec::new();
        let peer = &mut self.peer;
        let calls = &self.calls;
        drive(&mut self.reactor, 100_000, |closed| {
            match peer.read_to_end(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                Ok(_) => {}
            }
            *closed > 0
        });
        let calls = calls.borrow().clone();
        let _ = self.peer.read_to_end(&mut answer);
        (calls, answer)
    }
}

#[test]
fn lines_end_with_lf_or_crlf_and_the_last_with_the_stream() {
    on_every_pair_and_noise(|pair| {
        let text = b"one\ntwo\r\n\r\n\nin \r it\nlast\r";
        for size in [1, 2, 7, text.len()] {
            let mut served = Served::new(pair, echo, Lines::new);
            served.send(text[..text.len() - 1].chunks(size));
            let (calls, answer) = served.end();
            let lines = ["one", "two", "", "", "in \r it", "last"];
            let expected = lines.map(frame).into_iter().chain([Ended, finished()]);
            assert_eq!(calls, expected.collect::<Vec<_>>(), "in pieces of {size}");
            assert_eq!(answer, b"one\ntwo\n\n\nin \r it\nlast\n");
        }
    });
}

#[test]
fn a_last_line_without_its_end_is_an_error_if_the_program_says_so() {
    on_every_pair_and_noise(|pair| {
        let mut served = Served::new(pair, nothing, |p| Lines::new(p).last_needs_end(true));
        served.send([&b"one\nla"[..], b"st"]);
        let error = "the stream ended before the end of a line, after 4 bytes";
        let expected = [frame("one"), Refused(error.into()), Closed(error.into())];
        assert_eq!(served.end().0, expected);
    });
}

#[test]
fn a_length_has_any_size_and_order_and_may_count_itself() {
    on_every_pair_and_noise(|pair| {
        for (prefix, little, counts, sent) in [
            (Prefix::U8, false, false, &b"\x02hi\x00\x01!"[..]),
            (Prefix::U16, false, false, b"\x00\x02hi\x00\x00\x00\x01!"),
            (Prefix::U32, true, false, b"\x02\0\0\0hi\0\0\0\0\x01\0\0\0!"),
            (Prefix::U64, false, false, b"\0\0\0\0\0\0\0\x02hi\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01!"),
            (Prefix::U32, false, true, b"\0\0\0\x06hi\0\0\0\x04\0\0\0\x05!"),
            (Prefix::U16, true, true, b"\x04\0hi\x02\0\x03\0!"),
        ] {
            let framed = |p| {
                LengthPrefixed::new(p).prefix(prefix).little_endian(little).counts_itself(counts)
            };
            for size in [1, 3, sent.len()] {
                let mut served = Served::new(pair, echo, framed);
                served.send(sent.chunks(size));
                let (calls, answer) = served.end();
                assert_eq!(calls, [frame("hi"), frame(""), frame("!"), Ended, finished()]);
                assert_eq!(answer, sent, "{prefix:?}");
            }
        }
    });
}

#[test]
fn a_delimiter_may_be_any_bytes() {
    on_every_pair_and_noise(|pair| {
        for size in [1, 2, 100] {
            let mut served = Served::new(pair, echo, |p| Delimited::new(p, b"\r\n\r\n"));
            served.send(b"a\r\n\r\r\n\r\n\r\n\r\nb\r".chunks(size));
            let (calls, answer) = served.end();
            assert_eq!(calls, [frame("a\r\n\r"), frame(""), frame("b\r"), Ended, finished()]);
            assert_eq!(answer, b"a\r\n\r\r\n\r\n\r\n\r\nb\r\r\n\r\n");
        }
    });
}

#[test]
fn a_frame_over_the_limit_closes_the_connection_with_an_error_that_names_it() {
    on_every_pair_and_noise(|pair| {
        let check = |mut served: Served, input: &[u8], error: &str| {
            served.send([input]);
            let (calls, _) = served.end();
            assert_eq!(calls, [frame("ok"), Refused(error.into()), Closed(error.into())]);
        };
        let lines = || Served::new(pair, nothing, |p| Lines::new(p).max_frame(5));
        let error = "a line is longer than max_frame, which is 5 bytes";
        check(lines(), b"ok\n123456", error);
        check(lines(), b"ok\n123456\n", error);
        check(lines(), b"ok\r\n123456\r\n", error);
        let delimited = || Served::new(pair, nothing, |p| Delimited::new(p, b"||").max_frame(5));
        check(delimited(), b"ok||123456|", "a frame is longer than max_frame, which is 5 bytes");
        let prefixed = |size| {
            Served::new(pair, nothing, move |p| LengthPrefixed::new(p).prefix(size).max_frame(5))
        };
        let error = "a frame of 6 bytes is longer than max_frame, which is 5 bytes";
        check(prefixed(Prefix::U16), b"\0\x02ok\0\x06", error); // the prefix says it
        let most = b"\0\0\0\0\0\0\0\x02ok\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
        let error =
            "a frame of 18446744073709551615 bytes is longer than max_frame, which is 5 bytes";
        check(prefixed(Prefix::U64), most, error);
        let error = "the length of a frame is 1, and counts 4 itself";
        let counting = Served::new(pair, nothing, |p| LengthPrefixed::new(p).counts_itself(true));
        check(counting, b"\0\0\0\x06ok\0\0\0\x01", error);

        // A frame of just the limit passes, also when it comes in pieces.
        let mut served = lines();
        served.send(b"12345\r\n12345\n12345\r".chunks(1));
        let error = "a line is longer than max_frame, which is 5 bytes";
        let expected =
            [frame("12345"), frame("12345"), Refused(error.into()), Closed(error.into())];
        assert_eq!(served.end().0, expected, "a CR without LF counts");
    });
}

#[test]
fn a_stream_that_ends_inside_a_frame_is_refused() {
    on_every_pair_and_noise(|pair| {
        for (input, error) in [
            (&b"\0\0\0"[..], "the stream ended after 3 of 4 bytes of a length"),
            (b"\0\0\0\x05abc", "the stream ended after 3 of 5 bytes of a frame"),
        ] {
            let mut served = Served::new(pair, nothing, LengthPrefixed::new);
            served.send([input]);
            assert_eq!(served.end().0, [Refused(error.into()), Closed(error.into())]);
        }
    });
}

/// A handler that pauses gets no more frames until it resumes; none is lost, none comes twice.
#[test]
fn a_pause_among_many_frames_loses_none_and_repeats_none() {
    on_every_pair_and_noise(|pair| {
        let mut served = Served::new(
            pair,
            |wire, call, cx| {
                let Call::Frame(content) = call else { return Ok(()) };
                wire.send_frame(content)?;
                if content.len() % 3 == 0 {
                    wire.pause();
                    cx.set_deadline(wire.token(), Some(Instant::now()))?; // which resumes
                }
                Ok(())
            },
            Lines::new,
        );
        let lines: Vec<Vec<u8>> = (0..40).map(|n| vec![b'x'; n % 7]).collect();
        let text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
        served.send(text.chunks(25));
        let (calls, answer) = served.end();
        let expected = lines.iter().map(frame).chain([Ended, finished()]);
        assert_eq!(calls, expected.collect::<Vec<_>>());
        assert_eq!(answer, text);
    });
}

#[test]
fn a_peer_that_does_not_read_gets_no_more_of_its_frames_answered_until_it_does() {
    on_every_pair_and_noise(|pair| {
        let mut served = Served::with(
            pair,
            |wire, call, _| {
                if let Call::Frame(_) = call {
                    assert!(wire.unsent() <= 20_000, "it is above the mark");
                    wire.send_frame(&known_bytes(1, 10_000))?;
                }
                Ok(())
            },
            LengthPrefixed::new,
            |connection| connection.watermarks(Watermarks::new(5_000, 20_000, 1 << 20)),
        );
        served.send([&b"\0\0\0\x01x".repeat(300)[..]]);
        for _ in 0..20 {
            served.reactor.turn(Deadline::Now).unwrap();
        }
        assert!(served.calls.borrow().len() < 300, "the kernel has taken 3 MB");
        let (calls, answer) = served.end();
        let expected = (0..300).map(|_| frame("x")).chain([Ended, finished()]);
        assert_eq!(calls, expected.collect::<Vec<_>>());
        let one = [&10_000_u32.to_be_bytes()[..], &known_bytes(1, 10_000)].concat();
        assert!(answer == one.repeat(300));
    });
}

#[test]
fn a_frame_may_be_larger_than_the_unused_input_of_other_protocols() {
    on_every_pair_and_noise(|pair| {
        let content = known_bytes(3, 3 << 20);
        let mut served = Served::new(pair, nothing, |p| LengthPrefixed::new(p).max_frame(3 << 20));
        served.peer.write_all(&(3_u32 << 20).to_be_bytes()).unwrap();
        let mut left = &content[..];
        while !left.is_empty() {
            match served.peer.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            served.reactor.turn(Deadline::Now).unwrap();
        }
        let (calls, _) = served.end();
        assert!(calls == [frame(content), Ended, finished()]);
    });
}

#[test]
fn what_cannot_be_a_frame_is_not_sent() {
    on_every_pair_and_noise(|pair| {
        fn check(served: Served, sent: &[u8]) {
            let (calls, answer) = served.end();
            assert_eq!((calls, &answer[..]), (vec![Ended, finished()], sent));
        }
        let act: Act = |wire, _, _| {
            for (content, text) in [
                (&b"a\nb"[..], "a line cannot contain LF, here at byte 1"),
                (b"a\r", "a line cannot end with CR before its end"),
            ] {
                let error = wire.send_frame(content).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert_eq!(error.to_string(), text);
            }
            wire.send_frame(b"a\rb")
        };
        check(Served::new(pair, act, |p| Lines::new(p).send_crlf(true)), b"a\rb\r\n");
        let act: Act = |wire, _, _| {
            for content in [&b"a||b"[..], b"a|"] {
                let error = wire.send_frame(content).unwrap_err();
                assert_eq!(error.to_string(), "the frame contains the delimiter \"||\", at byte 1");
            }
            wire.send_frame(b"|a")
        };
        check(Served::new(pair, act, |p| Delimited::new(p, b"||")), b"|a||");
        let act: Act = |wire, _, _| {
            let error = wire.send_frame(&[0; 255]).unwrap_err();
            let text = "a frame of 255 bytes is too long for a length of 1 bytes, which allows 254";
            assert_eq!(error.to_string(), text);
            wire.send_frame(&[0; 254])
        };
        let framed = |p| LengthPrefixed::new(p).prefix(Prefix::U8).counts_itself(true);
        check(Served::new(pair, act, framed), &[&[255][..], &[0; 254]].concat());
    });
}

/// A protocol that is chosen at run time is the same, in each of its callbacks.
#[test]
fn a_boxed_protocol_is_called_as_it_would_be_alone() {
    on_every_pair_and_noise(|pair| {
        let act: Act = |wire, call, cx| {
            if let Call::Frame(_) = call {
                wire.pause();
                cx.set_deadline(wire.token(), Some(Instant::now()))?; // which resumes
            }
            Ok(())
        };
        let (mine, peer) = unix_pair();
        let mut reactor = pair.reactor(0);
        let calls = Rc::default();
        let recorder = Recorder { calls: Rc::clone(&calls), act };
        let boxed: Box<dyn FrameProtocol<u32>> = Box::new(recorder);
        let protocol = Lines::new(boxed).max_frame(3);
        Connection::new(protocol).serve(Stream::from(mine), &mut reactor.context()).unwrap();
        let mut served = Served { reactor, calls, peer };
        served.send([&b"one\ntwo\nmore\n"[..]]);
        let error = "a line is longer than max_frame, which is 3 bytes";
        let expected = [frame("one"), frame("two"), Refused(error.into()), Closed(error.into())];
        assert_eq!(served.end().0, expected);
    });
}

/// Answers what is no frame, and closes after an empty one.
struct Polite(Rc<RefCell<Vec<Call>>>);

impl FrameProtocol<u32> for Polite {
    fn frame(
        &mut self,
        wire: &mut FrameWire,
        line: &[u8],
        _: &mut Context<'_, u32>,
    ) -> io::Result<()> {
        self.0.borrow_mut().push(frame(line));
        if line.is_empty() {
            wire.close();
        }
        Ok(())
    }

    fn refused(
        &mut self,
        wire: &mut FrameWire,
        error: io::Error,
        _: &mut Context<'_, u32>,
    ) -> io::Result<()> {
        wire.send_frame(format!("500 {error}").as_bytes())
    }

    fn closed(&mut self, closed: &net::Closed, cx: &mut Context<'_, u32>) {
        self.0.borrow_mut().push(Closed(closed.to_string()));
        *cx.state += 1;
    }
}

fn polite(pair: Pair) -> Served {
    let (mine, peer) = unix_pair();
    let mut reactor = pair.reactor(0);
    let calls = Rc::default();
    let protocol = Lines::new(Polite(Rc::clone(&calls))).max_frame(5);
    Connection::new(protocol).serve(Stream::from(mine), &mut reactor.context()).unwrap();
    Served { reactor, calls, peer }
}

#[test]
fn a_protocol_may_answer_what_it_refuses_before_the_connection_is_closed() {
    on_every_pair_and_noise(|pair| {
        let mut served = polite(pair);
        served.send([&b"ok\ntoo long\nok\n"[..], b"ok\n", b"ok\n"]);
        let (calls, answer) = served.end();
        assert_eq!(calls, [frame("ok"), finished()]);
        assert_eq!(answer, b"500 a line is longer than max_frame, which is 5 bytes\n");
    });
}

#[test]
fn after_a_close_no_frame_comes() {
    on_every_pair_and_noise(|pair| {
        for input in [&b"one\n\ntwo\nthr"[..], b"one\n\n"] {
            let mut served = polite(pair);
            served.send([input]);
            assert_eq!(served.end().0, [frame("one"), frame(""), finished()]);
        }
        let close: Act = |wire, call, _| {
            if *call == frame("last") {
                wire.close();
            }
            Ok(())
        };
        let mut served = Served::new(pair, close, Lines::new);
        served.send([&b"one\nlast"[..]]);
        assert_eq!(served.end().0, [frame("one"), frame("last"), finished()], "nor the end");
    });
}
