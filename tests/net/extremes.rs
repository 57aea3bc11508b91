//! Options with the least and the greatest values. On every backend and trigger.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use support::net::{Call, Server, Why, echo};
use support::sockets::{exchange, read_all};
use support::{LONG, known_bytes, on_every_pair_and_noise};
use tripoll::net::{
    Address, Connection, DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire,
    Listener, ReceivedDatagram, Stream, Watermarks, Wire,
};
use tripoll::{Context, Deadline};

/// More than the socket buffers of both ends hold while nobody reads.
const MUCH: usize = 6 << 20;

fn answer_much(call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>) -> std::io::Result<usize> {
    if let Call::Received(data) = call {
        wire.write(&known_bytes(5, MUCH));
        wire.close();
        return Ok(data.len());
    }
    Ok(0)
}

#[test]
fn a_connection_without_bounds_delivers_its_answer() {
    on_every_pair_and_noise(|pair| {
        let unbounded = |connection: Connection<_>| {
            connection
                .close_within(Duration::MAX)
                .write_timeout(Duration::MAX)
                .linger(Duration::MAX)
                .max_unused(usize::MAX)
                .watermarks(Watermarks::new(usize::MAX, usize::MAX, usize::MAX))
        };
        let server = Server::with(pair, Listener::builder(), unbounded, answer_much);
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        assert_eq!(server.next(), Call::Opened);
        assert_eq!(server.next(), Call::Received(b"?".into())); // it is closed before the client reads
        assert!(read_all(&client) == known_bytes(5, MUCH), "not what was sent");
        drop(client);
        assert_eq!(server.next(), Call::Closed(Why::Finished));
        server.await_sources(1);
    });
}

fn strict<P>(connection: Connection<P>) -> Connection<P> {
    connection
        .close_within(Duration::ZERO)
        .write_timeout(Duration::ZERO)
        .linger(Duration::ZERO)
        .max_unused(0)
        .watermarks(Watermarks::new(0, 0, 0))
}

#[test]
fn a_connection_without_patience_ends_in_good_order_or_with_its_reason() {
    on_every_pair_and_noise(|pair| {
        // What the kernel takes at once arrives.
        let server = Server::with(pair, Listener::builder(), strict, echo);
        let client = server.client();
        assert_eq!(exchange(&client, b"short"), b"short");
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_all(&client), b"");
        assert_eq!(server.until_closed().last(), Some(&Call::Closed(Why::Finished)));

        // For the rest there is no time.
        let server = Server::with(pair, Listener::builder(), strict, answer_much);
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        assert_eq!(server.until_closed().last(), Some(&Call::Closed(Why::CloseTimedOut)));
        assert!(client.read_to_end(&mut Vec::new()).is_err(), "the answer seems complete");
    });
}

#[test]
fn a_listener_takes_the_least_and_the_greatest_counts() {
    on_every_pair_and_noise(|pair| {
        for (small, large) in [(0, 0), (u32::MAX, usize::MAX)] {
            let listener =
                Listener::builder().backlog(small).accepts_per_turn(small).max_connections(large);
            let server = Server::with(pair, listener, |connection| connection, echo);
            for _ in 0..3 {
                assert_eq!(exchange(&server.client(), b"hello"), b"hello");
            }
        }
    });
}

#[test]
fn a_blocking_stream_takes_every_timeout_but_zero() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let streams = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut accepted = listener.accept().unwrap().0;
        accepted.write_all(b"data").unwrap();
        there.write_all(b"data").unwrap();
        [Stream::from(here), Stream::from(client)]
    };
    for mut stream in streams {
        for timeout in [Duration::from_nanos(1), Duration::from_secs(u64::MAX), Duration::MAX] {
            stream.set_write_timeout(Some(timeout)).unwrap();
            stream.set_read_timeout(Some(timeout)).unwrap();
        }
        // The greatest one is no limit that is over at once.
        let mut data = [0; 4];
        stream.read_exact(&mut data).unwrap();
        assert_eq!(&data, b"data");
        assert!(stream.set_read_timeout(Some(Duration::ZERO)).is_err());
    }
}

#[test]
fn a_datagram_may_wait_for_no_time_or_for_ever() {
    let directory = std::env::temp_dir().join(format!("tripoll-extremes-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let addresses = ["127.0.0.1:0".parse().unwrap(), Address::Unix(directory.join("socket"))];
    for address in &addresses {
        let receiver = DatagramSocket::bind(address).unwrap();
        let to = receiver.local_address().clone();
        let sender = match to {
            Address::Inet(_) => DatagramSocket::bind("127.0.0.1:0").unwrap(),
            _ => DatagramSocket::bind(Address::Unix(directory.join("sender"))).unwrap(),
        };
        for timeout in [Duration::ZERO, Duration::MAX] {
            assert_eq!(sender.send_to_timeout(b"data", &to, timeout).unwrap(), 4);
        }
        let Address::Unix(_) = to else { continue };
        // Until the receiver has no room, and then until it has.
        while sender.send_to_timeout(b"data", &to, Duration::ZERO).is_ok() {}
        let (begun, has_begun) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            begun.send(()).unwrap();
            sender.send_to_timeout(b"last", &to, Duration::MAX).unwrap()
        });
        has_begun.recv_timeout(LONG).unwrap();
        let mut data = [0; 4];
        while &data != b"last" {
            let _ = receiver.recv_from(&mut data);
        }
        assert_eq!(waiting.join().unwrap(), 4);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Notes the size of each datagram, and whether it was cut.
struct Sizes;

impl DatagramProtocol<Vec<(usize, bool)>> for Sizes {
    fn received(
        &mut self,
        _: &mut DatagramWire<'_>,
        datagram: ReceivedDatagram<'_>,
        cx: &mut Context<'_, Vec<(usize, bool)>>,
    ) -> std::io::Result<()> {
        assert!(datagram.data.iter().all(|&byte| byte == 7));
        cx.state.push((datagram.data.len(), datagram.truncated));
        Ok(())
    }
}

#[test]
fn a_datagram_endpoint_receives_with_the_least_and_the_greatest_buffer() {
    const LARGE: usize = 100_000;
    on_every_pair_and_noise(|pair| {
        for (max_size, expected) in
            [(0, (1, true)), (1 << 16, (1 << 16, true)), (usize::MAX, (LARGE, false))]
        {
            let (here, there) = UnixDatagram::pair().unwrap();
            here.set_nonblocking(true).unwrap();
            let mut reactor = pair.reactor(Vec::new());
            let endpoint = DatagramEndpoint::new(Sizes).max_size(max_size);
            let socket = DatagramSocket::try_from(here).unwrap();
            endpoint.serve(socket, &mut reactor.context()).unwrap();
            for count in 1..=3 {
                there.send(&[7; LARGE]).unwrap();
                while reactor.state().len() < count {
                    reactor.turn(Deadline::after(LONG)).unwrap();
                }
            }
            assert_eq!(*reactor.state(), [expected; 3]);
        }
    });
}
