//! Clients that wait in the loop while they are silent, and are served by threads: `Parked`, and
//! `close_connection`, which all concurrencies know.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use support::reactor::{drive, let_settle};
use support::refuse::refuse_when;
use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, Handled, HandlerError, HandlerResult, Hooks, Inline, Parked,
    ParkedTcpServer, Pooled, RequestHandler, Server, ServerConfig, StreamExchange, StreamOptions,
    Supports, Tcp, Threading,
};

/// What became of a server's clients, step by step.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    fn add(&self, step: impl ToString) {
        self.0.lock().unwrap().push(step.to_string());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, step: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|other| *other == step).count()
    }
}

type Base = BaseServer<Arc<Stream>>;

impl Hooks<Arc<Stream>> for Steps {
    fn handle_error(&self, _: &Base, _: &Arc<Stream>, _: &Address, error: &HandlerError) {
        match error.downcast_ref::<io::Error>() {
            Some(error) => self.add(error.kind()),
            None => self.add(error),
        }
    }

    fn shutdown_request(&self, server: &Base, request: &Arc<Stream>) {
        self.add("shutdown_request");
        server.shutdown_request(request);
    }
}

/// Numbers the lines of its client, and keeps it until `bye`. Fails at `fail`, in `setup` if that is the
/// greeting.
struct Lines {
    steps: Steps,
    number: u32,
    greeting: &'static str,
}

impl RequestHandler<StreamExchange> for Lines {
    fn setup(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        self.steps.add("setup");
        exchange.wfile.write_all(self.greeting.as_bytes())?;
        if self.greeting == "fail" { Err("setup fails".into()) } else { Ok(()) }
    }

    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        assert!(exchange.close_connection, "it is true before each call");
        let mut line = String::new();
        exchange.rfile.by_ref().take(100).read_line(&mut line)?;
        self.number += 1;
        self.steps.add(format!("handle {} {}", self.number, line.trim_end()));
        match line.trim_end() {
            "fail" => return Err("handle fails".into()),
            "panic" => panic!("on purpose"),
            "bye" => {}
            _ => exchange.close_connection = false,
        }
        write!(exchange.wfile, "{}: {line}", self.number)?;
        Ok(())
    }

    fn finish(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        self.steps.add("finish");
        let _ = exchange.wfile.write_all(b"end\n"); // the client may be gone
        Ok(())
    }
}

fn build<C>(
    config: &ServerConfig,
    concurrency: C,
    greeting: &'static str,
) -> (Server<Tcp, C>, Steps)
where
    C: Concurrency + Default + Supports<StreamExchange>,
{
    let steps = Steps::default();
    let for_handler = steps.clone();
    let server = Server::builder(ANY)
        .config(config.clone())
        .concurrency(concurrency)
        .hooks(steps.clone())
        .build(move || Lines { steps: for_handler.clone(), number: 0, greeting })
        .unwrap();
    (server, steps)
}

/// Says a line, and reads the answer.
fn say(client: &TcpStream, line: &str) -> String {
    let mut stream = client;
    writeln!(stream, "{line}").unwrap();
    read_line(client)
}

/// Reads a line and nothing beyond it.
fn read_line(mut client: &TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && client.read(&mut byte).unwrap() > 0 {
        line.extend_from_slice(&byte);
    }
    String::from_utf8(line).unwrap()
}

fn read_rest(mut client: &TcpStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn a_kept_client_has_one_handler_which_is_called_for_each_request_on_every_concurrency() {
    fn talk<C>(config: &ServerConfig)
    where
        C: Concurrency + Default + Supports<StreamExchange>,
    {
        let (server, steps) = build(config, C::default(), "");
        while_serving(&server, || {
            let client = connect(&server.server_address());
            assert_eq!(say(&client, "one"), "1: one\n");
            assert_eq!(say(&client, "two"), "2: two\n");
            assert_eq!(say(&client, "bye"), "3: bye\n");
            assert_eq!(read_rest(&client), "end\n");
        });
        let expected =
            ["setup", "handle 1 one", "handle 2 two", "handle 3 bye", "finish", "shutdown_request"];
        assert_eq!(steps.all(), expected);
    }
    on_every_config_and_noise(|config| {
        talk::<Inline>(config);
        talk::<Threading>(config);
        talk::<Pooled>(config);
        talk::<Parked>(config);
    });
}

#[test]
fn requests_that_were_received_with_an_earlier_one_are_not_parked_over() {
    fn talk<C>(config: &ServerConfig)
    where
        C: Concurrency + Default + Supports<StreamExchange>,
    {
        let (server, _) = build(config, C::default(), "");
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"a\nb\nc\nd\nhalf").unwrap();
            let answers: Vec<_> = (0..4).map(|_| read_line(&client)).collect();
            assert_eq!(answers, ["1: a\n", "2: b\n", "3: c\n", "4: d\n"]);
            client.write_all(b" a line\nbye\n").unwrap();
            assert_eq!(read_rest(&client), "5: half a line\n6: bye\nend\n");
        });
    }
    on_every_config_and_noise(|config| {
        talk::<Threading>(config);
        talk::<Parked>(config);
    });
}

#[test]
fn silent_clients_take_no_worker() {
    on_every_config_and_noise(|config| {
        let (server, steps) = build(config, Parked::default().workers(1), "hello\n");
        while_serving(&server, || {
            let address = server.server_address();
            // Silent from the beginning, or later: each is greeted, and waits in the loop.
            let clients: Vec<_> = (0..20).map(|_| connect(&address)).collect();
            for client in &clients {
                assert_eq!(read_line(client), "hello\n");
            }
            for round in 1..=3 {
                for client in clients.iter().step_by(2) {
                    assert_eq!(say(client, "x"), format!("{round}: x\n"));
                }
            }
            for client in clients {
                client.shutdown(Shutdown::Write).unwrap();
                assert_eq!(read_rest(&client), "end\n");
            }
        });
        assert_eq!((steps.count("setup"), steps.count("finish")), (20, 20));
        assert_eq!(steps.count("shutdown_request"), 20);
    });
}

#[test]
fn a_client_that_finishes_or_is_reset_while_it_is_parked_is_finished_at_once() {
    on_every_config_and_noise(|config| {
        let (server, steps) = build(config, Parked::default(), "");
        while_serving(&server, || {
            let client = connect(&server.server_address());
            assert_eq!(say(&client, "x"), "1: x\n");
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_rest(&client), "end\n");
            await_that("it is gone", || server.connections().is_empty());

            let client = connect(&server.server_address());
            assert_eq!(say(&client, "y"), "1: y\n");
            sockets::reset(client);
            await_that("it is gone", || server.connections().is_empty());
        });
        let reset = io::ErrorKind::ConnectionReset.to_string();
        let first = ["setup", "handle 1 x", "finish", "shutdown_request"];
        let second = ["setup", "handle 1 y", "finish", &reset, "shutdown_request"];
        assert_eq!(steps.all(), [&first[..], &second].concat());
    });
}

#[test]
fn errors_and_panics_end_one_client_of_all() {
    expect_panic("on purpose");
    on_every_config_and_noise(|config| {
        let (server, steps) = build(config, Parked::default().workers(2), "");
        while_serving(&server, || {
            let other = connect(&server.server_address());
            for (number, line) in (1..).zip(["fail", "panic", "fail"]) {
                let client = connect(&server.server_address());
                assert_eq!(say(&client, "x"), "1: x\n");
                writeln!(&client, "{line}").unwrap();
                assert_eq!(read_rest(&client), "end\n");
                assert_eq!(say(&other, "y"), format!("{number}: y\n"));
            }
        });
        assert_eq!((steps.count("finish"), steps.count("handle fails")), (4, 2));
        assert!(
            steps.all().iter().any(|step| step.contains("panicked")),
            "{steps:?}",
            steps = steps.all()
        );
    });
    let (server, steps) = build(&ServerConfig::default(), Parked::default(), "fail");
    while_serving(&server, || assert_eq!(read_rest(&connect(&server.server_address())), "fail"));
    assert_eq!(steps.all(), ["setup", "setup fails", "shutdown_request"]); // and no `finish`
}

#[test]
fn a_client_that_is_silent_for_too_long_ends_without_an_error() {
    const SHORT: Duration = Duration::from_millis(20);
    fn ends<C>(config: ServerConfig)
    where
        C: Concurrency + Default + Supports<StreamExchange>,
    {
        let (server, steps) = build(&config, C::default(), "hello\n");
        while_serving(&server, || {
            let client = connect(&server.server_address());
            assert_eq!(read_line(&client), "hello\n");
            assert_eq!(say(&client, "x"), "1: x\n");
            // Whether `finish` can still write depends on which limit it was.
            let rest = read_rest(&client);
            assert!(rest.is_empty() || rest == "end\n", "{rest}");
        });
        assert_eq!(steps.all(), ["setup", "handle 1 x", "finish", "shutdown_request"]);
    }
    on_every_config_and_noise(|config| {
        ends::<Parked>(config.clone().idle_timeout(Some(SHORT)));
        ends::<Parked>(config.clone().idle_timeout(None).read_timeout(Some(SHORT)));
    });
    ends::<Threading>(ServerConfig::default().idle_timeout(Some(SHORT)));
    ends::<Threading>(ServerConfig::default().read_timeout(Some(SHORT)));
}

#[test]
fn output_of_others_keeps_a_silent_client() {
    const LIMIT: Duration = Duration::from_millis(100);
    // A machine that stands still for so long may try again.
    let is_kept = (0..3).any(|_| {
        let config = ServerConfig::default().idle_timeout(Some(LIMIT));
        let (server, steps) = build(&config, Parked::default(), "");
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            assert_eq!(say(&client, "x"), "1: x\n");
            let begin = std::time::Instant::now();
            while begin.elapsed() < 3 * LIMIT && steps.count("finish") == 0 {
                for (request, _) in server.connections() {
                    let _ = server.sendall(&request, b"y");
                }
                if client.read(&mut [0]).unwrap() == 0 {
                    return false;
                }
            }
            steps.count("finish") == 0
        })
    });
    assert!(is_kept);
}

#[test]
fn a_client_that_always_has_something_to_say_waits_behind_the_others() {
    on_every_config_and_noise(|config| {
        let (arrived, has_arrived) = mpsc::channel::<()>();
        let has_arrived = Mutex::new(has_arrived);
        let order = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&order);
        let server = ParkedTcpServer::builder(ANY)
            .config(config.clone())
            .concurrency(Parked::default().workers(1))
            .build_fn(move |exchange: &mut StreamExchange| {
                let mut line = String::new();
                exchange.rfile.read_line(&mut line)?;
                if line == "begin\n" {
                    has_arrived.lock().unwrap().recv()?;
                }
                let mut order = noted.lock().unwrap();
                order.push(line.clone());
                if !order.iter().any(|line| line == "end\n") {
                    std::thread::sleep(Duration::from_millis(1)); // the loop needs a processor, too
                }
                drop(order);
                exchange.wfile.write_all(line.as_bytes())?;
                exchange.close_connection = line == "end\n";
                Ok(())
            })
            .unwrap();
        while_serving(&server, || {
            let greedy = connect(&server.server_address());
            (&greedy).write_all(&[b"begin\n", &*b"more\n".repeat(500), b"end\n"].concat()).unwrap();
            let modest = connect(&server.server_address());
            await_that("the other is there", || server.connections().len() == 2);
            (&modest).write_all(b"end\n").unwrap();
            arrived.send(()).unwrap();
            assert_eq!(read_rest(&modest), "end\n");
            drop(BufReader::new(&greedy).lines().last());
        });
        let order = order.lock().unwrap();
        let place = order.iter().position(|line| line == "end\n").unwrap();
        assert!(place < 100, "it was the {place}th of {}", order.len());
    });
}

#[test]
fn a_shutdown_ends_parked_clients_and_answers_what_they_have_sent() {
    on_every_config_and_noise(|config| {
        let (server, steps) = build(config, Parked::default().workers(2), "");
        let clients: Vec<_> = while_serving(&server, || {
            let clients: Vec<_> = (0..10).map(|_| connect(&server.server_address())).collect();
            for client in &clients {
                assert_eq!(say(client, "x"), "1: x\n");
            }
            clients.iter().for_each(|mut client| client.write_all(b"y\n").unwrap());
            clients
        });
        // The server has been closed meanwhile.
        for client in clients {
            assert_eq!(read_rest(&client), "2: y\nend\n");
        }
        assert_eq!((steps.count("finish"), steps.count("shutdown_request")), (10, 10));
    });
}

#[test]
fn a_client_that_is_with_a_worker_when_the_loop_ends_is_served_to_the_end_of_its_input() {
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let may_end = Mutex::new(may_end);
    let server = ParkedTcpServer::from_fn(ANY, move |exchange: &mut StreamExchange| {
        let mut line = String::new();
        exchange.rfile.read_line(&mut line)?;
        if line == "wait\n" {
            begun.send(())?;
            may_end.lock().unwrap().recv()?;
        }
        exchange.wfile.write_all(line.as_bytes())?;
        exchange.close_connection = false;
        Ok(())
    })
    .unwrap();
    let client = connect(&server.server_address());
    std::thread::scope(|scope| {
        let serving = scope.spawn(serving(&server));
        let _guard = ShutDown(&server);
        (&client).write_all(b"wait\nmore\n").unwrap();
        has_begun.recv_timeout(LONG).unwrap();
        server.shutdown().unwrap();
        serving.join().unwrap().unwrap();
        end.send(()).unwrap();
        assert_eq!(read_rest(&client), "wait\nmore\n");
        server.server_close();
    });
}

#[test]
fn a_server_closes_within_its_grace_whatever_its_clients_do() {
    on_every_config_and_noise(|config| {
        let (server, steps) = build(config, Parked::default().workers(1), "hello\n");
        std::thread::scope(|scope| {
            let serving = scope.spawn(serving(&server));
            let _guard = ShutDown(&server);
            let clients: Vec<_> = (0..5).map(|_| connect(&server.server_address())).collect();
            clients.iter().for_each(|client| assert_eq!(read_line(client), "hello\n"));
            // Half a request holds the only worker.
            (&clients[0]).write_all(b"half").unwrap();
            server.server_close_within(Duration::from_millis(200)).unwrap();
            serving.join().unwrap().unwrap();
        });
        assert_eq!((steps.count("finish"), steps.count("shutdown_request")), (5, 5));
    });
}

#[test]
fn connections_are_limited() {
    on_every_config_and_noise(|config| {
        let concurrency = Parked::default().max_connections(Some(2));
        let (server, _) = build(config, concurrency, "hello\n");
        while_serving(&server, || {
            let clients: Vec<_> = (0..3).map(|_| connect(&server.server_address())).collect();
            assert_eq!(read_line(&clients[0]), "hello\n");
            assert_eq!(read_line(&clients[1]), "hello\n");
            assert_eq!(say(&clients[1], "x"), "1: x\n");
            assert_eq!(server.connections().len(), 2);
            clients[0].shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_line(&clients[2]), "hello\n");
        });
    });
}

#[test]
fn handle_request_serves_one_client_to_its_end() {
    on_every_config(|config| {
        let (server, steps) = build(config, Parked::default(), "");
        let address = server.server_address();
        let client = std::thread::spawn(move || {
            let client = connect(&address);
            (say(&client, "x"), say(&client, "bye"))
        });
        assert_eq!(server.handle_request().unwrap(), Handled::Request);
        assert_eq!(client.join().unwrap(), ("1: x\n".into(), "2: bye\n".into()));
        assert_eq!(steps.count("shutdown_request"), 1);
        let unsupported = server.handle_request_noblock().unwrap_err();
        assert_eq!(unsupported.kind(), io::ErrorKind::Unsupported);
    });
}

#[test]
fn in_a_loop_of_ones_own_a_shutdown_leaves_nothing_of_the_server_there() {
    on_every_config(|config| {
        let mut reactor = reactor(config);
        let (server, steps) = build(config, Parked::default(), "");
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let server = Arc::new(server);
        let there = Arc::clone(&server);
        let client = std::thread::spawn(move || {
            let client = connect(&there.server_address());
            assert_eq!(say(&client, "x"), "1: x\n");
            there.request_shutdown();
            assert_eq!(read_rest(&client), "end\n");
        });
        while !reactor.context().is_empty() {
            reactor.turn(tripoll::Deadline::after(LONG)).unwrap();
        }
        client.join().unwrap();
        server.server_close();
        assert_eq!(steps.count("finish"), 1);
    });
}

#[test]
fn a_loop_that_is_dropped_ends_its_parked_clients() {
    on_every_config(|config| {
        let mut reactor = reactor(config);
        let (server, steps) = build(config, Parked::default(), "");
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let client = connect(&server.server_address());
        (&client).write_all(b"x\n").unwrap();
        while steps.count("handle 1 x") == 0 {
            reactor.turn(tripoll::Deadline::after(Duration::from_millis(1))).unwrap();
        }
        drop(reactor);
        assert_eq!(read_rest(&client), "1: x\nend\n");
        server.server_close();
        assert_eq!((steps.count("finish"), steps.count("shutdown_request")), (1, 1));
    });
}

/// A handler that reads from the connection itself, and has options.
struct Bare(Arc<AtomicUsize>);

impl RequestHandler<StreamExchange> for Bare {
    fn options(&self) -> StreamOptions {
        StreamOptions::default().wbufsize(-1).rbufsize(0)
    }

    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        use tripoll::server::PythonSocket;
        let data = exchange.connection.recv(100)?;
        exchange.wfile.write_all(&data)?; // into its buffer
        exchange.close_connection = false;
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_handler_may_read_from_the_connection_itself_and_a_buffered_answer_is_sent() {
    on_every_config_and_noise(|config| {
        let calls = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&calls);
        let server = ParkedTcpServer::builder(ANY)
            .config(config.clone())
            .build(move || Bare(Arc::clone(&counted)))
            .unwrap();
        while_serving(&server, || {
            let client = connect(&server.server_address());
            assert_eq!(say(&client, "one"), "one\n");
            assert_eq!(say(&client, "two"), "two\n");
        });
        assert!((2..=8).contains(&calls.load(Ordering::Relaxed)), "never without input");
    });
}

/// A client whose socket cannot be made blocking leaves no source, no descriptor and no permit behind.
#[test]
fn a_client_that_cannot_be_parked_ends_and_frees_its_place() {
    on_every_config(|config| {
        // The refusal lasts as long as this thread.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut reactor = reactor(config);
                let concurrency = Parked::default().max_connections(Some(1));
                let (server, steps) = build(config, concurrency, "");
                server.serve_in(MINUTE, &mut reactor.context()).unwrap();
                let sources = reactor.context().len();
                let address = server.server_address();
                let clients: Vec<_> = (0..3).map(|_| connect(&address)).collect();
                let blocking = [(1, libc::F_SETFL as u32), (2, libc::O_RDWR as u32)];
                if !refuse_when(libc::SYS_fcntl, &blocking, libc::ENOMEM) {
                    return;
                }
                drive(&mut reactor, 100, |_| steps.count("shutdown_request") == 3);
                drive(&mut reactor, 100, |_| server.connections().is_empty());
                clients.iter().for_each(await_end);
                let_settle(&mut reactor);
                assert_eq!(reactor.context().len(), sources);
            });
        });
    });
}
