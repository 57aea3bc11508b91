//! A shutdown in the middle of answers: what was sent is answered, what was written is delivered, and
//! then comes the end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use support::server::*;
use support::*;
use tripoll::net::Stream;
use tripoll::server::{
    Concurrency, Exchange, ExchangeKind, HandlerResult, InReactor, Inline, LoopExchange, Pooled,
    PythonSocket, RequestHandler, Server, ServerConfig, StreamExchange, Supports, Tcp, Threading,
    ThreadingTcpServer,
};

/// Sends back what it receives.
struct Echo;

impl RequestHandler for Echo {
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        loop {
            let data = exchange.request.recv(1024)?;
            if data.is_empty() {
                return Ok(());
            }
            exchange.request.sendall(&data)?;
        }
    }
}

impl RequestHandler<StreamExchange> for Echo {
    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        std::io::copy(&mut exchange.rfile, &mut exchange.wfile)?;
        Ok(())
    }
}

impl RequestHandler<LoopExchange> for Echo {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        let data = exchange.recv(usize::MAX);
        exchange.sendall(&data);
        Ok(())
    }
}

fn is_at(place: usize, byte: u8) -> bool {
    byte as usize == place % 251
}

/// Sends until the kernel takes no more. Returns how much that was.
fn fill(client: &TcpStream) -> usize {
    let data: Vec<u8> = (0..251_000).map(|place| (place % 251) as u8).collect();
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    loop {
        match (&*client).write(&data[sent % 251..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    client.set_nonblocking(false).unwrap();
    sent
}

/// Shuts a server down while its client has sent much and read nothing.
fn all_is_answered<C, X>(config: &ServerConfig)
where
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = Arc<Stream>>,
    Echo: RequestHandler<X>,
{
    let server = Server::<Tcp, C>::builder(ANY).config(config.clone()).build(|| Echo).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _guard = ShutDown(&server);
        let mut client = connect(&server.server_address());
        await_that("it is served", || !server.connections().is_empty());
        let sent = fill(&client);
        let closing = scope.spawn(|| {
            server.request_shutdown();
            server.end_input();
            server.server_close_within(LONG)
        });
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap_or_else(|error| {
            panic!("{error} after {} of {sent} bytes", answer.len());
        });
        assert!(answer.iter().enumerate().all(|(place, &byte)| is_at(place, byte)));
        assert_eq!(answer.len(), sent, "the answer was cut");
        drop(client);
        closing.join().unwrap().unwrap();
        serving.join().unwrap().unwrap();
    });
}

#[test]
fn a_shutdown_answers_what_was_sent_and_delivers_what_was_written() {
    on_every_config(|config| {
        all_is_answered::<Inline, Exchange>(config);
        all_is_answered::<InReactor, LoopExchange>(config);
    });
    let config = ServerConfig::default();
    all_is_answered::<Threading, Exchange>(&config);
    all_is_answered::<Threading, StreamExchange>(&config);
    all_is_answered::<Pooled, StreamExchange>(&config);
    // Without an idle timeout reads are other calls.
    all_is_answered::<Threading, Exchange>(&ServerConfig::python());
    all_is_answered::<InReactor, LoopExchange>(&ServerConfig::python());
}

/// Ends in a shutdown with input that it has not read, and output that its client has not.
fn a_long_answer_survives<C: Concurrency + Default + Supports<Exchange>>() {
    const ANSWER: usize = 1 << 20;
    let (begin, begun) = mpsc::channel();
    let handle = move |exchange: &mut Exchange| {
        exchange.request.sendall(&[b'x'; ANSWER])?;
        begin.send(())?;
        await_that("the server is closed", || exchange.server.fileno() == -1);
        Ok(())
    };
    let server = Server::<Tcp, C>::builder(ANY).build_fn(handle).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _guard = ShutDown(&server);
        let mut client = connect(&server.server_address());
        fill(&client);
        begun.recv_timeout(LONG).unwrap();
        let closing = scope.spawn(|| {
            server.shutdown().unwrap();
            server.server_close_within(LONG)
        });
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer.len(), ANSWER);
        closing.join().unwrap().unwrap();
        serving.join().unwrap().unwrap();
    });
}

#[test]
fn in_a_shutdown_input_that_was_not_read_resets_no_answer() {
    a_long_answer_survives::<Threading>();
    a_long_answer_survives::<Pooled>();
}

#[test]
fn the_end_of_the_input_ends_the_wait_for_silent_clients() {
    on_every_config(|config| {
        let server = ThreadingTcpServer::builder(ANY).config(config.clone());
        let server = server.build(|| support::server::kind::<Exchange, _>(Echo)).unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let _guard = ShutDown(&server);
            let clients: Vec<_> = (0..3).map(|_| connect(&server.server_address())).collect();
            await_that("all are served", || server.connections().len() == 3);
            let begin = Instant::now();
            server.shutdown().unwrap();
            server.end_input();
            server.server_close_within(MINUTE).unwrap();
            assert!(begin.elapsed() < LONG, "{:?}", begin.elapsed());
            serving.join().unwrap().unwrap();
            for mut client in clients {
                assert_eq!(client.read(&mut [0]).unwrap(), 0); // an end, and no reset
            }
        });
    });
}

#[test]
fn the_input_of_the_next_run_does_not_end() {
    let server =
        ThreadingTcpServer::new(ANY, || support::server::kind::<Exchange, _>(Echo)).unwrap();
    for _ in 0..2 {
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let _guard = ShutDown(&server);
            let mut client = connect(&server.server_address());
            for word in [b"one", b"two"] {
                client.write_all(word).unwrap();
                let mut answer = [0; 3];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, word);
                thread::sleep(std::time::Duration::from_millis(100)); // longer than an ended input
            }
            server.shutdown().unwrap();
            server.end_input();
            await_end(&client);
            serving.join().unwrap().unwrap();
        });
    }
    server.server_close();
}

#[test]
fn reads_wait_as_long_as_they_may_before_the_end_and_after() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let handle = move |exchange: &mut Exchange| {
        let limit = Some(std::time::Duration::from_millis(20));
        exchange.request.settimeout(limit)?;
        let late = exchange.request.recv(1).unwrap_err().kind();
        exchange.request.set_nonblocking(true)?;
        let nothing = (&*exchange.request).read(&mut [0]).unwrap_err().kind();
        exchange.request.set_nonblocking(false)?;
        exchange.request.settimeout(None)?;
        exchange.server.end_input();
        let ended = exchange.request.recv(1)?;
        tell.lock().unwrap().send((late, nothing, ended.len()))?;
        Ok(())
    };
    let server = ThreadingTcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || {
        let client = connect(&server.server_address());
        let expected = (ErrorKind::TimedOut, ErrorKind::WouldBlock, 0);
        assert_eq!(told.recv_timeout(LONG).unwrap(), expected);
        await_end(&client);
    });
}
