//! What becomes of a handler's methods, whatever the handler's kind and wherever it runs; and what
//! CPython's own tests say of errors and writers.

use std::io::{self, BufRead, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use tripoll::server::PythonSocket;

use support::alone::in_own_process;
use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, DatagramExchange, Exchange, ExchangeKind, Exit, HandlerError,
    HandlerResult, Hooks, InReactor, Inline, LoopExchange, Pooled, ReactorTcpServer, Request,
    RequestHandler, Served, Server, StreamExchange, StreamOptions, Supports, Tcp, TcpServer,
    Threading, ThreadingTcpServer, Transport, Udp, UdpServer,
};

/// Greets, answers and takes leave, each in its place; and does what it is told to.
struct Polite;

const IMPOLITE: &str = "this is no way to talk";

fn answer(said: &[u8]) -> Result<&[u8], HandlerError> {
    match said {
        b"fail" => Err(IMPOLITE.into()),
        b"panic" => panic!("{IMPOLITE}"),
        b"exit" => Err(Exit.into()),
        _ => Ok(said),
    }
}

impl RequestHandler for Polite {
    fn setup(&mut self, exchange: &mut Exchange) -> HandlerResult {
        Ok(exchange.request.sendall(b"welcome; ")?)
    }
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        let said = exchange.request.recv(100)?;
        Ok(exchange.request.sendall(answer(&said)?)?)
    }
    fn finish(&mut self, exchange: &mut Exchange) -> HandlerResult {
        Ok(exchange.request.sendall(b"; goodbye")?)
    }
}

impl RequestHandler<StreamExchange> for Polite {
    /// What is said in `finish` goes out all the same.
    fn options(&self) -> StreamOptions {
        StreamOptions::default().wbufsize(-1)
    }
    fn setup(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        Ok(exchange.wfile.write_all(b"welcome; ")?)
    }
    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        let mut said = Vec::new();
        exchange.rfile.read_to_end(&mut said)?;
        Ok(exchange.wfile.write_all(answer(&said)?)?)
    }
    fn finish(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        Ok(exchange.wfile.write_all(b"; goodbye")?)
    }
}

impl RequestHandler<DatagramExchange> for Polite {
    fn setup(&mut self, exchange: &mut DatagramExchange) -> HandlerResult {
        Ok(exchange.wfile.write_all(b"welcome; ")?)
    }
    fn handle(&mut self, exchange: &mut DatagramExchange) -> HandlerResult {
        let said = Arc::clone(&exchange.packet.data);
        Ok(exchange.wfile.write_all(answer(&said)?)?)
    }
    fn finish(&mut self, exchange: &mut DatagramExchange) -> HandlerResult {
        Ok(exchange.wfile.write_all(b"; goodbye")?)
    }
}

impl RequestHandler<LoopExchange> for Polite {
    fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b"welcome; ");
        Ok(())
    }
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        let said = exchange.recv(100);
        exchange.sendall(answer(&said)?);
        Ok(())
    }
    fn finish(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b"; goodbye");
        Ok(())
    }
}

/// Counts the errors that it is told.
struct Count(Arc<AtomicUsize>);

impl Hooks<Arc<Stream>> for Count {
    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &HandlerError,
    ) {
        assert!(error.to_string().ends_with(IMPOLITE), "{error}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sees to it that each question to a polite handler is answered, and each error told.
fn polite<C, X>(ends_with_exit: bool)
where
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = Arc<Stream>>,
    Polite: RequestHandler<X>,
{
    expect_panic(IMPOLITE);
    let told = Arc::<AtomicUsize>::default();
    let server: Server<Tcp, C> =
        Server::builder(ANY).hooks(Count(Arc::clone(&told))).build(|| Polite).unwrap();
    let address = server.server_address();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _guard = ShutDown(&server);
        for (question, answer, errors) in [
            (&b"hello"[..], &b"welcome; hello; goodbye"[..], 0),
            (b"fail", b"welcome; ; goodbye", 1),
            (b"panic", b"welcome; ; goodbye", 2),
            (b"exit", b"welcome; ; goodbye", 2), // it is told nobody
        ] {
            assert_eq!(ask(&address, question), answer);
            // (In the loop when the client has gone.)
            await_that("the error", || told.load(Ordering::Relaxed) == errors);
        }
        server.shutdown().unwrap();
        let served = serving.join().unwrap().unwrap();
        assert_eq!(served == Served::Exit, ends_with_exit);
    });
    assert_eq!(told.load(Ordering::Relaxed), 2);
    server.server_close();
}

#[test]
fn each_method_is_called_and_errors_are_reported_but_exits_are_not() {
    polite::<Inline, Exchange>(true);
    polite::<Inline, StreamExchange>(true);
    polite::<Threading, Exchange>(false);
    polite::<Threading, StreamExchange>(false);
    polite::<Pooled, Exchange>(false);
    polite::<Pooled, StreamExchange>(false);
    polite::<InReactor, LoopExchange>(true);
}

/// A test whose handler panics must not be green.
#[test]
fn a_panic_of_a_handler_fails_its_test() {
    let test = "handlers::a_panic_of_a_handler_fails_its_test";
    in_own_process(test, || {
        let fail = |exchange: &mut Exchange| {
            assert_eq!(exchange.request.recv(100)?, b"not this");
            Ok(())
        };
        let server = ThreadingTcpServer::from_fn(ANY, fail).unwrap();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            while_serving(&server, || ask(&server.server_address(), b"but that"))
        }));
        let why = failed.unwrap_err().downcast::<String>().unwrap();
        assert!(why.contains("a panic was caught") && why.contains("handlers.rs"), "{why}");
    });
}

#[test]
fn a_datagram_is_answered_also_when_handle_fails() {
    let server = UdpServer::new(ANY, || kind::<DatagramExchange, _>(Polite)).unwrap();
    let Address::Inet(address) = server.server_address() else { unreachable!() };
    let client = UdpSocket::bind(ANY).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    while_serving(&server, || {
        for (question, answer) in
            [(&b"hello"[..], &b"welcome; hello; goodbye"[..]), (b"fail", b"welcome; ; goodbye")]
        {
            client.send_to(question, address).unwrap();
            let mut buffer = [0; 100];
            let size = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..size], answer);
        }
    });
}

/// Fails in `setup` when it is the first, and says in `finish` that it was called.
struct Unready(bool);

impl Unready {
    fn next(made: &AtomicUsize) -> Self {
        Unready(made.fetch_add(1, Ordering::Relaxed) == 0)
    }

    fn ready(&self) -> HandlerResult {
        if self.0 { Err("not ready".into()) } else { Ok(()) }
    }
}

impl RequestHandler<StreamExchange> for Unready {
    fn setup(&mut self, _: &mut StreamExchange) -> HandlerResult {
        self.ready()
    }
    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        exchange.rfile.read_to_end(&mut Vec::new())?;
        Ok(exchange.wfile.write_all(b"handled, ")?)
    }
    fn finish(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        Ok(exchange.wfile.write_all(b"finished")?)
    }
}

impl RequestHandler<DatagramExchange> for Unready {
    fn setup(&mut self, _: &mut DatagramExchange) -> HandlerResult {
        self.ready()
    }
    fn handle(&mut self, exchange: &mut DatagramExchange) -> HandlerResult {
        Ok(exchange.wfile.write_all(&exchange.packet.data)?)
    }
}

impl RequestHandler<LoopExchange> for Unready {
    fn setup(&mut self, _: &mut LoopExchange) -> HandlerResult {
        self.ready()
    }
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.recv(100);
        exchange.sendall(b"handled, ");
        Ok(())
    }
    fn finish(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b"finished");
        Ok(())
    }
}

#[test]
fn a_setup_that_fails_is_the_only_method_called() {
    let made = AtomicUsize::new(0);
    let server =
        TcpServer::new(ANY, move || kind::<StreamExchange, _>(Unready::next(&made))).unwrap();
    only_setup(&server);
    let made = AtomicUsize::new(0);
    let server =
        ReactorTcpServer::new(ANY, move || kind::<LoopExchange, _>(Unready::next(&made))).unwrap();
    only_setup(&server);

    // Nor is there a reply: the first that comes is the second's.
    let made = AtomicUsize::new(0);
    let server =
        UdpServer::new(ANY, move || kind::<DatagramExchange, _>(Unready::next(&made))).unwrap();
    let Address::Inet(address) = server.server_address() else { unreachable!() };
    let client = UdpSocket::bind(ANY).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    while_serving(&server, || {
        client.send_to(b"one", address).unwrap();
        client.send_to(b"two", address).unwrap();
        let mut buffer = [0; 100];
        let size = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..size], b"two");
    });
}

fn only_setup<C: Concurrency>(server: &Server<Tcp, C>) {
    while_serving(server, || {
        await_end(&connect(&server.server_address()));
        assert_eq!(ask(&server.server_address(), b"x"), b"handled, finished");
    });
}

#[test]
fn when_handle_and_finish_fail_one_error_is_reported() {
    struct Twice;
    impl RequestHandler for Twice {
        fn handle(&mut self, _: &mut Exchange) -> HandlerResult {
            Err("I know no answer".into())
        }
        fn finish(&mut self, _: &mut Exchange) -> HandlerResult {
            Err(IMPOLITE.into()) // the last, as in Python
        }
    }
    let told = Arc::<AtomicUsize>::default();
    let server = TcpServer::builder(ANY).hooks(Count(Arc::clone(&told))).build(|| Twice).unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b""));
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

/// The sequence of Python's successful request, with a `handle` for each input.
#[test]
fn in_the_loop_handle_is_called_once_per_input() {
    struct Echo(NotingHandler);
    impl RequestHandler<LoopExchange> for Echo {
        fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            NotingInLoop::setup(&mut NotingInLoop(self.0.clone()), exchange)
        }
        fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            self.0.log.note("handle");
            let data = exchange.recv(100);
            exchange.sendall(&data);
            Ok(())
        }
        fn finish(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            NotingInLoop::finish(&mut NotingInLoop(self.0.clone()), exchange)
        }
    }
    let log = Log::new();
    let noting = NotingHandler { log: Arc::clone(&log), case: Case::Success };
    let server = ReactorTcpServer::builder(ANY)
        .hooks(Noting::new(&log, Case::Success, false))
        .build(move || Echo(noting.clone()))
        .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = ShutDown(&server);
            let mut client = connect(&server.server_address());
            for input in [b"one", b"two"] {
                client.write_all(input).unwrap();
                let mut output = [0; 3];
                client.read_exact(&mut output).unwrap();
                assert_eq!(&output, input);
            }
            client.shutdown(std::net::Shutdown::Write).unwrap();
            await_end(&client);
            server.shutdown().unwrap();
        });
        server.serve_forever(MINUTE).unwrap();
    });
    server.server_close();
    let expected = python(Case::Success, "none")[0].replace(" handle ", " handle handle ");
    assert_eq!(without_service(log.lines()), without_service(vec![expected]));
}

#[test]
fn rfile_and_wfile_are_the_clients_socket_and_time_out_as_such() {
    struct Impatient(Arc<Mutex<Vec<io::Error>>>);
    impl RequestHandler<StreamExchange> for Impatient {
        fn options(&self) -> StreamOptions {
            StreamOptions::default().timeout(Some(Duration::from_millis(1)))
        }
        fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
            let number = exchange.connection.as_fd().as_raw_fd();
            assert_eq!(exchange.rfile.as_fd().as_raw_fd(), number);
            assert_eq!(exchange.wfile.as_fd().as_raw_fd(), number);
            let read = exchange.rfile.read_line(&mut String::new()).unwrap_err();
            let written = exchange.wfile.write_all(&vec![0; 64 << 20]).unwrap_err();
            *self.0.lock().unwrap() = vec![read, written];
            Ok(())
        }
    }
    let errors = Arc::<Mutex<Vec<_>>>::default();
    let noted = Arc::clone(&errors);
    let server = TcpServer::new(ANY, move || Impatient(Arc::clone(&noted))).unwrap();
    while_serving(&server, || {
        let client = connect(&server.server_address());
        await_that("the timeouts", || errors.lock().unwrap().len() == 2);
        drop(client);
    });
    for error in errors.lock().unwrap().iter() {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }
}

/// A client that sends a size must not choose how much memory is allocated.
#[test]
fn recv_takes_any_size_and_allocates_what_has_arrived() {
    const LONG_WORD: usize = 1 << 20;
    let (tell, told) = mpsc::channel();
    let handle = move |exchange: &mut Exchange| {
        let mut size = 0;
        while size < LONG_WORD {
            let data = exchange.request.recv([1 << 46, usize::MAX, LONG_WORD][size % 3])?;
            assert!(data.capacity() <= data.len() + 64, "{} {}", data.len(), data.capacity());
            assert!(!data.is_empty() && data.len() <= 64 << 10);
            size += data.len();
            if size == 5 {
                exchange.request.sendall(b"!")?;
            }
        }
        tell.send(exchange.request.recv(1024)?.capacity())?;
        Ok(())
    };
    let server = TcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0]).unwrap(); // so the first word came alone
        client.write_all(&[0; LONG_WORD]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(told.recv_timeout(LONG).unwrap() <= 64, "of the end");
    });
}

#[test]
fn write_is_one_write_however_many_parts_it_has() {
    let (seen, told) = std::sync::mpsc::channel();
    let handle = move |exchange: &mut StreamExchange| {
        exchange.connection.set_nodelay(true)?;
        writeln!(exchange.wfile, "{} of {}", 1, 2)?;
        seen.send(())?; // so all that was written has been sent
        exchange.rfile.read_until(b'\n', &mut Vec::new())?;
        Ok(())
    };
    let server = TcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        let mut first = [0; 100];
        let count = client.read(&mut first).unwrap();
        assert_eq!(&first[..count], b"1 of 2\n");
        told.recv_timeout(LONG).unwrap();
    });
}

// A handler that fails twice.

struct FailsTwice;

impl<X: ExchangeKind> RequestHandler<X> for FailsTwice {
    fn handle(&mut self, _: &mut X) -> HandlerResult {
        Err("handle fails".into())
    }

    fn finish(&mut self, _: &mut X) -> HandlerResult {
        panic!("finish fails")
    }
}

struct SendError(Mutex<mpsc::Sender<String>>);

impl<R: Request> Hooks<R> for SendError {
    fn handle_error(&self, _: &BaseServer<R>, _: &R, _: &Address, error: &HandlerError) {
        self.0.lock().unwrap().send(error.to_string()).unwrap();
    }
}

/// A handler that fails twice reports its last error once, as Python reports its last exception.
fn last_error_is_reported<T, C, X>(knock: fn(&Address))
where
    T: Transport,
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = T::Request>,
{
    expect_panic("finish fails");
    on_every_config_and_noise(|config| {
        let (send, errors) = mpsc::channel();
        let server = Server::<T, C>::builder(ANY)
            .config(config.clone())
            .hooks(SendError(Mutex::new(send)))
            .build(|| kind::<X, _>(FailsTwice))
            .unwrap();
        while_serving(&server, || {
            knock(&server.server_address());
            assert_eq!(errors.recv_timeout(LONG).unwrap(), "panicked: finish fails");
        });
        assert!(errors.try_recv().is_err(), "once");
    });
}

fn connect_and_speak(address: &Address) {
    let mut client = connect(address);
    client.write_all(b"hello").unwrap();
    await_end(&client);
}

#[test]
fn the_last_error_of_a_bare_request_is_reported() {
    last_error_is_reported::<Tcp, Inline, Exchange>(connect_and_speak);
}

#[test]
fn the_last_error_of_a_stream_is_reported() {
    last_error_is_reported::<Tcp, Inline, StreamExchange>(connect_and_speak);
}

#[test]
fn the_last_error_in_the_loop_is_reported() {
    last_error_is_reported::<Tcp, InReactor, LoopExchange>(connect_and_speak);
}

#[test]
fn the_last_error_of_a_datagram_is_reported() {
    last_error_is_reported::<Udp, Inline, DatagramExchange>(|address| {
        let Address::Inet(address) = address else { unreachable!() };
        UdpSocket::bind(ANY).unwrap().send_to(b"hello", address).unwrap();
    });
}

/// As in Python, and as the documentation says; in `net` it is on.
#[test]
fn nagles_algorithm_is_on_for_every_kind_of_exchange() {
    fn is_on(stream: &Stream) -> HandlerResult {
        assert!(!rustix::net::sockopt::tcp_nodelay(stream)?);
        Ok(())
    }
    fn assert_is_on<C: Concurrency>(server: Server<Tcp, C>) {
        while_serving(&server, || assert_eq!(ask(&server.server_address(), b"x"), b""));
    }
    assert_is_on(
        TcpServer::from_fn(ANY, |exchange: &mut Exchange| {
            exchange.request.recv(100)?;
            is_on(&exchange.request)
        })
        .unwrap(),
    );
    assert_is_on(
        ThreadingTcpServer::from_fn(ANY, |exchange: &mut StreamExchange| {
            exchange.connection.recv(100)?;
            is_on(&exchange.connection)
        })
        .unwrap(),
    );
    assert_is_on(
        ReactorTcpServer::from_fn(ANY, |exchange: &mut LoopExchange| {
            exchange.recv(100);
            is_on(&exchange.request)
        })
        .unwrap(),
    );
}
