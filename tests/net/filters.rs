//! A filter between a stream and its protocol. On every backend and trigger.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::net::{Call, Script, Scripted, Why, echo};
use support::one::{One, Over};
use support::{LONG, Pair, known_bytes, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{Connection, Filter, Protocol, Watermarks, Wire};
use tripoll::reactor::ManualClock;
use tripoll::{Context, Deadline};

/// More than a Unix socket's buffers hold.
const MUCH: usize = 1 << 20;
const HELLO: &[u8] = b"hello, peer";
const KEY: u8 = 0x5A;

/// Both sides say hello. Then come records with their length; each byte has some bits flipped. An empty
/// record is the end.
#[derive(Default)]
struct Records {
    unread: Vec<u8>,
    has_heard: bool,
    has_ended: bool,
}

impl Filter for Records {
    fn start(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(HELLO);
        Ok(())
    }

    fn is_handshaking(&self) -> bool {
        !self.has_heard
    }

    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        self.unread.extend_from_slice(data);
        let mut rest = &self.unread[..];
        if !self.has_heard {
            let size = rest.len().min(HELLO.len());
            if rest[..size] != HELLO[..size] {
                out.extend_from_slice(b"what?");
                return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no hello"));
            }
            if size < HELLO.len() {
                return Ok(());
            }
            self.has_heard = true;
            rest = &rest[size..];
        }
        while let Some((size, content)) = rest.split_first_chunk() {
            let size = u32::from_be_bytes(*size) as usize;
            let Some((content, next)) = content.split_at_checked(size) else { break };
            self.has_ended |= size == 0;
            plain.extend(content.iter().map(|byte| byte ^ KEY));
            rest = next;
        }
        self.unread = rest.to_vec();
        Ok(())
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        assert!(self.has_heard, "sent before the handshake was over");
        out.extend_from_slice(&(plain.len() as u32).to_be_bytes());
        out.extend(plain.iter().map(|byte| byte ^ KEY));
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(&[0; 4]);
        Ok(())
    }

    fn has_peer_closed(&self) -> bool {
        self.has_ended
    }

    fn ended(&mut self) -> io::Result<()> {
        if self.has_ended {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut off"))
    }
}

/// A connection over the filter, and a peer that has one, too.
struct Filtered {
    one: One,
    filter: Records,
    plain: Vec<u8>,
    has_end: bool,
    /// What the peer has to send.
    unsent: Vec<u8>,
}

impl Filtered {
    fn new(pair: Pair, over: Over, script: impl Script + 'static) -> Self {
        let mut filtered = Filtered::silent(pair, over, |c| c, script);
        filtered.start();
        filtered
    }

    /// The peer says nothing yet.
    fn silent<F: Script + 'static>(
        pair: Pair,
        over: Over,
        set_up: impl FnOnce(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
        script: F,
    ) -> Self {
        let one = One::with(pair, over, |c| set_up(c.over(Records::default())), script);
        let filter = Records::default();
        Filtered { one, filter, plain: Vec::new(), has_end: false, unsent: Vec::new() }
    }

    /// The peer says hello.
    fn start(&mut self) {
        self.filter.start(&mut self.unsent).unwrap();
        self.until("the handshake is over", |peer| !peer.filter.is_handshaking());
    }

    fn send(&mut self, data: &[u8]) {
        self.filter.send(data, &mut self.unsent).unwrap();
    }

    /// Lets the peer write and read what it can.
    fn act(&mut self) {
        while !self.unsent.is_empty() {
            match self.one.peer().write(&self.unsent) {
                Ok(count) => _ = self.unsent.drain(..count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let mut buffer = [0; 30_000];
        if let Ok(count) = self.one.peer().read(&mut buffer) {
            self.has_end = count == 0;
            self.filter.received(&buffer[..count], &mut self.plain, &mut self.unsent).unwrap();
        }
    }

    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let give_up = std::time::Instant::now() + support::LONG;
        while !is_so(self) {
            assert!(std::time::Instant::now() < give_up, "this never happened: {what}");
            self.act();
            self.one.reactor.turn(tripoll::Deadline::Now).unwrap();
        }
    }

    #[track_caller]
    fn read(&mut self, count: usize) -> Vec<u8> {
        self.until("it is read", |peer| peer.plain.len() >= count);
        self.plain.drain(..count).collect()
    }
}

#[test]
fn an_unchanged_protocol_runs_over_a_filter() {
    on_every_pair_and_noise(|pair| {
        for over in Over::ALL {
            let mut peer = Filtered::new(pair, over, echo);
            assert_eq!(peer.one.next_call(), Call::Opened);
            for size in [1, 3, 70_000, 300_000] {
                let data = known_bytes(size as u64, size);
                peer.send(&data);
                assert!(peer.read(size) == data, "other bytes");
            }
            peer.filter.close(&mut peer.unsent).unwrap();
            peer.until("both ends", |peer| peer.filter.has_ended && peer.has_end);
            assert_eq!(peer.one.until_closed().pop(), Some(Call::Closed(Why::Finished)));
        }
    });
}

#[test]
fn nothing_is_called_before_the_handshake_is_over_and_nothing_is_lost() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            assert!(wire.filter::<Records>().unwrap().has_heard);
            match call {
                Call::TimedOut => _ = wire.write(b"late"),
                Call::Received(data) => {
                    wire.write(data);
                    return Ok(data.len());
                }
                _ => {}
            }
            Ok(0)
        };
        let mut peer = Filtered::silent(pair, Over::Unix, |c| c, script);
        let (token, now) = (peer.one.token, std::time::Instant::now());
        peer.one.context(|cx| cx.set_deadline(token, Some(now)).unwrap());
        peer.one.turn_some();
        assert_eq!(peer.one.calls.try_iter().count(), 0);
        // Byte by byte, and the first record with the last of them.
        let mut hello = Vec::new();
        peer.filter.start(&mut hello).unwrap();
        peer.filter.has_heard = true;
        peer.filter.send(b"first", &mut hello).unwrap();
        peer.filter.has_heard = false;
        for (at, byte) in hello.iter().enumerate() {
            if at + 1 == HELLO.len() {
                peer.unsent = hello[at..].to_vec();
                break;
            }
            peer.one.peer().write_all(&[*byte]).unwrap();
            peer.one.turn_some();
            assert_eq!(peer.one.calls.try_iter().count(), 0);
        }
        assert_eq!(peer.read(9), b"latefirst");
        let calls: Vec<_> = peer.one.calls.try_iter().collect();
        assert_eq!(calls, [Call::Opened, Call::TimedOut, Call::Received(b"first".into())]);
    });
}

#[test]
fn a_handshake_fails_with_an_answer_by_its_end_and_at_its_time() {
    on_every_pair_and_noise(|pair| {
        let mut peer = Filtered::silent(pair, Over::Unix, |c| c, echo);
        peer.one.peer().write_all(b"hey").unwrap();
        let failed = |kind| [Call::Closed(Why::Failed(kind))];
        assert_eq!(peer.one.until_closed(), failed(io::ErrorKind::InvalidData));
        assert_eq!(peer.one.read_to_end().0, [HELLO, b"what?"].concat());

        let mut peer = Filtered::silent(pair, Over::Unix, |c| c, echo);
        peer.one.peer().shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.one.until_closed(), failed(io::ErrorKind::UnexpectedEof));
    });
    on_every_pair(|pair| {
        let clock = ManualClock::new();
        let limits =
            |c: Connection<_>| c.over(Records::default()).handshake_timeout(Duration::from_secs(5));
        let builder = pair.builder().clock(clock.clone());
        let mut one = One::built(pair, builder, Over::Tcp, limits, echo);
        clock.advance(Duration::from_secs(4));
        one.turn_some();
        assert_eq!(one.calls.try_iter().count(), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(one.until_closed(), [Call::Closed(Why::HandshakeTimedOut)]);
        // The default.
        let builder = pair.builder().clock(clock.clone());
        let over = |c: Connection<_>| c.over(Records::default());
        let mut one = One::built(pair, builder, Over::Tcp, over, echo);
        clock.advance(Duration::from_secs(10));
        assert_eq!(one.until_closed(), [Call::Closed(Why::HandshakeTimedOut)]);
    });
}

#[test]
fn an_end_without_the_filters_is_an_error_and_with_it_is_none() {
    on_every_pair_and_noise(|pair| {
        let mut peer = Filtered::new(pair, Over::Tcp, echo);
        peer.one.peer().shutdown(Shutdown::Write).unwrap();
        let cut_off = Call::Closed(Why::Failed(io::ErrorKind::UnexpectedEof));
        assert_eq!(peer.one.until_closed(), [Call::Opened, cut_off]);

        // Its end is the end, before that of the stream.
        let mut peer = Filtered::new(pair, Over::Tcp, echo);
        peer.send(b"last");
        peer.filter.close(&mut peer.unsent).unwrap();
        assert_eq!(peer.read(4), b"last");
        let calls = peer.one.until_closed();
        let end = [Call::Ended(vec![]), Call::Closed(Why::Finished)];
        assert_eq!(calls[calls.len() - 2..], end);
    });
}

#[test]
fn much_data_is_kept_in_order_and_a_slow_peer_is_not_read_from() {
    on_every_pair_and_noise(|pair| {
        let marks = |c: Connection<_>| c.watermarks(Watermarks::new(10_000, 100_000, 4 * MUCH));
        let shared: Arc<[u8]> = known_bytes(1, 50_000).into();
        let script = {
            let shared = Arc::clone(&shared);
            move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    assert!(wire.is_reading());
                    wire.write(&data[..1]);
                    wire.write(&known_bytes(2, MUCH));
                    wire.send(Arc::clone(&shared));
                    assert!(!wire.write(b"x"));
                    return Ok(1);
                }
                Ok(0)
            }
        };
        let mut peer = Filtered::silent(pair, Over::Unix, marks, script);
        peer.start();
        peer.send(b"123");
        for byte in *b"123" {
            let answer = peer.read(MUCH + 50_002);
            assert!(answer == [&[byte], &known_bytes(2, MUCH)[..], &shared, b"x"].concat());
        }
    });
}

#[test]
fn a_connection_that_finishes_over_a_filter_still_receives() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            match call {
                Call::Opened => {
                    wire.write(&known_bytes(3, MUCH));
                    wire.finish();
                }
                Call::Received(data) => return Ok(data.len()),
                _ => {}
            }
            Ok(0)
        };
        let mut peer = Filtered::new(pair, Over::Unix, script);
        assert!(peer.read(MUCH) == known_bytes(3, MUCH));
        peer.until("both ends", |peer| peer.filter.has_ended && peer.has_end);
        peer.send(b"still here");
        peer.filter.close(&mut peer.unsent).unwrap();
        peer.act();
        let calls = peer.one.until_closed();
        assert!(calls.contains(&Call::Received(b"still here".into())), "{calls:?}");
        assert_eq!(calls.last(), Some(&Call::Closed(Why::Finished)));
    });
}

#[test]
fn input_with_the_end_behind_it_waits_for_a_pause_to_be_over() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            match call {
                Call::Received(_) => {
                    wire.pause();
                    wire.set_deadline(Some(Duration::ZERO));
                    return Ok(1);
                }
                Call::TimedOut => wire.resume(),
                Call::Ended(_) => wire.close(),
                _ => {}
            }
            Ok(0)
        };
        let mut peer = Filtered::new(pair, Over::Unix, script);
        peer.send(b"ab");
        peer.filter.close(&mut peer.unsent).unwrap();
        peer.until("the end", |peer| peer.has_end);
        let received = |text: &str| Call::Received(text.into());
        let expected = [
            Call::Opened,
            received("ab"),
            Call::TimedOut,
            received("b"),
            Call::TimedOut,
            Call::Ended(vec![]),
            Call::Closed(Why::Finished),
        ];
        assert_eq!(peer.one.until_closed(), expected);
    });
}

#[test]
fn a_file_goes_through_the_filter() {
    let path = std::env::temp_dir().join(format!("tripoll-{}-filtered", std::process::id()));
    std::fs::write(&path, known_bytes(4, MUCH)).unwrap();
    let file = Arc::new(std::fs::File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    on_every_pair_and_noise(|pair| {
        let file = Arc::clone(&file);
        let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            if *call == Call::Opened {
                wire.write(b"before");
                wire.send_file(Arc::clone(&file), 0..MUCH as u64);
                wire.write(b"after");
                wire.close();
            }
            Ok(0)
        };
        let mut peer = Filtered::new(pair, Over::Unix, script);
        let all = peer.read(MUCH + 11);
        assert!(all == [b"before", &known_bytes(4, MUCH)[..], b"after"].concat());
        peer.until("both ends", |peer| peer.filter.has_ended && peer.has_end);
    });
}

/// Answers all that it receives.
struct Answers;

impl Filter for Answers {
    fn received(&mut self, data: &[u8], _: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(data);
        Ok(())
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(plain);
        Ok(())
    }
}

#[test]
fn a_peer_that_does_not_read_the_answers_of_a_filter_is_closed_at_the_limit() {
    on_every_pair_and_noise(|pair| {
        let set_up = |connection: Connection<_>| {
            let connection = connection.over(Answers).read_above_mark(true);
            connection.watermarks(Watermarks::new(0, 0, MUCH))
        };
        let mut one = One::with(pair, Over::Unix, set_up, echo);
        let mut sent = 0;
        let mut closed = None;
        one.until("it is closed", |one| {
            sent += one.peer().send(&[7; 50_000]).unwrap_or(0);
            closed =
                closed.take().or_else(|| one.calls.try_iter().find(|call| *call != Call::Opened));
            assert!(sent < 20 * MUCH, "the filter may answer without a limit");
            closed.is_some()
        });
        assert_eq!(closed, Some(Call::Closed(Why::OutputOverflow)));
        assert!(sent > MUCH, "{sent} bytes are below the limit");
        // One that reads may have any number of answers.
        let mut one = One::with(pair, Over::Unix, set_up, echo);
        for _ in 0..60 {
            assert_eq!(one.peer().send(&[7; 50_000]).unwrap(), 50_000);
            assert_eq!(one.read(50_000), [7; 50_000]);
        }
    });
}

#[test]
fn a_shutdown_ends_a_handshake() {
    on_every_pair_and_noise(|pair| {
        let mut peer = Filtered::silent(pair, Over::Unix, |c| c, echo);
        peer.one.context(|cx| cx.shutdown(Duration::from_secs(30)));
        peer.one.turn_some();
        peer.one.peer = None;
        assert_eq!(peer.one.until_closed(), [Call::Closed(Why::Finished)]);
    });
}

/// Changes nothing, and has only what a filter must have.
struct Nothing;

impl Filter for Nothing {
    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<()> {
        plain.extend_from_slice(data);
        Ok(())
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(plain);
        Ok(())
    }
}

#[test]
fn by_default_a_filter_has_no_handshake_and_ends_with_its_stream() {
    on_every_pair_and_noise(|pair| {
        let mut one = One::with(pair, Over::Unix, |c| c.over(Nothing), echo);
        for _ in 0..2 {
            one.peer().write_all(b"hello").unwrap();
            assert_eq!(one.read(5), b"hello");
        }
        one.peer().shutdown(Shutdown::Write).unwrap();
        assert_eq!(one.read_to_end().0, b"");
        assert_eq!(one.until_closed().last(), Some(&Call::Closed(Why::Finished)));
    });
}

/// Notes its calls.
struct Noting;

impl Protocol<Vec<&'static str>> for Noting {
    fn opened(&mut self, _: &mut Wire, cx: &mut Context<Vec<&'static str>>) -> io::Result<()> {
        cx.state.push("opened");
        Ok(())
    }

    fn received(
        &mut self,
        _: &mut Wire,
        data: &[u8],
        _: &mut Context<Vec<&'static str>>,
    ) -> io::Result<usize> {
        Ok(data.len())
    }

    fn notified(&mut self, _: &mut Wire, cx: &mut Context<Vec<&'static str>>) -> io::Result<()> {
        cx.state.push("notified");
        Ok(())
    }

    fn timed_out(&mut self, _: &mut Wire, cx: &mut Context<Vec<&'static str>>) -> io::Result<()> {
        cx.state.push("timed out");
        Ok(())
    }
}

#[test]
fn only_what_has_come_during_the_handshake_is_told_after_it() {
    on_every_pair(|pair| {
        for (notifies, times_out, expected) in [
            (false, false, &["opened"][..]),
            (true, false, &["opened", "notified"]),
            (false, true, &["opened", "timed out"]),
        ] {
            let (stream, peer) = Over::Unix.pair();
            let mut reactor = pair.reactor(Vec::new());
            let connection = Connection::new(Noting).over(Records::default());
            let token = connection.serve(stream, &mut reactor.context()).unwrap().token();
            reactor.turn(Deadline::Now).unwrap();
            if notifies {
                reactor.context().notify(token).unwrap();
            }
            if times_out {
                reactor.context().set_deadline(token, Some(Instant::now())).unwrap();
            }
            for _ in 0..3 {
                reactor.turn(Deadline::Now).unwrap();
            }
            assert!(reactor.state().is_empty(), "told before the handshake is over");
            (&peer).write_all(HELLO).unwrap();
            let give_up = Instant::now() + LONG;
            while reactor.state().len() < expected.len() {
                assert!(Instant::now() < give_up);
                reactor.turn(Deadline::after(Duration::from_millis(10))).unwrap();
            }
            for _ in 0..3 {
                reactor.turn(Deadline::Now).unwrap();
            }
            assert_eq!(reactor.state(), expected);
        }
    });
}
