//! A close that does not wait for ever: who is cut off, and who cannot be.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use support::server::*;
use support::*;
use tripoll::net::Stream;
use tripoll::server::{
    BaseServer, Concurrency, Exchange, HandlerResult, Hooks, LoopExchange, Pooled, PooledTcpServer,
    PythonSocket, ReactorTcpServer, RequestHandler, Server, ServerBuilder, ServerConfig, Supports,
    Tcp, TcpServer, ThreadingTcpServer, Transport,
};
use tripoll::{Deadline, Reactor};

/// Shorter than any client's patience here.
const SOON: Duration = Duration::from_millis(10);

/// Closes a server with a short grace. On a busy machine its handlers may be late to notice.
fn close_soon<T: Transport, C: Concurrency>(server: &Server<T, C>) {
    if let Err(late) = server.server_close_within(SOON) {
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}

/// Reads until the client has finished.
fn listen(exchange: &mut Exchange) -> HandlerResult {
    while !exchange.request.recv(100)?.is_empty() {}
    Ok(())
}

#[test]
fn a_handler_that_waits_for_its_client_in_the_loop_is_cut_off() {
    on_every_config_and_noise(|config| {
        let server = TcpServer::builder(ANY).config(config.clone()).build_fn(listen).unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let client = connect(&server.server_address());
            await_that("the client is served", || !server.connections().is_empty());
            close_soon(&server);
            await_end(&client);
            serving.join().unwrap().unwrap();
        });
    });
}

/// Closes a server whose handler waits for something that is not its client.
fn deaf<C: Supports<Exchange>>(builder: ServerBuilder<Tcp, C>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let handle = move |_: &mut Exchange| {
        let _ = wait.lock().unwrap().recv();
        Ok(())
    };
    let server = builder.build_fn(handle).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let client = connect(&server.server_address());
        await_that("the client is served", || !server.connections().is_empty());
        let late = server.server_close_within(SOON).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        await_end(&client); // cut off all the same
        drop(go);
        server.server_close(); // waits for as long as it takes
        serving.join().unwrap().unwrap();
        server.server_close_within(SOON).unwrap();
    });
}

#[test]
fn a_handler_that_waits_for_something_else_is_reported() {
    deaf(TcpServer::builder(ANY));
    deaf(ThreadingTcpServer::builder(ANY));
    deaf(PooledTcpServer::builder(ANY));
}

/// Counts how often the server is closed, and does nothing else if it is not to.
struct Counting {
    closed: Arc<AtomicUsize>,
    closes: bool,
}

impl Hooks<Arc<Stream>> for Counting {
    fn server_close(&self, server: &BaseServer<Arc<Stream>>) {
        self.closed.fetch_add(1, Ordering::Relaxed);
        if self.closes {
            server.server_close();
        }
    }
}

#[test]
fn with_and_without_a_grace_it_is_the_same_hook() {
    for closes in [true, false] {
        let closed = Arc::<AtomicUsize>::default();
        let hooks = Counting { closed: Arc::clone(&closed), closes };
        let server = ThreadingTcpServer::builder(ANY).hooks(hooks).build_fn(listen).unwrap();
        server.server_close();
        server.server_close_within(SOON).unwrap();
        assert_eq!(closed.load(Ordering::Relaxed), 2);
        assert_eq!(server.fileno(), -1);
    }
}

/// Greets, and then hears whatever comes.
struct Greeting(&'static [u8]);

impl RequestHandler<LoopExchange> for Greeting {
    fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(self.0);
        Ok(())
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.recv(100);
        Ok(())
    }

    fn finish(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b"farewell");
        Ok(())
    }
}

/// A server in somebody else's loop: what becomes of a client when `end` has been called.
fn in_another_loop(
    config: &ServerConfig,
    greeting: &'static [u8],
    client: impl Fn(&TcpStream) + Sync,
    end: impl Fn(&ReactorTcpServer) + Sync,
) {
    let mut reactor = reactor(config);
    let server = ReactorTcpServer::new(ANY, move || Greeting(greeting)).unwrap();
    server.serve_in(MINUTE, &mut reactor.context()).unwrap();
    let handle = reactor.handle();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = Stop(&handle);
            let stream = connect(&server.server_address());
            (&stream).read_exact(&mut [0; 5]).unwrap();
            end(&server);
            client(&stream);
            drop(stream);
            await_that("the client is gone", || server.connections().is_empty());
        });
        reactor.run().unwrap();
    });
    assert!(reactor.context().is_empty());
}

#[test]
fn clients_in_another_loop_are_shut_down_at_the_end() {
    let hears_the_end = |mut client: &TcpStream| {
        let mut rest = String::new();
        client.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "farewell");
    };
    on_every_config_and_noise(|config| {
        in_another_loop(config, b"hello", hears_the_end, |server| {
            server.shutdown().unwrap();
        });
        in_another_loop(config, b"hello", hears_the_end, |server| server.server_close());
    });
}

#[test]
fn clients_in_another_loop_are_cut_off_after_the_grace() {
    on_every_config_and_noise(|config| {
        let mut reactor = reactor(config);
        let server = ReactorTcpServer::new(ANY, || Greeting(LONG_GREETING)).unwrap();
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let handle = reactor.handle();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _stop = Stop(&handle);
                let mut client = connect(&server.server_address());
                client.read_exact(&mut [0; 5]).unwrap();
                close_soon(&server);
                await_that("it is cut off", || server.connections().is_empty());
                let cut = client.read_to_end(&mut Vec::new()).unwrap_err();
                assert_eq!(cut.kind(), io::ErrorKind::ConnectionReset);
            });
            reactor.run().unwrap();
        });
    });
}

/// A greeting that no client takes at once.
const LONG_GREETING: &[u8] = &[b'x'; 12 << 20];

/// What a client of a server that greets for long reads in all, when `end` has been called.
fn reads_of_a_long_greeting(
    config: &ServerConfig,
    serve: impl Fn(&ReactorTcpServer) + Sync,
    end: impl Fn(&ReactorTcpServer),
) -> (usize, io::Result<()>) {
    let server = ReactorTcpServer::builder(ANY)
        .config(config.clone())
        .build(|| Greeting(LONG_GREETING))
        .unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&server));
        let mut client = connect(&server.server_address());
        client.read_exact(&mut [0]).unwrap();
        let reading = thread::spawn(move || {
            let mut data = Vec::new();
            let read = client.read_to_end(&mut data);
            (1 + data.len(), read.map(drop))
        });
        end(&server);
        serving.join().unwrap();
        reading.join().unwrap()
    })
}

#[test]
fn what_clients_in_the_loop_are_owed_is_delivered_before_the_end() {
    const LATE: Duration = Duration::from_secs(20);
    let whole = LONG_GREETING.len() + b"farewell".len();
    on_every_config_and_noise(|config| {
        let serve = |server: &ReactorTcpServer| server.serve_forever(MINUTE).map(drop).unwrap();
        let ends: [fn(&ReactorTcpServer); 4] = [
            |server| server.server_close(),
            |server| server.server_close_within(LATE).unwrap(),
            |server| server.shutdown().unwrap(),
            |server| {
                server.request_shutdown();
                server.server_close_within(LATE).unwrap();
            },
        ];
        for end in ends {
            let (read, outcome) = reads_of_a_long_greeting(config, serve, end);
            outcome.unwrap();
            assert_eq!(read, whole);
        }
        let once = |server: &ReactorTcpServer| {
            server.handle_request().unwrap();
        };
        let (read, outcome) = reads_of_a_long_greeting(config, once, |server| {
            server.server_close_within(LATE).unwrap();
        });
        outcome.unwrap();
        assert_eq!(read, whole);
    });
}

#[test]
fn a_client_that_takes_nothing_of_what_it_is_owed_is_reset_in_the_end() {
    on_every_config_and_noise(|config| {
        let server = ReactorTcpServer::builder(ANY)
            .config(config.clone())
            .build(|| Greeting(LONG_GREETING))
            .unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let mut client = connect(&server.server_address());
            client.read_exact(&mut [0]).unwrap();
            close_soon(&server);
            serving.join().unwrap().unwrap();
            // An end would look as if it were all.
            let error = client.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn a_close_does_not_wait_for_what_is_owed_in_a_loop_that_stands_still() {
    let server = ReactorTcpServer::new(ANY, || Greeting(LONG_GREETING)).unwrap();
    let mut reactor = Reactor::new().unwrap();
    server.serve_in(MINUTE, &mut reactor.context()).unwrap();
    let mut client = connect(&server.server_address());
    while server.connections().is_empty() {
        reactor.turn(Deadline::Never).unwrap();
    }
    client.read_exact(&mut [0]).unwrap();
    server.request_shutdown();
    while reactor.context().len() > 1 {
        reactor.turn(Deadline::Now).unwrap(); // the listener goes, the client is owed something
    }
    reactor.turn(Deadline::Now).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let mut other = connect(&server.server_address());
        other.read_exact(&mut [0]).unwrap();
        drop(other);
        server.server_close();
        serving.join().unwrap().unwrap();
    });
}

/// Counts those who were seen off.
struct SeenOff(Arc<AtomicUsize>);

impl Hooks<Arc<Stream>> for SeenOff {
    fn shutdown_request(&self, server: &BaseServer<Arc<Stream>>, request: &Arc<Stream>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        server.shutdown_request(request);
    }
}

#[test]
fn a_request_that_waits_for_a_worker_is_shut_down_when_none_comes() {
    let seen_off = Arc::<AtomicUsize>::default();
    let one = Pooled::default().workers(1).queue(4);
    let closes_itself = |exchange: &mut Exchange| {
        let server = &exchange.server;
        await_that("all are here", || server.connections().len() == 4);
        server.server_close(); // those who wait, wait for this worker
        Ok(())
    };
    let server = PooledTcpServer::builder(ANY)
        .concurrency(one)
        .hooks(SeenOff(Arc::clone(&seen_off)))
        .build_fn(closes_itself)
        .unwrap();
    thread::scope(|scope| {
        let clients = [(); 4].map(|()| connect(&server.server_address()));
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        clients.iter().for_each(await_end);
        serving.join().unwrap().unwrap();
    });
    server.server_close();
    assert_eq!(seen_off.load(Ordering::Relaxed), 4);
}
