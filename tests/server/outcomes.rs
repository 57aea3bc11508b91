//! What is told of a handler that fails twice.

use std::io::Write;
use std::net::UdpSocket;
use std::sync::{Mutex, mpsc};

use support::server::*;
use support::*;
use tripoll::net::Address;
use tripoll::server::{
    BaseServer, Concurrency, DatagramExchange, Exchange, ExchangeKind, HandlerError, HandlerResult,
    Hooks, InReactor, Inline, LoopExchange, Request, RequestHandler, Server, StreamExchange,
    Supports, Tcp, Transport, Udp,
};

struct FailsTwice;

impl<X: ExchangeKind> RequestHandler<X> for FailsTwice {
    fn handle(&mut self, _: &mut X) -> HandlerResult {
        Err("handle fails".into())
    }

    fn finish(&mut self, _: &mut X) -> HandlerResult {
        panic!("finish fails")
    }
}

struct Tell(Mutex<mpsc::Sender<String>>);

impl<R: Request> Hooks<R> for Tell {
    fn handle_error(&self, _: &BaseServer<R>, _: &R, _: &Address, error: &HandlerError) {
        self.0.lock().unwrap().send(error.to_string()).unwrap();
    }
}

/// As of Python's exceptions the last is told.
fn the_last_error_is_told<T, C, X>(knock: fn(&Address))
where
    T: Transport,
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = T::Request>,
{
    on_every_config(|config| {
        let (tell, told) = mpsc::channel();
        let server = Server::<T, C>::builder(ANY)
            .config(config.clone())
            .hooks(Tell(Mutex::new(tell)))
            .build(|| kind::<X, _>(FailsTwice))
            .unwrap();
        while_serving(&server, || {
            knock(&server.server_address());
            assert_eq!(told.recv_timeout(LONG).unwrap(), "panicked: finish fails");
        });
        assert!(told.try_recv().is_err(), "once");
    });
}

fn connect_and_speak(address: &Address) {
    let mut client = connect(address);
    client.write_all(b"hello").unwrap();
    await_end(&client);
}

#[test]
fn of_a_bare_request() {
    the_last_error_is_told::<Tcp, Inline, Exchange>(connect_and_speak);
}

#[test]
fn of_a_stream() {
    the_last_error_is_told::<Tcp, Inline, StreamExchange>(connect_and_speak);
}

#[test]
fn in_the_loop() {
    the_last_error_is_told::<Tcp, InReactor, LoopExchange>(connect_and_speak);
}

#[test]
fn of_a_datagram() {
    the_last_error_is_told::<Udp, Inline, DatagramExchange>(|address| {
        let Address::Inet(address) = address else { unreachable!() };
        UdpSocket::bind(ANY).unwrap().send_to(b"hello", address).unwrap();
    });
}
