//! Servers that fork.
//!
//! Such a server needs a process without other threads. So each test here starts this very program
//! anew as a server, and looks at that from outside: without the usual runner, whose tests run in
//! threads.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs, thread};
use tripoll::server::PythonSocket;

use support::program::{self, *};
use support::server::*;
use support::*;
use tripoll::Reactor;
use tripoll::net::{Address, DatagramSocket, Listener};
use tripoll::server::{
    DatagramExchange, Exchange, Exit, Forking, ForkingTcpServer, ForkingUdpServer,
    ForkingUnixDatagramServer, ForkingUnixStreamServer, Handled, HandlerResult, StreamExchange,
};
use tripoll::sys::DespiteThreads;

/// What this program is, when it is started by a test.
const ROLES: &[(&str, fn())] = &[
    ("lines", serve_lines),
    ("lines over Unix", serve_lines_over_unix),
    ("datagrams", serve_datagrams),
    ("datagrams over Unix", serve_datagrams_over_unix),
    ("sequences", print_sequences),
    ("outcomes", serve_outcomes),
    ("two children", serve_two_children),
    ("foreign child", serve_beside_a_foreign_child),
    ("sockets of the parent", serve_with_sockets_of_the_parent),
    ("with threads", serve_with_threads),
    ("attributes", serve_attributes),
    ("one request", serve_one_request),
    ("without a loop", serve_without_a_loop),
    ("ends", serve_again_and_again),
];

const TESTS: &[(&str, fn())] = &[
    ("each_request_has_a_child_over_tcp", each_request_has_a_child_over_tcp),
    ("each_request_has_a_child_over_unix_streams", each_request_has_a_child_over_unix_streams),
    ("each_request_has_a_child_over_udp", each_request_has_a_child_over_udp),
    ("each_request_has_a_child_over_unix_datagrams", each_request_has_a_child_over_unix_datagrams),
    ("the_order_is_pythons", the_order_is_pythons),
    ("an_error_is_reported_and_an_exit_is_not", an_error_is_reported_and_an_exit_is_not),
    (
        "max_children_pauses_accepting_and_not_the_loop",
        max_children_pauses_accepting_and_not_the_loop,
    ),
    ("a_burst_is_answered_and_leaves_nothing", a_burst_is_answered_and_leaves_nothing),
    ("a_foreign_child_is_not_reaped", a_foreign_child_is_not_reaped),
    ("a_child_removes_no_socket_file_of_its_parent", a_child_removes_no_socket_file_of_its_parent),
    ("other_threads_are_refused_without_a_promise", other_threads_are_refused_without_a_promise),
    ("a_child_holds_nothing_of_the_loops", a_child_holds_nothing_of_the_loops),
    ("handle_request_forks_too", handle_request_forks_too),
    (
        "a_child_holds_what_has_nothing_to_do_with_the_loop",
        a_child_holds_what_has_nothing_to_do_with_the_loop,
    ),
    ("every_end_is_defined", every_end_is_defined),
    ("a_close_within_a_grace_ends_idle_children", a_close_within_a_grace_ends_idle_children),
];

fn main() {
    program::main(ROLES, TESTS);
}

macro_rules! serve {
    ($server:ident at $address:expr, $handler:expr) => {
        serve!($server at $address, Forking::default(), $handler)
    };
    ($server:ident at $address:expr, $forking:expr, $handler:expr) => {{
        let server = $server::builder($address)
            .config(config())
            .concurrency($forking)
            .hooks(UntilStdinEnds)
            .build_fn($handler)
            .unwrap();
        println!("listening on {}", server.server_address());
        server.serve_forever(LOOK).unwrap();
        server.server_close();
        println!("ended");
    }};
}

/// A line back, and who wrote it.
fn line_and_id(exchange: &mut StreamExchange) -> HandlerResult {
    let mut line = Vec::new();
    exchange.rfile.read_until(b'\n', &mut line)?;
    exchange.wfile.write_all(&line)?;
    writeln!(exchange.wfile, "{} {}", process::id(), parent_id())?;
    Ok(())
}

fn datagram_and_id(exchange: &mut DatagramExchange) -> HandlerResult {
    io::copy(&mut exchange.rfile, &mut exchange.wfile)?;
    write!(exchange.wfile, " {} {}", process::id(), parent_id())?;
    Ok(())
}

fn serve_lines() {
    serve!(ForkingTcpServer at ANY, line_and_id);
}

fn serve_lines_over_unix() {
    serve!(ForkingUnixStreamServer at path("lines"), line_and_id);
}

fn serve_datagrams() {
    serve!(ForkingUdpServer at ANY, datagram_and_id);
}

fn serve_datagrams_over_unix() {
    serve!(ForkingUnixDatagramServer at path("datagrams"), datagram_and_id);
}

/// The path of a socket for this process.
fn path(name: &str) -> Address {
    Address::Unix(env::temp_dir().join(format!("tripoll-{name}-{}", process::id())))
}

/// That the answer came from a child of the server's, another one each time.
fn assert_children(server: &Program, answers: &[String]) {
    let mut children = Vec::new();
    for answer in answers {
        let mut ids = answer.split_whitespace().rev().map(|id| id.parse::<u32>().unwrap());
        let (parent, child) = (ids.next().unwrap(), ids.next().unwrap());
        assert_eq!(parent, server.id());
        assert!(child != parent && !children.contains(&child), "{child} among {children:?}");
        children.push(child);
    }
}

fn each_request_has_a_child_over_tcp() {
    on_every_backend("lines", |mut server| {
        let address = server.address();
        let answers: Vec<_> = (0..5)
            .map(|_| {
                let answer = String::from_utf8(ask(&address, b"one\ntwo\n")).unwrap();
                answer.strip_prefix("one\n").unwrap().to_string()
            })
            .collect();
        assert_children(&server, &answers);
        await_that("the end of the children", || server.children().is_empty());
        assert_eq!(server.end(), "");
    });
}

fn each_request_has_a_child_over_unix_streams() {
    on_every_backend("lines over Unix", |mut server| {
        let Address::Unix(path) = server.address() else { panic!() };
        let answers: Vec<_> = (0..5)
            .map(|_| {
                let mut client = UnixStream::connect(&path).unwrap();
                client.write_all(b"one\n").unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                answer.strip_prefix("one\n").unwrap().to_string()
            })
            .collect();
        assert_children(&server, &answers);
        assert_eq!(server.end(), "");
        assert!(!path.exists());
    });
}

fn each_request_has_a_child_over_udp() {
    on_every_backend("datagrams", |mut server| {
        let Address::Inet(address) = server.address() else { panic!() };
        let client = std::net::UdpSocket::bind(ANY).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        let answers: Vec<_> = (0..5)
            .map(|_| {
                client.send_to(b"hello", address).unwrap();
                let mut answer = [0; 100];
                let size = client.recv(&mut answer).unwrap();
                let answer = String::from_utf8(answer[..size].to_vec()).unwrap();
                answer.strip_prefix("hello").unwrap().to_string()
            })
            .collect();
        assert_children(&server, &answers);
        assert_eq!(server.end(), "");
    });
}

fn each_request_has_a_child_over_unix_datagrams() {
    on_every_backend("datagrams over Unix", |mut server| {
        let Address::Unix(there) = server.address() else { panic!() };
        let here = there.with_extension("client");
        let client = UnixDatagram::bind(&here).unwrap();
        let _file = Removed(here);
        client.set_read_timeout(Some(LONG)).unwrap();
        let answers: Vec<_> = (0..5)
            .map(|_| {
                client.send_to(b"hello", &there).unwrap();
                let mut answer = [0; 100];
                let size = client.recv(&mut answer).unwrap();
                let answer = String::from_utf8(answer[..size].to_vec()).unwrap();
                answer.strip_prefix("hello").unwrap().to_string()
            })
            .collect();
        assert_children(&server, &answers);
        assert_eq!(server.end(), "");
        assert!(!there.exists());
    });
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Serves each case in turn, and prints what was called.
fn print_sequences() {
    for case in Case::ALL {
        let log = Log::new();
        let for_handler = Arc::clone(&log);
        let timeout = (case == Case::Timeout).then_some(Duration::from_millis(1));
        let server = ForkingTcpServer::builder(ANY)
            .config(config().timeout(timeout))
            .hooks(Noting::new(&log, case, true))
            .build(move || NotingHandler { log: Arc::clone(&for_handler), case })
            .unwrap();
        println!("listening on {}", server.server_address());
        if case == Case::Timeout {
            assert_eq!(server.handle_request().unwrap(), Handled::Timeout);
        } else {
            server.serve_forever(MINUTE).unwrap();
        }
        server.server_close();
        let lines = log.lines();
        println!("{}", lines.len());
        lines.iter().for_each(|line| println!("{line}"));
    }
    println!("ended");
}

fn the_order_is_pythons() {
    on_every_backend("sequences", |mut server| {
        for case in Case::ALL {
            let address = server.address();
            if case != Case::Timeout {
                let mut client = connect(&address);
                client.write_all(b"hello").unwrap();
                await_end(&client);
            }
            let count: usize = server.line().parse().unwrap();
            let lines: Vec<_> = (0..count).map(|_| server.line()).collect();
            assert_eq!(lines, python(case, "ForkingMixIn"), "{case:?}");
        }
        assert_eq!(server.end(), "");
    });
}

fn serve_outcomes() {
    fn handle(exchange: &mut Exchange) -> HandlerResult {
        match &exchange.request.recv(100)?[..] {
            b"fail" => Err("no luck".into()),
            b"panic" => panic!("at the disco"),
            _ => Err(Exit.into()),
        }
    }
    serve!(ForkingTcpServer at ANY, handle);
}

fn an_error_is_reported_and_an_exit_is_not() {
    on_every_backend("outcomes", |mut server| {
        let address = server.address();
        for question in [&b"fail"[..], b"panic", b"exit"] {
            assert_eq!(ask(&address, question), b"");
        }
        let told = server.end();
        assert!(told.contains("no luck") && told.contains("panicked: at the disco"), "{told}");
        assert_eq!(
            told.matches("Exception occurred during processing of request from 127.0.0.1:").count(),
            2
        );
        assert!(!told.contains("exit"), "{told}");
    });
}

fn listen(exchange: &mut Exchange) -> HandlerResult {
    exchange.request.sendall(b"I listen")?;
    while !exchange.request.recv(100)?.is_empty() {}
    Ok(())
}

fn serve_two_children() {
    let forking = Forking::default().max_children(2);
    let server = ForkingTcpServer::builder(ANY)
        .config(config())
        .concurrency(forking)
        .hooks(UntilStdinEnds)
        .build_fn(listen)
        .unwrap();
    println!("listening on {}", server.server_address());
    server.serve_forever(LOOK).unwrap();
    println!("stopped");
    server.server_close_within(Duration::from_millis(10)).unwrap();
    println!("ended");
}

fn greeted(address: &Address) -> TcpStream {
    let mut client = connect(address);
    client.read_exact(&mut [0; 8]).unwrap();
    client
}

fn max_children_pauses_accepting_and_not_the_loop() {
    on_every_backend("two children", |mut server| {
        let address = server.address();
        let (one, two) = (greeted(&address), greeted(&address));
        assert_eq!(server.children().len(), 2);
        let three = connect(&address);
        three.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let waits = (&three).read(&mut [0]).unwrap_err();
        assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(server.children().len(), 2);
        // Whoever leaves makes room.
        drop(one);
        three.set_read_timeout(Some(LONG)).unwrap();
        (&three).read_exact(&mut [0; 8]).unwrap();
        // The loop is not waiting for children: it ends at once when it is told to.
        drop(server.stdin.take());
        assert_eq!(server.line(), "stopped");
        drop((two, three));
        assert_eq!(server.line(), "ended");
    });
}

fn a_close_within_a_grace_ends_idle_children() {
    on_every_backend("two children", |mut server| {
        let address = server.address();
        let (one, two) = (greeted(&address), greeted(&address));
        drop(server.stdin.take());
        assert_eq!((server.line(), server.line()), ("stopped".into(), "ended".into()));
        await_end(&one);
        await_end(&two);
        assert!(server.child.wait().unwrap().success());
    });
}

fn a_burst_is_answered_and_leaves_nothing() {
    on_every_backend("lines", |mut server| {
        let address = server.address();
        assert!(ask(&address, b"hello\n").starts_with(b"hello\n")); // now the loop turns
        let descriptors = || fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count();
        let before = descriptors();
        send_bursts(&address);
        await_that("the end of the children", || server.children().is_empty());
        await_that("the end of their descriptors", || descriptors() <= before);
        assert_eq!(server.end(), "");
    });
}

fn serve_beside_a_foreign_child() {
    let mut foreign = Command::new("sh").args(["-c", "exit 72"]).spawn().unwrap();
    // It has ended, and nobody has asked for it.
    let path = format!("/proc/{}/stat", foreign.id());
    while !fs::read_to_string(&path).unwrap().contains(") Z ") {
        thread::yield_now();
    }
    serve_lines();
    assert_eq!(foreign.wait().unwrap().code(), Some(72));
}

fn a_foreign_child_is_not_reaped() {
    on_every_backend("foreign child", |mut server| {
        let address = server.address();
        for _ in 0..3 {
            assert!(ask(&address, b"hello\n").starts_with(b"hello\n"));
        }
        await_that("the end of the children", || server.children().len() == 1);
        assert_eq!(server.end(), "");
    });
}

/// Each child drops its copies of two sockets, and answers whether their files are there.
fn serve_with_sockets_of_the_parent() {
    let (Address::Unix(one), Address::Unix(two)) = (path("listener"), path("socket")) else {
        unreachable!()
    };
    let listener = Listener::bind(one.as_path()).unwrap();
    let socket = DatagramSocket::bind(two.as_path()).unwrap();
    let sockets = Arc::new(Mutex::new(Some((listener, socket))));
    let (copy, files) = (Arc::clone(&sockets), [one.clone(), two.clone()]);
    serve!(ForkingTcpServer at ANY, move |exchange: &mut StreamExchange| {
        drop(copy.lock().unwrap().take());
        writeln!(exchange.wfile, "{:?}", files.each_ref().map(|file| file.exists()))?;
        Ok(())
    });
    UnixStream::connect(&one).unwrap();
    assert!(two.exists());
    drop(sockets.lock().unwrap().take());
    assert!(!one.exists() && !two.exists());
}

fn a_child_removes_no_socket_file_of_its_parent() {
    on_every_backend("sockets of the parent", |mut server| {
        let address = server.address();
        for _ in 0..3 {
            assert_eq!(ask(&address, b""), b"[true, true]\n");
        }
        assert_eq!(server.end(), "");
    });
}

/// Two servers beside another thread: one that nobody has promised anything for, and one that
/// somebody has.
fn serve_with_threads() {
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || wait.recv());
    let server = ForkingTcpServer::builder(ANY).config(config()).build_fn(listen).unwrap();
    for refused in [
        server.serve_forever(LOOK).unwrap_err(),
        server.handle_request().unwrap_err(),
        server.handle_request_noblock().unwrap_err(),
        server.serve_in(LOOK, &mut Reactor::new().unwrap().context()).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        println!("{refused}");
    }
    // SAFETY: the other thread waits for a channel that no child knows of.
    #[allow(unsafe_code)]
    let promise = unsafe { DespiteThreads::promise() };
    let forking = Forking::default().despite_threads(Some(promise));
    serve!(ForkingTcpServer at ANY, forking, line_and_id);
    end.send(()).unwrap(); // it is there still
    thread.join().unwrap().unwrap();
}

fn other_threads_are_refused_without_a_promise() {
    on_every_backend("with threads", |mut server| {
        for _ in 0..4 {
            let refusal = server.line();
            assert!(refusal.starts_with("this process has 2 threads"), "{refusal}");
        }
        let address = server.address();
        let answers: Vec<_> = (0..5)
            .map(|_| {
                let answer = String::from_utf8(ask(&address, b"one\n")).unwrap();
                answer.strip_prefix("one\n").unwrap().to_string()
            })
            .collect();
        assert_children(&server, &answers);
        await_that("the end of the children", || server.children().is_empty());
        assert_eq!(server.end(), "");
    });
}

/// Says what the child is, and what it can do.
fn serve_attributes() {
    fn handle(exchange: &mut Exchange) -> HandlerResult {
        let mut open = Vec::new();
        for entry in fs::read_dir("/proc/self/fd")? {
            if let Ok(target) = fs::read_link(entry?.path()) {
                open.push(target.to_string_lossy().into_owned());
            }
        }
        let shutdown = exchange.server.shutdown().unwrap_err();
        exchange.server.request_shutdown();
        exchange.server.server_close();
        print!("half a line, "); // written by the child, once
        Ok(exchange.request.sendall(format!("{}\n{shutdown}", open.join(" ")).as_bytes())?)
    }
    serve!(ForkingTcpServer at ANY, handle);
}

fn a_child_holds_nothing_of_the_loops() {
    on_every_backend("attributes", |mut server| {
        let address = server.address();
        let answer = String::from_utf8(ask(&address, b"")).unwrap();
        let (open, shutdown) = answer.split_once('\n').unwrap();
        assert_eq!(open.matches("socket:").count(), 1, "its connection alone: {open}");
        assert!(!open.contains("eventpoll"), "{open}");
        assert_eq!(open.matches("eventfd").count(), 1, "what ends its input: {open}");
        assert!(!open.contains("timerfd") && !open.contains("pidfd"), "{open}");
        assert!(shutdown.contains("parent"), "{shutdown}");
        // The parent's loop is none the worse.
        assert!(!ask(&address, b"").is_empty());
        drop(server.stdin.take());
        let mut rest = String::new();
        server.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.trim_end(), "half a line, half a line, ended");
    });
}

fn serve_one_request() {
    let server = ForkingTcpServer::builder(ANY).config(config()).build_fn(line_and_id).unwrap();
    println!("listening on {}", server.server_address());
    assert_eq!(server.handle_request().unwrap(), Handled::Request);
    server.server_close();
    println!("ended");
}

fn handle_request_forks_too() {
    on_every_backend("one request", |mut server| {
        let answer = ask(&server.address(), b"hello\n");
        assert!(answer.starts_with(b"hello\n"));
        assert_children(&server, &[String::from_utf8(answer[6..].to_vec()).unwrap()]);
        server.end();
    });
}

/// The numbers that a loop had are somebody else's when it is gone.
fn serve_without_a_loop() {
    fn count_files(exchange: &mut Exchange) -> HandlerResult {
        let open = fs::read_dir("/proc/self/fd")?.filter_map(Result::ok);
        let links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        let this = env::current_exe()?;
        let count = links.filter(|target| *target == this).count();
        Ok(exchange.request.sendall(count.to_string().as_bytes())?)
    }
    let server = ForkingTcpServer::builder(ANY).config(config()).build_fn(count_files).unwrap();
    println!("listening on {}", server.server_address());
    assert_eq!(server.handle_request().unwrap(), Handled::Request);
    let this = env::current_exe().unwrap();
    let files: Vec<_> = (0..10).map(|_| fs::File::open(&this).unwrap()).collect();
    println!("{} files", files.len());
    tripoll::sys::select(&[server.fileno()], &[], &[], Some(LONG)).unwrap();
    assert_eq!(server.handle_request_noblock().unwrap(), Handled::Request);
    assert!(!server.active_children().is_empty());
    server.server_close();
    assert!(server.active_children().is_empty());
    println!("ended");
}

fn a_child_holds_what_has_nothing_to_do_with_the_loop() {
    on_every_backend("without a loop", |mut server| {
        let address = server.address();
        assert_eq!(ask(&address, b""), b"0");
        assert_eq!(server.line(), "10 files");
        assert_eq!(ask(&address, b""), b"10");
        assert_eq!(server.end(), "");
    });
}

/// Before serving, while it serves, after, twice.
fn serve_again_and_again() {
    /// Ends the serving after its first turn.
    struct Once;
    impl<R: tripoll::server::Request> tripoll::server::Hooks<R> for Once {
        fn service_actions(&self, server: &tripoll::server::BaseServer<R>) {
            let here = server.shutdown().unwrap_err();
            assert_eq!(here.kind(), io::ErrorKind::Deadlock);
            server.request_shutdown();
            println!("served");
        }
    }
    let server =
        ForkingTcpServer::builder(ANY).config(config()).hooks(Once).build_fn(listen).unwrap();
    server.shutdown().unwrap();
    server.shutdown().unwrap();
    server.serve_forever(LOOK).unwrap();
    println!("forestalled");
    server.serve_forever(LOOK).unwrap();
    server.shutdown().unwrap();
    server.serve_forever(LOOK).unwrap();
    server.server_close();
    server.server_close();
    assert_eq!(server.fileno(), -1);
    server.shutdown().unwrap();
    let closed = server.serve_forever(LOOK).unwrap_err();
    assert_eq!(closed.kind(), io::ErrorKind::NotConnected);
    println!("ended");
}

fn every_end_is_defined() {
    on_every_backend("ends", |mut server| {
        assert_eq!([(); 3].map(|()| server.line()), ["forestalled", "served", "served"]);
        assert_eq!(server.end(), "");
    });
}
