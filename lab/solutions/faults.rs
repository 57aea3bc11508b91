//! Chapters 20 to 25.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tripoll::net::{Connection, Listener, Protocol, Wire};
use tripoll::pool::Pool;
use tripoll::sys::{Epoll, EpollFlags, PollFlags};
use tripoll::{Context, Reactor};

use crate::looped::{Client, HIGH, Serve, Timers, address, listener, serve, wanted};

/// The number in a line.
fn number(line: &[u8]) -> Option<u64> {
    str::from_utf8(line).ok()?.trim_end().parse().ok()
}

pub fn always_writable(wrong: bool) -> io::Result<()> {
    struct Letters(bool);
    impl Serve for Letters {
        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            client.input.extend_from_slice(data);
            for line in client.lines() {
                let count = number(&line).unwrap_or(0) as usize;
                client.output.extend(std::iter::repeat_n(b'x', count));
                client.output.push(b'\n');
            }
        }

        fn wants(&self, client: &Client) -> PollFlags {
            // The wrong one asks for the write interest all the time.
            wanted(client, HIGH) | if self.0 { PollFlags::OUT } else { PollFlags::empty() }
        }
    }
    serve(Letters(wrong))
}

pub fn blocking_edge(wrong: bool) -> io::Result<()> {
    let door = listener()?;
    let epoll = Epoll::new()?;
    epoll.add(door.as_raw_fd(), EpollFlags::IN, 0)?;
    let mut clients: BTreeMap<u64, (TcpStream, Vec<u8>)> = BTreeMap::new();
    let mut events = Vec::with_capacity(64);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == 0 {
                let (client, _) = door.accept()?;
                client.set_nonblocking(!wrong)?;
                let fd = client.as_raw_fd();
                epoll.add(fd, EpollFlags::IN | EpollFlags::OUT | EpollFlags::ET, fd as u64)?;
                clients.insert(fd as u64, (client, Vec::new()));
            } else if let Some((client, output)) = clients.get_mut(&event.data())
                && !until_it_would_block(client, output)
            {
                epoll.delete(event.data() as i32)?;
                clients.remove(&event.data());
            }
        }
    }
}

/// Reads and writes until there is no more. Returns whether the client is still there.
fn until_it_would_block(client: &mut TcpStream, output: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 1024];
    let is_open = loop {
        match client.read(&mut buffer) {
            Ok(0) => break false,
            Ok(count) => output.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
            Err(_) => return false,
        }
        let _ = write(client, output);
    };
    match write(client, output) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => true,
        written => written.is_ok() && is_open,
    }
}

fn write(client: &mut TcpStream, output: &mut Vec<u8>) -> io::Result<()> {
    while !output.is_empty() {
        let sent = client.write(output)?;
        output.drain(..sent);
    }
    Ok(())
}

pub fn goodbyes(wrong: bool) -> io::Result<()> {
    struct Count {
        wrong: bool,
        bytes: BTreeMap<u64, usize>,
    }
    impl Serve for Count {
        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            *self.bytes.entry(client.id).or_default() += data.len();
        }

        fn finished(&mut self, client: &mut Client) {
            let count = self.bytes.remove(&client.id).unwrap_or(0);
            if !self.wrong {
                client.output.extend(format!("{count}\n").bytes());
            } // or the end is taken for a client that is gone
            client.closing = true;
        }
    }
    serve(Count { wrong, bytes: BTreeMap::new() })
}

/// A calculation, and how many steps are left.
struct Calculation {
    x: u64,
    steps: u64,
}

impl Calculation {
    fn run(&mut self, most: u64) {
        let now = self.steps.min(most);
        for _ in 0..now {
            self.x = (self.x * 1_103_515_245 + 12_345) % (1 << 31);
        }
        self.steps -= now;
    }
}

pub fn slow_handler(wrong: bool) -> io::Result<()> {
    struct Pieces {
        piece: u64,
        running: BTreeMap<u64, Calculation>,
    }
    impl Serve for Pieces {
        fn received(&mut self, client: &mut Client, data: &[u8], timers: &mut Timers) {
            client.input.extend_from_slice(data);
            for line in client.lines() {
                match number(&line) {
                    Some(steps) => {
                        self.running.insert(client.id, Calculation { x: 1, steps });
                        timers.after(Duration::ZERO, client);
                    }
                    None => client.output.extend(line),
                }
            }
        }

        fn timed_out(&mut self, client: &mut Client, timers: &mut Timers) {
            let Some(calculation) = self.running.get_mut(&client.id) else { return };
            calculation.run(self.piece);
            if calculation.steps > 0 {
                return timers.after(Duration::ZERO, client); // the loop turns in between
            }
            client.output.extend(format!("{}\n", calculation.x).bytes());
            self.running.remove(&client.id);
        }
    }
    serve(Pieces { piece: if wrong { u64::MAX } else { 20_000 }, running: BTreeMap::new() })
}

/// A line that is sent back when it is its turn, and its work is done.
struct Place {
    line: Vec<u8>,
    is_ready: Arc<AtomicBool>,
}

struct InOrder {
    wrong: bool,
    places: VecDeque<Place>,
}

impl InOrder {
    fn send(&mut self, wire: &mut Wire) {
        let is_ready = |place: &Place| place.is_ready.load(Ordering::Acquire);
        if self.wrong {
            for place in self.places.iter().filter(|place| is_ready(place)) {
                wire.write(&place.line); // what is ready first is sent first
            }
            self.places.retain(|place| !is_ready(place));
        }
        while self.places.front().is_some_and(is_ready) {
            let place = self.places.pop_front();
            wire.write(&place.map_or(Vec::new(), |place| place.line));
        }
    }
}

impl Protocol<Arc<Pool>> for InOrder {
    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Arc<Pool>>,
    ) -> io::Result<usize> {
        let end = data.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for line in data[..end].split_inclusive(|&byte| byte == b'\n') {
            let is_slow = line.starts_with(b"slow");
            let is_ready = Arc::new(AtomicBool::new(!is_slow));
            self.places.push_back(Place { line: line.into(), is_ready: Arc::clone(&is_ready) });
            if is_slow {
                let (token, pool) = (wire.token(), Arc::clone(cx.state));
                let work = || thread::sleep(Duration::from_millis(300));
                pool.submit_for(&cx.handle(), work, move |_, cx| {
                    is_ready.store(true, Ordering::Release);
                    let _ = cx.notify(token); // its client may have left
                })?;
            }
        }
        self.send(wire);
        Ok(end)
    }

    fn notified(&mut self, wire: &mut Wire, _: &mut Context<Arc<Pool>>) -> io::Result<()> {
        self.send(wire);
        Ok(())
    }
}

pub fn worker_answers(wrong: bool) -> io::Result<()> {
    let mut reactor = Reactor::builder().build_with(Arc::new(Pool::new(8, 64)?))?;
    let door = Listener::bind(address().as_str())?;
    door.serve(&mut reactor.context(), move |client, cx| {
        Connection::new(InOrder { wrong, places: VecDeque::new() }).serve(client, cx)?;
        Ok(())
    })?;
    reactor.run()
}

pub fn out_of_descriptors(wrong: bool) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(100);
    struct Echo {
        wrong: bool,
        accepts_at: Instant,
    }
    impl Serve for Echo {
        fn accept_failed(&mut self, timers: &mut Timers) {
            if !self.wrong {
                self.accepts_at = Instant::now() + PAUSE;
                timers.again_after(PAUSE);
            } // or the error is ignored, and the listener is still readable
        }

        fn accepts(&self, _: usize) -> bool {
            Instant::now() >= self.accepts_at
        }
    }
    serve(Echo { wrong, accepts_at: Instant::now() })
}
