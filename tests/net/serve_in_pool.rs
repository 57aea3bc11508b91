//! Connections served by the workers of a pool, and what happens to them when the pool is full. On
//! every backend and trigger.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle, ThreadId};

use support::{LONG, Pair, on_every_pair_and_noise};
use tripoll::ReactorHandle;
use tripoll::net::{Address, Listener, ListenerBuilder, Stream};
use tripoll::pool::{Pool, WhenFull};

/// A reactor with listeners that share a pool.
struct Server {
    addresses: Vec<SocketAddr>,
    pool: Arc<Pool>,
    handle: ReactorHandle,
    runner: Option<JoinHandle<ThreadId>>,
    /// The threads that have served a connection.
    workers: Arc<Mutex<HashSet<ThreadId>>>,
}

impl Server {
    fn new(pair: Pair, listeners: usize, pool: Pool, when_full: WhenFull) -> Server {
        let builder = Listener::builder();
        let listeners = (0..listeners).map(|_| bind(&builder)).collect();
        Server::with(pair, listeners, pool, when_full)
    }

    fn with(pair: Pair, listeners: Vec<Listener>, pool: Pool, when_full: WhenFull) -> Server {
        let addresses = listeners.iter().map(address).collect();
        let (pool, workers) = (Arc::new(pool), Arc::default());
        let (its_pool, its_workers) = (Arc::clone(&pool), Arc::clone(&workers));
        let (sender, receiver) = mpsc::channel();
        let runner = thread::spawn(move || {
            let mut reactor = pair.reactor(());
            for listener in listeners {
                let workers = Arc::clone(&its_workers);
                let serve = move |stream| echo(stream, &workers);
                listener
                    .serve_in_pool(&its_pool, when_full, &mut reactor.context(), serve)
                    .unwrap();
            }
            sender.send(reactor.handle()).unwrap();
            reactor.run().unwrap();
            thread::current().id()
        });
        let handle = receiver.recv().unwrap();
        Server { addresses, pool, handle, runner: Some(runner), workers }
    }

    fn client(&self, listener: usize) -> TcpStream {
        let client = TcpStream::connect(self.addresses[listener]).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    /// Stops. Returns the loop's thread, and the threads that have served.
    fn end(mut self) -> (ThreadId, HashSet<ThreadId>) {
        self.handle.stop();
        let runner = self.runner.take().unwrap().join().unwrap();
        self.pool.drain(LONG).unwrap();
        (runner, self.workers.lock().unwrap().clone())
    }
}

fn bind(builder: &ListenerBuilder) -> Listener {
    builder.clone().bind("127.0.0.1:0").unwrap()
}

fn address(listener: &Listener) -> SocketAddr {
    let Address::Inet(address) = *listener.local_address() else { unreachable!() };
    address
}

/// What a worker does. It blocks, as a loop must not.
fn echo(mut stream: Stream, workers: &Mutex<HashSet<ThreadId>>) -> io::Result<()> {
    workers.lock().unwrap().insert(thread::current().id());
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

fn assert_served(mut client: &TcpStream) {
    client.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

/// All clients write before any of them reads, so the order in which they are served is free.
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

/// The server has closed the connection.
fn assert_closed(mut client: &TcpStream) {
    match client.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_clients_are_served_by_the_workers_however_few_there_are() {
    for when_full in [WhenFull::Pause, WhenFull::Block] {
        on_every_pair_and_noise(|pair| {
            let server = Server::new(pair, 1, Pool::new(2, 1).unwrap(), when_full);
            let clients: Vec<_> = (0..20).map(|_| server.client(0)).collect();
            assert_all_are_served(&clients);
            let (runner, workers) = server.end();
            assert!(!workers.contains(&runner) && workers.len() <= 2, "{workers:?}");
        });
    }
}

#[test]
fn a_full_pool_pauses_accepting() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, 1, Pool::new(1, 1).unwrap(), WhenFull::Pause);
        let first = server.client(0);
        assert_served(&first);
        let (second, third) = (server.client(0), server.client(0));
        (&third).write_all(b"hello").unwrap();
        (&second).write_all(b"hello").unwrap();
        // The first is being served, the second is in the pool's queue, the third in the backlog.
        while server.pool.jobs() < 2 {
            thread::yield_now();
        }
        let (sender, receiver) = mpsc::channel();
        server.handle.post(move |_| sender.send(()).unwrap()).unwrap();
        receiver.recv_timeout(LONG).unwrap(); // the loop has had time to take the third
        for client in [first, second] {
            client.shutdown(Shutdown::Write).unwrap();
        }
        assert_served(&third);
    });
}

#[test]
fn a_full_pool_sheds_connections_at_once() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, 1, Pool::new(1, 0).unwrap(), WhenFull::Shed);
        let first = server.client(0);
        assert_served(&first);
        assert_closed(&server.client(0));
        assert_served(&first);
        drop(first);
        // The worker closes its connection, and is free a moment later.
        while server.pool.jobs() > 0 {
            thread::yield_now();
        }
        assert_served(&server.client(0));
    });
}

#[test]
fn listeners_that_share_a_pool_all_resume() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, 3, Pool::new(1, 0).unwrap(), WhenFull::Pause);
        for _ in 0..5 {
            // There is capacity for one, so the listener that gets it makes the others wait.
            let clients: Vec<_> = (0..3).map(|listener| server.client(listener)).collect();
            assert_all_are_served(&clients);
        }
    });
}

#[test]
fn a_limit_of_connections_holds_as_well() {
    on_every_pair_and_noise(|pair| {
        let listener = bind(&Listener::builder().max_connections(1));
        let server = Server::with(pair, vec![listener], Pool::new(4, 4).unwrap(), WhenFull::Shed);
        let first = server.client(0);
        assert_served(&first);
        let second = server.client(0);
        (&second).write_all(b"hello").unwrap();
        first.shutdown(Shutdown::Write).unwrap(); // the second was not shed, but waits
        assert_served(&second);
    });
}
