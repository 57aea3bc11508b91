//! The end of a server, in every way that it can come.

use std::io::{self, Read, Write};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tripoll::server::PythonSocket;

use support::server::*;
use support::*;
use tripoll::Reactor;
use tripoll::net::{Address, Stream};
use tripoll::selector::Deadline;
use tripoll::server::{
    BaseServer, Concurrency, Exchange, ExchangeKind, Exit, Handled, HandlerResult, InReactor,
    Inline, LoopExchange, Parked, Pooled, PooledTcpServer, ReactorTcpServer, RequestHandler,
    Served, Server, ServerBuilder, ServerConfig, StreamExchange, Supports, Tcp, TcpServer,
    Threading, ThreadingTcpServer,
};

/// What `shutdown` may take, whatever the poll interval.
const PROMPT: Duration = Duration::from_millis(50);

fn say_hello(exchange: &mut Exchange) -> HandlerResult {
    Ok(exchange.request.sendall(b"hello")?)
}

/// Reads until the client has finished.
fn listen(exchange: &mut Exchange) -> HandlerResult {
    exchange.request.sendall(b"I listen")?;
    while !exchange.request.recv(100)?.is_empty() {}
    Ok(())
}

/// Waits for the client's greeting, so that it is certainly being handled.
fn connect_and_wait<T: tripoll::server::Transport, C: Concurrency>(
    server: &Server<T, C>,
) -> std::net::TcpStream {
    let mut client = connect(&server.server_address());
    client.read_exact(&mut [0; 8]).unwrap();
    client
}

/// A server of lines, whatever its concurrency.
trait Any: Sync {
    fn base(&self) -> &BaseServer<Arc<Stream>>;
    /// With a poll interval that nobody may wait for.
    fn serve_forever(&self) -> io::Result<()>;
    /// Returns the same for another thread. Where there is noise, it serves in a loop that has it.
    fn serving(&self) -> Box<dyn FnOnce() -> io::Result<()> + Send + '_>;
    fn handle_request(&self) -> io::Result<Handled>;
    fn serve_in(&self, reactor: &mut Reactor) -> io::Result<()>;
    fn server_close(&self);

    fn assert_serves(&self) {
        assert_eq!(ask(&self.base().server_address(), b"hello\n"), b"hello\n");
    }

    /// Serves while `body` runs, and ends.
    fn while_serving(&self, body: &dyn Fn()) {
        thread::scope(|scope| {
            let serving = scope.spawn(self.serving());
            let _guard = RequestShutdown(self.base());
            body();
            self.base().shutdown().unwrap();
            serving.join().unwrap().unwrap();
        });
    }
}

impl<C: Concurrency> Any for Server<Tcp, C> {
    fn base(&self) -> &BaseServer<Arc<Stream>> {
        self
    }
    fn serve_forever(&self) -> io::Result<()> {
        Server::serve_forever(self, MINUTE).map(drop)
    }
    fn serving(&self) -> Box<dyn FnOnce() -> io::Result<()> + Send + '_> {
        Box::new(serving(self))
    }
    fn handle_request(&self) -> io::Result<Handled> {
        Server::handle_request(self)
    }
    fn serve_in(&self, reactor: &mut Reactor) -> io::Result<()> {
        Server::serve_in(self, MINUTE, &mut reactor.context()).map(drop)
    }
    fn server_close(&self) {
        Server::server_close(self);
    }
}

/// Ends the serving also when the test has failed, so that it fails and does not hang.
struct RequestShutdown<'a>(&'a BaseServer<Arc<Stream>>);

impl Drop for RequestShutdown<'_> {
    fn drop(&mut self) {
        self.0.request_shutdown();
    }
}

/// A server of each concurrency, with handlers of type `H`. (One that forks must be a program of its
/// own: `server_forking`.)
fn each<H>(config: &ServerConfig, factory: fn() -> H) -> Vec<Box<dyn Any>>
where
    H: RequestHandler<StreamExchange> + RequestHandler<LoopExchange> + Send + 'static,
{
    fn one<C, X, H>(config: &ServerConfig, factory: fn() -> H) -> Box<dyn Any>
    where
        C: Concurrency + Default + Supports<X>,
        X: ExchangeKind<Request = Arc<Stream>>,
        H: RequestHandler<X> + Send + 'static,
    {
        Box::new(Server::<Tcp, C>::builder(ANY).config(config.clone()).build(factory).unwrap())
    }
    vec![
        one::<Inline, StreamExchange, H>(config, factory),
        one::<Threading, StreamExchange, H>(config, factory),
        one::<Pooled, StreamExchange, H>(config, factory),
        one::<Parked, StreamExchange, H>(config, factory),
        one::<InReactor, LoopExchange, H>(config, factory),
    ]
}

/// Runs `body` with a server of each concurrency, whatever the kernel is asked.
fn on_each<H>(factory: fn() -> H, body: impl Fn(&dyn Any))
where
    H: RequestHandler<StreamExchange> + RequestHandler<LoopExchange> + Send + 'static,
{
    on_every_config(|config| on_each_with(config, factory, &body));
}

/// As [`on_each`], and again over selectors that make faults of events.
fn on_each_and_noise<H>(factory: fn() -> H, body: impl Fn(&dyn Any))
where
    H: RequestHandler<StreamExchange> + RequestHandler<LoopExchange> + Send + 'static,
{
    on_every_config_and_noise(|config| on_each_with(config, factory, &body));
}

fn on_each_with<H>(config: &ServerConfig, factory: fn() -> H, body: &dyn Fn(&dyn Any))
where
    H: RequestHandler<StreamExchange> + RequestHandler<LoopExchange> + Send + 'static,
{
    for server in each(config, factory) {
        println!("{:?}", server.base()); // shown if it fails
        body(&*server);
    }
}

#[test]
fn a_shutdown_is_prompt_whatever_the_poll_interval_and_the_kernel_is_asked() {
    on_each(
        || Line,
        |server| {
            // Once in three tries, on a machine that may be busy with other things.
            let took: Vec<_> = (0..3).map(|_| shutdown_takes(server)).collect();
            assert!(took.iter().any(|took| *took < PROMPT), "{took:?}");
        },
    );
}

fn shutdown_takes(server: &dyn Any) -> Duration {
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever());
        let _guard = RequestShutdown(server.base());
        server.assert_serves();
        let begin = Instant::now();
        server.base().shutdown().unwrap();
        let took = begin.elapsed();
        serving.join().unwrap().unwrap();
        took
    })
}

#[test]
fn idle_clients_do_not_stop_a_shutdown() {
    on_every_config_and_noise(|config| {
        let builder = ThreadingTcpServer::builder(ANY).config(config.clone());
        idle_client(&builder.build_fn(listen).unwrap());
        let builder = PooledTcpServer::builder(ANY).config(config.clone());
        idle_client(&builder.build_fn(listen).unwrap());
        let builder = ReactorTcpServer::builder(ANY).config(config.clone());
        idle_client(&builder.build(|| Listening).unwrap());
    });
}

struct Listening;

impl RequestHandler<LoopExchange> for Listening {
    fn setup(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.sendall(b"I listen");
        Ok(())
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.recv(100);
        Ok(())
    }
}

fn idle_client<C: Concurrency>(server: &Server<Tcp, C>) {
    thread::scope(|scope| {
        let serving = scope.spawn(serving(server));
        let client = connect_and_wait(server);
        server.shutdown().unwrap(); // or the client's patience ends this test
        serving.join().unwrap().unwrap();
        // Nothing is closed by a shutdown; a close waits for its grace, and cuts.
        server.server_close_within(Duration::from_millis(10)).unwrap();
        await_end(&client);
        assert!(server.connections().is_empty());
    });
}

/// Ends its server from inside, and says what came of it.
struct Ending;

impl Ending {
    fn end(server: &BaseServer<Arc<Stream>>) -> String {
        let answer = match server.shutdown() {
            Ok(()) => "it has ended".into(),
            Err(error) => error.kind().to_string(),
        };
        server.request_shutdown();
        answer
    }
}

impl RequestHandler<StreamExchange> for Ending {
    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        exchange.connection.recv(100)?;
        Ok(exchange.wfile.write_all(Ending::end(&exchange.server).as_bytes())?)
    }
}

impl RequestHandler<LoopExchange> for Ending {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.recv(100);
        let answer = Ending::end(&exchange.server);
        exchange.sendall(answer.as_bytes());
        Ok(())
    }
}

#[test]
fn from_inside_it_is_an_error_and_requesting_it_is_not() {
    let deadlock = io::ErrorKind::Deadlock.to_string();
    on_each_and_noise(
        || Ending,
        |server| {
            let answer = thread::scope(|scope| {
                let client = scope.spawn(|| ask(&server.base().server_address(), b"x"));
                server.serving()().unwrap(); // or this test never ends
                server.server_close();
                String::from_utf8(client.join().unwrap()).unwrap()
            });
            // A thread that does not serve may wait for the one that does.
            let is_elsewhere = ["Threads", "Workers", "Parking"]
                .iter()
                .any(|elsewhere| format!("{:?}", server.base()).contains(elsewhere));
            assert_eq!(answer, if is_elsewhere { "it has ended" } else { &deadlock });
        },
    );
}

/// Closes its server from inside.
struct Closing;

impl RequestHandler<StreamExchange> for Closing {
    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        exchange.connection.recv(100)?;
        exchange.server.server_close();
        exchange.server.server_close();
        Ok(write!(exchange.wfile, "{}", exchange.server.fileno())?)
    }
}

impl RequestHandler<LoopExchange> for Closing {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        exchange.recv(100);
        exchange.server.server_close();
        exchange.server.server_close();
        let number = exchange.server.fileno();
        Ok(write!(exchange, "{number}")?)
    }
}

#[test]
fn a_handler_may_close_its_server() {
    on_each_and_noise(
        || Closing,
        |server| {
            thread::scope(|scope| {
                let client = scope.spawn(|| ask(&server.base().server_address(), b"x"));
                server.serving()().unwrap();
                assert_eq!(client.join().unwrap(), b"-1");
            });
            server.server_close();
        },
    );
}

#[test]
fn a_handler_in_a_thread_may_shut_the_server_down_and_close_it() {
    let server = ThreadingTcpServer::from_fn(ANY, |exchange: &mut Exchange| {
        exchange.server.shutdown()?;
        exchange.server.server_close();
        Ok(exchange.request.sendall(b"closed")?)
    })
    .unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| ask(&server.server_address(), b""));
        server.serve_forever(MINUTE).unwrap();
        assert_eq!(client.join().unwrap(), b"closed");
    });
    assert_eq!(server.fileno(), -1);
}

#[test]
fn before_serving_it_is_remembered_once() {
    on_each(
        || Line,
        |server| {
            server.base().shutdown().unwrap();
            server.base().shutdown().unwrap();
            server.serve_forever().unwrap();
            server.while_serving(&|| server.assert_serves());
        },
    );
}

#[test]
fn after_serving_it_is_nothing_and_the_server_serves_again() {
    on_each_and_noise(
        || Line,
        |server| {
            thread::scope(|scope| {
                let serving = scope.spawn(server.serving());
                let _guard = RequestShutdown(server.base());
                server.assert_serves();
                // From two threads at once.
                scope.spawn(|| server.base().shutdown().unwrap());
                server.base().shutdown().unwrap();
                serving.join().unwrap().unwrap();
            });
            server.base().shutdown().unwrap();
            server.while_serving(&|| server.assert_serves());
            server.server_close();
            server.base().shutdown().unwrap();
            let closed = server.serving()().unwrap_err();
            assert_eq!(closed.kind(), io::ErrorKind::NotConnected);
        },
    );
}

#[test]
fn handling_one_request_is_serving_too() {
    on_each(
        || Line,
        |server| {
            thread::scope(|scope| {
                let serving = scope.spawn(|| server.handle_request());
                server.assert_serves();
                assert_eq!(serving.join().unwrap().unwrap(), Handled::Request);

                let serving = scope.spawn(|| server.handle_request());
                server.server_close();
                // If it has not even begun, there is nothing to serve any more.
                match serving.join().unwrap() {
                    Ok(handled) => assert_eq!(handled, Handled::Shutdown),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotConnected),
                }
            });
            assert_eq!(server.base().fileno(), -1);
        },
    );
}

#[test]
fn right_after_the_start_it_ends_the_serving() {
    for _ in 0..5 {
        for server in each(&ServerConfig::default(), || Line) {
            server.while_serving(&|| ());
        }
    }
}

#[test]
fn serving_twice_at_once_is_an_error() {
    on_each_and_noise(
        || Line,
        |server| {
            server.while_serving(&|| {
                server.assert_serves();
                let busy = server.serve_forever().unwrap_err();
                assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
                server.assert_serves();
            });
        },
    );
}

#[test]
fn a_close_ends_the_serving_and_may_come_twice() {
    on_each_and_noise(
        || Line,
        |server| {
            thread::scope(|scope| {
                let serving = scope.spawn(server.serving());
                let _guard = RequestShutdown(server.base());
                server.assert_serves();
                server.server_close();
                serving.join().unwrap().unwrap();
                assert_eq!(server.base().fileno(), -1);
                server.server_close();
            });
            let Address::Inet(address) = server.base().server_address() else { unreachable!() };
            assert!(std::net::TcpStream::connect(address).is_err());
        },
    );
    // Right after the construction.
    each(&ServerConfig::default(), || Line).iter().for_each(|server| server.server_close());
}

#[test]
fn a_close_waits_for_running_handlers_if_configured_so() {
    fn close_while_working<C: Supports<Exchange>>(builder: ServerBuilder<Tcp, C>, waits: bool) {
        let go = Arc::new(Barrier::new(2));
        let (done, is_done) = mpsc::channel();
        let go_on = Arc::clone(&go);
        let server = builder
            .build_fn(move |exchange: &mut Exchange| {
                exchange.request.sendall(b"I work..")?;
                go_on.wait();
                done.send(())?;
                Ok(())
            })
            .unwrap();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_forever(MINUTE));
            let _client = connect_and_wait(&server);
            if waits {
                let closing = scope.spawn(|| server.server_close());
                serving.join().unwrap().unwrap();
                assert!(!closing.is_finished());
                go.wait();
                closing.join().unwrap();
                is_done.try_recv().unwrap(); // it has been waited for
            } else {
                server.server_close();
                assert!(is_done.try_recv().is_err());
                go.wait();
                is_done.recv_timeout(LONG).unwrap();
            }
        });
    }
    close_while_working(ThreadingTcpServer::builder(ANY), true);
    close_while_working(PooledTcpServer::builder(ANY), true);
    let daemons = Threading::default().daemon_threads(true);
    close_while_working(ThreadingTcpServer::builder(ANY).concurrency(daemons), false);
    let leaving = Threading::default().block_on_close(false);
    close_while_working(ThreadingTcpServer::builder(ANY).concurrency(leaving), false);
    let leaving = Pooled::default().block_on_close(false);
    close_while_working(PooledTcpServer::builder(ANY).concurrency(leaving), false);
}

#[test]
fn an_exit_ends_the_loop_where_handlers_run_in_it_and_is_not_reported() {
    fn exit(_: &mut Exchange) -> HandlerResult {
        Err(Exit.into())
    }
    fn exit_in_loop(_: &mut LoopExchange) -> HandlerResult {
        Err(Exit.into())
    }
    fn serve<C: Concurrency>(server: &Server<Tcp, C>) {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = connect(&server.server_address());
                client.write_all(b"x").unwrap();
                await_end(&client);
            });
            assert_eq!(server.serve_forever(MINUTE).unwrap(), Served::Exit);
        });
    }
    serve(&TcpServer::from_fn(ANY, exit).unwrap());
    serve(&ReactorTcpServer::from_fn(ANY, exit_in_loop).unwrap());

    let server = TcpServer::from_fn(ANY, exit).unwrap();
    let _client = connect(&server.server_address());
    assert_eq!(server.handle_request().unwrap(), Handled::Exit);

    // In a thread it ends that.
    let server = ThreadingTcpServer::from_fn(ANY, exit).unwrap();
    while_serving(&server, || {
        for _ in 0..3 {
            assert_eq!(ask(&server.server_address(), b""), b"");
        }
    });
}

/// The loop goes on without the server, and the server may serve again.
#[test]
fn an_exit_in_a_loop_that_is_shared_ends_that_serving_alone() {
    let mut reactor = Reactor::new().unwrap();
    let server =
        TcpServer::from_fn(ANY, |exchange: &mut Exchange| match &exchange.request.recv(100)?[..] {
            b"exit" => Err(Exit.into()),
            said => Ok(exchange.request.sendall(said)?),
        })
        .unwrap();
    server.serve_in(MINUTE, &mut reactor.context()).unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| ask(&server.server_address(), b"exit"));
        while !reactor.context().is_empty() {
            reactor.turn(Deadline::after(LONG)).unwrap();
        }
        assert_eq!(client.join().unwrap(), b"");
    });
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b"hello"), b"hello"));
}

/// And two more: one of every concurrency in one loop, each of which comes and goes by itself.
#[test]
fn two_servers_in_one_loop() {
    on_every_config_and_noise(|config| {
        let mut reactor = reactor(config);
        let servers = each(&ServerConfig::default(), || Line);
        for server in &servers {
            server.serve_in(&mut reactor).unwrap();
            let busy = server.serve_in(&mut reactor).unwrap_err();
            assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        }
        let handle = reactor.handle();
        thread::scope(|scope| {
            let servers = &servers;
            scope.spawn(|| {
                let _end = Stop(&handle);
                for (number, server) in servers.iter().enumerate() {
                    servers[number..].iter().for_each(|server| server.assert_serves());
                    if number % 2 == 0 {
                        server.base().shutdown().unwrap(); // the one alone
                    } else {
                        server.server_close();
                        assert_eq!(server.base().fileno(), -1);
                    }
                }
            });
            reactor.run().unwrap();
        });
        assert!(reactor.context().is_empty());
    });
}

#[test]
fn a_server_runs_in_a_loop_over_its_fileno() {
    let server = ThreadingTcpServer::from_fn(ANY, say_hello).unwrap();
    assert_eq!(server.handle_request_noblock().unwrap(), Handled::NoRequest);
    let address = server.server_address();
    let client = thread::spawn(move || ask(&address, b""));
    let (ready, _, _) = tripoll::sys::select(&[server.fileno()], &[], &[], Some(LONG)).unwrap();
    assert_eq!(ready, [server.fileno()]);
    assert_eq!(server.handle_request_noblock().unwrap(), Handled::Request);
    assert_eq!(client.join().unwrap(), b"hello");
}

#[test]
fn a_server_that_is_dropped_has_closed_its_socket() {
    let server = TcpServer::from_fn(ANY, say_hello).unwrap();
    let base = server.base().clone();
    drop(server);
    assert_eq!(base.fileno(), -1);
}
