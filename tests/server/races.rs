//! Servers that are asked to end, and to serve, at the same moment, and from everywhere.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;
use tripoll::server::PythonSocket;

use support::alone::in_own_process;
use support::server::*;
use support::*;
use tripoll::Reactor;
use tripoll::net::{Address, Stream};
use tripoll::pool::WhenFull;
use tripoll::server::{
    BaseServer, Exchange, Exit, Handled, HandlerResult, Hooks, LoopExchange, Pooled,
    PooledTcpServer, ReactorTcpServer, Served, ServerBuilder, Supports, Tcp, TcpServer, Threading,
    ThreadingTcpServer, UnixStreamServer,
};

fn say_hello(exchange: &mut Exchange) -> HandlerResult {
    Ok(exchange.request.sendall(b"hello")?)
}

#[test]
fn a_shutdown_waits_for_the_serving_that_it_has_ended_and_for_no_other() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    match server.serve_forever(MINUTE) {
                        Ok(served) => assert_eq!(served, Served::Shutdown),
                        Err(error) => match error.kind() {
                            io::ErrorKind::ResourceBusy => {}
                            io::ErrorKind::NotConnected => break, // it was closed
                            _ => panic!("{error}"),
                        },
                    }
                }
            });
        }
        assert_eq!(ask(&server.server_address(), b""), b"hello"); // one of them serves
        for _ in 0..2_000 {
            server.shutdown().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        server.server_close(); // or the last of them serves on
    });
    assert_eq!(server.serve_forever(MINUTE).unwrap_err().kind(), io::ErrorKind::NotConnected);
}

#[test]
fn after_a_close_nothing_is_left_of_a_request_that_was_waited_for() {
    let path = format!("@tripoll-races-{}", std::process::id());
    for _ in 0..200 {
        let server = UnixStreamServer::from_fn(&*path, say_hello).unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.handle_request());
            server.server_close();
            assert_eq!(serving.join().unwrap().unwrap(), Handled::Shutdown);
        });
    }
}

/// A server both of whose handlers close it, at once.
fn both_close<C: Supports<Exchange>>(builder: ServerBuilder<Tcp, C>) {
    let both = Arc::new(Barrier::new(2));
    let server = builder
        .build_fn(move |exchange: &mut Exchange| {
            both.wait();
            exchange.server.server_close();
            Ok(exchange.request.sendall(b"closed")?)
        })
        .unwrap();
    let address = server.server_address();
    thread::scope(|scope| {
        let clients = [(); 2].map(|()| connect(&address));
        server.serve_forever(MINUTE).unwrap();
        for mut client in clients {
            scope.spawn(move || {
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                assert_eq!(answer, "closed");
            });
        }
    });
    server.server_close();
}

#[test]
fn two_handlers_may_close_their_server_at_once() {
    both_close(ThreadingTcpServer::builder(ANY));
    both_close(PooledTcpServer::builder(ANY));
}

#[test]
fn a_loop_that_waits_for_room_hears_of_its_end() {
    let (shut, is_shut) = mpsc::channel();
    let one = Pooled::default().workers(1).queue(0).when_full(WhenFull::Block);
    let go = Arc::new(Barrier::new(2));
    let go_on = Arc::clone(&go);
    let server = PooledTcpServer::builder(ANY)
        .concurrency(one)
        .hooks(Quiet)
        .build_fn(move |exchange: &mut Exchange| {
            go_on.wait();
            shut.send(exchange.server.shutdown().is_ok())?;
            Ok(())
        })
        .unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _first = connect(&server.server_address());
        let second = connect(&server.server_address());
        await_that("both are accepted", || server.connections().len() == 2);
        go.wait();
        assert_eq!(is_shut.recv_timeout(LONG), Ok(true));
        serving.join().unwrap().unwrap();
        await_end(&second); // there was no room, and will be none
    });
}

/// Says nothing of errors.
struct Quiet;

impl Hooks<Arc<Stream>> for Quiet {
    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        _: &tripoll::server::HandlerError,
    ) {
    }
}

#[test]
fn a_full_server_keeps_nothing_of_the_requests_that_found_no_room() {
    let test = "races::a_full_server_keeps_nothing_of_the_requests_that_found_no_room";
    in_own_process(test, turned_back_by_a_full_server); // it counts the process's descriptors
}

fn turned_back_by_a_full_server() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let config = tripoll::server::ServerConfig::default().timeout(Some(Duration::ZERO));
    let one = Threading::default().max_threads(Some(1));
    let server = ThreadingTcpServer::builder(ANY)
        .config(config)
        .concurrency(one)
        .build_fn(move |_: &mut Exchange| {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        })
        .unwrap();
    let client = connect(&server.server_address());
    while server.handle_request().unwrap() != Handled::Request {}
    let _waits = connect(&server.server_address());
    let before = descriptors();
    for _ in 0..50 {
        assert_eq!(server.handle_request().unwrap(), Handled::Timeout);
        assert_eq!(server.handle_request_noblock().unwrap(), Handled::NoRequest);
    }
    // Each loop that has asked for room is gone, with its descriptors.
    assert_eq!(descriptors(), before);
    drop(go);
    await_end(&client);
}

#[test]
fn with_socket_lends_it_without_a_lock() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    let same = server.with_socket(|socket| {
        use std::os::fd::AsRawFd;
        socket.as_raw_fd() == server.fileno()
    });
    assert_eq!(same, Some(true));
    let late = TcpServer::builder(ANY).bind_and_activate(false).build_fn(say_hello).unwrap();
    late.with_socket(|_| {
        late.server_bind().unwrap();
        late.server_activate().unwrap(); // while it is lent
    });
    while_serving(&late, || assert_eq!(ask(&late.server_address(), b""), b"hello"));
}

/// Panics where a hook must not.
struct Panicking {
    requests: AtomicUsize,
}

impl Hooks<Arc<Stream>> for Panicking {
    fn get_request(&self, server: &BaseServer<Arc<Stream>>) -> io::Result<(Arc<Stream>, Address)> {
        let request = server.get_request()?;
        assert!(self.requests.fetch_add(1, Ordering::Relaxed) > 0, "at the first request");
        Ok(request)
    }

    fn service_actions(&self, _: &BaseServer<Arc<Stream>>) {
        panic!("in every turn");
    }

    fn process_request_thread(
        &self,
        server: &BaseServer<Arc<Stream>>,
        request: &Arc<Stream>,
        client_address: &Address,
    ) {
        if self.requests.load(Ordering::Relaxed) == 2 {
            panic!("at the second request");
        }
        server.process_request_thread(request, client_address);
    }

    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &tripoll::server::HandlerError,
    ) {
        panic!("when told of {error}");
    }
}

#[test]
fn a_hook_that_panics_ends_one_request_at_most() {
    fn serve<C: Supports<Exchange>>(builder: ServerBuilder<Tcp, C>) {
        let hooks = Panicking { requests: AtomicUsize::new(0) };
        let server = builder.hooks(hooks).build_fn(say_hello).unwrap();
        while_serving(&server, || {
            for _ in 0..2 {
                await_end(&connect(&server.server_address()));
            }
            assert_eq!(ask(&server.server_address(), b""), b"hello");
            await_that("they are forgotten", || server.connections().is_empty());
        });
    }
    ["at the first", "in every turn", "at the second", "when told"]
        .into_iter()
        .for_each(expect_panic);
    serve(ThreadingTcpServer::builder(ANY));
    serve(PooledTcpServer::builder(ANY));
}

/// Says `Exit` to whoever says anything.
fn exit(exchange: &mut LoopExchange) -> HandlerResult {
    exchange.recv(100);
    Err(Exit.into())
}

#[test]
fn an_exit_in_the_loop_ends_it_at_once() {
    let server = ReactorTcpServer::from_fn(ANY, exit).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let mut client = connect(&server.server_address());
        client.write_all(b"x").unwrap();
        // The client does not finish, nor does it need to.
        assert_eq!(serving.join().unwrap().unwrap(), Served::Exit);
    });
}

#[test]
fn an_exit_in_another_loop_ends_the_server_only() {
    let mut reactor = Reactor::new().unwrap();
    let server = ReactorTcpServer::from_fn(ANY, exit).unwrap();
    let other = TcpServer::from_fn(ANY, say_hello).unwrap();
    server.serve_in(MINUTE, &mut reactor.context()).unwrap();
    other.serve_in(MINUTE, &mut reactor.context()).unwrap();
    let handle = reactor.handle();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = Stop(&handle);
            assert_eq!(ask(&server.server_address(), b"x"), b"");
            server.shutdown().unwrap(); // has been asked for already
            assert_eq!(ask(&other.server_address(), b""), b"hello");
        });
        reactor.run().unwrap();
    });
    // What was said then is not said of another serving.
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b""));
}
