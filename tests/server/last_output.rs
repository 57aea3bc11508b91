//! The last output of a handler: it is delivered, or an error is reported.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, Exit, HandlerError, HandlerResult, Hooks, Inline, LoopExchange,
    Pooled, PythonSocket, ReactorTcpServer, RequestHandler, Served, Server, ServerConfig,
    StreamExchange, StreamOptions, Supports, Tcp, TcpServer, Threading,
};

/// Tells the test each error, as its text.
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

fn errors() -> (Errors, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel();
    (Errors(Mutex::new(tell)), told)
}

/// Runs `body` for every concurrency whose handlers may block.
fn on_each_blocking(body: impl BodyOfEach) {
    on_every_config_and_noise(|config| body.run::<Inline>(config));
    body.run::<Threading>(&ServerConfig::default());
    body.run::<Pooled>(&ServerConfig::default());
}

trait BodyOfEach {
    fn run<C: Concurrency + Default + Supports<StreamExchange>>(&self, config: &ServerConfig);
}

/// Closes the connection before the end, with a reply in its buffer.
struct Closing;

impl RequestHandler<StreamExchange> for Closing {
    fn options(&self) -> StreamOptions {
        StreamOptions::default().wbufsize(-1)
    }

    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        exchange.wfile.write_all(b"reply, ")?;
        exchange.connection.close();
        let mut line = Vec::new();
        exchange.rfile.read_until(b'\n', &mut line)?;
        exchange.wfile.write_all(&line)?;
        exchange.connection.close();
        Ok(())
    }
}

#[test]
fn a_connection_that_is_closed_stays_open_until_its_files_are_closed_as_in_python() {
    struct Body;
    impl BodyOfEach for Body {
        fn run<C: Concurrency + Default + Supports<StreamExchange>>(&self, config: &ServerConfig) {
            let server = Server::<Tcp, C>::builder(ANY).config(config.clone());
            let server = server.build(|| Closing).unwrap();
            while_serving(&server, || {
                assert_eq!(ask(&server.server_address(), b"line\n"), b"reply, line\n");
            });
        }
    }
    on_each_blocking(Body);
}

/// Fills the kernel's buffers, leaves a rest in its own, and ends with an outcome.
struct Filling(fn() -> HandlerResult);

impl RequestHandler<StreamExchange> for Filling {
    fn options(&self) -> StreamOptions {
        StreamOptions::default().wbufsize(-1).timeout(Some(Duration::from_millis(20)))
    }

    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        // The kernel may make its buffer larger after it was full.
        let is_full = || exchange.connection.sendall(&[b'x'; 64 << 10]).is_err();
        while !(0..5).all(|_| is_full()) {}
        exchange.wfile.write_all(&[b'y'; 8_000])?;
        (self.0)()
    }
}

/// Connects a client for which the kernel keeps little that it has not read.
fn connect_small(address: &Address) -> TcpStream {
    let Address::Inet(address) = *address else { panic!("{address} is no TCP address") };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Returns the errors that are reported of a client that reads nothing, and whether the server exits.
fn filled<C>(config: &ServerConfig, outcome: fn() -> HandlerResult) -> (Vec<String>, bool)
where
    C: Concurrency + Default + Supports<StreamExchange>,
{
    let (hooks, told) = errors();
    let server = Server::<Tcp, C>::builder(ANY).config(config.clone()).hooks(hooks);
    let server = server.build(move || Filling(outcome)).unwrap();
    let served = thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _guard = ShutDown(&server);
        let client = connect_small(&server.server_address());
        let first = told.recv_timeout(LONG).unwrap();
        server.shutdown().unwrap();
        let served = serving.join().unwrap().unwrap();
        server.server_close();
        drop(client);
        (first, served)
    });
    let (first, served) = served;
    ([first].into_iter().chain(told.try_iter()).collect(), served == Served::Exit)
}

#[test]
fn a_last_flush_that_fails_is_reported() {
    struct Body;
    impl BodyOfEach for Body {
        fn run<C: Concurrency + Default + Supports<StreamExchange>>(&self, config: &ServerConfig) {
            let late = ErrorKind::TimedOut.to_string();
            assert_eq!(filled::<C>(config, || Ok(())), (vec![late], false));
            let own = || Err("no luck".into());
            assert_eq!(filled::<C>(config, own), (vec!["no luck".into()], false));
        }
    }
    on_each_blocking(Body);
}

#[test]
fn a_last_flush_that_fails_hides_no_exit() {
    let late = ErrorKind::TimedOut.to_string();
    let exit = || Err(Exit.into());
    assert_eq!(filled::<Inline>(&ServerConfig::default(), exit), (vec![late], true));
}

#[test]
fn a_last_flush_after_a_panic_is_made_too() {
    expect_panic("with a reply in its buffer");
    struct Panicking;
    impl RequestHandler<StreamExchange> for Panicking {
        fn options(&self) -> StreamOptions {
            StreamOptions::default().wbufsize(-1)
        }
        fn setup(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
            exchange.wfile.write_all(b"reply")?;
            panic!("with a reply in its buffer");
        }
        fn handle(&mut self, _: &mut StreamExchange) -> HandlerResult {
            Ok(())
        }
    }
    let (hooks, told) = errors();
    let server = TcpServer::builder(ANY).hooks(hooks).build(|| Panicking).unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"reply"));
    assert_eq!(told.recv_timeout(LONG).unwrap(), "panicked: with a reply in its buffer");
}

/// More than the kernel keeps for a client that reads nothing, and less than the write buffer holds.
const LONG_ANSWER: usize = 12 << 20;

fn long_answer(exchange: &mut LoopExchange) -> HandlerResult {
    exchange.recv(100);
    exchange.sendall(&vec![b'x'; LONG_ANSWER]);
    exchange.close();
    Ok(())
}

#[test]
fn in_the_loop_output_that_its_client_did_not_read_is_reported() {
    on_every_config_and_noise(|config| {
        let (hooks, told) = errors();
        let server = ReactorTcpServer::builder(ANY).config(config.clone()).hooks(hooks);
        let server = server.build_fn(long_answer).unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0; 1]).unwrap();
            drop(client); // a reset, since there is input that it has not read
            told.recv_timeout(LONG).unwrap();
            await_that("it is gone", || server.connections().is_empty());
        });
        assert!(told.try_recv().is_err(), "once");
    });
}

#[test]
fn in_the_loop_output_that_the_end_of_the_server_cuts_is_reported() {
    on_every_config_and_noise(|config| {
        let (hooks, told) = errors();
        let server = ReactorTcpServer::builder(ANY).config(config.clone()).hooks(hooks);
        let server = server.build_fn(long_answer).unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let _guard = ShutDown(&server);
            let mut client = connect(&server.server_address());
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0; 1]).unwrap();
            server.server_close_within(Duration::from_millis(20)).unwrap();
            serving.join().unwrap().unwrap();
            told.recv_timeout(LONG).unwrap();
            let cut = client.read_to_end(&mut Vec::new());
            assert!(cut.is_err_and(|error: io::Error| error.kind() == ErrorKind::ConnectionReset));
        });
        assert!(told.try_recv().is_err(), "once");
    });
}

#[test]
fn in_the_loop_output_that_is_delivered_is_no_error() {
    on_every_config_and_noise(|config| {
        let (hooks, told) = errors();
        let server = ReactorTcpServer::builder(ANY).config(config.clone()).hooks(hooks);
        let server = server.build_fn(long_answer).unwrap();
        while_serving(&server, || {
            assert_eq!(ask(&server.server_address(), b"x").len(), LONG_ANSWER);
        });
        assert!(told.try_recv().is_err());
    });
}
