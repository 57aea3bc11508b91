//! The end of a server, in every way that it can come.

mod socketserver;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use socketserver::*;
use tripoll::server::{
    Builder, Concurrency, Config, Exchange, Exit, Handled, LoopExchange, Outcome, Pooled,
    PooledTcpServer, ReactorTcpServer, Server, Takes, Tcp, TcpServer, Threading,
    ThreadingTcpServer,
};
use tripoll::{Backend, Reactor, Trigger};

/// What `shutdown` may take, whatever the poll interval.
const PROMPT: Duration = Duration::from_millis(50);

fn say_hello(exchange: &mut Exchange) -> Outcome {
    Ok(exchange.request.sendall(b"hello")?)
}

/// Reads until the client has finished.
fn listen(exchange: &mut Exchange) -> Outcome {
    exchange.request.sendall(b"I listen")?;
    while !exchange.request.recv(100)?.is_empty() {}
    Ok(())
}

/// Waits for the client's greeting, so that it is certainly being handled.
fn connect_and_wait<T: tripoll::server::Transport, C: Concurrency>(
    server: &Server<T, C>,
) -> std::net::TcpStream {
    let mut client = connect(&server.server_address());
    client.read_exact(&mut [0; 8]).unwrap();
    client
}

#[test]
fn a_shutdown_is_prompt_whatever_the_poll_interval_and_the_kernel_is_asked() {
    for &backend in Backend::ALL {
        for &trigger in Trigger::ALL {
            let server = TcpServer::builder(ANY)
                .config(Config { backend, trigger, ..Config::default() })
                .build_fn(say_hello)
                .unwrap();
            // Once in three tries, on a machine that may be busy with other things.
            let took: Vec<_> = (0..3).map(|_| shutdown_takes(&server)).collect();
            assert!(took.iter().any(|took| *took < PROMPT), "{took:?} on {backend}, {trigger}");
        }
    }
}

fn shutdown_takes(server: &TcpServer) -> Duration {
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        assert_eq!(ask(&server.server_address(), b""), b"hello");
        let begin = Instant::now();
        server.shutdown().unwrap();
        let took = begin.elapsed();
        serving.join().unwrap().unwrap();
        took
    })
}

#[test]
fn idle_clients_do_not_stop_a_shutdown() {
    let server = ThreadingTcpServer::from_fn(ANY, listen).unwrap();
    idle_client(&server);
    let server = PooledTcpServer::from_fn(ANY, listen).unwrap();
    idle_client(&server);
    let server = ReactorTcpServer::new(ANY, || Listening).unwrap();
    idle_client(&server);
}

struct Listening;

impl tripoll::server::RequestHandler<LoopExchange> for Listening {
    fn setup(&mut self, exchange: &mut LoopExchange) -> Outcome {
        exchange.sendall(b"I listen");
        Ok(())
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> Outcome {
        exchange.recv(100);
        Ok(())
    }
}

fn idle_client<C: Concurrency>(server: &Server<Tcp, C>) {
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let client = connect_and_wait(server);
        server.shutdown().unwrap(); // or the client's patience ends this test
        serving.join().unwrap().unwrap();
        // Nothing is closed by a shutdown; a close waits for its grace, and cuts.
        server.server_close_within(Duration::from_millis(10)).unwrap();
        await_end(&client);
        assert!(server.connections().is_empty());
    });
}

#[test]
fn from_inside_it_is_an_error_and_requesting_it_is_not() {
    let (told, hear) = mpsc::channel();
    let server = TcpServer::from_fn(ANY, move |exchange: &mut Exchange| {
        told.send(exchange.server.shutdown().unwrap_err().kind()).unwrap();
        exchange.server.request_shutdown();
        Ok(())
    })
    .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| ask(&server.server_address(), b""));
        server.serve_forever(MINUTE).unwrap();
    });
    assert_eq!(hear.recv().unwrap(), std::io::ErrorKind::Deadlock);
}

#[test]
fn a_handler_in_a_thread_may_shut_the_server_down_and_close_it() {
    let server = ThreadingTcpServer::from_fn(ANY, |exchange: &mut Exchange| {
        exchange.server.shutdown()?;
        exchange.server.server_close();
        Ok(exchange.request.sendall(b"closed")?)
    })
    .unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| ask(&server.server_address(), b""));
        server.serve_forever(MINUTE).unwrap();
        assert_eq!(client.join().unwrap(), b"closed");
    });
    assert_eq!(server.fileno(), -1);
}

#[test]
fn before_serving_it_is_remembered_once() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    server.shutdown().unwrap();
    server.shutdown().unwrap();
    server.serve_forever(MINUTE).unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"hello"));
}

#[test]
fn after_serving_it_is_nothing_and_the_server_serves_again() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        assert_eq!(ask(&server.server_address(), b""), b"hello");
        // From two threads at once.
        scope.spawn(|| server.shutdown().unwrap());
        server.shutdown().unwrap();
        serving.join().unwrap().unwrap();
    });
    server.shutdown().unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"hello"));
    server.shutdown().unwrap();
    let closed = server.serve_forever(MINUTE).unwrap_err();
    assert_eq!(closed.kind(), std::io::ErrorKind::NotConnected);
}

#[test]
fn handling_one_request_is_serving_too() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.handle_request());
        server.server_close();
        assert_eq!(serving.join().unwrap().unwrap(), Handled::Shutdown);
    });
    assert_eq!(server.fileno(), -1);
}

#[test]
fn right_after_the_start_it_ends_the_serving() {
    for _ in 0..20 {
        let server = TcpServer::from_fn(ANY, say_hello).unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            server.shutdown().unwrap();
            serving.join().unwrap().unwrap();
        });
    }
}

#[test]
fn serving_twice_at_once_is_an_error() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    while_serving(&server, || {
        assert_eq!(ask(&server.server_address(), b""), b"hello");
        let busy = server.serve_forever(MINUTE).unwrap_err();
        assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);
        assert_eq!(ask(&server.server_address(), b""), b"hello");
    });
}

#[test]
fn a_close_ends_the_serving_and_may_come_twice() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        assert_eq!(ask(&server.server_address(), b""), b"hello");
        server.server_close();
        serving.join().unwrap().unwrap();
        assert_eq!(server.fileno(), -1);
        server.server_close();
    });
    let address = server.server_address();
    let tripoll::net::Address::Inet(address) = address else { unreachable!() };
    assert!(std::net::TcpStream::connect(address).is_err());

    TcpServer::from_fn(ANY, say_hello).unwrap().server_close(); // right after the construction
}

#[test]
fn a_close_waits_for_those_who_work_if_it_is_to() {
    fn close_while_working<C: Takes<Exchange>>(builder: Builder<Tcp, C>, waits: bool) {
        let go = Arc::new(Barrier::new(2));
        let (done, is_done) = mpsc::channel();
        let go_on = Arc::clone(&go);
        let server = builder
            .build_fn(move |exchange: &mut Exchange| {
                exchange.request.sendall(b"I work..")?;
                go_on.wait();
                done.send(())?;
                Ok(())
            })
            .unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let _client = connect_and_wait(&server);
            if waits {
                let closing = scope.spawn(|| server.server_close());
                serving.join().unwrap().unwrap();
                assert!(!closing.is_finished());
                go.wait();
                closing.join().unwrap();
                is_done.try_recv().unwrap(); // it has been waited for
            } else {
                server.server_close();
                assert!(is_done.try_recv().is_err());
                go.wait();
                is_done.recv_timeout(LONG).unwrap();
            }
        });
    }
    close_while_working(ThreadingTcpServer::builder(ANY), true);
    close_while_working(PooledTcpServer::builder(ANY), true);
    let daemons = Threading { daemon_threads: true, ..Threading::default() };
    close_while_working(ThreadingTcpServer::builder(ANY).concurrency(daemons), false);
    let leaving = Threading { block_on_close: false, ..Threading::default() };
    close_while_working(ThreadingTcpServer::builder(ANY).concurrency(leaving), false);
    let leaving = Pooled { block_on_close: false, ..Pooled::default() };
    close_while_working(PooledTcpServer::builder(ANY).concurrency(leaving), false);
}

#[test]
fn an_exit_ends_the_loop_where_handlers_run_in_it_and_is_told_nobody() {
    fn exit(_: &mut Exchange) -> Outcome {
        Err(Exit.into())
    }
    fn exit_in_loop(_: &mut LoopExchange) -> Outcome {
        Err(Exit.into())
    }
    fn serve<C: Concurrency>(server: &Server<Tcp, C>) {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = connect(&server.server_address());
                client.write_all(b"x").unwrap();
                await_end(&client);
            });
            let exit = server.serve_forever(MINUTE).unwrap_err();
            assert!(exit.get_ref().unwrap().is::<Exit>(), "{exit}");
        });
    }
    serve(&TcpServer::from_fn(ANY, exit).unwrap());
    serve(&ReactorTcpServer::from_fn(ANY, exit_in_loop).unwrap());

    let server = TcpServer::from_fn(ANY, exit).unwrap();
    let _client = connect(&server.server_address());
    assert!(server.handle_request().unwrap_err().get_ref().unwrap().is::<Exit>());

    // In a thread it ends that.
    let server = ThreadingTcpServer::from_fn(ANY, exit).unwrap();
    while_serving(&server, || {
        for _ in 0..3 {
            assert_eq!(ask(&server.server_address(), b""), b"");
        }
    });
}

#[test]
fn two_servers_in_one_loop() {
    let mut reactor = Reactor::new().unwrap();
    let hello = TcpServer::from_fn(ANY, say_hello).unwrap();
    let lines = ReactorTcpServer::new(ANY, || kind::<LoopExchange, _>(Line)).unwrap();
    hello.serve_in(&mut reactor.context(), MINUTE).unwrap();
    lines.serve_in(&mut reactor.context(), MINUTE).unwrap();
    let busy = hello.serve_in(&mut reactor.context(), MINUTE).unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);

    let (handle, bases) = (reactor.handle(), (hello.base().clone(), lines.base().clone()));
    let clients = thread::spawn(move || {
        let _end = Stop(handle);
        assert_eq!(ask(&bases.0.server_address(), b""), b"hello");
        assert_eq!(ask(&bases.1.server_address(), b"one\n"), b"one\n");
        bases.0.shutdown().unwrap(); // the one alone
        assert_eq!(ask(&bases.1.server_address(), b"two\n"), b"two\n");
        bases.1.server_close();
        assert_eq!(bases.1.fileno(), -1);
    });
    reactor.run().unwrap();
    clients.join().unwrap();
    assert!(reactor.is_empty());
}

/// Stops the loop also when the test has failed.
struct Stop(tripoll::Handle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[test]
fn in_a_loop_of_ones_own_over_fileno() {
    let server = ThreadingTcpServer::from_fn(ANY, say_hello).unwrap();
    assert!(!server.handle_request_noblock().unwrap());
    let address = server.server_address();
    let client = thread::spawn(move || ask(&address, b""));
    let (ready, _, _) = tripoll::sys::select(&[server.fileno()], &[], &[], Some(LONG)).unwrap();
    assert_eq!(ready, [server.fileno()]);
    assert!(server.handle_request_noblock().unwrap());
    assert_eq!(client.join().unwrap(), b"hello");
}

#[test]
fn a_server_that_is_dropped_has_closed_its_socket() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    let base = server.base().clone();
    drop(server);
    assert_eq!(base.fileno(), -1);
}
