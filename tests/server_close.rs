//! A close that does not wait for ever: who is cut off, and who cannot be.

mod socketserver;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use socketserver::*;
use tripoll::net::Stream;
use tripoll::server::{
    BaseServer, Builder, Config, Exchange, Hooks, Outcome, PooledTcpServer, Takes, Tcp, TcpServer,
    ThreadingTcpServer,
};
use tripoll::{Backend, Trigger};

/// Shorter than any client's patience here.
const SOON: Duration = Duration::from_millis(10);

/// Reads until the client has finished.
fn listen(exchange: &mut Exchange) -> Outcome {
    while !exchange.request.recv(100)?.is_empty() {}
    Ok(())
}

#[test]
fn a_handler_that_waits_for_its_client_in_the_loop_is_cut_off() {
    for &backend in Backend::ALL {
        for &trigger in Trigger::ALL {
            let config = Config { backend, trigger, ..Config::default() };
            let server = TcpServer::builder(ANY).config(config).build_fn(listen).unwrap();
            thread::scope(|scope| {
                let serving = scope.spawn(|| server.serve_forever(MINUTE));
                let client = connect(&server.server_address());
                await_that("the client is served", || !server.connections().is_empty());
                server.server_close_within(SOON).unwrap();
                await_end(&client);
                serving.join().unwrap().unwrap();
            });
        }
    }
}

/// Closes a server whose handler waits for something that is not its client.
fn deaf<C: Takes<Exchange>>(builder: Builder<Tcp, C>) {
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
        assert_eq!(late.kind(), std::io::ErrorKind::TimedOut);
        await_end(&client); // cut off all the same
        drop(go);
        server.server_close(); // waits for as long as it takes
        serving.join().unwrap().unwrap();
        server.server_close_within(SOON).unwrap();
    });
}

#[test]
fn a_handler_that_waits_for_something_else_is_told_of() {
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
