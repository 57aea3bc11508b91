//! Many clients: all are answered, and nothing is left of them.
//!
//! One test alone: it counts the threads and descriptors of the whole process. `TRIPOLL_CLIENTS=100000`
//! sends so many clients to each backend and concurrency, instead of a thousand.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fmt, thread};
use tripoll::server::PythonSocket;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::pool::WhenFull;
use tripoll::server::{
    BaseServer, Exchange, ExchangeKind, HandlerError, HandlerResult, Hooks, InReactor, Inline,
    LoopExchange, Pooled, RequestHandler, Server, ServerConfig, StreamExchange, Supports, Tcp,
    Threading, ThreadingTcpServer,
};
use tripoll::{Backend, Trigger};

/// A thousand requests or more, and what was left of them, whatever the kernel is asked.
fn burst<C, X>(concurrency: C)
where
    C: Clone + fmt::Debug + Default + Supports<X>,
    X: ExchangeKind<Request = Arc<Stream>>,
    Line: RequestHandler<X>,
{
    for &backend in Backend::ALL {
        println!("{concurrency:?} on {backend}"); // shown if it fails
        burst_on::<C, X>(backend, concurrency.clone());
    }
}

fn burst_on<C, X>(backend: Backend, concurrency: C)
where
    C: Default + Supports<X>,
    X: ExchangeKind<Request = Arc<Stream>>,
    Line: RequestHandler<X>,
{
    let before = (threads(), descriptors());
    let config = ServerConfig::default().backend(backend);
    let server: Server<Tcp, C> =
        Server::builder(ANY).config(config).concurrency(concurrency).build(|| Line).unwrap();
    let address = server.server_address();
    while_serving(&server, || {
        send_bursts(&address);
    });
    assert!(server.connections().is_empty());
    drop(server);
    // The runner's own threads and ours are joined; a thread is out of the table a moment later.
    await_that("the end of the threads", || threads() == before.0);
    assert_eq!(descriptors(), before.1);
}

fn who(exchange: &mut Exchange) -> HandlerResult {
    let id = format!("{:?}", thread::current().id());
    Ok(exchange.request.sendall(id.as_bytes())?)
}

#[test]
fn a_burst_of_a_thousand_and_a_process_short_of_everything() {
    burst::<Threading, StreamExchange>(Threading::default());
    burst::<Threading, StreamExchange>(Threading::default().max_threads(Some(8)));
    burst::<Pooled, StreamExchange>(Pooled::default().workers(8));
    burst::<Pooled, StreamExchange>(Pooled::default().when_full(WhenFull::Block));
    burst::<Inline, StreamExchange>(Inline);
    burst::<InReactor, LoopExchange>(InReactor::default());
    burst::<InReactor, LoopExchange>(InReactor::default().max_connections(Some(3)));

    finished_threads_are_not_kept();
    a_failing_bind_leaves_nothing();
    bounded_threads();
    a_full_pool_sheds();
    on_every_config(|config| out_of_descriptors(config.backend, config.trigger));
    out_of_threads();
}

/// However many there were, none is left while the server goes on serving.
fn finished_threads_are_not_kept() {
    let server = ThreadingTcpServer::from_fn(ANY, who).unwrap();
    while_serving(&server, || {
        let before = threads();
        for _ in 0..50 {
            assert!(!ask(&server.server_address(), b"").is_empty());
        }
        await_that("the end of the threads", || threads() == before);
    });
}

fn a_failing_bind_leaves_nothing() {
    let taken = ThreadingTcpServer::from_fn(ANY, who).unwrap();
    let before = descriptors();
    for _ in 0..1_024 {
        let refused = ThreadingTcpServer::from_fn(taken.server_address(), who).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
    }
    assert_eq!(descriptors(), before);
}

/// Never more threads than there may be, and nobody is forgotten.
fn bounded_threads() {
    let (most, running) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let seen = Arc::clone(&most);
    let handle = move |exchange: &mut Exchange| {
        let now = {
            let mut running = running.lock().unwrap();
            *running += 1;
            *running
        };
        {
            let mut most = seen.lock().unwrap();
            *most = now.max(*most);
        }
        exchange.request.recv(1)?;
        *running.lock().unwrap() -= 1;
        Ok(())
    };
    let server = ThreadingTcpServer::builder(ANY)
        .concurrency(Threading::default().max_threads(Some(3)))
        .build_fn(handle)
        .unwrap();
    while_serving(&server, || {
        let clients: Vec<_> = (0..10).map(|_| connect(&server.server_address())).collect();
        await_that("the limit", || *most.lock().unwrap() == 3);
        for client in clients {
            client.shutdown(Shutdown::Write).unwrap();
            await_end(&client);
        }
    });
    assert_eq!(*most.lock().unwrap(), 3);
}

/// Whom the pool has no room for is told at once.
fn a_full_pool_sheds() {
    let choice = Pooled::default().workers(1).queue(1).when_full(WhenFull::Shed);
    let server: Server<Tcp, Pooled> = Server::builder(ANY)
        .concurrency(choice)
        .build_fn(|exchange: &mut Exchange| {
            exchange.request.recv(1)?;
            Ok(exchange.request.sendall(b"served")?)
        })
        .unwrap();
    while_serving(&server, || {
        let clients: Vec<_> = (0..5).map(|_| connect(&server.server_address())).collect();
        // Two have a place, and the others have their answer before these have theirs.
        for client in &clients[2..] {
            await_end(client);
        }
        for mut client in &clients[..2] {
            client.write_all(b"x").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "served");
        }
    });
}

/// A process without descriptors waits for some, and does not spin; who waits is served when there
/// are some again.
fn out_of_descriptors(backend: Backend, trigger: Trigger) {
    let before = getrlimit(Resource::Nofile);
    let config = ServerConfig::default().backend(backend).trigger(trigger);
    let server = ThreadingTcpServer::builder(ANY).config(config).build_fn(who).unwrap();
    let address = server.server_address();
    while_serving(&server, || {
        assert!(!ask(&address, b"").is_empty());
        let clients: Vec<_> = (0..3).map(|_| connect(&address)).collect(); // these are served
        for mut client in clients {
            client.read_exact(&mut [0; 5]).unwrap();
        }
        // Descriptors for the clients, and none beside.
        let sockets: Vec<_> = (0..3)
            .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None))
            .collect::<Result<_, _>>()
            .unwrap();
        let limit = Rlimit { current: Some(500), ..before };
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let tripoll::net::Address::Inet(there) = address else { unreachable!() };
        let processor = processor_time();
        for socket in &sockets {
            socket.connect(&there.into()).unwrap();
        }
        thread::sleep(std::time::Duration::from_millis(300)); // a spin would show by now
        let spent = processor_time() - processor;
        drop(hoard);
        setrlimit(Resource::Nofile, before).unwrap();
        assert!(
            spent < 0.15,
            "{spent} s of processor time in 0.3 s: it spins on {backend}, {trigger}"
        );
        let mut threads = HashSet::new();
        for mut socket in sockets {
            let mut id = String::new();
            socket.read_to_string(&mut id).unwrap();
            threads.insert(id);
        }
        assert_eq!(threads.len(), 3);
    });
}

/// When there can be no more threads, a request is told so and closed, and the server goes on.
fn out_of_threads() {
    struct Count(Arc<AtomicUsize>);
    impl Hooks<Arc<Stream>> for Count {
        fn handle_error(
            &self,
            _: &BaseServer<Arc<Stream>>,
            _: &Arc<Stream>,
            _: &Address,
            error: &HandlerError,
        ) {
            let error = error.downcast_ref::<std::io::Error>().expect("what the system says");
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock); // EAGAIN: no thread now
            assert!(error.to_string().starts_with("no thread can be started"), "{error}");
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let refused = Arc::default();
    let server = ThreadingTcpServer::builder(ANY)
        .hooks(Count(Arc::clone(&refused)))
        .build_fn(|exchange: &mut Exchange| {
            exchange.request.recv(1)?;
            who(exchange)
        })
        .unwrap();
    let address = server.server_address();
    while_serving(&server, || {
        ask(&address, b"");
        // Room for the memory of a few more threads, and no more.
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
        let before = getrlimit(Resource::As);
        let tight = Rlimit { current: Some(pages * 4_096 + (16 << 20)), ..before };
        setrlimit(Resource::As, tight).unwrap();
        let clients: Vec<_> = (0..100).map(|_| connect(&address)).collect();
        await_that("a refusal", || refused.load(Ordering::Relaxed) > 0);
        for client in &clients {
            let _ = client.shutdown(Shutdown::Write);
        }
        let answered = clients.iter().filter(|client| {
            let mut client = *client;
            client.read(&mut [0; 100]).is_ok_and(|count| count > 0)
        });
        let answered = answered.count();
        setrlimit(Resource::As, before).unwrap();
        assert_eq!(answered, 100 - refused.load(Ordering::Relaxed));
        assert!(!ask(&address, b"").is_empty());
    });
}

/// How many seconds this process has computed.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
