//! Clients in the loop that handlers keep, close or do not hear, to their end. On every backend and trigger.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use support::server::*;
use support::*;
use tripoll::Deadline;
use tripoll::net::{Address, Stream};
use tripoll::reactor::ManualClock;
use tripoll::server::{
    BaseServer, Cause, HandlerError, HandlerResult, Hooks, InReactor, LoopExchange,
    ReactorTcpServer, RequestHandler, ServerConfig,
};

/// Tells the test the kind of each error.
struct Errors(Mutex<mpsc::Sender<ErrorKind>>);

impl Hooks<Arc<Stream>> for Errors {
    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &HandlerError,
    ) {
        let kind = error.downcast_ref::<std::io::Error>().unwrap().kind();
        self.0.lock().unwrap().send(kind).unwrap();
    }
}

/// Builds a server that tells its errors.
fn build<H>(
    config: &ServerConfig,
    concurrency: InReactor,
    factory: impl Fn() -> H + Send + Sync + 'static,
) -> (ReactorTcpServer, mpsc::Receiver<ErrorKind>)
where
    H: RequestHandler<LoopExchange> + Send + 'static,
{
    let (tell, told) = mpsc::channel();
    let server = ReactorTcpServer::builder(ANY)
        .config(config.clone())
        .concurrency(concurrency)
        .hooks(Errors(Mutex::new(tell)))
        .build(factory)
        .unwrap();
    (server, told)
}

/// Says farewell at once, and listens to nobody.
struct Farewell;

impl RequestHandler<LoopExchange> for Farewell {
    fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b"bye");
        exchange.close();
        Ok(())
    }

    fn handle(&mut self, _: &mut LoopExchange) -> HandlerResult {
        panic!("it was closed")
    }

    fn finish(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b" bye");
        Ok(())
    }
}

#[test]
fn a_setup_that_closes_ends_the_conversation() {
    on_every_config_and_noise(|config| {
        let (server, told) = build(config, InReactor::default(), || Farewell);
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap(); // and it has said nothing itself
            assert_eq!(said, "bye bye");
        });
        assert!(told.try_recv().is_err());
    });
}

#[test]
fn a_client_that_is_reset_after_its_last_output_was_delivered_is_no_error() {
    on_every_config_and_noise(|config| {
        let (server, told) = build(config, InReactor::default(), || Farewell);
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.read_exact(&mut [0; 7]).unwrap();
            sockets::reset(client);
            await_that("it is gone", || server.connections().is_empty());
        });
        assert!(told.try_recv().is_err());
    });
}

#[test]
fn clients_above_the_limit_wait_until_another_has_left() {
    let greet = |exchange: &mut LoopExchange| -> HandlerResult {
        let name = exchange.recv(100);
        exchange.sendall(&name);
        Ok(())
    };
    on_every_config_and_noise(|config| {
        let two = InReactor::default().max_connections(Some(2));
        let (server, _) = build(config, two, move || greet);
        while_serving(&server, || {
            let greeted = |limit| {
                let mut client = connect(&server.server_address());
                client.write_all(b"!").unwrap();
                client.set_read_timeout(Some(limit)).unwrap();
                let is_greeted = client.read(&mut [0]).is_ok();
                (client, is_greeted)
            };
            let ((one, is_first), (_two, is_second)) = (greeted(LONG), greeted(LONG));
            let (mut three, is_third) = greeted(Duration::from_millis(20));
            assert_eq!([is_first, is_second, is_third], [true, true, false]);
            assert_eq!(server.connections().len(), 2);
            drop(one);
            three.set_read_timeout(Some(LONG)).unwrap();
            three.read_exact(&mut [0]).unwrap();
        });
    });
}

#[test]
fn input_that_handlers_leave_unused_is_bounded_for_all_clients_together() {
    const PART: usize = 100_000;
    let listen = |exchange: &mut LoopExchange| -> HandlerResult {
        if exchange.input().ends_with(b"\n") {
            let line = exchange.recv(usize::MAX);
            exchange.sendall(format!("{}\n", line.len()).as_bytes());
        }
        Ok(())
    };
    on_every_config_and_noise(|config| {
        let bound = InReactor::default().max_buffered(Some(3 * PART));
        let (server, told) = build(config, bound, move || listen);
        while_serving(&server, || {
            let say = |mut client: &TcpStream, size, end: &[u8]| {
                client.write_all(&vec![b'x'; size])?;
                client.write_all(end)
            };
            let clients: Vec<_> = (0..6).map(|_| connect(&server.server_address())).collect();
            // What is used up does not count any more.
            for client in &clients {
                say(client, PART, b"\n").unwrap();
                let mut answer = [0; 7];
                (&*client).read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"100001\n");
            }
            assert!(told.try_recv().is_err());
            for client in &clients {
                let _ = say(client, PART, b""); // it may be reset meanwhile
            }
            assert_eq!(told.recv_timeout(LONG).unwrap(), ErrorKind::StorageFull);
        });
    });
}

/// Notes how much input each client has left, and answers a line.
#[derive(Clone, Default)]
struct Collect(Arc<Mutex<HashMap<Address, usize>>>);

impl RequestHandler<LoopExchange> for Collect {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        if exchange.input().ends_with(b"\n") {
            exchange.consume(usize::MAX);
            exchange.sendall(b"\n");
        }
        let left = exchange.input().len();
        self.0.lock().unwrap().insert(exchange.client_address().clone(), left);
        Ok(())
    }
}

#[test]
fn a_client_whose_input_is_used_has_no_part_of_the_bound_any_more() {
    const PART: usize = 10_000;
    on_every_config_and_noise(|config| {
        let left = Collect::default();
        let noted = left.clone();
        let bound = InReactor::default().max_buffered(Some(30 * PART));
        let (server, told) = build(config, bound, move || noted.clone());
        while_serving(&server, || {
            let say = |mut client: &TcpStream, size, end: &[u8]| {
                client.write_all(&vec![b'x'; size]).unwrap();
                client.write_all(end).unwrap();
            };
            let finish = |client: &TcpStream| {
                say(client, 1, b"\n");
                (&*client).read_exact(&mut [0]).unwrap();
            };
            let clients: Vec<_> = (0..20).map(|_| connect(&server.server_address())).collect();
            clients.iter().for_each(finish);
            let grow = |client: &TcpStream, by: usize, to: usize| {
                say(client, by * PART, b"");
                let address = Address::Inet(client.local_addr().unwrap());
                let is_there = || left.0.lock().unwrap().get(&address) == Some(&(to * PART));
                await_that("its input has arrived", is_there);
            };
            // Together they hold more than is allowed, and each may have a half.
            grow(&clients[0], 19, 19);
            grow(&clients[1], 10, 10);
            grow(&clients[1], 2, 12);
            finish(&clients[1]);
            finish(&clients[0]);
        });
        assert!(told.try_recv().is_err());
    });
}

/// More than the kernel keeps for a client that reads nothing, and less than the write buffer holds.
const LONG_ANSWER: usize = 12 << 20;

/// Sends much at once, and keeps its client.
struct Endless;

impl RequestHandler<LoopExchange> for Endless {
    fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(&vec![b'x'; LONG_ANSWER]);
        Ok(())
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        let word = exchange.recv(100);
        exchange.sendall(&word);
        Ok(())
    }
}

#[test]
fn a_client_that_does_not_read_before_the_end_is_reset_and_reported() {
    on_every_pair_at_once(|pair| {
        let config = &pair.config();
        let (server, told) = build(config, InReactor::default(), || Endless);
        let mut client = thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let _guard = ShutDown(&server);
            let mut client = connect(&server.server_address());
            client.read_exact(&mut [0]).unwrap();
            server.shutdown().unwrap();
            serving.join().unwrap().unwrap();
            client
        });
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [ErrorKind::TimedOut]);
        // An end would look as if it were all.
        let error = client.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

/// Turns until the client can read something, and reads it. Returns how much it was: 0 is the end.
fn turn_and_read(reactor: &mut tripoll::Reactor, mut client: &TcpStream) -> usize {
    let give_up = Instant::now() + LONG;
    loop {
        reactor.turn(Deadline::after(Duration::from_millis(1))).unwrap();
        match client.read(&mut vec![0; 1 << 20]) {
            Ok(count) => return count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(Instant::now() < give_up, "nothing came");
    }
}

#[test]
fn a_client_that_ends_is_silent_only_since_it_has_its_output() {
    const MOMENT: Duration = Duration::from_millis(1);
    on_every_pair(|pair| {
        let clock = ManualClock::new();
        let mut reactor = pair.build(pair.builder().clock(clock.clone()), ());
        let (server, told) = build(&pair.config(), InReactor::default(), || Endless);
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let mut client = connect(&server.server_address());
        client.set_nonblocking(true).unwrap();
        let mut read = turn_and_read(&mut reactor, &client);
        reactor.context().shutdown(MINUTE);
        reactor.turn(Deadline::Now).unwrap();
        clock.advance(40 * MOMENT);
        while read < LONG_ANSWER {
            read += turn_and_read(&mut reactor, &client);
        }
        for _ in 0..10 {
            reactor.turn(Deadline::Now).unwrap(); // the loop knows, too, that all is sent
        }
        clock.advance(30 * MOMENT);
        for _ in 0..10 {
            reactor.turn(Deadline::Now).unwrap();
        }
        client.write_all(b"?").unwrap();
        assert_eq!(turn_and_read(&mut reactor, &client), 1, "50 ms are not over");
        clock.advance(60 * MOMENT);
        assert_eq!(turn_and_read(&mut reactor, &client), 0, "they are");
        drop(client);
        server.server_close();
        assert!(told.try_recv().is_err());
    });
}

/// What a handler was called for, and the input that it found.
type Calls = Arc<Mutex<Vec<(Cause, Vec<u8>)>>>;

/// Answers its first input by much.
struct Once {
    calls: Calls,
    /// Whether it uses a part of the first input, and the rest when the timeout expires.
    uses_a_part: bool,
}

impl RequestHandler<LoopExchange> for Once {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        let mut calls = self.calls.lock().unwrap();
        calls.push((exchange.cause(), exchange.input().to_vec()));
        if calls.len() == 1 {
            exchange.sendall(&vec![b'x'; LONG_ANSWER]);
            if self.uses_a_part {
                exchange.consume(1);
                exchange.set_timeout(Some(Duration::from_millis(1)));
            }
        } else if exchange.cause() == Cause::Timeout {
            exchange.consume(usize::MAX);
        }
        Ok(())
    }
}

#[test]
fn a_client_that_reads_again_calls_no_handler_that_has_no_new_input() {
    on_every_config_and_noise(|config| {
        for uses_a_part in [false, true] {
            let calls = Calls::default();
            let noted = Arc::clone(&calls);
            let factory = move || Once { calls: Arc::clone(&noted), uses_a_part };
            let (server, told) = build(config, InReactor::default(), factory);
            while_serving(&server, || {
                let mut client = connect(&server.server_address());
                client.write_all(b"ab").unwrap();
                let count = || calls.lock().unwrap().len();
                await_that("it is heard", || count() == if uses_a_part { 2 } else { 1 });
                client.read_exact(&mut vec![0; LONG_ANSWER]).unwrap();
                client.write_all(b"c").unwrap();
                await_that("it is heard again", || {
                    let calls = calls.lock().unwrap();
                    calls.last().is_some_and(|(_, input)| input.ends_with(b"c"))
                });
            });
            let calls: Vec<_> = calls.lock().unwrap().clone();
            let call = |cause, input: &[u8]| (cause, input.to_vec());
            let expected = if uses_a_part {
                vec![
                    call(Cause::Input, b"ab"),
                    call(Cause::Timeout, b"b"),
                    call(Cause::Input, b"c"),
                ]
            } else {
                vec![call(Cause::Input, b"ab"), call(Cause::Input, b"abc")]
            };
            // At the end it is called for what it has left.
            assert_eq!(calls[..expected.len()], expected);
            assert!(calls[expected.len()..].iter().all(|(cause, _)| *cause == Cause::Ended));
            assert!(told.try_recv().is_err());
        }
    });
}

#[test]
fn a_client_that_reads_nothing_of_its_output_for_too_long_is_not_heard_any_more() {
    let idle = Duration::from_millis(40);
    on_every_config_and_noise(|config| {
        let calls = Calls::default();
        let noted = Arc::clone(&calls);
        let factory = move || Once { calls: Arc::clone(&noted), uses_a_part: false };
        let config = config.clone().idle_timeout(Some(idle));
        let (server, told) = build(&config, InReactor::default(), factory);
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"ab").unwrap();
            assert_eq!(told.recv_timeout(LONG).unwrap(), ErrorKind::TimedOut);
            let cut = client.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(cut.kind(), ErrorKind::ConnectionReset);
        });
        assert_eq!(*calls.lock().unwrap(), [(Cause::Input, b"ab".to_vec())]);
        assert!(told.try_recv().is_err(), "once");
    });
}

/// Greets each client.
struct Greeting;

impl RequestHandler<LoopExchange> for Greeting {
    fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b"hello");
        Ok(())
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.consume(usize::MAX);
        Ok(())
    }
}

#[test]
fn a_loop_that_shuts_down_serves_all_clients_that_are_pending() {
    on_every_pair_at_once(|pair| {
        let mut reactor = pair.reactor(());
        let config = pair.config().requests_per_turn(1);
        let (server, _) = build(&config, InReactor::default(), || Greeting);
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let clients: Vec<_> = (0..7).map(|_| connect(&server.server_address())).collect();
        reactor.context().shutdown(LONG);
        while !reactor.context().is_empty() {
            reactor.turn(Deadline::after(LONG)).unwrap();
        }
        for mut client in clients {
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            assert_eq!(said, "hello");
        }
        server.server_close();
    });
}
