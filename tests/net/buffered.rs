//! What all connections of a listener hold together is bounded. On every backend and trigger, over
//! Unix sockets, whose buffers in the kernel are small.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use support::server::SocketPath;
use support::{LONG, Pair, on_every_pair_at_once};
use tripoll::net::{Closed, Connection, Listener, Protocol, Watermarks, Wire};
use tripoll::{Context, Deadline, ReactorHandle, Token};

const SILENT: usize = 20;
const MESSAGE: usize = 10_000;
const BOUND: usize = 1 << 20;

/// What the connections share.
#[derive(Default)]
struct Room {
    /// Who is here, and how much waits for them.
    unsent: HashMap<Token, usize>,
    /// The most that waited for all of them together.
    most: usize,
    reasons: Vec<String>,
}

/// Sends a message to all for each byte that it receives.
struct Broadcast(Option<Token>);

impl Protocol<Room> for Broadcast {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, Room>) -> io::Result<()> {
        self.0 = Some(wire.token());
        cx.state.unsent.insert(wire.token(), 0);
        Ok(())
    }

    fn received(
        &mut self,
        _: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, Room>,
    ) -> io::Result<usize> {
        if data[0] == b'.' {
            return Ok(0); // it is not a whole message, and never will be
        }
        let all: Vec<_> = cx.state.unsent.keys().copied().collect();
        all.into_iter().for_each(|token| cx.notify(token).unwrap());
        Ok(1)
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, Room>) -> io::Result<()> {
        wire.write(&[7; MESSAGE]);
        cx.state.unsent.insert(wire.token(), wire.unsent());
        cx.state.most = cx.state.most.max(cx.state.unsent.values().sum());
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Room>) {
        cx.state.unsent.remove(&self.0.unwrap());
        cx.state.reasons.push(format!("{:?}", closed.reason));
    }
}

/// Serves, and returns the state when `clients` has ended. What it returns stays connected.
fn serve(
    pair: Pair,
    bound: usize,
    clients: impl FnOnce(&ReactorHandle<Room>, &SocketPath) -> Vec<UnixStream>,
) -> Room {
    let path = SocketPath::unused();
    let listener = Listener::builder().max_buffered(bound).bind(path.address()).unwrap();
    let (send_handle, handle) = mpsc::channel();
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut reactor = pair.reactor(Room::default());
            let accepted = |stream, cx: &mut Context<'_, Room>| {
                Connection::new(Broadcast(None)).serve(stream, cx).map(drop)
            };
            listener.serve(&mut reactor.context(), accepted).unwrap();
            send_handle.send(reactor.handle()).unwrap();
            reactor.run().unwrap();
            std::mem::take(reactor.context().state)
        });
        let handle = handle.recv_timeout(LONG).unwrap();
        let left = clients(&handle, &path);
        handle.stop();
        let room = server.join().unwrap();
        drop(left);
        room
    })
}

fn connect(path: &SocketPath) -> UnixStream {
    let client = UnixStream::connect(&path.0).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.set_write_timeout(Some(LONG)).unwrap();
    client
}

/// Waits until the state is so.
fn await_state(handle: &ReactorHandle<Room>, is_so: fn(&Room) -> bool) {
    support::await_that("the connections are so", || {
        let (send, answer) = mpsc::channel();
        handle.post(move |cx| send.send(is_so(cx.state)).unwrap()).unwrap();
        answer.recv_timeout(LONG).unwrap()
    });
}

#[test]
fn clients_that_do_not_read_hold_no_more_than_the_bound_and_the_others_miss_nothing() {
    on_every_pair_at_once(|pair| {
        let room = serve(pair, BOUND, |handle, path| {
            let mut clients: Vec<_> = (0..SILENT).map(|_| connect(path)).collect();
            let mut reader = connect(path);
            await_state(handle, |room| room.unsent.len() == SILENT + 1);
            let mut message = [0; MESSAGE];
            for round in 0..300 {
                reader.write_all(b"!").unwrap();
                reader.read_exact(&mut message).unwrap_or_else(|error| panic!("{round}: {error}"));
            }
            clients.push(reader);
            clients
        });
        assert!(room.most > BOUND / 2, "{} bytes: nothing was held", room.most);
        assert!(room.most <= BOUND + (SILENT + 1) * MESSAGE, "{} bytes were held", room.most);
        assert!(!room.reasons.is_empty());
        assert!(room.reasons.iter().all(|why| why == "ListenerOverflow"), "{:?}", room.reasons);
    });
}

#[test]
fn unused_input_counts_toward_the_bound_and_is_free_again_after_a_close() {
    on_every_pair_at_once(|pair| {
        let room = serve(pair, 100_000, |handle, path| {
            for _ in 0..3 {
                let clients: Vec<_> = (0..4).map(|_| connect(path)).collect();
                for mut client in &clients {
                    client.write_all(&[b'.'; 20_000]).unwrap(); // not too much
                }
                let mut greedy = &clients[0];
                // A write fails when the server has had enough.
                while greedy.write_all(&[b'.'; 10_000]).is_ok() {}
                await_state(handle, |room| room.reasons.len() % 4 == 1);
                drop(clients);
                await_state(handle, |room| room.unsent.is_empty());
            }
            Vec::new()
        });
        let closed = room.reasons.iter().filter(|why| *why == "ListenerOverflow").count();
        assert_eq!((closed, room.reasons.len()), (3, 12), "{:?}", room.reasons);
    });
}

/// Holds as many times 10,000 bytes as the first byte that it receives says. If that is zero, it sends a
/// large file, which holds no memory.
struct Holds(Arc<File>);

impl Protocol<Room> for Holds {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, Room>,
    ) -> io::Result<usize> {
        if data[0] == 0 {
            wire.send_file(Arc::clone(&self.0), 0..FILE);
        } else {
            while wire.is_reading() && wire.unsent() < usize::from(data[0]) * MESSAGE {
                wire.write(&[7; MESSAGE]);
            }
            wire.write(b"!"); // here it is seen whether it holds too much
        }
        cx.state.unsent.insert(wire.token(), wire.unsent());
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Room>) {
        cx.state.reasons.push(format!("{:?}", closed.reason));
    }
}

const FILE: u64 = 10 << 20;

#[test]
fn a_connection_that_holds_no_memory_makes_the_share_of_the_others_no_smaller() {
    let path = std::env::temp_dir().join(format!("tripoll-holds-{}", std::process::id()));
    let file = File::create_new(&path).unwrap();
    file.set_len(FILE).unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    on_every_pair_at_once(|pair| {
        let mut reactor = pair.reactor(Room::default());
        let path = SocketPath::unused();
        let listener = Listener::builder().max_buffered(100 * MESSAGE).bind(path.address());
        let file = Arc::clone(&file);
        let accepted = move |stream, cx: &mut Context<'_, Room>| {
            let marks = Watermarks::new(1, 200 * MESSAGE, 200 * MESSAGE);
            Connection::new(Holds(Arc::clone(&file))).watermarks(marks).serve(stream, cx).map(drop)
        };
        listener.unwrap().serve(&mut reactor.context(), accepted).unwrap();
        // Together they hold more than they may, and the last one not more than a half.
        let mut clients = Vec::new();
        for (number, size) in [0, 60, 45].into_iter().enumerate() {
            let mut client = connect(&path);
            client.write_all(&[size]).unwrap();
            clients.push(client);
            let give_up = Instant::now() + LONG;
            while reactor.state().unsent.len() + reactor.state().reasons.len() <= number {
                assert!(Instant::now() < give_up);
                reactor.turn(Deadline::after(Duration::from_millis(10))).unwrap();
            }
        }
        assert!(reactor.state().unsent.values().sum::<usize>() > 100 * MESSAGE);
        assert!(reactor.state().reasons.is_empty(), "{:?}", reactor.state().reasons);
    });
}
