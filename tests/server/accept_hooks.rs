//! Errors of the hook `get_request` concern one client, whatever their numbers. On every backend and
//! trigger.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::server::*;
use support::sockets::read_all;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Exchange, HandlerResult, Hooks, PythonSocket, ServerConfig, TcpServer,
};

type Base = BaseServer<Arc<Stream>>;

/// The errors that a hook may pass on from calls of its own.
const ERRNOS: [i32; 10] = [
    libc::EAGAIN,
    libc::EBADF,
    libc::ECONNRESET,
    libc::EINTR,
    libc::EINVAL,
    libc::EIO,
    libc::EMFILE,
    libc::ENOTSOCK,
    libc::EOPNOTSUPP,
    libc::EPIPE,
];

/// Fails with each error once, each after it has accepted a client.
#[derive(Default)]
struct LosesClients(AtomicUsize);

impl Hooks<Arc<Stream>> for LosesClients {
    fn get_request(&self, server: &Base) -> io::Result<(Arc<Stream>, Address)> {
        let request = server.get_request()?;
        match ERRNOS.get(self.0.fetch_add(1, Ordering::Relaxed)) {
            Some(&errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(request),
        }
    }
}

fn greet(exchange: &mut Exchange) -> HandlerResult {
    Ok(exchange.request.sendall(b"welcome")?)
}

/// Connects a client for each error, and one more.
fn clients(server: &Base) -> Vec<TcpStream> {
    (0..=ERRNOS.len()).map(|_| connect(&server.server_address())).collect()
}

fn assert_all_but_the_last_are_lost(clients: Vec<TcpStream>) {
    let (last, lost) = clients.split_last().unwrap();
    for client in lost {
        assert_eq!(read_all(client), b"");
    }
    assert_eq!(read_all(last), b"welcome");
}

#[test]
fn an_error_after_a_client_was_accepted_loses_that_client_alone() {
    on_every_config_and_noise(|config| {
        for requests_per_turn in [1, 100] {
            let config = config.clone().requests_per_turn(requests_per_turn);
            let hooks = LosesClients::default();
            let server =
                TcpServer::builder(ANY).config(config).hooks(hooks).build_fn(greet).unwrap();
            // All are pending when the loop begins, so that no later event helps.
            let clients = clients(server.base());
            while_serving(&server, || assert_all_but_the_last_are_lost(clients));
        }
    });
}

#[test]
fn the_same_in_a_loop_of_ones_own() {
    on_every_config_and_noise(|config| {
        let hooks = LosesClients::default();
        let builder = TcpServer::builder(ANY).config(config.clone()).hooks(hooks);
        let server = builder.build_fn(greet).unwrap();
        let clients = clients(server.base());
        let mut reactor = reactor(config);
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let handle = reactor.handle();
        let stop = Stop(&handle);
        thread::scope(|scope| {
            scope.spawn(move || {
                let _stop = stop;
                assert_all_but_the_last_are_lost(clients);
            });
            reactor.run().unwrap();
        });
        assert_eq!(reactor.context().len(), 1, "the listener has left");
    });
}

/// Fails some times before it accepts.
struct Hesitates {
    errno: i32,
    tries: Arc<AtomicUsize>,
    refusals: usize,
}

impl Hooks<Arc<Stream>> for Hesitates {
    fn get_request(&self, server: &Base) -> io::Result<(Arc<Stream>, Address)> {
        if self.tries.fetch_add(1, Ordering::Relaxed) < self.refusals {
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        server.get_request()
    }
}

fn hesitating(config: &ServerConfig, errno: i32, refusals: usize) -> (TcpServer, Arc<AtomicUsize>) {
    let tries = Arc::<AtomicUsize>::default();
    let hooks = Hesitates { errno, tries: Arc::clone(&tries), refusals };
    let builder = TcpServer::builder(ANY).config(config.clone()).hooks(hooks);
    (builder.build_fn(greet).unwrap(), tries)
}

#[test]
fn a_client_that_a_hook_did_not_accept_yet_is_not_forgotten() {
    on_every_config_and_noise(|config| {
        for errno in ERRNOS {
            let (server, _) = hesitating(config, errno, 3);
            let client = connect(&server.server_address());
            while_serving(&server, || assert_eq!(read_all(client), b"welcome", "{errno}"));
        }
    });
}

#[test]
fn a_hook_that_never_accepts_is_called_after_pauses() {
    on_every_pair_at_once(|pair| {
        for errno in [libc::EAGAIN, libc::EMFILE] {
            let (server, tries) = hesitating(&pair.config(), errno, usize::MAX);
            while_serving(&server, || {
                let began = Instant::now();
                let mut client = connect(&server.server_address());
                client.write_all(b"?").unwrap();
                await_that("five tries", || tries.load(Ordering::Relaxed) >= 5);
                // 10, 20 and 40 ms lie between the second and the fifth.
                assert!(began.elapsed() >= Duration::from_millis(70));
                thread::sleep(Duration::from_millis(300)); // time to spin, if it does
                let tries = tries.load(Ordering::Relaxed);
                assert!(tries <= 9 + began.elapsed().as_secs() as usize, "{tries}");
            });
        }
    });
}
