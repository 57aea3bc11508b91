//! Peers that read slowly, and peers that read nothing. On every backend and trigger, over Unix
//! sockets: their send queue falls with each read, while the kernel reports room only when three
//! quarters of it are free.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use support::net::{Call, Script, Scripted, Server, Why};
use support::server::SocketPath;
use support::{LONG, Pair, await_that, known_bytes, on_every_pair_at_once};
use tripoll::net::{Connection, Listener, Protocol, Stream, Watermarks, Wire};
use tripoll::{Context, Deadline, Interest};

/// More than the buffers of a Unix socket.
const MUCH: usize = 1 << 20;
/// Less than they hold.
const SMALL: usize = 100_000;
/// More than one of the packets in which the kernel keeps it.
const STEP: usize = 40_000;

/// A server on a Unix socket, and a client of it.
struct Pairing {
    server: Server,
    client: UnixStream,
    _path: SocketPath,
}

impl Pairing {
    fn new<F: Script + Clone + Send + 'static>(
        pair: Pair,
        set_up: fn(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
        script: F,
    ) -> Self {
        let path = SocketPath::unused();
        let server = Server::at(pair, &path.address(), Listener::builder(), set_up, script);
        let client = UnixStream::connect(&path.0).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.set_write_timeout(Some(LONG)).unwrap();
        Pairing { server, client, _path: path }
    }

    /// Reads some of the output.
    fn read_step(&mut self) -> Vec<u8> {
        let mut data = vec![0; STEP];
        self.client.read_exact(&mut data).unwrap();
        data
    }

    /// Waits until the loop has run `count` more timers: until the connection has looked so often
    /// whether its peer reads.
    fn await_checks(&self, count: u64) {
        let before = self.server.counters().timers;
        await_that("the loop looks at its timers", || {
            self.server.counters().timers >= before + count
        });
    }
}

/// Answers the first data with so much, and closes.
fn answer_and_close(
    much: usize,
) -> impl FnMut(&Call, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize> + Clone + Send + 'static
{
    move |call, wire, _| {
        if let Call::Received(data) = call {
            wire.write(&known_bytes(6, much));
            wire.close();
            return Ok(data.len());
        }
        Ok(0)
    }
}

#[test]
fn a_close_waits_for_a_peer_whose_reading_only_the_kernel_sees() {
    on_every_pair_at_once(|pair| {
        let mut here = Pairing::new(
            pair,
            |connection| connection.close_within(Duration::from_secs(1)),
            answer_and_close(MUCH),
        );
        here.client.write_all(b"?").unwrap();
        assert_eq!(here.server.next(), Call::Opened);
        assert_eq!(here.server.next(), Call::Received(b"?".into()));
        here.server.counters(); // the handler has returned: the close has begun
        let mut answer = Vec::new();
        // So little that the kernel takes nothing more of the write buffer.
        for _ in 0..3 {
            answer.extend(here.read_step());
            here.await_checks(1);
        }
        here.client.read_to_end(&mut answer).unwrap();
        assert!(answer == known_bytes(6, MUCH), "not what was sent");
        here.client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(here.server.next(), Call::Closed(Why::Finished));
    });
}

#[test]
fn an_open_connection_waits_for_a_slow_peer_and_not_for_one_that_reads_nothing() {
    on_every_pair_at_once(|pair| {
        let mut here = Pairing::new(
            pair,
            |connection| connection.write_timeout(Duration::from_secs(1)),
            |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    wire.write(&known_bytes(6, MUCH));
                    return Ok(data.len());
                }
                Ok(0)
            },
        );
        here.client.write_all(b"?").unwrap();
        assert_eq!(here.server.next(), Call::Opened);
        assert_eq!(here.server.next(), Call::Received(b"?".into()));
        here.server.counters(); // the handler has returned: the time has begun
        for _ in 0..3 {
            here.read_step();
            here.await_checks(1);
        }
        assert_eq!(here.server.next(), Call::Closed(Why::WriteTimedOut)); // it reads no more
        here.server.await_sources(1);
    });
}

#[test]
fn without_output_there_is_no_write_timeout() {
    on_every_pair_at_once(|pair| {
        let mut here = Pairing::new(
            pair,
            |connection| connection.write_timeout(Duration::from_millis(100)),
            |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    wire.write(&known_bytes(6, MUCH));
                    return Ok(data.len());
                }
                Ok(0)
            },
        );
        for _ in 0..2 {
            here.client.write_all(b"?").unwrap();
            here.client.read_exact(&mut vec![0; MUCH]).unwrap();
            // Nothing is left of the timeout, some time after all was read.
            await_that("no timer is left", || here.server.ask(|cx| cx.timers()) == 0);
        }
        // It begins again with the next output.
        here.client.write_all(b"?").unwrap();
        let calls = here.server.until_closed();
        assert_eq!(calls.last(), Some(&Call::Closed(Why::WriteTimedOut)), "{calls:?}");
    });
}

/// Two honest sides that both send before they read on.
fn both_send<F: Script + Clone + Send + 'static>(
    pair: Pair,
    set_up: fn(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
    script: F,
) -> Call {
    let mut here = Pairing::new(pair, set_up, script);
    let mut data = vec![0; 64 << 10];
    // An echo with blocking calls.
    while let Ok(count @ 1..) = here.client.read(&mut data)
        && here.client.write_all(&data[..count]).is_ok()
    {}
    here.server.until_closed().pop().unwrap()
}

/// Sends much at once, and closes when as much has come back.
fn send_much() -> impl Script + Clone + Send + 'static {
    let mut received = 0;
    move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
        match call {
            Call::Opened => _ = wire.write(&known_bytes(6, 2 * MUCH)),
            Call::Received(data) => {
                received += data.len();
                if received == 2 * MUCH {
                    wire.close();
                }
                return Ok(data.len());
            }
            _ => {}
        }
        Ok(0)
    }
}

#[test]
fn two_sides_that_wait_for_each_other_end_at_the_timeout_and_need_not_wait() {
    on_every_pair_at_once(|pair| {
        let short =
            |connection: Connection<_>| connection.write_timeout(Duration::from_millis(100));
        let end = both_send(pair, short, send_much());
        assert_eq!(end, Call::Closed(Why::WriteTimedOut));
        let reads = |connection: Connection<_>| connection.read_above_mark(true);
        assert_eq!(both_send(pair, reads, send_much()), Call::Closed(Why::Finished));
    });
}

/// Whether it reads is measured from the beginning of the close, and not from the first look.
#[test]
fn a_peer_that_reads_nothing_is_reset_when_the_loop_first_looks() {
    on_every_pair_at_once(|pair| {
        let here = Pairing::new(
            pair,
            |connection| connection.close_within(Duration::from_millis(50)),
            answer_and_close(MUCH),
        );
        (&here.client).write_all(b"?").unwrap();
        let calls = here.server.until_closed();
        assert_eq!(calls.last(), Some(&Call::Closed(Why::CloseTimedOut)), "{calls:?}");
        assert_eq!(here.server.counters().timers, 1);
    });
}

/// What it has to read is all in the kernel. While it is, the connection is not closed altogether: the
/// peer may be sending, which would be a reset then.
#[test]
fn a_connection_lingers_until_its_output_was_read() {
    on_every_pair_at_once(|pair| {
        let mut here = Pairing::new(
            pair,
            |connection| connection.linger(Duration::from_millis(1)).close_within(LONG),
            answer_and_close(SMALL),
        );
        here.client.write_all(b"?").unwrap();
        here.await_checks(2);
        here.client.write_all(b"more").unwrap();
        let mut answer = Vec::new();
        here.client.read_to_end(&mut answer).unwrap();
        assert!(answer == known_bytes(6, SMALL), "not what was sent");
        let calls = here.server.until_closed();
        assert_eq!(calls.last(), Some(&Call::Closed(Why::Finished)), "{calls:?}");
    });
}

#[test]
fn it_does_not_linger_if_it_must_not() {
    on_every_pair_at_once(|pair| {
        let here = Pairing::new(
            pair,
            |connection| connection.linger(Duration::ZERO).close_within(Duration::MAX),
            answer_and_close(SMALL),
        );
        (&here.client).write_all(b"?").unwrap();
        let calls = here.server.until_closed(); // although nothing is read
        assert_eq!(calls.last(), Some(&Call::Closed(Why::Finished)), "{calls:?}");
    });
}

#[test]
fn it_lingers_no_longer_than_a_peer_may_read_nothing() {
    on_every_pair_at_once(|pair| {
        let here = Pairing::new(
            pair,
            |connection| {
                connection.linger(Duration::from_millis(1)).close_within(Duration::from_millis(50))
            },
            answer_and_close(SMALL),
        );
        (&here.client).write_all(b"?").unwrap();
        let calls = here.server.until_closed();
        assert_eq!(calls.last(), Some(&Call::Closed(Why::Finished)), "{calls:?}");
        here.server.await_sources(1);
    });
}

/// Tells how large the write buffer is when it is below the low mark.
struct Marks(mpsc::Sender<usize>, usize);

impl Protocol for Marks {
    fn opened(&mut self, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<()> {
        wire.write(&vec![7; self.1]);
        Ok(())
    }

    fn received(
        &mut self,
        _: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> io::Result<usize> {
        Ok(data.len())
    }

    fn below_low_mark(&mut self, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<()> {
        assert!(wire.is_reading());
        self.0.send(wire.unsent()).unwrap();
        Ok(())
    }
}

/// Reads all that the kernel has.
fn read_all_now(mut peer: &UnixStream) -> usize {
    let (mut all, mut buffer) = (0, vec![0; 1 << 16]);
    while let Ok(count @ 1..) = peer.read(&mut buffer) {
        all += count;
    }
    all
}

fn small_pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    socket2::SockRef::from(&one).set_send_buffer_size(50_000).unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// The size of a mark, and of the limit, is still allowed.
#[test]
fn the_high_mark_and_the_limit_are_exceeded_by_one_byte_more() {
    let (one, other) = small_pair();
    while (&one).write(&[0; 1 << 20]).is_ok() {}
    let taken = read_all_now(&other);

    on_every_pair_at_once(|pair| {
        for (left, is_reading, is_kept) in
            [(1_000, true, true), (1_001, false, true), (2_000, false, true), (2_001, false, false)]
        {
            let mut reactor = pair.reactor(());
            let (one, _other) = small_pair();
            let (send, calls) = mpsc::channel();
            let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if *call == Call::Opened {
                    wire.write(&vec![7; taken + left]);
                    assert_eq!(wire.is_reading(), is_reading, "{left}");
                    wire.write(b"one byte more");
                }
                Ok(0)
            };
            Connection::new(Scripted::new(script, send))
                .watermarks(Watermarks::new(0, 1_000, 2_000))
                .serve(Stream::from(one), &mut reactor.context())
                .unwrap();
            reactor.turn(Deadline::Now).unwrap(); // it is added
            let expected = [Call::Opened, Call::Closed(Why::OutputOverflow)];
            let calls: Vec<_> = calls.try_iter().collect();
            assert_eq!(calls, expected[..if is_kept { 1 } else { 2 }], "{left}");
        }
    });
}

/// Between the marks nothing happens. At the low mark itself the connection reads again, and not
/// only when the buffer is empty.
#[test]
fn the_low_mark_is_reached_when_the_write_buffer_is_no_larger() {
    // What the kernel takes at once.
    let (one, other) = small_pair();
    while (&one).write(&[0; 1 << 20]).is_ok() {}
    let taken = read_all_now(&other);

    on_every_pair_at_once(|pair| {
        let mut reactor = pair.reactor(());
        let (one, other) = small_pair();
        let (report, reports) = mpsc::channel();
        // So 3, 2, 1 and 0 times that are left.
        let connection = Connection::new(Marks(report, 4 * taken));
        let token = connection
            .watermarks(Watermarks::new(taken, 3 * taken - 1, usize::MAX))
            .serve(Stream::from(one), &mut reactor.context())
            .unwrap()
            .token();
        reactor.turn(Deadline::Now).unwrap(); // it is added
        let mut interests = Vec::new();
        for _ in 0..4 {
            interests.push(reactor.context().interest(token).unwrap());
            assert_eq!(read_all_now(&other), taken);
            for _ in 0..3 {
                reactor.turn(Deadline::Now).unwrap(); // what the kernel has room for is known at once
            }
        }
        let both = Interest::READ | Interest::WRITE;
        assert_eq!(interests, [Interest::WRITE, Interest::WRITE, both, Interest::READ]);
        assert_eq!(reports.try_iter().collect::<Vec<_>>(), [taken]);
    });
}
