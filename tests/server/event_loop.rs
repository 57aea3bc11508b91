//! Clients in the loop: the input of their handlers, its limit, back-pressure. And loops with a broken
//! listener.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Cause, Exchange, HandlerError, HandlerResult, Hooks, LoopExchange,
    ReactorTcpServer, TcpServer,
};

#[test]
fn unused_input_is_there_in_calls_of_every_cause() {
    on_every_config_and_noise(|config| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&seen);
        let handle = move |exchange: &mut LoopExchange| {
            let input = String::from_utf8(exchange.input().into())?;
            note.lock().unwrap().push((exchange.cause(), input));
            match exchange.cause() {
                Cause::Input if exchange.input().len() < 3 => {
                    exchange.set_timeout(Some(Duration::from_millis(1)));
                }
                Cause::Timeout => {
                    exchange.consume(1); // outside of a call for input
                    exchange.sendall(b"?");
                }
                Cause::Input => exchange.consume(2),
                _ => {
                    exchange.consume(1);
                    exchange.consume(usize::MAX); // all of it
                    assert!(exchange.input().is_empty());
                    exchange.sendall(b"!");
                }
            }
            Ok(())
        };
        let server =
            ReactorTcpServer::builder(ANY).config(config.clone()).build_fn(handle).unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"ab").unwrap();
            client.read_exact(&mut [0]).unwrap();
            client.write_all(b"cdef").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut rest = String::new();
            client.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "!");
        });
        let seen: Vec<_> = seen.lock().unwrap().iter().map(|(c, i)| format!("{c:?} {i}")).collect();
        let expected = ["Input ab", "Timeout ab", "Input bcdef", "Input def", "Input f"];
        assert_eq!(seen[..4], expected[..4]);
        assert_eq!(seen.last().unwrap(), "Ended f");
    });
}

#[test]
fn a_long_line_in_many_pieces_is_collected_in_the_input() {
    const LENGTH: usize = 300_000;
    on_every_config_and_noise(|config| {
        let handle = |exchange: &mut LoopExchange| {
            if exchange.input().last() == Some(&b'\n') {
                let line = exchange.recv(usize::MAX);
                exchange.sendall(line.len().to_string().as_bytes());
                exchange.close();
            }
            Ok(())
        };
        let server =
            ReactorTcpServer::builder(ANY).config(config.clone()).build_fn(handle).unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            let line = [vec![b'x'; LENGTH - 1], b"\n".to_vec()].concat();
            for piece in line.chunks(1_009) {
                client.write_all(piece).unwrap();
            }
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            assert_eq!(said, LENGTH.to_string());
        });
    });
}

/// Sends the text of each error.
struct Errors(Mutex<mpsc::Sender<String>>);

impl Hooks<Arc<Stream>> for Errors {
    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &HandlerError,
    ) {
        self.0.lock().unwrap().send(error.to_string()).unwrap();
    }
}

#[test]
fn a_handler_that_uses_nothing_fails_above_a_limit_and_not_below() {
    const LIMIT: usize = 1 << 20;
    on_every_config_and_noise(|config| {
        let (errors, reported) = mpsc::channel();
        let largest = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&largest);
        let handle = move |exchange: &mut LoopExchange| {
            seen.store(exchange.input().len(), Ordering::Relaxed);
            Ok(())
        };
        let server = ReactorTcpServer::builder(ANY)
            .config(config.clone())
            .hooks(Errors(Mutex::new(errors)))
            .build_fn(handle)
            .unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(&vec![b'x'; LIMIT]).unwrap();
            await_that("all of it", || largest.load(Ordering::Relaxed) == LIMIT);
            client.write_all(b"x").unwrap();
            let error = reported.recv_timeout(LONG).unwrap();
            assert_eq!(error, "the handler left more than 1048576 bytes of input unused");
            assert_eq!(largest.load(Ordering::Relaxed), LIMIT + 1);
            await_end(&client);
        });
    });
}

#[test]
fn many_requests_at_once_are_answered_at_the_pace_of_the_client() {
    /// The kernel's buffers and the largest write buffer cannot hold all answers together.
    const ANSWER: usize = 300_000;
    on_every_config_and_noise(|config| {
        let handle = |exchange: &mut LoopExchange| {
            // One request a call.
            for request in exchange.recv(1) {
                exchange.sendall(&vec![request; ANSWER]);
            }
            Ok(())
        };
        let server =
            ReactorTcpServer::builder(ANY).config(config.clone()).build_fn(handle).unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            let requests: Vec<u8> = (0..150).collect();
            client.write_all(&requests).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = vec![0; ANSWER];
            for request in requests {
                client.read_exact(&mut answer).unwrap();
                assert!(answer == vec![request; ANSWER], "not the answer to {request}");
            }
            assert_eq!(client.read(&mut answer).unwrap(), 0);
        });
    });
}

#[test]
fn requests_of_one_packet_are_handled_at_once_and_a_part_of_one_waits_for_the_rest() {
    on_every_config_and_noise(|config| {
        let (calls, seen) = mpsc::channel();
        let handle = move |exchange: &mut LoopExchange| {
            calls.send(String::from_utf8(exchange.input().into())?)?;
            if let Some(end) = exchange.input().iter().position(|&byte| byte == b'\n') {
                let line = exchange.recv(end + 1);
                exchange.sendall(&line);
            }
            Ok(())
        };
        let server =
            ReactorTcpServer::builder(ANY).config(config.clone()).build_fn(handle).unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"a\nb\nhalf").unwrap();
            for input in ["a\nb\nhalf", "b\nhalf", "half"] {
                assert_eq!(seen.recv_timeout(LONG).unwrap(), input);
            }
            client.read_exact(&mut [0; 4]).unwrap();
            client.write_all(b" a line\n").unwrap();
            assert_eq!(seen.recv_timeout(LONG).unwrap(), "half a line\n");
            let mut answer = [0; 12];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"half a line\n");
            assert!(seen.try_recv().is_err(), "called without input");
        });
    });
}

/// Says that all clients have this address.
struct Renames(Address);

impl Hooks<Arc<Stream>> for Renames {
    fn get_request(&self, server: &BaseServer<Arc<Stream>>) -> io::Result<(Arc<Stream>, Address)> {
        Ok((server.get_request()?.0, self.0.clone()))
    }
}

#[test]
fn the_address_that_a_hook_returns_is_the_client_address() {
    on_every_config_and_noise(|config| {
        let address = Address::Unix("/a/client".into());
        let handle = |exchange: &mut LoopExchange| {
            exchange.consume(usize::MAX);
            let address = exchange.client_address().to_string();
            exchange.sendall(address.as_bytes());
            Ok(())
        };
        let server = ReactorTcpServer::builder(ANY)
            .config(config.clone())
            .hooks(Renames(address.clone()))
            .build_fn(handle)
            .unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"?").unwrap();
            let mut answer = [0; 9];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"/a/client");
            let [(request, known)] = &server.connections()[..] else { panic!("not one client") };
            assert_eq!(*known, address);
            server.sendall(request, b"by mail").unwrap();
            client.read_exact(&mut answer[..7]).unwrap();
            assert_eq!(&answer[..7], b"by mail");
            assert_eq!(server.connections()[0].1, address);
        });
    });
}

#[test]
fn a_broken_listener_ends_the_loop_even_with_clients_in_it() {
    on_every_config_and_noise(|config| {
        let handle = |exchange: &mut LoopExchange| {
            let data = exchange.recv(100);
            exchange.sendall(&data);
            Ok(())
        };
        let server =
            ReactorTcpServer::builder(ANY).config(config.clone()).build_fn(handle).unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let mut client = connect(&server.server_address());
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
            let break_it = |socket: std::os::fd::BorrowedFd<'_>| {
                rustix::net::shutdown(socket.as_fd(), rustix::net::Shutdown::Both).unwrap();
            };
            server.with_socket(break_it).unwrap();
            let error = serving.join().unwrap().unwrap_err();
            let address = server.server_address().to_string();
            assert!(error.to_string().contains(&address), "{error}");
            await_end(&client);
        });
    });
}

#[test]
fn a_loop_of_ones_own_fails_when_the_listener_of_its_server_is_broken() {
    on_every_config_and_noise(|config| {
        let mut reactor = reactor(config);
        let handle = |_: &mut Exchange| HandlerResult::Ok(());
        let server = TcpServer::builder(ANY).config(config.clone()).build_fn(handle).unwrap();
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let break_it = |socket: std::os::fd::BorrowedFd<'_>| {
            rustix::net::shutdown(socket.as_fd(), rustix::net::Shutdown::Both).unwrap();
        };
        server.with_socket(break_it).unwrap();
        let error = reactor.run().unwrap_err();
        let address = server.server_address().to_string();
        assert!(error.to_string().contains(&address), "{error}");
        server.shutdown().unwrap(); // returns, because the run has ended
    });
}

/// Accepts nothing, so that the listener stays ready. Counts the tries.
struct NeverAccepts(Arc<AtomicUsize>);

impl Hooks<Arc<Stream>> for NeverAccepts {
    fn get_request(&self, _: &BaseServer<Arc<Stream>>) -> io::Result<(Arc<Stream>, Address)> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::other("accepts nothing"))
    }
}

#[test]
fn a_hook_that_never_accepts_does_not_make_the_loop_spin() {
    on_every_config_and_noise(|config| {
        let tries = Arc::new(AtomicUsize::new(0));
        let server = TcpServer::builder(ANY)
            .config(config.clone())
            .hooks(NeverAccepts(Arc::clone(&tries)))
            .build_fn(|_: &mut Exchange| HandlerResult::Ok(()))
            .unwrap();
        while_serving(&server, || {
            let _client = connect(&server.server_address());
            await_that("a try", || tries.load(Ordering::Relaxed) > 0);
            // After 32 tries the loop pauses for 10 ms. Ten times as many take at least nine pauses,
            // and a loop that spins makes them in one.
            let (begin, before) = (Instant::now(), tries.load(Ordering::Relaxed));
            await_that("more tries", || tries.load(Ordering::Relaxed) >= before + 320);
            let elapsed = begin.elapsed();
            assert!(elapsed >= Duration::from_millis(50), "320 tries in {elapsed:?}");
        });
    });
}
