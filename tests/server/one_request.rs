//! What counts as a request for `handle_request`, and what is no run of a server.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Exchange, Handled, HandlerResult, Hooks, PythonSocket, Served, TcpServer,
};

type Base = BaseServer<Arc<Stream>>;

/// Has no request at the first call, for one reason or another.
struct NoneAtFirst {
    first: fn(&Base, &mut Option<TcpStream>) -> io::Error,
    calls: Arc<AtomicUsize>,
    client: Mutex<Option<TcpStream>>,
}

impl Hooks<Arc<Stream>> for NoneAtFirst {
    fn get_request(&self, server: &Base) -> io::Result<(Arc<Stream>, Address)> {
        match self.calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err((self.first)(server, &mut self.client.lock().unwrap())),
            _ => server.get_request(),
        }
    }
}

fn greet(exchange: &mut Exchange) -> HandlerResult {
    Ok(exchange.request.sendall(b"welcome")?)
}

/// The hook has not asked the kernel yet.
fn later(_: &Base, _: &mut Option<TcpStream>) -> io::Error {
    io::ErrorKind::WouldBlock.into()
}

/// Another has taken the client that the kernel has reported. The next one comes afterwards.
fn taken(server: &Base, client: &mut Option<TcpStream>) -> io::Error {
    drop(server.get_request().unwrap());
    let none = server.get_request().unwrap_err();
    assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
    *client = Some(connect(&server.server_address()));
    none
}

/// The hook fails by itself.
fn fails(_: &Base, _: &mut Option<TcpStream>) -> io::Error {
    io::Error::other("no luck")
}

#[test]
fn a_request_that_is_still_to_come_is_waited_for_and_one_that_is_lost_is_not() {
    on_every_config(|config| {
        type First = fn(&Base, &mut Option<TcpStream>) -> io::Error;
        let cases: [(First, bool); 3] = [(later, true), (taken, true), (fails, false)];
        for (first, is_served) in cases {
            let calls = Arc::<AtomicUsize>::default();
            let hooks = NoneAtFirst { first, calls: Arc::clone(&calls), client: Mutex::default() };
            let server = TcpServer::builder(ANY)
                .config(config.clone().timeout(Some(LONG)))
                .hooks(hooks)
                .build_fn(greet)
                .unwrap();
            let mut client = connect(&server.server_address());
            assert_eq!(server.handle_request().unwrap(), Handled::Request);
            let calls = calls.load(Ordering::Relaxed);
            assert_eq!(calls > 1, is_served, "{calls} calls");
            drop(server);
            let mut welcome = Vec::new();
            let read = client.read_to_end(&mut welcome);
            assert!(!is_served || read.is_ok(), "{read:?}");
        }
    });
}

#[test]
fn a_server_that_is_not_active_refuses_to_serve_and_forgets_no_shutdown() {
    on_every_config(|config| {
        let server = TcpServer::builder(ANY)
            .config(config.clone().timeout(Some(Duration::ZERO)))
            .bind_and_activate(false)
            .build_fn(greet)
            .unwrap();
        server.request_shutdown(); // of the first run, and there is none yet
        let assert_refused = || {
            let refusals = [
                server.serve_forever(MINUTE).map(drop),
                server.handle_request().map(drop),
                server.serve_in(MINUTE, &mut reactor(config).context()).map(drop),
            ];
            for refusal in refusals {
                assert_eq!(refusal.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            }
        };
        assert_refused();
        server.server_bind().unwrap();
        assert_refused();
        server.server_activate().unwrap();
        assert_eq!(server.serve_forever(MINUTE).unwrap(), Served::Shutdown);
        assert_eq!(server.handle_request().unwrap(), Handled::Timeout);
    });
}
