//! What must never happen between a forking server and its children.
//!
//! As in `server_forking`, each test starts this very program anew.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, process, thread};
use tripoll::server::PythonSocket;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    ("short of descriptors", || serve_without_free_descriptors(false)),
    ("briefly short of descriptors", || serve_without_free_descriptors(true)),
    ("second run", serve_in_a_second_run),
    ("counting turns", serve_and_count_turns),
    ("listening", serve_what_children_may),
    ("collecting", collect_by_hand),
];

const TESTS: &[(&str, fn())] = &[
    ("a_child_keeps_the_users_own_files", a_child_keeps_the_users_own_files),
    ("a_loop_over_fileno_reaps", a_loop_over_fileno_reaps),
    ("a_child_never_comes_back", a_child_never_comes_back),
    ("a_child_does_not_wait_for_ever", a_child_does_not_wait_for_ever),
    (
        "children_without_a_descriptor_are_polled_and_reaped",
        children_without_a_descriptor_are_polled_and_reaped,
    ),
    ("a_loop_reaps_children_of_an_earlier_run", a_loop_reaps_children_of_an_earlier_run),
    ("a_loop_that_has_reaped_its_children_sleeps", a_loop_that_has_reaped_its_children_sleeps),
    (
        "a_child_ends_no_input_of_others_and_has_no_list",
        a_child_ends_no_input_of_others_and_has_no_list,
    ),
    (
        "children_are_collected_by_the_bodies_of_the_hooks",
        children_are_collected_by_the_bodies_of_the_hooks,
    ),
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

type Base = BaseServer<Arc<Stream>>;

/// Greets, and ends when its client does.
fn listen(exchange: &mut Exchange) -> HandlerResult {
    exchange.request.sendall(b"hello")?;
    while !exchange.request.recv(100)?.is_empty() {}
    Ok(())
}

fn greeted(address: &Address) -> TcpStream {
    let mut client = connect(address);
    client.read_exact(&mut [0; 5]).unwrap();
    client
}

/// How many descriptors the process may open.
fn limit_descriptors(current: Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: current.or(limit.maximum), ..limit }).unwrap();
}

/// Leaves no descriptor free once there is a child. Collects no children: the loop must.
#[derive(Default)]
struct Short {
    /// Whether that is over in the next turn.
    is_brief: bool,
    /// The calls of `service_actions` since there is a child.
    turns: AtomicU32,
    since: OnceLock<Instant>,
}

impl Hooks<Arc<Stream>> for Short {
    fn process_request(
        &self,
        server: &Base,
        request: &Arc<Stream>,
        client_address: &Address,
    ) -> HandlerResult {
        server.process_request(request, client_address)?;
        if self.since.set(Instant::now()).is_ok() {
            limit_descriptors(Some(3));
        }
        Ok(())
    }

    fn service_actions(&self, server: &Base) {
        let Some(since) = self.since.get() else { return };
        let turns = self.turns.fetch_add(1, Ordering::Relaxed);
        if self.is_brief {
            limit_descriptors(None);
        }
        if server.active_children().is_empty() && turns != u32::MAX / 2 {
            self.turns.store(u32::MAX / 2, Ordering::Relaxed); // once
            limit_descriptors(None);
            println!("{turns} turns in {} ms", since.elapsed().as_millis());
            server.request_shutdown();
        }
    }
}

fn serve_without_free_descriptors(is_brief: bool) {
    let server = ForkingTcpServer::builder(ANY)
        .config(config().requests_per_turn(1))
        .hooks(Short { is_brief, ..Short::default() })
        .build_fn(listen)
        .unwrap();
    println!("listening on {}", server.server_address());
    server.serve_forever(Duration::MAX).unwrap();
    server.server_close();
    println!("ended");
}

fn children_without_a_descriptor_are_polled_and_reaped() {
    let role = "short of descriptors";
    for (role, is_alone) in [(role, true), (role, false), ("briefly short of descriptors", true)] {
        on_every_backend(role, |mut server| {
            let address = server.address();
            let client = greeted(&address);
            let _other = (!is_alone).then(|| connect(&address)); // it cannot be accepted now
            thread::sleep(Duration::from_millis(300)); // time to spin, if it does
            drop(client);
            await_that("the child is reaped", || server.children().is_empty());
            let line = server.line();
            let (turns, time) = line.strip_suffix(" ms").unwrap().split_once(" turns in ").unwrap();
            let [turns, time]: [u32; 2] = [turns, time].map(|number| number.parse().unwrap());
            // One every 10 ms, some for the other client, and some at the beginning and the end.
            assert!(turns <= 20 + time / 5, "{line}");
            assert_eq!(server.end(), "");
        });
    }
}

/// Ends the run when all children are reaped, and collects none itself.
struct UntilNoChildren;

impl Hooks<Arc<Stream>> for UntilNoChildren {
    fn service_actions(&self, server: &Base) {
        if server.active_children().is_empty() {
            server.request_shutdown();
        }
    }
}

fn serve_in_a_second_run() {
    let server = ForkingTcpServer::builder(ANY).config(config()).hooks(UntilNoChildren);
    let server = server.build_fn(listen).unwrap();
    println!("listening on {}", server.server_address());
    assert_eq!(server.handle_request().unwrap(), Handled::Request);
    assert_eq!(server.active_children().len(), 1);
    println!("second run");
    server.serve_forever(Duration::MAX).unwrap();
    println!("reaped");
    server.server_close();
    println!("ended");
}

fn a_loop_reaps_children_of_an_earlier_run() {
    on_every_backend("second run", |mut server| {
        let client = greeted(&server.address());
        assert_eq!(server.line(), "second run");
        drop(client);
        await_that("the child is reaped", || server.children().is_empty());
        assert_eq!(server.line(), "reaped");
        assert_eq!(server.end(), "");
    });
}

/// Counts the turns of the loop.
struct Turns(Arc<AtomicU32>);

impl Hooks<Arc<Stream>> for Turns {
    fn service_actions(&self, _: &Base) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn serve_and_count_turns() {
    let turns = Arc::<AtomicU32>::default();
    let seen = Arc::clone(&turns);
    let handle = move |exchange: &mut Exchange| -> HandlerResult {
        if exchange.request.recv(100)? == b"end" {
            return Ok(());
        }
        let turns = seen.load(Ordering::Relaxed); // when the child was started
        Ok(exchange.request.sendall(turns.to_string().as_bytes())?)
    };
    let server = ForkingTcpServer::builder(ANY).config(config()).hooks(Turns(turns));
    let server = server.build_fn(handle).unwrap();
    println!("listening on {}", server.server_address());
    server.serve_forever(Duration::MAX).unwrap();
}

fn a_loop_that_has_reaped_its_children_sleeps() {
    on_every_backend("counting turns", |mut server| {
        let address = server.address();
        assert_eq!(ask(&address, b"end"), b"");
        await_that("the child is reaped", || server.children().is_empty());
        thread::sleep(Duration::from_millis(300)); // time to poll, if it does
        let turns = String::from_utf8(ask(&address, b"turns?")).unwrap();
        assert!(turns.parse::<u32>().unwrap() <= 10, "{turns} turns");
    });
}

fn serve_what_children_may() {
    let handle = |exchange: &mut Exchange| -> HandlerResult {
        exchange.request.sendall(b"hello")?;
        loop {
            let word = exchange.request.recv(100)?;
            match &word[..] {
                b"" => return Ok(()),
                b"end" => exchange.server.end_input(),
                _ => {}
            }
            let list = exchange.server.connections().len();
            exchange.request.sendall(format!("{list} ").as_bytes())?;
        }
    };
    let server = ForkingTcpServer::builder(ANY).config(config()).hooks(UntilStdinEnds);
    let server = server.build_fn(handle).unwrap();
    println!("listening on {}", server.server_address());
    server.serve_forever(LOOK).unwrap();
    server.server_close();
    println!("ended");
}

fn a_child_ends_no_input_of_others_and_has_no_list() {
    on_every_backend("listening", |mut server| {
        let address = server.address();
        let (mut one, mut other) = (greeted(&address), greeted(&address));
        for client in [&mut one, &mut other] {
            client.write_all(b"end").unwrap();
            let mut list = [0; 2];
            client.read_exact(&mut list).unwrap();
            assert_eq!(&list, b"0 ");
        }
        // An input that is ended ends after 50 ms of silence.
        other.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let waits = other.read(&mut [0]).unwrap_err();
        assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
        other.set_read_timeout(Some(LONG)).unwrap();
        for client in [&mut one, &mut other] {
            client.write_all(b"?").unwrap();
            client.read_exact(&mut [0; 2]).unwrap();
        }
        drop((one, other));
        assert_eq!(server.end(), "");
    });
}

/// No loop and no hook collects the children here.
fn collect_by_hand() {
    let server = ForkingTcpServer::builder(ANY).config(config());
    let server = server.build_fn(|_: &mut Exchange| Ok(())).unwrap();
    println!("listening on {}", server.server_address());
    let collect: [fn(&Base); 4] = [
        Base::handle_timeout,
        Base::service_actions,
        |server| ().handle_timeout(server),
        |server| ().service_actions(server),
    ];
    for collect in collect {
        select(&[server.fileno()], &[], &[], None).unwrap();
        assert_eq!(server.handle_request_noblock().unwrap(), Handled::Request);
        await_that("the child has ended", || {
            let [child] = server.active_children()[..] else { return true };
            fs::read_to_string(format!("/proc/{child}/stat")).unwrap().contains(") Z ")
        });
        assert_eq!(server.active_children().len(), 1);
        collect(server.base());
        assert!(server.active_children().is_empty());
    }
    println!("ended");
}

fn children_are_collected_by_the_bodies_of_the_hooks() {
    on_every_backend("collecting", |mut server| {
        let address = server.address();
        for _ in 0..4 {
            assert_eq!(ask(&address, b""), b"");
        }
        assert_eq!(server.end(), "");
    });
}
