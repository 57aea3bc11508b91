//! Chapter 26, several loops and one port.
//!
//! Question: a client comes. How many of the loops wake up for it?
//!
//! Run: `cargo run --example ch26_one_listener`
//!
//! Try: `EpollFlags::ET` with one listener. Why do all loops wake up all the same?

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::thread::gettid;
use socket2::{Domain, Socket, Type};
use tripoll::sys::{Epoll, EpollFlags};

const LOOPS: usize = 4;

fn main() -> io::Result<()> {
    println!("{:36} loops woken  in vain", "one client connects:");
    let shared = Arc::new(listener(([127, 0, 0, 1], 0).into(), false)?);
    one_client("one listener", &vec![shared.clone(); LOOPS], EpollFlags::IN)?;
    let exclusive = EpollFlags::IN | EpollFlags::EXCLUSIVE;
    one_client("one listener, EPOLLEXCLUSIVE", &vec![shared; LOOPS], exclusive)?;

    let first = Arc::new(listener(([127, 0, 0, 1], 0).into(), true)?);
    let address = first.local_addr()?;
    let mut own = vec![first];
    while own.len() < LOOPS {
        own.push(Arc::new(listener(address, true)?));
    }
    one_client("a listener each, SO_REUSEPORT", &own, EpollFlags::IN)
}

fn listener(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// Lets each loop sleep on its listener, connects once, and counts the loops that wake up. No loop
/// accepts before all have been counted.
fn one_client(what: &str, listeners: &[Arc<TcpListener>], flags: EpollFlags) -> io::Result<()> {
    let (woken, wakes) = channel();
    let (sleeping, sleepers) = channel();
    let mut loops = Vec::new();
    for listener in listeners {
        let (listener, woken, sleeping) = (Arc::clone(listener), woken.clone(), sleeping.clone());
        let (go_on, counted) = channel::<()>();
        let thread = thread::spawn(move || -> io::Result<bool> {
            let epoll = Epoll::new()?;
            epoll.add(listener.as_raw_fd(), flags, 0)?;
            sleeping.send(gettid()).map_err(io::Error::other)?;
            let mut events = Vec::with_capacity(1);
            epoll.wait(&mut events, Some(Duration::from_secs(2)))?;
            if events.is_empty() {
                return Ok(false);
            }
            woken.send(()).map_err(io::Error::other)?;
            let _ = counted.recv();
            Ok(listener.accept().is_ok())
        });
        loops.push((thread, go_on));
    }
    for _ in listeners {
        let thread = sleepers.recv().map_err(io::Error::other)?;
        while !is_asleep(thread)? {
            thread::yield_now();
        }
    }
    let _client = TcpStream::connect(listeners[0].local_addr()?)?;
    let mut count = 0;
    while wakes.recv_timeout(Duration::from_millis(300)).is_ok() {
        count += 1;
    }
    let mut accepted = 0;
    for (thread, go_on) in loops {
        drop(go_on);
        accepted += usize::from(thread.join().expect("it does not panic")?);
    }
    println!("{what:36} {count:>11}  {:>7}", count - accepted);
    Ok(())
}

/// Whether a thread of this process sleeps in the kernel, by `/proc`.
fn is_asleep(thread: rustix::thread::Pid) -> io::Result<bool> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"))?;
    Ok(stat.contains(") S "))
}
