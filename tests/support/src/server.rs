//! Servers of `tripoll::server` for the tests, and a log of the hooks that are called.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, Exchange, ExchangeKind, HandlerError, HandlerResult, Hooks,
    LoopExchange, PythonSocket, RequestHandler, Server, ServerConfig, Transport,
};
use tripoll::{Deadline, Reactor, ReactorHandle};

use crate::caught::assert_no_caught_panic;
use crate::noise::made_on_this_thread;
use crate::{LONG, MINUTE, Pair, on_every_pair, on_every_pair_and_noise};

/// Any free port.
pub const ANY: &str = "127.0.0.1:0";

/// The path of a Unix socket, removed when it is dropped.
pub struct SocketPath(pub PathBuf);

impl SocketPath {
    /// Returns a path that no other test has.
    pub fn unused() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        SocketPath(env::temp_dir().join(format!("tripoll-server-{}-{number}", process::id())))
    }

    pub fn address(&self) -> Address {
        Address::Unix(self.0.clone())
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Connects a client that blocks, with a limit.
pub fn connect(address: &Address) -> TcpStream {
    assert_no_caught_panic();
    let Address::Inet(address) = address else { panic!("{address} is no TCP address") };
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// Sends a thousand clients, each with a line that comes back, a thousand at a time.
/// `TRIPOLL_CLIENTS=100000` sends so many.
pub fn send_bursts(address: &Address) {
    let asked = env::var("TRIPOLL_CLIENTS");
    let clients = asked.map_or(1_000, |asked| asked.parse().expect("TRIPOLL_CLIENTS is a number"));
    for _ in 0..usize::div_ceil(clients, 1_000) {
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let clients = connect_all(address, 50);
                    for mut client in &clients {
                        client.write_all(b"hello\n").unwrap();
                    }
                    for mut client in clients {
                        client.shutdown(Shutdown::Write).unwrap();
                        let mut answer = String::new();
                        client.read_to_string(&mut answer).unwrap();
                        assert!(answer.starts_with("hello\n"), "{answer:?}");
                    }
                });
            }
        });
    }
}

/// Connects `count` clients one after the other. Fails if the accept queue was full for one of
/// them: the kernel then sends the SYN again after a second.
pub fn connect_all(address: &Address, count: usize) -> Vec<TcpStream> {
    let resent = retransmitted_syns();
    let mut slowest = Duration::ZERO;
    let clients = (0..count)
        .map(|_| {
            let begin = Instant::now();
            let client = connect(address);
            slowest = slowest.max(begin.elapsed());
            client
        })
        .collect();
    // Other programs may resend a SYN too, and a busy machine is slow: only both together fail.
    let is_slow = slowest >= Duration::from_secs(1);
    assert!(!is_slow || retransmitted_syns() == resent, "a client waited for {slowest:?}");
    clients
}

/// Returns how often this machine has sent a SYN again.
fn retransmitted_syns() -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|name| name == "TCPSynRetrans").unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}

/// Sends a question, finishes, and reads the answer to its end.
pub fn ask(address: &Address, question: &[u8]) -> Vec<u8> {
    let mut client = connect(address);
    client.write_all(question).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    answer
}

/// Waits until the other side has closed, in order or with a reset.
pub fn await_end(mut client: &TcpStream) {
    match client.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("data in place of the end"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
    }
}

/// Runs `body` while the server serves, with a poll interval that must not matter, then shuts it
/// down and closes it. Fails if the library has caught a panic.
pub fn while_serving<T, C, R>(server: &Server<T, C>, body: impl FnOnce() -> R) -> R
where
    T: Transport,
    C: Concurrency,
{
    assert_no_caught_panic();
    let result = thread::scope(|scope| {
        let serving = scope.spawn(serving(server));
        let _guard = ShutDown(server);
        let result = body();
        server.shutdown().unwrap();
        serving.join().unwrap().unwrap();
        server.server_close();
        result
    });
    assert_no_caught_panic();
    result
}

/// Runs `body` for every backend and trigger. A panic shows for which.
pub fn on_every_config(body: impl Fn(&ServerConfig)) {
    on_every_pair(|pair| body(&pair.config()));
}

thread_local! {
    /// The pair whose selector makes faults, for the bodies of [`on_every_config_and_noise`].
    static NOISE: Cell<Option<Pair>> = const { Cell::new(None) };
}

/// As [`on_every_config`], and again over selectors that make faults of events: in the loops of
/// [`while_serving`] and of [`reactor`]. For what holds whatever a kernel reports.
pub fn on_every_config_and_noise(body: impl Fn(&ServerConfig)) {
    on_every_pair_and_noise(|pair| {
        let _quiet = Quiet;
        NOISE.set(pair.noise.map(|_| pair));
        body(&pair.config());
    });
}

/// Ends the noise, also when the test has failed.
struct Quiet;

impl Drop for Quiet {
    fn drop(&mut self) {
        NOISE.set(None);
    }
}

/// Returns a function that serves until the server is shut down, in another thread: in a loop of the
/// server's own, or over a selector that makes faults.
pub fn serving<T, C>(server: &Server<T, C>) -> impl FnOnce() -> io::Result<()> + Send
where
    T: Transport,
    C: Concurrency,
{
    let noise = NOISE.get();
    move || match noise {
        None => server.serve_forever(MINUTE).map(drop),
        Some(pair) => serve_in_noise(server, pair),
    }
}

/// Serves in a loop over a selector that makes faults, until the server has left it.
fn serve_in_noise<T: Transport, C: Concurrency>(
    server: &Server<T, C>,
    pair: Pair,
) -> io::Result<()> {
    let mut reactor = pair.reactor(());
    server.serve_in(MINUTE, &mut reactor.context())?;
    while !reactor.context().is_empty() {
        let began = Instant::now();
        reactor.turn(Deadline::after(LONG))?;
        assert!(began.elapsed() < LONG, "stalled: {:?}", reactor.context().counters());
    }
    let counters = reactor.context().counters();
    assert!(counters.turns < 30 || made_on_this_thread() > 0, "it was quiet: {counters:?}");
    Ok(())
}

/// Builds a reactor with the configuration's backend and trigger.
pub fn reactor(config: &ServerConfig) -> Reactor {
    if let Some(pair) = NOISE.get() {
        return pair.reactor(());
    }
    Reactor::builder().backend(config.backend).trigger(config.trigger).build().unwrap()
}

/// Stops the loop also when the test has failed.
pub struct Stop<'a>(pub &'a ReactorHandle);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
        assert_no_caught_panic();
    }
}

/// Shuts the server down also when the test has failed, so that it fails and does not hang.
pub struct ShutDown<'a, T: Transport, C: Concurrency>(pub &'a Server<T, C>);

impl<T: Transport, C: Concurrency> Drop for ShutDown<'_, T, C> {
    fn drop(&mut self) {
        self.0.request_shutdown();
        assert_no_caught_panic();
    }
}

/// Returns the number of threads of this process.
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Returns the number of open descriptors of this process.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The fault of a recorded sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Success,
    HandleFails,
    SetupFails,
    VerifyRefuses,
    AcceptFails,
    Timeout,
}

impl Case {
    pub const ALL: [Case; 6] = [
        Case::Success,
        Case::HandleFails,
        Case::SetupFails,
        Case::VerifyRefuses,
        Case::AcceptFails,
        Case::Timeout,
    ];

    /// As the checked-in sequences spell it.
    pub fn name(self) -> &'static str {
        match self {
            Case::Success => "success",
            Case::HandleFails => "handle fails",
            Case::SetupFails => "setup fails",
            Case::VerifyRefuses => "verify refuses",
            Case::AcceptFails => "accept fails",
            Case::Timeout => "timeout",
        }
    }
}

/// Records which hooks are called, and where, also in a child process.
pub struct Log {
    pipe: Mutex<(BufReader<PipeReader>, PipeWriter)>,
    home: (u32, ThreadId),
}

impl Log {
    /// The calling thread counts as the loop.
    pub fn new() -> Arc<Self> {
        let (reader, writer) = io::pipe().unwrap();
        let home = (process::id(), thread::current().id());
        Arc::new(Log { pipe: Mutex::new((BufReader::new(reader), writer)), home })
    }

    pub fn note(&self, name: &str) {
        let here = (process::id(), thread::current().id());
        let place = if here == self.home { "loop" } else { "worker" };
        let line = format!("{place} {name}\n");
        self.pipe.lock().unwrap().1.write_all(line.as_bytes()).unwrap();
    }

    /// Returns all that is recorded, as the checked-in sequences spell it.
    pub fn lines(&self) -> Vec<String> {
        let (reader, writer) = &mut *self.pipe.lock().unwrap();
        writer.write_all(b"end\n").unwrap();
        let mut calls = [("loop", Vec::new()), ("worker", Vec::new())];
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((place, name)) = line.trim_end().split_once(' ') else { break };
            let (_, names) = calls.iter_mut().find(|(known, _)| *known == place).unwrap();
            let last = names.last().map(String::as_str);
            if name != "service_actions"
                || !matches!(last, Some("service_actions" | "server_activate"))
            {
                names.push(name.to_string());
            }
        }
        let called = calls.into_iter().filter(|(_, names)| !names.is_empty());
        called.map(|(place, names)| format!("{place}: {}", names.join(" "))).collect()
    }
}

/// Returns the sequence that Python has.
pub fn python(case: Case, mixin: &str) -> Vec<String> {
    let all = include_str!("../../server/sequences.txt");
    let title = format!("[{}, {mixin}]", case.name());
    let lines = all.lines().skip_while(|line| *line != title).skip(1);
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with('[')).map(Into::into).collect();
    assert!(!lines.is_empty(), "no {title}");
    lines
}

/// Removes `service_actions`: in the loop, turns come between the steps of one request.
pub fn without_service(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| line.replace(" service_actions", "")).collect()
}

/// Hooks that record their calls, and fail in their case.
pub struct Noting {
    log: Arc<Log>,
    case: Case,
    /// Whether the server ends after the first request, and whether that has come.
    once: bool,
    has_come: AtomicBool,
}

impl Noting {
    pub fn new(log: &Arc<Log>, case: Case, once: bool) -> Self {
        Noting { log: Arc::clone(log), case, once, has_come: AtomicBool::new(false) }
    }
}

type Base = BaseServer<Arc<Stream>>;

impl Hooks<Arc<Stream>> for Noting {
    fn server_bind(&self, server: &Base) -> io::Result<()> {
        self.log.note("server_bind");
        server.server_bind()
    }

    fn server_activate(&self, server: &Base) -> io::Result<()> {
        self.log.note("server_activate");
        server.server_activate()
    }

    fn server_close(&self, server: &Base) {
        self.log.note("server_close");
        server.server_close();
    }

    fn get_request(&self, server: &Base) -> io::Result<(Arc<Stream>, Address)> {
        let request = server.get_request();
        // Python does not call it when there is none.
        if !matches!(&request, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.log.note("get_request");
            self.has_come.store(true, Ordering::Relaxed);
        }
        let request = request?;
        match self.case {
            Case::AcceptFails => Err(io::Error::other("accept fails")),
            _ => Ok(request),
        }
    }

    fn verify_request(&self, server: &Base, request: &Arc<Stream>, address: &Address) -> bool {
        self.log.note("verify_request");
        self.case != Case::VerifyRefuses && server.verify_request(request, address)
    }

    fn process_request(
        &self,
        server: &Base,
        request: &Arc<Stream>,
        address: &Address,
    ) -> HandlerResult {
        self.log.note("process_request");
        server.process_request(request, address)
    }

    fn process_request_thread(&self, server: &Base, request: &Arc<Stream>, address: &Address) {
        self.log.note("process_request_thread");
        server.process_request_thread(request, address);
    }

    fn finish_request(
        &self,
        server: &Base,
        request: &Arc<Stream>,
        address: &Address,
    ) -> HandlerResult {
        self.log.note("finish_request");
        server.finish_request(request, address)
    }

    fn shutdown_request(&self, server: &Base, request: &Arc<Stream>) {
        self.log.note("shutdown_request");
        server.shutdown_request(request);
    }

    fn close_request(&self, server: &Base, request: &Arc<Stream>) {
        self.log.note("close_request");
        server.close_request(request);
    }

    fn handle_error(&self, _: &Base, _: &Arc<Stream>, _: &Address, error: &HandlerError) {
        assert_eq!(error.to_string(), self.case.name());
        self.log.note("handle_error");
    }

    fn handle_timeout(&self, server: &Base) {
        self.log.note("handle_timeout");
        server.handle_timeout();
    }

    fn service_actions(&self, server: &Base) {
        self.log.note("service_actions");
        server.service_actions();
        if self.once && self.has_come.load(Ordering::Relaxed) {
            server.request_shutdown();
        }
    }
}

/// A handler that records its calls, and fails in its case.
#[derive(Clone)]
pub struct NotingHandler {
    pub log: Arc<Log>,
    pub case: Case,
}

impl NotingHandler {
    fn fail(&self, case: Case) -> HandlerResult {
        if self.case == case { Err(case.name().into()) } else { Ok(()) }
    }
}

impl RequestHandler for NotingHandler {
    fn setup(&mut self, _: &mut Exchange) -> HandlerResult {
        self.log.note("setup");
        self.fail(Case::SetupFails)
    }

    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        self.log.note("handle");
        exchange.request.recv(100)?;
        self.fail(Case::HandleFails)
    }

    fn finish(&mut self, _: &mut Exchange) -> HandlerResult {
        self.log.note("finish");
        Ok(())
    }
}

/// The same in the loop.
pub struct NotingInLoop(pub NotingHandler);

impl RequestHandler<LoopExchange> for NotingInLoop {
    fn setup(&mut self, _: &mut LoopExchange) -> HandlerResult {
        self.0.log.note("setup");
        self.0.fail(Case::SetupFails)
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        self.0.log.note("handle");
        exchange.recv(100);
        exchange.close();
        self.0.fail(Case::HandleFails)
    }

    fn finish(&mut self, _: &mut LoopExchange) -> HandlerResult {
        self.0.log.note("finish");
        Ok(())
    }
}

/// Reads a line and writes it back, in every kind of exchange.
pub struct Line;

impl RequestHandler<tripoll::server::StreamExchange> for Line {
    fn handle(&mut self, exchange: &mut tripoll::server::StreamExchange) -> HandlerResult {
        let mut line = Vec::new();
        exchange.rfile.read_until(b'\n', &mut line)?;
        exchange.wfile.write_all(&line)?;
        Ok(())
    }
}

impl RequestHandler<tripoll::server::DatagramExchange> for Line {
    fn handle(&mut self, exchange: &mut tripoll::server::DatagramExchange) -> HandlerResult {
        let mut line = Vec::new();
        exchange.rfile.read_until(b'\n', &mut line)?;
        exchange.wfile.write_all(&line)?;
        Ok(())
    }
}

impl RequestHandler<LoopExchange> for Line {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        if let Some(end) = exchange.input().iter().position(|&byte| byte == b'\n') {
            let line = exchange.recv(end + 1);
            exchange.sendall(&line);
            exchange.close();
        }
        Ok(())
    }
}

/// Chooses the exchange of a handler that has several.
pub fn kind<X: ExchangeKind, H: RequestHandler<X>>(handler: H) -> impl RequestHandler<X> {
    handler
}
