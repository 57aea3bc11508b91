//! Servers for the tests of `net`: a reactor in a thread of its own, and a protocol that reports each
//! of its calls to the test.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use tripoll::net::{
    Address, CloseReason, Closed, Connection, Listener, ListenerBuilder, Protocol, Wire,
};
use tripoll::reactor::Counters;
use tripoll::{Context, ReactorHandle};

use crate::noise::made_on_this_thread;
use crate::{LONG, Pair};

/// A call of a protocol's method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Opened,
    Received(Vec<u8>),
    Ended(Vec<u8>),
    Drained,
    TimedOut,
    ShuttingDown,
    Closed(Why),
}

/// `net::CloseReason`, comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Finished,
    Aborted,
    Detached,
    InputOverflow,
    OutputOverflow,
    ListenerOverflow,
    WriteTimedOut,
    IdleTimedOut,
    ReadTimedOut,
    HandshakeTimedOut,
    CloseTimedOut,
    Removed,
    ConnectFailed(io::ErrorKind),
    Failed(io::ErrorKind),
}

/// The reaction of a protocol to a call. Returns how many bytes of `Received` it has used up.
pub trait Script: FnMut(&Call, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize> {}
impl<T: FnMut(&Call, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize>> Script for T {}

/// A protocol that runs a script, and reports its calls.
pub struct Scripted<F> {
    script: F,
    calls: Sender<Call>,
}

impl<F: Script> Scripted<F> {
    pub fn new(script: F, calls: Sender<Call>) -> Self {
        Scripted { script, calls }
    }

    fn act(&mut self, call: Call, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<usize> {
        let answer = (self.script)(&call, wire, cx);
        let _ = self.calls.send(call); // the test may have ended
        answer
    }
}

impl<F: Script> Protocol for Scripted<F> {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Call::Opened, wire, cx).map(drop)
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_>,
    ) -> io::Result<usize> {
        self.act(Call::Received(data.to_vec()), wire, cx)
    }

    fn ended(&mut self, wire: &mut Wire<'_>, rest: &[u8], cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Call::Ended(rest.to_vec()), wire, cx).map(drop)
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Call::Drained, wire, cx).map(drop)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Call::TimedOut, wire, cx).map(drop)
    }

    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Call::ShuttingDown, wire, cx).map(drop)
    }

    fn closed(&mut self, closed: &Closed, _: &mut Context<'_>) {
        let closed = match &closed.reason {
            CloseReason::Finished => Why::Finished,
            CloseReason::Aborted => Why::Aborted,
            CloseReason::Detached => Why::Detached,
            CloseReason::InputOverflow => Why::InputOverflow,
            CloseReason::OutputOverflow => Why::OutputOverflow,
            CloseReason::ListenerOverflow => Why::ListenerOverflow,
            CloseReason::WriteTimedOut => Why::WriteTimedOut,
            CloseReason::IdleTimedOut => Why::IdleTimedOut,
            CloseReason::ReadTimedOut => Why::ReadTimedOut,
            CloseReason::HandshakeTimedOut => Why::HandshakeTimedOut,
            CloseReason::CloseTimedOut => Why::CloseTimedOut,
            CloseReason::Removed => Why::Removed,
            CloseReason::ConnectFailed(error) => Why::ConnectFailed(error.kind()),
            CloseReason::Failed(error) => Why::Failed(error.kind()),
            other => panic!("{other:?} is new"),
        };
        let _ = self.calls.send(Call::Closed(closed));
    }
}

/// Sends back what arrives. Closes when the peer has ended, as the defaults do.
pub fn echo(call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<usize> {
    match call {
        Call::Received(data) => {
            wire.write(data);
            Ok(data.len())
        }
        Call::Ended(_) | Call::ShuttingDown => {
            wire.close();
            Ok(0)
        }
        _ => Ok(0),
    }
}

/// A server in a thread of its own, which stops when it is dropped.
pub struct Server {
    pub address: Address,
    pub handle: ReactorHandle,
    pub calls: Receiver<Call>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on any free port. Each connection gets a copy of the script.
    pub fn new<F: Script + Clone + Send + 'static>(pair: Pair, script: F) -> Self {
        Server::with(pair, Listener::builder(), |connection| connection, script)
    }

    /// As `new`, with the given listener and set-up of connections.
    pub fn with<F: Script + Clone + Send + 'static>(
        pair: Pair,
        listener: ListenerBuilder,
        set_up: fn(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
        script: F,
    ) -> Self {
        Server::at(pair, &"127.0.0.1:0".parse().unwrap(), listener, set_up, script)
    }

    pub fn at<F: Script + Clone + Send + 'static>(
        pair: Pair,
        address: &Address,
        listener: ListenerBuilder,
        set_up: fn(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
        script: F,
    ) -> Self {
        let listener = listener.bind(address).unwrap();
        let address = listener.local_address().clone();
        let (send, calls) = mpsc::channel();
        let (send_handle, handle) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut reactor = pair.reactor(());
            send_handle.send(reactor.handle()).unwrap();
            let accepted = move |stream, cx: &mut Context<'_>| {
                let protocol = Scripted::new(script.clone(), send.clone());
                set_up(Connection::new(protocol)).serve(stream, cx)?;
                Ok(())
            };
            listener.serve(&mut reactor.context(), accepted).unwrap();
            reactor.run().unwrap();
            let counters = reactor.context().counters();
            assert_eq!((counters.panics, counters.idle), (0, 0), "{counters:?}");
            let was_quiet = counters.turns >= 30 && made_on_this_thread() == 0;
            assert!(pair.noise.is_none() || !was_quiet, "it was quiet: {counters:?}");
        });
        let handle = handle.recv().unwrap();
        Server { address, handle, calls, thread: Some(thread) }
    }

    pub fn port(&self) -> SocketAddr {
        let Address::Inet(address) = self.address else { panic!("{} has no port", self.address) };
        address
    }

    /// Connects a client that blocks, with a limit.
    pub fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.port()).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.set_write_timeout(Some(LONG)).unwrap();
        client
    }

    /// Returns the next call of any protocol.
    pub fn next(&self) -> Call {
        self.calls.recv_timeout(LONG).expect("no protocol was called for a long time")
    }

    /// Returns all calls until a protocol is closed.
    pub fn until_closed(&self) -> Vec<Call> {
        let mut all = Vec::new();
        while !matches!(all.last(), Some(Call::Closed(_))) {
            all.push(self.next());
        }
        all
    }

    /// Waits until `count` sources are left, the listener included.
    pub fn await_sources(&self, count: usize) {
        let give_up = Instant::now() + LONG;
        while self.ask(|cx| cx.len()) != count {
            assert!(Instant::now() < give_up, "{} sources", self.ask(|cx| cx.len()));
            std::thread::yield_now();
        }
    }

    /// Runs `question` in the loop, and returns its answer.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Context<'_>) -> T + Send + 'static,
    ) -> T {
        let (send, calls) = mpsc::channel();
        self.handle.post(move |cx| send.send(question(cx)).unwrap()).unwrap();
        calls.recv_timeout(LONG).expect("the loop hangs")
    }

    pub fn counters(&self) -> Counters {
        self.ask(|cx| cx.counters())
    }

    /// Joins the thread of a loop that ends by itself.
    pub fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server panicked");
        }
    }
}
