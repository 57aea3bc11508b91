//! Accepted sockets handed to a pool: who talks with them, and what becomes of those for whom there
//! is no room. On every backend and trigger.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle, ThreadId};
use tripoll::server::PythonSocket;

use support::{LONG, Pair, on_every_pair};
use tripoll::ReactorHandle;
use tripoll::net::{Address, Listener, ListenerBuilder, Stream};
use tripoll::pool::{Pool, WhenFull};

/// A reactor with listeners that share a pool.
struct Server {
    addresses: Vec<SocketAddr>,
    pool: Arc<Pool>,
    handle: ReactorHandle,
    runner: Option<JoinHandle<ThreadId>>,
    /// Who has talked.
    talkers: Arc<Mutex<HashSet<ThreadId>>>,
}

impl Server {
    fn new(pair: Pair, listeners: usize, pool: Pool, when_full: WhenFull) -> Server {
        let builder = Listener::builder();
        let listeners = (0..listeners).map(|_| bind(&builder)).collect();
        Server::with(pair, listeners, pool, when_full)
    }

    fn with(pair: Pair, listeners: Vec<Listener>, pool: Pool, when_full: WhenFull) -> Server {
        let addresses = listeners.iter().map(address).collect();
        let (pool, talkers) = (Arc::new(pool), Arc::default());
        let (its_pool, its_talkers) = (Arc::clone(&pool), Arc::clone(&talkers));
        let (tell, told) = mpsc::channel();
        let runner = thread::spawn(move || {
            let mut reactor = pair.reactor(());
            for listener in listeners {
                let talkers = Arc::clone(&its_talkers);
                let talk = move |stream| echo(&stream, &talkers);
                listener.serve_in_pool(&its_pool, when_full, &mut reactor.context(), talk).unwrap();
            }
            tell.send(reactor.handle()).unwrap();
            reactor.run().unwrap();
            thread::current().id()
        });
        let handle = told.recv().unwrap();
        Server { addresses, pool, handle, runner: Some(runner), talkers }
    }

    fn client(&self, listener: usize) -> TcpStream {
        let client = TcpStream::connect(self.addresses[listener]).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    /// Ends, and says who has run it and who has talked.
    fn end(mut self) -> (ThreadId, HashSet<ThreadId>) {
        self.handle.stop();
        let runner = self.runner.take().unwrap().join().unwrap();
        self.pool.drain(LONG).unwrap();
        (runner, self.talkers.lock().unwrap().clone())
    }
}

fn bind(builder: &ListenerBuilder) -> Listener {
    builder.clone().bind("127.0.0.1:0").unwrap()
}

fn address(listener: &Listener) -> SocketAddr {
    let Address::Inet(address) = *listener.local_address() else { unreachable!() };
    address
}

/// What a worker does. It waits for its client, as a loop must not.
fn echo(stream: &Stream, talkers: &Mutex<HashSet<ThreadId>>) -> io::Result<()> {
    talkers.lock().unwrap().insert(thread::current().id());
    loop {
        let data = stream.recv(1024)?;
        if data.is_empty() {
            return Ok(());
        }
        stream.sendall(&data)?;
    }
}

fn assert_served(mut client: &TcpStream) {
    client.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

/// They all speak before any of them listens: who is served first is the server's business.
fn assert_all_are_served(clients: &[TcpStream]) {
    for mut client in clients {
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "hello");
    }
}

/// The server has let the client go.
fn assert_closed(mut client: &TcpStream) {
    match client.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_are_served_by_the_workers_however_few_there_are() {
    for when_full in [WhenFull::Pause, WhenFull::Block] {
        on_every_pair(|pair| {
            let server = Server::new(pair, 1, Pool::new(2, 1).unwrap(), when_full);
            let clients: Vec<_> = (0..20).map(|_| server.client(0)).collect();
            assert_all_are_served(&clients);
            let (runner, talkers) = server.end();
            assert!(!talkers.contains(&runner) && talkers.len() <= 2, "{talkers:?}");
        });
    }
}

#[test]
fn who_pauses_accepts_nobody_without_a_place() {
    on_every_pair(|pair| {
        let server = Server::new(pair, 1, Pool::new(1, 1).unwrap(), WhenFull::Pause);
        let first = server.client(0);
        assert_served(&first);
        let (second, third) = (server.client(0), server.client(0));
        (&third).write_all(b"hello").unwrap();
        (&second).write_all(b"hello").unwrap();
        // The first is talked with, the second waits for the worker, the third in the kernel.
        while server.pool.jobs() < 2 {
            thread::yield_now();
        }
        let (tell, told) = mpsc::channel();
        server.handle.post(move |_| tell.send(()).unwrap()).unwrap();
        told.recv_timeout(LONG).unwrap(); // the loop has had time to take the third
        for client in [first, second] {
            client.shutdown(Shutdown::Write).unwrap();
        }
        assert_served(&third);
    });
}

#[test]
fn who_sheds_closes_at_once() {
    on_every_pair(|pair| {
        let server = Server::new(pair, 1, Pool::new(1, 0).unwrap(), WhenFull::Shed);
        let first = server.client(0);
        assert_served(&first);
        assert_closed(&server.client(0));
        assert_served(&first);
        drop(first);
        // The worker lets go of its client, and is free a moment later.
        while server.pool.jobs() > 0 {
            thread::yield_now();
        }
        assert_served(&server.client(0));
    });
}

#[test]
fn several_listeners_share_a_pool_and_none_is_forgotten() {
    on_every_pair(|pair| {
        let server = Server::new(pair, 3, Pool::new(1, 0).unwrap(), WhenFull::Pause);
        for _ in 0..5 {
            // All wait for one place, so whoever gets it, has the others waiting.
            let clients: Vec<_> = (0..3).map(|listener| server.client(listener)).collect();
            assert_all_are_served(&clients);
        }
    });
}

#[test]
fn a_limit_of_connections_holds_as_well() {
    on_every_pair(|pair| {
        let listener = bind(&Listener::builder().max_connections(1));
        let server = Server::with(pair, vec![listener], Pool::new(4, 4).unwrap(), WhenFull::Shed);
        let first = server.client(0);
        assert_served(&first);
        let second = server.client(0);
        (&second).write_all(b"hello").unwrap();
        first.shutdown(Shutdown::Write).unwrap(); // who is over the limit was not shed
        assert_served(&second);
    });
}
