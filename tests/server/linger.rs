//! A client that has not received its answer when its handler has ended: a shutdown waits for it, if its
//! connection would be reset otherwise, and not for ever.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, Exchange, HandlerResult, Hooks, LoopExchange, Pooled, PythonSocket,
    ReactorTcpServer, RequestHandler, Server, Supports, Tcp, Threading,
};

/// More than the kernel delivers to a client that does not read, and less than it takes.
const ANSWER: usize = 200 << 10;

/// So long each client here reads nothing: less than the second for which a shutdown waits.
const A_WHILE: Duration = Duration::from_millis(200);

/// Connects a client that takes little of what it does not read.
fn connect_small(address: &Address) -> TcpStream {
    let Address::Inet(address) = *address else { panic!("{address} is no TCP address") };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address.into()).unwrap();
    let client = TcpStream::from(socket);
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// Returns whether the client reads the whole answer.
fn reads_all(mut client: &TcpStream) -> bool {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).is_ok() && answer.len() == ANSWER
}

/// Tells the test that a request is released.
struct Released(Mutex<mpsc::Sender<()>>);

impl Hooks<Arc<Stream>> for Released {
    fn close_request(&self, server: &BaseServer<Arc<Stream>>, request: &Arc<Stream>) {
        let _ = self.0.lock().unwrap().send(());
        server.close_request(request);
    }
}

/// A handler that has sent its answer, and left its input unread, when the server begins to end.
fn ending<C>(
    end: impl Fn(&Server<Tcp, C>) + Sync,
    client: impl FnOnce(TcpStream, mpsc::Receiver<()>) -> bool,
) -> bool
where
    C: Concurrency + Default + Supports<Exchange>,
{
    let (begin, begun) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let handle = move |exchange: &mut Exchange| -> HandlerResult {
        SockRef::from(&*exchange.request).set_send_buffer_size(2 * ANSWER)?;
        exchange.request.sendall(&[b'x'; ANSWER])?;
        begin.send(())?;
        let wait = wait.lock().unwrap();
        // Until the input is ended, or the server is closed.
        while wait.recv_timeout(Duration::from_millis(1)).is_err() && exchange.server.fileno() != -1
        {
        }
        Ok(())
    };
    let server = Server::<Tcp, C>::builder(ANY).hooks(Released(Mutex::new(release)));
    let server = server.build_fn(handle).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _guard = ShutDown(&server);
        let mut stream = connect_small(&server.server_address());
        stream.write_all(b"unread").unwrap();
        begun.recv_timeout(LONG).unwrap();
        let closing = scope.spawn(|| {
            end(&server);
            let _ = go.send(());
        });
        let outcome = client(stream, released);
        closing.join().unwrap();
        server.shutdown().unwrap();
        serving.join().unwrap().unwrap();
        server.server_close();
        outcome
    })
}

/// A machine that stands still for a second may try again.
fn once_in_three(attempt: impl Fn() -> bool) -> bool {
    (0..3).any(|_| attempt())
}

fn is_waited_for<C: Concurrency + Default + Supports<Exchange>>(
    end: impl Fn(&Server<Tcp, C>) + Sync,
) {
    assert!(once_in_three(|| {
        ending::<C>(&end, |client, released| {
            let early = released.recv_timeout(A_WHILE);
            reads_all(&client) && early.is_err()
        })
    }));
}

#[test]
fn a_client_that_reads_late_has_its_answer_although_it_was_not_heard() {
    fn whatever_the_end_is<C: Concurrency + Default + Supports<Exchange>>() {
        is_waited_for::<C>(|server| server.end_input());
        is_waited_for::<C>(|server| server.server_close());
        is_waited_for::<C>(|server| server.server_close_within(LONG).unwrap());
    }
    whatever_the_end_is::<Threading>();
    whatever_the_end_is::<Pooled>();
}

#[test]
fn a_client_that_never_reads_is_waited_for_no_longer_than_the_grace() {
    fn is_in_time<C: Concurrency + Default + Supports<Exchange>>() {
        assert!(once_in_three(|| {
            let outcome = Mutex::new(None);
            let end = |server: &Server<Tcp, C>| {
                *outcome.lock().unwrap() = Some(server.server_close_within(A_WHILE));
            };
            ending::<C>(end, |client, released| {
                released.recv_timeout(LONG).unwrap();
                await_end_or_rest(&client)
            });
            outcome.into_inner().unwrap().unwrap().is_ok()
        }));
    }
    is_in_time::<Threading>();
    is_in_time::<Pooled>();
}

/// Reads what there is, to whatever end.
fn await_end_or_rest(mut client: &TcpStream) -> bool {
    client.read_to_end(&mut Vec::new()).is_ok()
}

/// Answers at once, in the loop.
struct Answer;

impl RequestHandler<LoopExchange> for Answer {
    fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        SockRef::from(&*exchange.request).set_send_buffer_size(2 * ANSWER)?;
        exchange.sendall(&[b'x'; ANSWER]);
        Ok(())
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.consume(usize::MAX);
        Ok(())
    }
}

#[test]
fn in_the_loop_a_client_that_reads_late_and_still_sends_has_its_answer() {
    on_every_config(|config| {
        let attempt = || {
            let server = ReactorTcpServer::builder(ANY).config(config.clone());
            let server = server.build(|| Answer).unwrap();
            thread::scope(|scope| {
                let serving = scope.spawn(|| server.serve_forever(MINUTE));
                let _guard = ShutDown(&server);
                let mut client = connect_small(&server.server_address());
                client.read_exact(&mut [0]).unwrap();
                let (tell, told) = mpsc::channel();
                let server = &server;
                scope.spawn(move || {
                    server.shutdown().unwrap();
                    let _ = tell.send(());
                });
                let early = told.recv_timeout(A_WHILE);
                // If the loop is gone, this is answered by a reset, which loses the rest.
                let is_sent = client.write_all(b"still here").is_ok();
                let mut rest = Vec::new();
                let is_read = client.read_to_end(&mut rest).is_ok();
                serving.join().unwrap().unwrap();
                early.is_err() && is_sent && is_read && 1 + rest.len() == ANSWER
            })
        };
        assert!(once_in_three(attempt));
    });
}

#[test]
fn in_the_loop_a_client_that_has_its_answer_is_not_waited_for() {
    on_every_config(|config| {
        // One that the handler keeps, and one that it has closed. Neither finishes.
        for closes in [false, true] {
            let attempt = || {
                let handle = move |exchange: &mut LoopExchange| -> HandlerResult {
                    let word = exchange.recv(100);
                    exchange.sendall(&word);
                    if closes {
                        exchange.close();
                    }
                    Ok(())
                };
                let server = ReactorTcpServer::builder(ANY).config(config.clone());
                let server = server.build_fn(handle).unwrap();
                thread::scope(|scope| {
                    let serving = scope.spawn(|| server.serve_forever(MINUTE));
                    let _guard = ShutDown(&server);
                    let mut client = connect(&server.server_address());
                    client.write_all(b"hello").unwrap();
                    client.read_exact(&mut [0; 5]).unwrap();
                    let began = std::time::Instant::now();
                    server.shutdown().unwrap();
                    serving.join().unwrap().unwrap();
                    began.elapsed() < Duration::from_millis(900)
                })
            };
            assert!(once_in_three(attempt), "it waits for a second");
        }
    });
}
