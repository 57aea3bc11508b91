//! A server with one loop over `poll`, for the solutions.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use tripoll::sys::{PollFd, PollFlags, poll};

/// The address behind `--listen`.
pub fn address() -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--listen");
    arguments.nth(1).unwrap_or_else(|| "127.0.0.1:0".into())
}

pub fn listener() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address())?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

pub struct Client {
    pub id: u64,
    pub socket: TcpStream,
    pub input: Vec<u8>,
    pub output: Vec<u8>,
    /// It sends no more.
    pub ended: bool,
    /// It is not read.
    pub paused: bool,
    /// It is closed when its output is sent.
    pub closing: bool,
}

impl Client {
    /// Takes the complete lines from the input, with their ends.
    pub fn lines(&mut self) -> Vec<Vec<u8>> {
        let end = self.input.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let complete: Vec<_> = self.input.drain(..end).collect();
        complete.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    pub fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let sent = self.socket.write(&self.output)?;
            self.output.drain(..sent);
        }
        Ok(())
    }
}

/// Above this a client is not read.
pub const HIGH: usize = 64 << 10;

/// A client that lets more than this wait is closed.
const MOST: usize = 4 << 20;

/// What a solution does with its clients. By default it sends back what it receives.
pub trait Serve {
    /// The name of a new client: the next number that no client had.
    fn id(&self, next: u64, _fd: i32) -> u64 {
        next
    }

    fn opened(&mut self, _: &mut Client, _: &mut Timers) {}

    fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
        client.output.extend_from_slice(data);
    }

    fn finished(&mut self, client: &mut Client) {
        client.closing = true;
    }

    fn timed_out(&mut self, _: &mut Client, _: &mut Timers) {}

    /// What all clients get now.
    fn for_all(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn wants(&self, client: &Client) -> PollFlags {
        wanted(client, HIGH)
    }

    /// Whether a client without interest stays in the array all the same.
    fn keeps_the_idle(&self) -> bool {
        false
    }

    /// What to do when there is no descriptor for a client.
    fn accept_failed(&mut self, _: &mut Timers) {}

    /// Whether the listener is watched.
    fn accepts(&self, _: usize) -> bool {
        true
    }
}

pub fn wanted(client: &Client, high: usize) -> PollFlags {
    let mut flags = PollFlags::empty();
    if !client.ended && !client.paused && client.output.len() < high {
        flags |= PollFlags::IN;
    }
    if !client.output.is_empty() {
        flags |= PollFlags::OUT;
    }
    flags
}

/// Times at which a client is called.
#[derive(Default)]
pub struct Timers(Vec<(Instant, u64)>);

impl Timers {
    pub fn after(&mut self, time: Duration, client: &Client) {
        self.0.push((Instant::now() + time, client.id));
    }

    /// The loop turns again, without a client.
    pub fn again_after(&mut self, time: Duration) {
        self.0.push((Instant::now() + time, 0)); // no client has that id
    }

    fn next(&self) -> Option<Duration> {
        let first = self.0.iter().map(|(at, _)| *at).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    fn due(&mut self) -> Vec<u64> {
        let now = Instant::now();
        let due = self.0.iter().filter(|(at, _)| *at <= now).map(|(_, client)| *client).collect();
        self.0.retain(|(at, _)| *at > now);
        due
    }
}

/// Serves for ever.
pub fn serve(server: impl Serve) -> io::Result<()> {
    serve_on(&listener()?, server)
}

/// Serves the clients of a listener for ever.
pub fn serve_on(listener: &TcpListener, mut server: impl Serve) -> io::Result<()> {
    let mut clients: BTreeMap<u64, Client> = BTreeMap::new();
    let (mut timers, mut next) = (Timers::default(), 1);
    loop {
        let flags = if server.accepts(clients.len()) { PollFlags::IN } else { PollFlags::empty() };
        let mut lines = vec![PollFd::new(listener.as_raw_fd(), flags)];
        let mut ids = Vec::new();
        for client in clients.values() {
            let wants = server.wants(client);
            if !wants.is_empty() || server.keeps_the_idle() {
                lines.push(PollFd::new(client.socket.as_raw_fd(), wants));
                ids.push(client.id);
            }
        }
        poll(&mut lines, timers.next())?;
        for id in timers.due() {
            if let Some(client) = clients.get_mut(&id) {
                server.timed_out(client, &mut timers);
                let written = client.write();
                if is_over(client, written) {
                    clients.remove(&id);
                }
            }
        }
        for (line, id) in lines[1..].iter().zip(ids) {
            let flags = line.revents();
            if let Some(client) = clients.get_mut(&id)
                && !flags.is_empty()
                && !(client.paused && flags & PollFlags::OUT != PollFlags::OUT)
            {
                let done = ready(&mut server, client, flags, &mut timers);
                if is_over(client, done) {
                    clients.remove(&id);
                }
            }
        }
        let news = server.for_all();
        if !news.is_empty() {
            clients.retain(|_, client| {
                client.output.extend(&news);
                let written = client.write();
                !is_over(client, written) && client.output.len() < MOST
            });
        }
        while !lines[0].revents().is_empty() {
            match listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true)?;
                    let mut client = Client {
                        id: server.id(next, socket.as_raw_fd()),
                        socket,
                        input: Vec::new(),
                        output: Vec::new(),
                        ended: false,
                        paused: false,
                        closing: false,
                    };
                    next += 1;
                    server.opened(&mut client, &mut timers);
                    clients.insert(client.id, client);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    server.accept_failed(&mut timers);
                    break;
                }
            }
        }
    }
}

fn ready(
    server: &mut impl Serve,
    client: &mut Client,
    flags: PollFlags,
    timers: &mut Timers,
) -> io::Result<()> {
    if flags.contains(PollFlags::OUT) {
        client.write()?;
    }
    if flags != PollFlags::OUT && !client.ended {
        let mut buffer = [0; 16 << 10];
        match client.socket.read(&mut buffer)? {
            0 => {
                client.ended = true;
                server.finished(client);
            }
            count => server.received(client, &buffer[..count], timers),
        }
    }
    client.write()
}

/// Whether the client is to be closed.
fn is_over(client: &Client, done: io::Result<()>) -> bool {
    match done {
        Err(error) if error.kind() != ErrorKind::WouldBlock => true,
        _ => client.closing && client.output.is_empty(),
    }
}
