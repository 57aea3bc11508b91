//! Which of a server's methods are called, in which order and where; and that each of them can be
//! overridden so that something else comes of it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use tripoll::server::PythonSocket;

use support::server::*;
use support::*;
use tripoll::Reactor;
use tripoll::net::{Address, Stream};
use tripoll::selector::Deadline;
use tripoll::server::{
    BaseServer, Concurrency, Exchange, ExchangeKind, Handled, HandlerError, HandlerResult, Hooks,
    InReactor, Inline, LoopExchange, Pooled, ReactorTcpServer, RequestHandler, Server,
    ServerConfig, Supports, Tcp, TcpServer, Threading, ThreadingTcpServer,
};

/// What a server calls in this case.
fn sequence<C, X, H>(
    case: Case,
    config: ServerConfig,
    serve: impl Fn(&Server<Tcp, C>),
    handler: impl Fn(NotingHandler) -> H + Send + Sync + 'static,
) -> Vec<String>
where
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = Arc<Stream>>,
    H: RequestHandler<X> + Send + 'static,
{
    let log = Log::new();
    let config = config.timeout(Some(Duration::from_millis(1)));
    let hooks = Noting::new(&log, case, false);
    let for_handler = Arc::clone(&log);
    let server: Server<Tcp, C> = Server::builder(ANY)
        .config(config)
        .hooks(hooks)
        .build(move || handler(NotingHandler { log: Arc::clone(&for_handler), case }))
        .unwrap();
    if case == Case::Timeout {
        assert_eq!(server.handle_request().unwrap(), Handled::Timeout);
    } else {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = connect(&server.server_address());
                client.write_all(b"hello").unwrap();
                await_end(&client);
                drop(client);
                await_that("the end of the request", || server.connections().is_empty());
                server.shutdown().unwrap();
            });
            serve(&server);
        });
    }
    server.server_close();
    log.lines()
}

fn serve_forever<C: Concurrency>(server: &Server<Tcp, C>) {
    server.serve_forever(Duration::from_millis(10)).unwrap();
}

#[test]
fn the_order_is_pythons_whatever_the_kernel_is_asked() {
    on_every_config(|config| {
        for case in Case::ALL {
            let config = || config.clone();
            let inline = sequence::<Inline, _, _>(case, config(), serve_forever, |handler| handler);
            assert_eq!(inline, python(case, "none"), "{case:?}");
            let threading =
                sequence::<Threading, _, _>(case, config(), serve_forever, |handler| handler);
            assert_eq!(threading, python(case, "ThreadingMixIn"), "{case:?}");
            let pooled = sequence::<Pooled, _, _>(case, config(), serve_forever, |handler| handler);
            assert_eq!(pooled, python(case, "ThreadingMixIn"), "{case:?}");
            let in_loop = sequence::<InReactor, _, _>(case, config(), serve_forever, NotingInLoop);
            assert_eq!(without_service(in_loop), without_service(python(case, "none")), "{case:?}");
        }
    });
}

/// Where the kernel errs, the loop is one of the test's own, which calls no `service_actions`.
fn serve_in_noise<C: Concurrency>(server: &Server<Tcp, C>) {
    serving(server)().unwrap();
}

#[test]
fn the_order_is_pythons_whatever_a_kernel_reports() {
    on_every_config_and_noise(|config| {
        for case in Case::ALL.into_iter().filter(|&case| case != Case::Timeout) {
            let config = || config.clone();
            let inline =
                sequence::<Inline, _, _>(case, config(), serve_in_noise, |handler| handler);
            assert_eq!(without_service(inline), without_service(python(case, "none")), "{case:?}");
            let pooled =
                sequence::<Pooled, _, _>(case, config(), serve_in_noise, |handler| handler);
            let expected = without_service(python(case, "ThreadingMixIn"));
            assert_eq!(without_service(pooled), expected, "{case:?}");
            let in_loop = sequence::<InReactor, _, _>(case, config(), serve_in_noise, NotingInLoop);
            assert_eq!(without_service(in_loop), without_service(python(case, "none")), "{case:?}");
        }
    });
}

type Base = BaseServer<Arc<Stream>>;

/// A server with these hooks, which says hello.
fn hello(hooks: impl Hooks<Arc<Stream>>) -> TcpServer {
    TcpServer::builder(ANY).hooks(hooks).build_fn(say_hello).unwrap()
}

fn say_hello(exchange: &mut Exchange) -> HandlerResult {
    Ok(exchange.request.sendall(b"hello")?)
}

#[test]
fn server_bind_may_bind_elsewhere_and_refuse() {
    struct Elsewhere;
    impl Hooks<Arc<Stream>> for Elsewhere {
        fn server_bind(&self, server: &Base) -> io::Result<()> {
            // An option that must be set before: the window that is offered to clients.
            server.with_socket(|socket| {
                rustix::net::sockopt::set_socket_recv_buffer_size(socket, 20_000).unwrap();
            });
            server.server_bind()
        }
    }
    let server = hello(Elsewhere);
    let size =
        server.with_socket(|socket| rustix::net::sockopt::socket_recv_buffer_size(socket).unwrap());
    assert_eq!(size, Some(40_000)); // Linux doubles it

    struct Never;
    impl Hooks<Arc<Stream>> for Never {
        fn server_bind(&self, _: &Base) -> io::Result<()> {
            Err(io::Error::other("not here"))
        }
    }
    let refused = TcpServer::builder(ANY).hooks(Never).build_fn(say_hello).unwrap_err();
    assert_eq!(refused.to_string(), "not here");
}

#[test]
fn server_activate_may_refuse() {
    struct Never;
    impl Hooks<Arc<Stream>> for Never {
        fn server_activate(&self, _: &Base) -> io::Result<()> {
            Err(io::Error::other("not now"))
        }
    }
    let refused = TcpServer::builder(ANY).hooks(Never).build_fn(say_hello).unwrap_err();
    assert_eq!(refused.to_string(), "not now");
}

/// As in Python, where the constructor does so.
#[test]
fn a_server_that_cannot_be_made_is_closed() {
    struct Fails(&'static str, Arc<Mutex<Vec<&'static str>>>);
    impl Fails {
        fn call(&self, name: &'static str) -> io::Result<()> {
            self.1.lock().unwrap().push(name);
            if self.0 == name { Err(io::Error::other(name)) } else { Ok(()) }
        }
    }
    impl Hooks<Arc<Stream>> for Fails {
        fn server_bind(&self, server: &Base) -> io::Result<()> {
            self.call("server_bind")?;
            server.server_bind()
        }
        fn server_activate(&self, server: &Base) -> io::Result<()> {
            self.call("server_activate")?;
            server.server_activate()
        }
        fn server_close(&self, server: &Base) {
            self.call("server_close").unwrap();
            server.server_close();
        }
    }
    for (fails, expected) in [
        ("server_bind", &["server_bind", "server_close"][..]),
        ("server_activate", &["server_bind", "server_activate", "server_close"]),
    ] {
        let calls = Arc::default();
        let hooks = Fails(fails, Arc::clone(&calls));
        let refused = TcpServer::builder(ANY).hooks(hooks).build_fn(say_hello).unwrap_err();
        assert_eq!(refused.to_string(), fails);
        assert_eq!(*calls.lock().unwrap(), expected);
    }
}

#[test]
fn server_close_may_do_more() {
    struct Farewell(Arc<AtomicUsize>);
    impl Hooks<Arc<Stream>> for Farewell {
        fn server_close(&self, server: &Base) {
            server.server_close();
            assert_eq!(server.fileno(), -1);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let closed = Arc::default();
    hello(Farewell(Arc::clone(&closed))).server_close();
    assert_eq!(closed.load(Ordering::Relaxed), 1);
}

#[test]
fn get_request_may_wrap_the_request() {
    struct Greeting;
    impl Hooks<Arc<Stream>> for Greeting {
        fn get_request(&self, server: &Base) -> io::Result<(Arc<Stream>, Address)> {
            let (request, _) = server.get_request()?;
            request.sendall(b"oh, ")?;
            Ok((request, "10.0.0.1:1".parse()?))
        }
        fn verify_request(&self, _: &Base, _: &Arc<Stream>, address: &Address) -> bool {
            assert_eq!(address.to_string(), "10.0.0.1:1");
            true
        }
    }
    let server = hello(Greeting);
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"oh, hello"));
}

#[test]
fn verify_request_may_refuse_and_the_request_is_shut_down_once() {
    struct Second(AtomicUsize, Arc<AtomicUsize>);
    impl Hooks<Arc<Stream>> for Second {
        fn verify_request(&self, _: &Base, _: &Arc<Stream>, _: &Address) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed) == 1
        }
        fn shutdown_request(&self, server: &Base, request: &Arc<Stream>) {
            self.1.fetch_add(1, Ordering::Relaxed);
            server.shutdown_request(request);
        }
    }
    let shut = Arc::default();
    let server = hello(Second(AtomicUsize::new(0), Arc::clone(&shut)));
    while_serving(&server, || {
        assert_eq!(ask(&server.server_address(), b""), b"");
        assert_eq!(shut.load(Ordering::Relaxed), 1);
        assert_eq!(ask(&server.server_address(), b""), b"hello");
    });
}

#[test]
fn process_request_may_take_a_thread_of_its_own() {
    struct Elsewhere(Arc<Mutex<Vec<thread::ThreadId>>>);
    impl Hooks<Arc<Stream>> for Elsewhere {
        fn process_request(
            &self,
            server: &Base,
            request: &Arc<Stream>,
            address: &Address,
        ) -> HandlerResult {
            thread::scope(|scope| {
                scope.spawn(|| {
                    self.0.lock().unwrap().push(thread::current().id());
                    server.process_request_thread(request, address);
                });
            });
            Ok(())
        }
    }
    let threads = Arc::new(Mutex::new(Vec::new()));
    let server = hello(Elsewhere(Arc::clone(&threads)));
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"hello"));
    assert_eq!(threads.lock().unwrap().len(), 1);
}

#[test]
fn a_request_that_process_request_defers_counts_towards_the_limit() {
    struct Defers(Mutex<mpsc::Sender<(Arc<Stream>, Address)>>);
    impl Hooks<Arc<Stream>> for Defers {
        fn process_request(
            &self,
            _: &Base,
            request: &Arc<Stream>,
            address: &Address,
        ) -> HandlerResult {
            self.0.lock().unwrap().send((request.clone(), address.clone())).unwrap();
            Ok(())
        }
    }
    let (defer, deferred) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let server = ThreadingTcpServer::builder(ANY)
        .concurrency(Threading::default().max_threads(Some(1)))
        .hooks(Defers(Mutex::new(defer)))
        .build_fn(move |_: &mut Exchange| {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        })
        .unwrap();
    let _clients = [(); 2].map(|()| connect(&server.server_address()));
    assert_eq!(server.handle_request().unwrap(), Handled::Request);
    let (request, address) = deferred.recv_timeout(LONG).unwrap();
    server.process_request(&request, &address).unwrap();
    assert_eq!(
        server.handle_request_noblock().unwrap(),
        Handled::NoRequest,
        "accepted over the limit"
    );
    drop(go);
    while server.handle_request_noblock().unwrap() == Handled::NoRequest {
        thread::yield_now();
    }
}

#[test]
fn process_request_thread_may_do_more() {
    struct Goodbye;
    impl Hooks<Arc<Stream>> for Goodbye {
        fn process_request_thread(&self, server: &Base, request: &Arc<Stream>, address: &Address) {
            let outcome = server.finish_request(request, address);
            outcome.and_then(|()| Ok(request.sendall(b", goodbye")?)).unwrap();
            server.shutdown_request(request);
        }
    }
    let server = ThreadingTcpServer::builder(ANY).hooks(Goodbye).build_fn(say_hello).unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"hello, goodbye"));
}

#[test]
fn finish_request_may_handle_the_request_itself() {
    struct Mine;
    impl Hooks<Arc<Stream>> for Mine {
        fn finish_request(&self, _: &Base, request: &Arc<Stream>, _: &Address) -> HandlerResult {
            Ok(request.sendall(b"mine")?)
        }
    }
    let server = hello(Mine);
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"mine"));
}

#[test]
fn shutdown_request_and_close_request_may_have_the_last_word() {
    struct LastWords;
    impl Hooks<Arc<Stream>> for LastWords {
        fn shutdown_request(&self, server: &Base, request: &Arc<Stream>) {
            request.sendall(b" and").unwrap();
            self.close_request(server, request);
        }
        fn close_request(&self, server: &Base, request: &Arc<Stream>) {
            request.sendall(b" goodbye").unwrap();
            server.close_request(request);
        }
    }
    let server = hello(LastWords);
    while_serving(&server, || {
        assert_eq!(ask(&server.server_address(), b""), b"hello and goodbye");
    });
}

#[test]
fn handle_error_gets_errors_and_panics_and_may_answer() {
    struct Apologise;
    impl Hooks<Arc<Stream>> for Apologise {
        fn handle_error(
            &self,
            server: &Base,
            request: &Arc<Stream>,
            _: &Address,
            error: &HandlerError,
        ) {
            server.sendall(request, error.to_string().as_bytes()).unwrap();
        }
    }
    fn fail(data: &[u8]) -> HandlerResult {
        match data {
            b"panic" => panic!("at the disco"),
            other => Err(String::from_utf8_lossy(other).into()),
        }
    }
    fn is_told<C: Concurrency>(server: Server<Tcp, C>) {
        while_serving(&server, || {
            assert_eq!(ask(&server.server_address(), b"panic"), b"panicked: at the disco");
            assert_eq!(ask(&server.server_address(), b"no luck"), b"no luck");
        });
    }
    expect_panic("at the disco");
    let waiting = |exchange: &mut Exchange| fail(&exchange.request.recv(100)?);
    is_told(TcpServer::builder(ANY).hooks(Apologise).build_fn(waiting).unwrap());
    let in_loop = |exchange: &mut LoopExchange| fail(&exchange.recv(100));
    is_told(ReactorTcpServer::builder(ANY).hooks(Apologise).build_fn(in_loop).unwrap());
}

#[test]
fn handle_timeout_is_called_when_no_client_comes() {
    struct Count(Arc<AtomicUsize>);
    impl Hooks<Arc<Stream>> for Count {
        fn handle_timeout(&self, _: &Base) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let count = Arc::default();
    let server = TcpServer::builder(ANY)
        .config(ServerConfig::default().timeout(Some(Duration::from_millis(1))))
        .hooks(Count(Arc::clone(&count)))
        .build_fn(say_hello)
        .unwrap();
    assert_eq!(server.handle_request().unwrap(), Handled::Timeout);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let mut client = connect(&server.server_address());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.handle_request().unwrap(), Handled::Request);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!((answer.as_str(), count.load(Ordering::Relaxed)), ("hello", 1));
}

#[test]
fn service_actions_may_end_the_server_and_run_without_clients() {
    struct Third(AtomicUsize);
    impl Hooks<Arc<Stream>> for Third {
        fn service_actions(&self, server: &Base) {
            if self.0.fetch_add(1, Ordering::Relaxed) == 2 {
                server.request_shutdown();
            }
        }
    }
    hello(Third(AtomicUsize::new(0))).serve_forever(Duration::from_millis(1)).unwrap();

    let mut reactor = Reactor::new().unwrap();
    let server = hello(Third(AtomicUsize::new(0)));
    server.serve_in(Duration::from_millis(1), &mut reactor.context()).unwrap();
    while !reactor.context().is_empty() {
        reactor.turn(Deadline::after(LONG)).unwrap();
    }
}

#[test]
fn a_hook_that_panics_costs_its_request_and_nothing_else() {
    struct Clumsy(AtomicUsize);
    impl Clumsy {
        /// Panics at the `number`th call.
        fn stumble(&self, number: usize) {
            assert!(self.0.fetch_add(1, Ordering::Relaxed) != number, "stumbled");
        }
    }
    impl Hooks<Arc<Stream>> for Clumsy {
        fn verify_request(&self, _: &Base, _: &Arc<Stream>, _: &Address) -> bool {
            self.stumble(0);
            true
        }
        fn finish_request(&self, s: &Base, request: &Arc<Stream>, a: &Address) -> HandlerResult {
            self.stumble(2);
            s.finish_request(request, a)
        }
        fn handle_error(&self, _: &Base, _: &Arc<Stream>, _: &Address, error: &HandlerError) {
            assert_eq!(error.to_string(), "panicked: stumbled");
            panic!("and again");
        }
    }
    expect_panic("stumbled");
    expect_panic("and again");
    let server = hello(Clumsy(AtomicUsize::new(0)));
    while_serving(&server, || {
        let told: Vec<_> = (0..3).map(|_| ask(&server.server_address(), b"")).collect();
        assert_eq!(told, [&b""[..], b"", b"hello"]);
    });
}

#[test]
fn a_panic_in_get_request_is_one_request_less() {
    struct Clumsy(AtomicUsize);
    impl Hooks<Arc<Stream>> for Clumsy {
        fn get_request(&self, server: &Base) -> io::Result<(Arc<Stream>, Address)> {
            let request = server.get_request()?;
            assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "stumbled");
            Ok(request)
        }
    }
    expect_panic("stumbled");
    let server = hello(Clumsy(AtomicUsize::new(0)));
    while_serving(&server, || {
        assert_eq!(ask(&server.server_address(), b""), b"");
        assert_eq!(ask(&server.server_address(), b""), b"hello");
    });
}

/// As in Python: whoever waits already is seen to.
#[test]
fn a_timeout_of_zero_is_a_look() {
    let server = TcpServer::builder(ANY)
        .config(ServerConfig::default().timeout(Some(Duration::ZERO)))
        .build_fn(say_hello)
        .unwrap();
    assert_eq!(server.handle_request().unwrap(), Handled::Timeout);
    let _client = connect(&server.server_address());
    assert_eq!(server.handle_request().unwrap(), Handled::Request);
}
