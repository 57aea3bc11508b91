//! Chapters 10 to 14.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use tripoll::net::{Closed, Connection, Listener, Protocol, Wire};
use tripoll::sys::{Epoll, EpollFlags, PollFlags};
use tripoll::{Backend, Context, Reactor};

use crate::looped::{Client, HIGH, Serve, Timers, address, listener, serve, wanted};

pub fn tokens(wrong: bool) -> io::Result<()> {
    #[derive(Default)]
    struct Later {
        by_number: bool,
        /// What is known of each client, by its id.
        inputs: BTreeMap<u64, Vec<u8>>,
        waiting: BTreeMap<u64, VecDeque<Vec<u8>>>,
    }
    impl Serve for Later {
        fn id(&self, next: u64, fd: i32) -> u64 {
            if self.by_number { fd as u64 } else { next } // the next client gets the number again
        }

        fn received(&mut self, client: &mut Client, data: &[u8], timers: &mut Timers) {
            client.input = self.inputs.remove(&client.id).unwrap_or_default();
            client.input.extend_from_slice(data);
            for line in client.lines() {
                self.waiting.entry(client.id).or_default().push_back(line);
                timers.after(Duration::from_millis(300), client);
            }
            self.inputs.insert(client.id, std::mem::take(&mut client.input));
        }

        fn timed_out(&mut self, client: &mut Client, _: &mut Timers) {
            let waiting = self.waiting.get_mut(&client.id);
            client.output.extend(waiting.and_then(VecDeque::pop_front).unwrap_or_default());
        }
    }
    serve(Later { by_number: wrong, ..Later::default() })
}

pub fn contract(wrong: bool) -> io::Result<()> {
    let door = listener()?;
    let epoll = Epoll::new()?;
    epoll.add(door.as_raw_fd(), EpollFlags::IN, 0)?;
    let mut clients: BTreeMap<i32, TcpStream> = BTreeMap::new();
    let mut events = Vec::with_capacity(64);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == 0 {
                let (client, _) = door.accept()?;
                client.set_nonblocking(true)?;
                let fd = client.as_raw_fd();
                epoll.add(fd, EpollFlags::IN | EpollFlags::ET, fd as u64)?;
                clients.insert(fd, client);
            } else if let Some(client) = clients.get_mut(&(event.data() as i32))
                && !echo(client, wrong)
            {
                epoll.delete(event.data() as i32)?;
                clients.remove(&(event.data() as i32));
            }
        }
    }
}

/// Sends back what there is, which is little. Returns whether the client is still there.
fn echo(client: &mut TcpStream, wrong: bool) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                if client.write_all(&buffer[..count]).is_err() {
                    return false;
                }
                if wrong && count < buffer.len() {
                    return true; // an urgent byte or the end may be behind it
                }
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

pub fn answers(wrong: bool) -> io::Result<()> {
    #[derive(Default)]
    struct Slowly {
        wrong: bool,
        waiting: BTreeMap<u64, VecDeque<Vec<u8>>>,
    }
    impl Slowly {
        fn next(&mut self, client: &mut Client, timers: &mut Timers) {
            if let Some(line) = self.waiting.entry(client.id).or_default().pop_front() {
                client.output.extend(line);
                client.paused = true;
                timers.after(Duration::from_millis(100), client);
            }
        }
    }
    impl Serve for Slowly {
        fn received(&mut self, client: &mut Client, data: &[u8], timers: &mut Timers) {
            client.input.extend_from_slice(data);
            let lines = client.lines();
            self.waiting.entry(client.id).or_default().extend(lines);
            self.next(client, timers);
        }

        fn timed_out(&mut self, client: &mut Client, timers: &mut Timers) {
            client.paused = false;
            self.next(client, timers);
        }

        fn wants(&self, client: &Client) -> PollFlags {
            // The wrong one asks for input that it does not read.
            wanted(client, HIGH) | if self.wrong { PollFlags::IN } else { PollFlags::empty() }
        }
    }
    serve(Slowly { wrong, ..Slowly::default() })
}

pub fn timers(wrong: bool) -> io::Result<()> {
    close_idle(wrong, Duration::from_secs(1))
}

/// Closes clients after so much silence. The wrong one counts from their beginning.
pub fn close_idle(wrong: bool, silence: Duration) -> io::Result<()> {
    struct Idle {
        wrong: bool,
        silence: Duration,
        deadlines: BTreeMap<u64, Instant>,
    }
    impl Serve for Idle {
        fn opened(&mut self, client: &mut Client, timers: &mut Timers) {
            self.deadlines.insert(client.id, Instant::now() + self.silence);
            timers.after(self.silence, client);
        }

        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            client.output.extend_from_slice(data);
            if !self.wrong {
                // The timer stays where it is.
                self.deadlines.insert(client.id, Instant::now() + self.silence);
            }
        }

        fn timed_out(&mut self, client: &mut Client, timers: &mut Timers) {
            let left = self.deadlines[&client.id].saturating_duration_since(Instant::now());
            if left.is_zero() {
                client.closing = true;
            } else {
                timers.after(left, client);
            }
        }
    }
    serve(Idle { wrong, silence, deadlines: BTreeMap::new() })
}

pub fn switch(wrong: bool) -> io::Result<()> {
    struct Echo {
        fewest: usize,
    }
    impl Echo {
        /// Switches, if there are many clients or few.
        fn look(&self, cx: &mut Context) -> io::Result<()> {
            let clients = cx.len() - 1;
            match cx.backend() {
                "poll" if clients > 100 => cx.switch_to(Backend::Epoll)?,
                "epoll" if clients < self.fewest => cx.switch_to(Backend::Poll)?,
                _ => {}
            }
            Ok(())
        }
    }
    impl Protocol for Echo {
        fn opened(&mut self, _: &mut Wire, cx: &mut Context) -> io::Result<()> {
            self.look(cx)
        }

        fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
            wire.write(data);
            Ok(data.len())
        }

        fn closed(&mut self, _: &Closed, cx: &mut Context) {
            let _ = self.look(cx); // it stays with the call that it has
        }
    }
    let fewest = if wrong { 100 } else { 50 };
    let mut reactor = Reactor::builder().backend(Backend::Poll).build()?;
    let door = Listener::bind(address().as_str())?;
    door.serve(&mut reactor.context(), move |client, cx| {
        Connection::new(Echo { fewest }).serve(client, cx)?;
        Ok(())
    })?;
    reactor.run()
}
