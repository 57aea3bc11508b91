//! The time limits of clients in a loop of one's own follow the clock of that loop.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use support::server::*;
use support::*;
use tripoll::Deadline;
use tripoll::net::Stream;
use tripoll::reactor::{ManualClock, ReactorHandle};
use tripoll::server::{
    BaseServer, Concurrency, ExchangeKind, HandlerResult, InReactor, LoopExchange, Parked,
    RequestHandler, Server, ServerConfig, StreamExchange, Supports, Tcp,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Sends back each line.
struct Echo;

impl RequestHandler<StreamExchange> for Echo {
    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        let mut line = Vec::new();
        exchange.close_connection = exchange.rfile.read_until(b'\n', &mut line)? == 0;
        Ok(exchange.wfile.write_all(&line)?)
    }
}

impl RequestHandler<LoopExchange> for Echo {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        let data = exchange.recv(100);
        exchange.sendall(&data);
        Ok(())
    }
}

/// Shuts the server down, also when the test has failed.
struct Shutdown(Arc<BaseServer<Arc<Stream>>>);

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.0.request_shutdown();
    }
}

fn say(mut client: &TcpStream) {
    client.write_all(b"x\n").unwrap();
    let mut answer = [0; 2];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"x\n");
}

/// Waits until the turn that has answered is over: all that it reads is read at the time of its begin.
fn end_turn(handle: &ReactorHandle) {
    let (ended, end) = mpsc::channel();
    handle.post(move |_| ended.send(()).unwrap()).unwrap();
    end.recv_timeout(LONG).unwrap();
}

/// Lets an hour pass, again and again, until the server closes the connection.
fn pass_until_closed(mut client: &TcpStream, clock: &ManualClock) {
    let give_up = Instant::now() + LONG;
    client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    loop {
        clock.advance(HOUR);
        match client.read(&mut [0]) {
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < give_up, "the client is never too late");
    }
}

fn silence_is_measured_by_the_clock<C, X>(pair: Pair, config: ServerConfig)
where
    C: Concurrency + Default + Supports<X>,
    Echo: RequestHandler<X>,
    X: ExchangeKind<Request = Arc<Stream>>,
{
    let clock = ManualClock::new();
    let mut reactor = pair.build(pair.builder().clock(clock.clone()), ());
    let server: Server<Tcp, C> =
        Server::builder(ANY).config(config).concurrency(C::default()).build(|| Echo).unwrap();
    server.serve_in(HOUR, &mut reactor.context()).unwrap();
    let shutdown = Shutdown(Arc::clone(server.base()));
    let address = server.server_address();
    let handle = reactor.handle();
    let client = thread::spawn(move || {
        let _shutdown = shutdown;
        let client = connect(&address);
        say(&client);
        for _ in 0..3 {
            end_turn(&handle);
            clock.advance(HOUR - Duration::from_secs(60));
            say(&client); // it was not silent for an hour
        }
        pass_until_closed(&client, &clock);
    });
    while !reactor.context().is_empty() {
        reactor.turn(Deadline::after(LONG)).unwrap();
    }
    client.join().unwrap();
    server.server_close();
}

#[test]
fn a_client_in_the_loop_is_silent_for_as_long_as_the_clock_of_the_loop_says() {
    on_every_pair(|pair| {
        let [idle, read] = [
            pair.config().idle_timeout(Some(HOUR)),
            pair.config().idle_timeout(None).read_timeout(Some(HOUR)),
        ];
        for config in [idle, read] {
            silence_is_measured_by_the_clock::<InReactor, LoopExchange>(pair, config.clone());
            silence_is_measured_by_the_clock::<Parked, StreamExchange>(pair, config);
        }
    });
}
