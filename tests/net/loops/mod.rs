//! Several loops that serve one address, on every backend and trigger.

mod distribution;
mod ends;
mod limits;
mod passing;
mod starts;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use support::{LONG, Pair, await_that};
use tripoll::net::loops::{Distribution, LoopsBuilder, LoopsCounters};
use tripoll::net::{Address, Loops, Stream};
use tripoll::{Connection, Context, Protocol, Wire};

/// The state of a loop: its number, and what ends the block of its handler.
pub struct State {
    index: usize,
    blocks: Sender<()>,
    unblock: Receiver<()>,
}

/// Answers each byte with the number of the loop. Some bytes do more.
struct Which;

/// Makes the handler block until the test lets it go on.
const BLOCK: u8 = b'b';
/// Makes the loop fail.
const FAIL: u8 = b'f';
/// Closes the connection after its answer.
const CLOSE: u8 = b'c';
const ASK: u8 = b'?';

impl Protocol<State> for Which {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, State>,
    ) -> io::Result<usize> {
        for byte in data {
            match *byte {
                BLOCK => {
                    cx.state.blocks.send(()).unwrap();
                    cx.state.unblock.recv_timeout(LONG).unwrap();
                }
                FAIL => cx.fail(io::Error::other("as the client wished")),
                _ => {}
            }
            wire.write(&[b'0' + u8::try_from(cx.state.index).unwrap()]);
            if *byte == CLOSE {
                wire.close();
            }
        }
        Ok(data.len())
    }
}

pub fn serve_which(stream: Stream, cx: &mut Context<'_, State>) -> io::Result<()> {
    Connection::new(Which).linger(Duration::ZERO).serve(stream, cx)?;
    Ok(())
}

/// Loops with a reactor of the pair each.
pub struct Service {
    pub loops: Loops<State>,
    /// A handler blocks.
    blocks: Receiver<()>,
    /// Lets the handler of a loop go on.
    unblock: Vec<Sender<()>>,
}

impl Service {
    pub fn new(pair: Pair, count: usize, builder: LoopsBuilder) -> Self {
        Service::at("127.0.0.1:0", pair, count, builder)
    }

    pub fn at(address: &str, pair: Pair, count: usize, builder: LoopsBuilder) -> Self {
        let (unblock, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel()).unzip();
        let receivers: Vec<_> =
            receivers.into_iter().map(|one| std::sync::Mutex::new(Some(one))).collect();
        let (has_blocked, blocks) = mpsc::channel();
        let loops = builder
            .threads(count)
            .backend(pair.backend)
            .trigger(pair.trigger)
            .serve_in(
                address,
                move |index, builder| {
                    let unblock = receivers[index].lock().unwrap().take().unwrap();
                    let builder = if pair.noise.is_some() { pair.builder() } else { builder };
                    Ok(pair.build(builder, State { index, blocks: has_blocked.clone(), unblock }))
                },
                serve_which,
            )
            .unwrap();
        Service { loops, blocks, unblock }
    }

    pub fn port(&self) -> SocketAddr {
        match *self.loops.local_address() {
            Address::Inet(address) => address,
            ref other => panic!("{other}"),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(TcpStream::connect(self.port()).unwrap())
    }

    /// Connects from another address of this machine.
    pub fn client_from(&self, last_byte: u8) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, last_byte], 0)).into()).unwrap();
        socket.connect(&self.port().into()).unwrap();
        Client::new(socket.into())
    }

    pub fn counters(&self) -> LoopsCounters {
        self.loops.counters()
    }

    pub fn await_alive(&self, count: usize) {
        await_that("the right number of connections", || self.counters().alive() == count);
    }

    /// Waits until a loop has done what it was asked to do before.
    pub fn await_jobs(&self, index: usize) {
        let (done, is_done) = mpsc::channel();
        let job = move |_: &mut Context<'_, State>| done.send(()).unwrap();
        self.loops.reactor(index).unwrap().post(job).unwrap();
        is_done.recv_timeout(LONG).unwrap();
    }

    /// Makes the handler of a client block its loop.
    pub fn block(&self, client: &Client) {
        client.send(BLOCK);
        self.blocks.recv_timeout(LONG).unwrap();
    }

    /// Lets the handler of a loop that blocks go on.
    pub fn unblock(&self, index: usize) {
        self.unblock[index].send(()).unwrap();
    }

    /// Shuts down, and checks that nothing is left.
    pub fn end(self) {
        self.loops.shutdown(LONG);
        self.loops.join().unwrap();
        assert_eq!(self.counters().alive(), 0);
    }
}

pub struct Client(TcpStream);

impl Client {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LONG)).unwrap();
        Client(stream)
    }

    pub fn send(&self, byte: u8) {
        (&self.0).write_all(&[byte]).unwrap();
    }

    /// Returns the number of the loop that answers.
    pub fn answer(&self) -> usize {
        let mut answer = [0];
        (&self.0).read_exact(&mut answer).unwrap();
        usize::from(answer[0] - b'0')
    }

    /// Returns the number of its loop.
    pub fn loop_index(&self) -> usize {
        self.send(ASK);
        self.answer()
    }

    /// Waits until the server has ended its side without a reset.
    pub fn assert_ended(&self) {
        assert_eq!((&self.0).read(&mut [0]).unwrap(), 0);
    }
}

pub fn builder(distribution: Distribution) -> LoopsBuilder {
    Loops::builder().distribution(distribution)
}

/// Connects until each loop has a client, and returns one of each.
pub fn one_client_each(service: &Service) -> Vec<Client> {
    let mut found: Vec<Option<Client>> = (0..service.loops.threads()).map(|_| None).collect();
    let mut blocked = Vec::new();
    for number in 1..=200 {
        let client = service.client_from(number);
        let index = client.loop_index();
        if found[index].is_none() {
            found[index] = Some(client);
        } else if number > 80 {
            // By chance each loop would have one by now. So they share a listener, and the kernel
            // prefers some of them. The others have their turn while these are busy.
            service.block(&client);
            blocked.push((index, client));
        }
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    let clients: Vec<_> = found.into_iter().map(|one| one.expect("one loop has none")).collect();
    for (index, client) in blocked {
        service.unblock(index);
        assert_eq!(client.answer(), index);
    }
    clients
}
