//! What must never happen between a forking server and its children.
//!
//! As in `server_forking`, each test starts this very program anew.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{env, process};
use tripoll::server::PythonSocket;

use support::program::{self, *};
use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Exchange, Forking, ForkingTcpServer, Handled, HandlerError, HandlerResult, Hooks,
};
use tripoll::sys::select;

/// What this program is, when it is started by a test.
const ROLES: &[(&str, fn())] = &[
    ("own files", serve_beside_files),
    ("own loop", serve_in_a_loop_over_fileno),
    ("bad logger", serve_with_a_logger_that_panics),
    ("impatient", serve_without_patience),
];

const TESTS: &[(&str, fn())] = &[
    ("a_child_keeps_the_users_own_files", a_child_keeps_the_users_own_files),
    ("a_loop_over_fileno_reaps", a_loop_over_fileno_reaps),
    ("a_child_never_comes_back", a_child_never_comes_back),
    ("a_child_does_not_wait_for_ever", a_child_does_not_wait_for_ever),
];

fn main() {
    program::main(ROLES, TESTS);
}

/// Files take the numbers that the loop of an earlier request had.
fn serve_beside_files() {
    const WORDS: &[u8] = b"a child was here\n";
    let files = Arc::new(OnceLock::<Vec<File>>::new());
    let for_child = Arc::clone(&files);
    let handle = move |exchange: &mut Exchange| {
        for mut file in for_child.get().into_iter().flatten() {
            file.write_all(WORDS)?;
        }
        let listener = format!("/proc/self/fd/{}", exchange.server.fileno());
        let listener = fs::read_link(listener)?;
        Ok(exchange.request.sendall(listener.as_os_str().as_encoded_bytes())?)
    };
    let server = ForkingTcpServer::builder(ANY).config(config()).build_fn(handle).unwrap();
    println!("listening on {}", server.server_address());

    assert_eq!(server.handle_request().unwrap(), Handled::Request);
    let path = env::temp_dir().join(format!("tripoll-files-{}", process::id()));
    let open = |_| File::options().create(true).append(true).read(true).open(&path);
    files.set((0..10).map(open).collect::<io::Result<_>>().unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    select(&[server.fileno()], &[], &[], None).unwrap();
    assert_eq!(server.handle_request_noblock().unwrap(), Handled::Request);

    server.server_close(); // the child has ended
    let mut written = Vec::new();
    let mut file = &files.get().unwrap()[0];
    file.rewind().unwrap();
    file.read_to_end(&mut written).unwrap();
    assert_eq!(written, WORDS.repeat(10));
    println!("ended");
}

fn a_child_keeps_the_users_own_files() {
    on_every_backend("own files", |mut server| {
        let address = server.address();
        for _ in 0..2 {
            let listener = ask(&address, b"");
            assert!(listener.starts_with(b"pipe:["), "the child has a listener: {listener:?}");
        }
        assert_eq!(server.end(), "");
    });
}

/// Where `handle_request_noblock` is called, after a loop that watched for the end of its children has
/// ended before them.
fn serve_in_a_loop_over_fileno() {
    let server = ForkingTcpServer::builder(ANY)
        .config(config())
        .concurrency(Forking::default().max_children(2))
        .build_fn(|exchange: &mut Exchange| {
            exchange.request.sendall(b"hello")?;
            while !exchange.request.recv(100)?.is_empty() {}
            Ok(())
        })
        .unwrap();
    println!("listening on {}", server.server_address());
    for _ in 0..2 {
        assert_eq!(server.handle_request().unwrap(), Handled::Request);
    }
    let stdin = io::stdin().as_raw_fd();
    loop {
        let (readable, _, _) = select(&[server.fileno(), stdin], &[], &[], None).unwrap();
        if readable.contains(&stdin) {
            break;
        }
        server.handle_request_noblock().unwrap();
    }
    server.server_close();
    println!("ended");
}

fn a_loop_over_fileno_reaps() {
    on_every_backend("own loop", |mut server| {
        let address = server.address();
        let early = [connect(&address), connect(&address)];
        for mut client in &early {
            client.read_exact(&mut [0; 5]).unwrap();
        }
        drop(early);
        for _ in 0..6 {
            assert_eq!(ask(&address, b""), b"hello");
        }
        assert_eq!(server.end(), "");
    });
}

/// A read may wait for a moment, and a connection be idle for many.
fn serve_without_patience() {
    let moment = Duration::from_millis(20);
    let config = config().read_timeout(Some(moment)).idle_timeout(Some(25 * moment));
    let handle = |exchange: &mut Exchange| {
        let late = exchange.request.recv(1).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        exchange.request.sendall(b"late")?; // which passes
        exchange.request.settimeout(None)?;
        assert_eq!(exchange.request.recv(1)?, b"", "idle"); // as if the client had finished
        Ok(())
    };
    let builder = ForkingTcpServer::builder(ANY).config(config).hooks(UntilStdinEnds);
    let server = builder.build_fn(handle).unwrap();
    println!("listening on {}", server.server_address());
    server.serve_forever(LOOK).unwrap();
    server.server_close();
    println!("ended");
}

fn a_child_does_not_wait_for_ever() {
    on_every_backend("impatient", |mut server| {
        let mut client = connect(&server.address());
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap(); // and says nothing
        assert_eq!(said, "late");
        await_that("the child is gone", || server.children().is_empty());
        assert_eq!(server.end(), "");
    });
}

struct Panics;

impl log::Log for Panics {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Warn {
            panic!("the logger fails, too");
        }
    }

    fn flush(&self) {}
}

/// Hooks that fail while a failure is told.
struct Hopeless;

impl Hooks<Arc<Stream>> for Hopeless {
    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &HandlerError,
    ) {
        panic!("nobody wants to know of {error}");
    }

    fn service_actions(&self, server: &BaseServer<Arc<Stream>>) {
        UntilStdinEnds.service_actions(server);
    }
}

fn serve_with_a_logger_that_panics() {
    log::set_logger(&Panics).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let fail = |_: &mut Exchange| -> HandlerResult { Err("no luck".into()) };
    let server =
        ForkingTcpServer::builder(ANY).config(config()).hooks(Hopeless).build_fn(fail).unwrap();
    println!("listening on {}", server.server_address());
    let parent = process::id();
    let come_back = |served: String| {
        if process::id() != parent {
            println!("a child has come back: {served}");
            process::exit(0);
        }
    };
    come_back(format!("{:?}", server.handle_request()));
    come_back(format!("{:?}", server.serve_forever(LOOK)));
    server.server_close();
    println!("ended");
}

fn a_child_never_comes_back() {
    on_every_backend("bad logger", |mut server| {
        let address = server.address();
        for _ in 0..3 {
            assert_eq!(ask(&address, b""), b"");
        }
        await_that("the end of the children", || server.children().is_empty());
        let told = server.end();
        assert_eq!(told.matches("the logger fails, too").count(), 3, "{told}");
    });
}
