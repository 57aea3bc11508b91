//! Servers for the tests of `net`: a reactor in a thread of its own, and a protocol that tells the
//! test all that it is told.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use tripoll::net::{Address, CloseReason, Connection, Listener, ListenerBuilder, Protocol, Wire};
use tripoll::reactor::Counters;
use tripoll::{Context, ReactorHandle};

use crate::{LONG, Pair};

/// What a protocol is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Opened,
    Received(Vec<u8>),
    Ended(Vec<u8>),
    Drained,
    TimedOut,
    WindingDown,
    Closed(Why),
}

/// `net::Closed`, comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Finished,
    Aborted,
    InputOverflow,
    OutputOverflow,
    CloseTimedOut,
    Failed(io::ErrorKind),
}

/// What a protocol does: called with what it is told, it says how much of `Received` it has used.
pub trait Script: FnMut(&Told, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize> {}
impl<T: FnMut(&Told, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize>> Script for T {}

/// A protocol that does what its script says, and tells what it was told.
pub struct Scripted<F> {
    script: F,
    tell: Sender<Told>,
}

impl<F: Script> Scripted<F> {
    pub fn new(script: F, tell: Sender<Told>) -> Self {
        Scripted { script, tell }
    }

    fn act(&mut self, told: Told, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<usize> {
        let answer = (self.script)(&told, wire, cx);
        let _ = self.tell.send(told); // the test may have seen enough
        answer
    }
}

impl<F: Script> Protocol for Scripted<F> {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Told::Opened, wire, cx).map(drop)
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_>,
    ) -> io::Result<usize> {
        self.act(Told::Received(data.to_vec()), wire, cx)
    }

    fn ended(&mut self, wire: &mut Wire<'_>, rest: &[u8], cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Told::Ended(rest.to_vec()), wire, cx).map(drop)
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Told::Drained, wire, cx).map(drop)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Told::TimedOut, wire, cx).map(drop)
    }

    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.act(Told::WindingDown, wire, cx).map(drop)
    }

    fn closed(&mut self, why: &CloseReason, _: &mut Context<'_>) {
        let why = match why {
            CloseReason::Finished => Why::Finished,
            CloseReason::Aborted => Why::Aborted,
            CloseReason::InputOverflow => Why::InputOverflow,
            CloseReason::OutputOverflow => Why::OutputOverflow,
            CloseReason::CloseTimedOut => Why::CloseTimedOut,
            CloseReason::Failed(error) => Why::Failed(error.kind()),
            other => panic!("{other:?} is new"),
        };
        let _ = self.tell.send(Told::Closed(why));
    }
}

/// Sends back what comes, and closes when the peer has ended: the defaults.
pub fn echo(told: &Told, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<usize> {
    match told {
        Told::Received(data) => {
            wire.write(data);
            Ok(data.len())
        }
        Told::Ended(_) | Told::WindingDown => {
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
    pub told: Receiver<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on any free port. Each connection gets a copy of the script.
    pub fn new<F: Script + Clone + Send + 'static>(pair: Pair, script: F) -> Self {
        Server::with(pair, Listener::builder(), |connection| connection, script)
    }

    /// As `new`, with a listener and connections of one's own choice.
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
        let (tell, told) = mpsc::channel();
        let (send_handle, handle) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut reactor = pair.reactor(());
            send_handle.send(reactor.handle()).unwrap();
            let accepted = move |stream, cx: &mut Context<'_>| {
                let protocol = Scripted::new(script.clone(), tell.clone());
                set_up(Connection::new(protocol)).serve(stream, cx)?;
                Ok(())
            };
            listener.serve(&mut reactor.context(), accepted).unwrap();
            reactor.run().unwrap();
            let counters = reactor.context().counters();
            assert_eq!((counters.panics, counters.idle), (0, 0), "{counters:?}");
        });
        let handle = handle.recv().unwrap();
        Server { address, handle, told, thread: Some(thread) }
    }

    pub fn port(&self) -> SocketAddr {
        let Address::Inet(address) = self.address else { panic!("{} has no port", self.address) };
        address
    }

    /// A client that waits, but not for ever.
    pub fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.port()).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.set_write_timeout(Some(LONG)).unwrap();
        client
    }

    /// What the protocols are told next.
    pub fn next(&self) -> Told {
        self.told.recv_timeout(LONG).expect("nothing was told for a long time")
    }

    /// What they are told until one of them is closed.
    pub fn until_closed(&self) -> Vec<Told> {
        let mut all = Vec::new();
        while !matches!(all.last(), Some(Told::Closed(_))) {
            all.push(self.next());
        }
        all
    }

    /// Waits until `count` sources are left, the listener among them.
    pub fn await_sources(&self, count: usize) {
        let give_up = Instant::now() + LONG;
        while self.ask(|cx| cx.len()) != count {
            assert!(Instant::now() < give_up, "{} sources", self.ask(|cx| cx.len()));
            std::thread::yield_now();
        }
    }

    /// Asks the reactor something.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Context<'_>) -> T + Send + 'static,
    ) -> T {
        let (tell, told) = mpsc::channel();
        self.handle.post(move |cx| tell.send(question(cx)).unwrap()).unwrap();
        told.recv_timeout(LONG).expect("the loop hangs")
    }

    pub fn counters(&self) -> Counters {
        self.ask(|cx| cx.counters())
    }

    /// Joins the thread, whose loop ends by itself.
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
