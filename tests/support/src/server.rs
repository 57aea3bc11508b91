//! What the tests of the socketserver module share.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{env, fs, process};
use tripoll::server::PythonSocket;

use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, Exchange, ExchangeKind, HandlerError, HandlerResult, Hooks,
    LoopExchange, RequestHandler, Server, ServerConfig, Transport,
};
use tripoll::{Reactor, ReactorHandle};

use crate::{LONG, MINUTE, on_every_pair};

/// Any free port.
pub const ANY: &str = "127.0.0.1:0";

/// A path of its own for a socket, removed in the end.
pub struct SocketPath(pub PathBuf);

impl SocketPath {
    /// A path that no other test has.
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

/// Connects.
pub fn connect(address: &Address) -> TcpStream {
    let Address::Inet(address) = address else { panic!("{address} is no TCP address") };
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// Connects so many clients one after the other. Fails if one of them had to knock twice: the kernel
/// does that after a second.
pub fn connect_all(address: &Address, count: usize) -> Vec<TcpStream> {
    let knocked_again = retransmitted_syns();
    let mut slowest = Duration::ZERO;
    let clients = (0..count)
        .map(|_| {
            let begin = Instant::now();
            let client = connect(address);
            slowest = slowest.max(begin.elapsed());
            client
        })
        .collect();
    // Others on this machine knock too; and a busy machine is slow. Not both at once.
    let is_slow = slowest >= Duration::from_secs(1);
    assert!(!is_slow || retransmitted_syns() == knocked_again, "a client waited for {slowest:?}");
    clients
}

/// How often this machine has sent a SYN again.
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

/// Waits until the other side has closed, well or badly.
pub fn await_end(mut client: &TcpStream) {
    match client.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("data where the end was to come"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
    }
}

/// Runs `body` while the server serves, with a poll interval that nobody may wait for, then shuts it
/// down and closes it.
pub fn while_serving<T, C, R>(server: &Server<T, C>, body: impl FnOnce() -> R) -> R
where
    T: Transport,
    C: Concurrency,
{
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _guard = ShutDown(server);
        let result = body();
        server.shutdown().unwrap();
        serving.join().unwrap().unwrap();
        server.server_close();
        result
    })
}

/// Runs `body` for every backend and trigger. A panic says for which.
pub fn on_every_config(body: impl Fn(&ServerConfig)) {
    on_every_pair(|pair| body(&pair.config()));
}

/// The reactor that such a configuration is for.
pub fn reactor(config: &ServerConfig) -> Reactor {
    Reactor::builder().backend(config.backend).trigger(config.trigger).build().unwrap()
}

/// Stops the loop also when the test has failed.
pub struct Stop<'a>(pub &'a ReactorHandle);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Ends the serving also when the test has failed, so that it fails and does not hang.
pub struct ShutDown<'a, T: Transport, C: Concurrency>(pub &'a Server<T, C>);

impl<T: Transport, C: Concurrency> Drop for ShutDown<'_, T, C> {
    fn drop(&mut self) {
        self.0.request_shutdown();
    }
}

/// How many threads this process has.
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// How many descriptors this process has open.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What goes wrong.
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

/// Writes down who was called where, also from a child process.
pub struct Log {
    pipe: Mutex<(BufReader<PipeReader>, PipeWriter)>,
    home: (u32, ThreadId),
}

impl Log {
    /// The calling thread is the one that serves.
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

    /// All that was written down, as the checked-in sequences spell it.
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

/// What Python does.
pub fn python(case: Case, mixin: &str) -> Vec<String> {
    let all = include_str!("../../server/sequences.txt");
    let title = format!("[{}, {mixin}]", case.name());
    let lines = all.lines().skip_while(|line| *line != title).skip(1);
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with('[')).map(Into::into).collect();
    assert!(!lines.is_empty(), "no {title}");
    lines
}

/// In the loop, turns come between the steps of one request.
pub fn without_service(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| line.replace(" service_actions", "")).collect()
}

/// Hooks that write down that they are called, and fail as the case has it.
pub struct Noting {
    log: Arc<Log>,
    case: Case,
    /// Whether the server is to end after the first request, and whether that has come.
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
        // Python does not ask when there is none.
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

/// A handler that writes down that it is called, and fails as the case has it.
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

/// Reads a line and writes it back, wherever it is.
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

/// What keeps the compiler from asking which exchange is meant.
pub fn kind<X: ExchangeKind, H: RequestHandler<X>>(handler: H) -> impl RequestHandler<X> {
    handler
}
