//! The first whole path: clients are served, and the shutdown is prompt.

use std::io::{BufRead, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tripoll::net::Address;
use tripoll::server::{
    Exchange, Outcome, RequestHandler, StreamExchange, TcpServer, ThreadingTcpServer,
};

struct Upper;

impl RequestHandler for Upper {
    fn handle(&mut self, exchange: &mut Exchange) -> Outcome {
        loop {
            let data = exchange.request.recv(1024)?;
            if data.is_empty() {
                return Ok(());
            }
            exchange.request.sendall(&data.to_ascii_uppercase())?;
        }
    }
}

struct Line;

impl RequestHandler<StreamExchange> for Line {
    fn handle(&mut self, exchange: &mut StreamExchange) -> Outcome {
        let mut line = Vec::new();
        exchange.rfile.read_until(b'\n', &mut line)?;
        exchange.wfile.write_all(&line)?;
        Ok(())
    }
}

fn ask(address: &Address, question: &[u8]) -> Vec<u8> {
    let Address::Inet(address) = address else { unreachable!() };
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(question).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_and_stops() {
    let server = ThreadingTcpServer::new("127.0.0.1:0", || Upper).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(Duration::from_secs(60)));
        for _ in 0..10 {
            assert_eq!(ask(&server.server_address(), b"hello"), b"HELLO");
        }
        let begin = Instant::now();
        server.shutdown().unwrap();
        assert!(begin.elapsed() < Duration::from_millis(50), "{:?}", begin.elapsed());
        serving.join().unwrap().unwrap();
    });
    server.server_close();
    assert_eq!(server.fileno(), -1);
}

#[test]
fn inline_with_files_and_with_a_function() {
    let server = TcpServer::new("127.0.0.1:0", || Line).unwrap();
    let address = server.server_address();
    let client = thread::spawn(move || ask(&address, b"one\ntwo\n"));
    server.handle_request().unwrap();
    assert_eq!(client.join().unwrap_or_default(), b"one\n");

    let server = TcpServer::from_fn("127.0.0.1:0", |exchange: &mut Exchange| {
        Ok(exchange.request.sendall(b"hi")?)
    })
    .unwrap();
    let address = server.server_address();
    let client = thread::spawn(move || ask(&address, b""));
    server.handle_request().unwrap();
    assert_eq!(client.join().unwrap(), b"hi");
}
