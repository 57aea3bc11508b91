//! Clients that are pending when a loop shuts down are answered. On every backend and trigger.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;

use support::server::*;
use support::sockets::read_all;
use support::*;
use tripoll::Context;
use tripoll::server::{
    Concurrency, HandlerResult, LoopExchange, ParkedTcpServer, PooledTcpServer, ReactorTcpServer,
    Server, StreamExchange, Tcp, TcpServer, ThreadingTcpServer,
};

/// Sends back what the client sends until it finishes.
fn echo(exchange: &mut StreamExchange) -> HandlerResult {
    let mut data = Vec::new();
    exchange.rfile.read_to_end(&mut data)?;
    Ok(exchange.wfile.write_all(&data)?)
}

fn echo_in_the_loop(exchange: &mut LoopExchange) -> HandlerResult {
    let data = exchange.recv(100);
    exchange.sendall(&data);
    Ok(())
}

/// Serves in a loop that shuts down while clients are pending.
fn check<C: Concurrency>(pair: Pair, server: &Server<Tcp, C>) {
    let mut reactor = pair.reactor(());
    server.serve_in(MINUTE, &mut reactor.context()).unwrap();
    let (go_on, wait) = mpsc::channel::<()>();
    let shut_down = move |cx: &mut Context<'_>| {
        wait.recv().unwrap();
        cx.shutdown(LONG);
    };
    reactor.handle().post(shut_down).unwrap();
    let client = |_| -> TcpStream {
        let mut client = connect(&server.server_address());
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        client
    };
    thread::scope(|scope| {
        let clients = scope.spawn(move || {
            let clients: Vec<TcpStream> = (0..20).map(client).collect();
            go_on.send(()).unwrap();
            clients.into_iter().for_each(|client| assert_eq!(read_all(client), b"hello"));
        });
        reactor.run().unwrap();
        server.server_close_within(LONG).unwrap();
        clients.join().unwrap();
    });
}

#[test]
fn a_shutdown_of_the_loop_answers_the_clients_that_are_pending() {
    on_every_pair_and_noise(|pair| {
        check(pair, &TcpServer::builder(ANY).build_fn(echo).unwrap());
        check(pair, &ThreadingTcpServer::builder(ANY).build_fn(echo).unwrap());
        check(pair, &PooledTcpServer::builder(ANY).build_fn(echo).unwrap());
        check(pair, &ParkedTcpServer::builder(ANY).build_fn(echo).unwrap());
        check(pair, &ReactorTcpServer::builder(ANY).build_fn(echo_in_the_loop).unwrap());
    });
}
