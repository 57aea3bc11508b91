//! The reactor in another event loop, in one thread: each has clients, and no wake is lost.
//!
//! Run: `cargo run --example embed -- --listen 127.0.0.1:7004`. It prints two addresses. The first is the
//! reactor's: `nc 127.0.0.1 7004` is answered in capitals. The second is a UDP socket of the other loop:
//! `nc -u ADDR` gets the number of datagrams and clients.
//!
//! The other loop stands for one of a user interface or of another library. It is written by hand: one
//! epoll instance and one call that waits.
//!
//! epoll and mio have a descriptor, which the other loop watches: [`Reactor::poll_fd`] returns it, and
//! [`Reactor::prepare_poll`] must be called *before each sleep*. select and poll have none. With them it is
//! done the other way round: the other loop's descriptor is a source of the reactor.

use std::cell::RefCell;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use common::Options;
use tripoll::net::{Address, Connection, Listener, ListenerMeter, Protocol, Wire};
use tripoll::sys::{Epoll, EpollFlags};
use tripoll::{Context, Deadline, Interest, Next, Reactor, Source};

fn main() -> Result<(), common::Failure> {
    let options =
        Options::read("Serves clients of two event loops in one thread", common::ANYWHERE)?;
    let mut reactor = options.reactor().build()?;
    let listener = Listener::bind(&options.listen)?;
    let (address, clients) = (listener.local_address().clone(), listener.meter());
    listener.serve(&mut reactor.context(), |stream, cx| {
        Connection::new(Upper).idle_timeout(Duration::from_secs(60)).serve(stream, cx).map(drop)
    })?;
    common::shut_down_on_signals(&mut reactor)?;
    let other = Rc::new(RefCell::new(OtherLoop::new(clients)?));
    let other_address = other.borrow().socket.local_addr().map_err(failed("getsockname"))?;

    let fd = reactor.poll_fd()?;
    match &fd {
        Some(fd) => other.borrow().watch(fd.as_fd(), REACTOR)?,
        None => nest(Rc::clone(&other), &mut reactor)?,
    }
    common::announce(&address);
    common::announce(&Address::Inet(other_address));
    match fd {
        Some(_) => run_inside(reactor, &mut other.borrow_mut())?,
        None => reactor.run()?,
    }
    Ok(())
}

/// The other loop runs, and the reactor is one of its descriptors.
fn run_inside(mut reactor: Reactor, other: &mut OtherLoop) -> io::Result<()> {
    let handle = reactor.handle();
    while !handle.is_stopped() {
        // It applies what was changed, sets the timer, and lets jobs of other threads wake the loop.
        let retry = match reactor.prepare_poll() {
            Ok(_) => None,
            Err(error) => {
                log::warn!("{error}; the reactor has its turn without being asked");
                Some(RETRY)
            }
        };
        if other.turn(retry)? || retry.is_some() {
            reactor.turn(Deadline::Now)?; // never blocks
        }
    }
    Ok(())
}

/// The other way round: makes the other loop a source of the reactor.
fn nest(other: Rc<RefCell<OtherLoop>>, reactor: &mut Reactor) -> io::Result<()> {
    let fd = other.borrow().epoll.as_fd().try_clone_to_owned().map_err(failed("fcntl"))?;
    let turn = move |_: &mut Source<OwnedFd>, _: &mut Context| {
        other.borrow_mut().turn(Some(Duration::ZERO))?;
        Ok(Next::Done) // what is left, the kernel reports again: select and poll are level-triggered
    };
    reactor.context().add(fd, Interest::READ, turn)?;
    Ok(())
}

/// An event loop that knows nothing of the reactor.
struct OtherLoop {
    epoll: Epoll,
    socket: UdpSocket,
    datagrams: u64,
    clients: ListenerMeter,
}

/// After this time what the kernel has refused is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Returns a function that says which call has failed.
fn failed(call: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{call}: {error}"))
}

/// What the other loop knows of its descriptors.
const SOCKET: u64 = 1;
const REACTOR: u64 = 2;

impl OtherLoop {
    fn new(clients: ListenerMeter) -> io::Result<Self> {
        let socket =
            UdpSocket::bind("127.0.0.1:0").map_err(failed("cannot listen on 127.0.0.1"))?;
        socket.set_nonblocking(true)?;
        let this = OtherLoop { epoll: Epoll::new()?, socket, datagrams: 0, clients };
        this.watch(this.socket.as_fd(), SOCKET)?;
        Ok(this)
    }

    fn watch(&self, fd: BorrowedFd, what: u64) -> io::Result<()> {
        self.epoll.add(fd.as_raw_fd(), EpollFlags::IN, what).map_err(failed("epoll_ctl"))
    }

    /// Waits, and serves its own socket. Returns whether the reactor has something to do.
    fn turn(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut events = Vec::with_capacity(8);
        match self.epoll.wait(&mut events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => thread::sleep(RETRY),
            waited => drop(waited?),
        }
        let is_ready = |what| events.iter().any(|event| event.data() == what);
        if is_ready(SOCKET) {
            self.answer();
        }
        Ok(is_ready(REACTOR))
    }

    /// Answers the datagrams that have arrived. An error concerns one of their senders.
    fn answer(&mut self) {
        let mut buffer = [0; 512];
        while let Ok((_, sender)) = self.socket.recv_from(&mut buffer) {
            self.datagrams += 1;
            let (datagrams, clients) = (self.datagrams, self.clients.counters().accepted);
            let answer = format!("{datagrams} datagrams, {clients} clients\n");
            let _ = self.socket.send_to(answer.as_bytes(), sender);
        }
    }
}

/// Answers in capitals.
struct Upper;

impl Protocol for Upper {
    fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        wire.write(&data.to_ascii_uppercase());
        Ok(data.len())
    }
}
