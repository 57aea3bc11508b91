//! Chapter 25, no descriptor left for a new client.
//!
//! Question: why does a full server use a whole processor, and what should it do instead?
//!
//! Run: `cargo run --example ch25_out_of_descriptors`
//!
//! Try: `Listener::builder().max_connections(4)`. What do the clients see now?

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tripoll::net::{Address, Listener};
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Deadline, Reactor};

/// The server of the tutorials is stopped after so many turns.
const MOST_TURNS: u32 = 1_000;

fn main() -> io::Result<()> {
    naive()?;
    tripolls()
}

/// Waits for the listener, accepts, and ignores errors.
fn naive() -> io::Result<()> {
    println!("a loop that ignores the error:");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let files = use_all_descriptors()?;
    let (mut turns, mut errors, mut accepted) = (0, 0, 0);
    while turns < MOST_TURNS && accepted == 0 {
        turns += 1;
        let mut line = [PollFd::new(listener.as_raw_fd(), PollFlags::IN)];
        poll(&mut line, Some(Duration::from_secs(1)))?;
        match listener.accept() {
            Ok(_) => accepted += 1,
            Err(_) => errors += 1,
        }
    }
    drop(files);
    println!("    {turns} turns without a pause, {errors} errors, {accepted} accepted");
    drop(client);
    Ok(())
}

/// The listener of this crate, in the same need.
fn tripolls() -> io::Result<()> {
    println!("the listener of this crate:");
    let mut reactor = Reactor::builder().build_with(Vec::new())?;
    let listener = Listener::bind("127.0.0.1:0")?;
    let address = listener.local_address().clone();
    let keep = |stream, cx: &mut tripoll::Context<'_, Vec<_>>| {
        cx.state.push(stream);
        Ok(())
    };
    listener.serve(&mut reactor.context(), keep)?;
    reactor.turn(Deadline::Now)?;

    let Address::Inet(address) = address else { unreachable!("it was bound to an IP address") };
    let mut early = connect(address)?;
    let files = use_all_descriptors()?;
    let turns_until = |reactor: &mut Reactor<Vec<_>>, is_over: &mut dyn FnMut(&[_]) -> bool| {
        let before = reactor.context().counters().turns;
        while !is_over(reactor.state()) {
            reactor.turn(Deadline::after(Duration::from_secs(10)))?;
        }
        io::Result::Ok(reactor.context().counters().turns - before)
    };
    let mut is_turned_away = |_: &[_]| ended(&mut early);
    let turns = turns_until(&mut reactor, &mut is_turned_away)?;
    println!("    the client is turned away; fewer than 100 turns until then: {}", turns < 100);

    drop(files);
    let _late = connect(address)?;
    turns_until(&mut reactor, &mut |clients| clients.len() == 1)?;
    println!("    descriptors are free again, and the next client is served");
    Ok(())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Returns whether the server has closed the connection, politely or not.
fn ended(client: &mut TcpStream) -> bool {
    match client.read(&mut [0; 1]) {
        Err(error) => error.kind() != ErrorKind::WouldBlock,
        Ok(count) => count == 0,
    }
}

/// Opens files until the process may have no more. They count as descriptors like sockets.
fn use_all_descriptors() -> io::Result<Vec<File>> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum })?;
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    Ok(files)
}
