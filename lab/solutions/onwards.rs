//! Chapters 28, 30 and 32 to 34.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::iterator::Signals;
use socket2::{Domain, Socket, Type};
use tripoll::net::{Connection, Listener, Protocol, Wire};
use tripoll::sys::{PollFd, PollFlags, poll, signal_when_ready};
use tripoll::{Context, Reactor};

use crate::looped::{Client, Serve, Timers, address, listener, serve};

pub fn connect(wrong: bool) -> io::Result<()> {
    let arguments = std::env::args().skip(3);
    let mut sockets: Vec<(SocketAddr, Socket)> = Vec::new();
    for address in arguments.filter_map(|argument| argument.parse().ok()) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let _ = socket.connect(&SocketAddr::into(address)); // it has begun
        sockets.push((address, socket));
    }
    let end = Instant::now() + Duration::from_secs(1);
    while !sockets.is_empty() {
        let fd =
            |(_, socket): &(SocketAddr, Socket)| PollFd::new(socket.as_raw_fd(), PollFlags::OUT);
        let mut lines: Vec<_> = sockets.iter().map(fd).collect();
        poll(&mut lines, Some(end.saturating_duration_since(Instant::now())))?;
        let is_over = Instant::now() >= end;
        let mut lines = lines.into_iter();
        sockets.retain_mut(|(address, socket)| {
            let is_ready = lines.next().is_some_and(|line| !line.revents().is_empty());
            if is_ready {
                let error = if wrong { Ok(None) } else { socket.take_error() };
                let outcome = if let Ok(None) = error { "connected" } else { "refused" };
                println!("{address} {outcome}");
                let _ = socket.write_all(b"hello");
            } else if is_over {
                println!("{address} timed out");
            }
            !is_ready && !is_over
        });
    }
    Ok(())
}

pub fn idle(wrong: bool) -> io::Result<()> {
    const SILENCE: Duration = Duration::from_secs(1);
    const LINE: Duration = Duration::from_secs(2);
    struct Idle {
        wrong: bool,
        /// When each client was heard last, and when its line has begun.
        times: BTreeMap<u64, (Instant, Option<Instant>)>,
    }
    impl Idle {
        fn deadline(&self, client: &Client) -> Instant {
            let (heard, line) = self.times[&client.id];
            let line = line.filter(|_| !self.wrong); // the wrong one looks at the silence only
            line.map_or(heard + SILENCE, |line| (heard + SILENCE).min(line + LINE))
        }
    }
    impl Serve for Idle {
        fn opened(&mut self, client: &mut Client, timers: &mut Timers) {
            self.times.insert(client.id, (Instant::now(), None));
            timers.after(SILENCE, client);
        }

        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            client.input.extend_from_slice(data);
            let lines = client.lines();
            let begun = self.times[&client.id].1.filter(|_| lines.is_empty());
            let line = (!client.input.is_empty()).then(|| begun.unwrap_or_else(Instant::now));
            self.times.insert(client.id, (Instant::now(), line));
            client.output.extend(lines.concat());
        }

        fn timed_out(&mut self, client: &mut Client, timers: &mut Timers) {
            let left = self.deadline(client).saturating_duration_since(Instant::now());
            if left.is_zero() {
                client.closing = true;
            } else {
                timers.after(left, client);
            }
        }
    }
    serve(Idle { wrong, times: BTreeMap::new() })
}

/// What a conversation reads and writes.
#[derive(Debug, Default, Clone)]
struct Io(Rc<RefCell<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
    has_ended: bool,
}

impl Io {
    fn write(&self, text: &str) {
        self.0.borrow_mut().output.extend_from_slice(text.as_bytes());
    }

    /// The next line, or none at the end.
    async fn line(&self) -> Option<String> {
        poll_fn(|_| {
            let mut buffers = self.0.borrow_mut();
            if !buffers.input.contains(&b'\n') {
                // New bytes poll it again.
                return if buffers.has_ended { Poll::Ready(None) } else { Poll::Pending };
            }
            let end = buffers.input.iter().position(|&byte| byte == b'\n').unwrap_or(0);
            let line: Vec<_> = buffers.input.drain(..=end).collect();
            Poll::Ready(Some(String::from_utf8_lossy(&line).trim_end().into()))
        })
        .await
    }
}

async fn talk(io: Io) {
    io.write("your name?\n");
    let Some(name) = io.line().await else { return };
    io.write("a number?\n");
    let Some(number) = io.line().await else { return };
    let Ok(number) = number.parse::<u64>() else { return io.write("that is no number\n") };
    let sum = u128::from(number) * (u128::from(number) + 1) / 2;
    io.write(&format!("{name}, the sum of 1 to {number} is {sum}\n"));
}

struct Task {
    io: Io,
    most: usize,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Task {
    fn poll(&mut self, wire: &mut Wire) {
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let is_over = self.future.as_mut().poll(&mut cx).is_ready();
        wire.write(&std::mem::take(&mut self.io.0.borrow_mut().output));
        if is_over {
            wire.close();
        }
    }
}

impl Protocol for Task {
    fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
        self.poll(wire);
        Ok(())
    }

    fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        self.io.0.borrow_mut().input.extend_from_slice(data);
        self.poll(wire);
        if self.io.0.borrow().input.len() > self.most {
            return Err(io::Error::other("a line that does not end"));
        }
        Ok(data.len())
    }

    fn ended(&mut self, wire: &mut Wire, _: &[u8], _: &mut Context) -> io::Result<()> {
        self.io.0.borrow_mut().has_ended = true;
        self.poll(wire);
        Ok(())
    }
}

pub fn conversation(wrong: bool) -> io::Result<()> {
    let most = if wrong { usize::MAX } else { 64 << 10 };
    let mut reactor = Reactor::new()?;
    let door = Listener::bind(address().as_str())?;
    door.serve(&mut reactor.context(), move |client, cx| {
        let io = Io::default();
        let future = Box::pin(talk(io.clone()));
        Connection::new(Task { io, most, future }).serve(client, cx)?;
        Ok(())
    })?;
    reactor.run()
}

pub fn signal_driven(wrong: bool) -> io::Result<()> {
    let mut signals = Signals::new([signal_hook::consts::SIGIO])?;
    let door = listener()?;
    signal_when_ready(&door)?;
    let mut clients: Vec<TcpStream> = Vec::new();
    for _ in signals.forever() {
        let mut is_first = true;
        while let Ok((client, _)) = door.accept() {
            client.set_nonblocking(true)?;
            signal_when_ready(&client)?;
            clients.push(client);
        }
        clients.retain_mut(|client| {
            let mut buffer = [0; 1024];
            loop {
                if wrong && !is_first {
                    return true; // one signal, one read
                }
                match client.read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(count) => {
                        is_first = false;
                        let _ = client.write_all(&buffer[..count].to_ascii_uppercase());
                    }
                    Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
                }
            }
        });
    }
    Ok(())
}

/// A thread for each direction: a `copy` that blocks is back-pressure.
pub fn proxy(wrong: bool) -> io::Result<()> {
    let upstream = std::env::var("UPSTREAM").map_err(io::Error::other)?;
    for client in TcpListener::bind(address())?.incoming() {
        let client = client?;
        let Ok(server) = TcpStream::connect(&upstream) else { continue };
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
            thread::spawn(move || {
                let copied = copy(&mut from, &mut to);
                if wrong || copied.is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.shutdown(Shutdown::Both); // both directions, though one is over
                }
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }
    Ok(())
}

fn copy(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
    }
}
