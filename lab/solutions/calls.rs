//! Chapters 1 to 4.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use tripoll::sys::{Epoll, EpollFlags, PollFlags};

use crate::looped::{Client, HIGH, Serve, Timers, listener, serve, wanted};

pub fn select(wrong: bool) -> io::Result<()> {
    struct Echo(bool);
    impl Serve for Echo {
        fn wants(&self, client: &Client) -> PollFlags {
            // An idle socket is always writable: a loop that always asks for that never sleeps.
            let always = if self.0 { PollFlags::OUT } else { PollFlags::empty() };
            wanted(client, HIGH) | always
        }
    }
    serve(Echo(wrong))
}

pub fn poll(wrong: bool) -> io::Result<()> {
    struct Lines(bool);
    impl Serve for Lines {
        fn received(&mut self, client: &mut Client, data: &[u8], timers: &mut Timers) {
            client.input.extend_from_slice(data);
            for line in client.lines() {
                if line == b"wait\n" {
                    client.paused = true;
                    timers.after(Duration::from_secs(1), client);
                } else {
                    client.output.extend(line);
                }
            }
        }

        fn timed_out(&mut self, client: &mut Client, _: &mut Timers) {
            client.paused = false;
            client.output.extend(b"done\n");
        }

        fn keeps_the_idle(&self) -> bool {
            self.0 // a hang-up is reported all the same
        }
    }
    serve(Lines(wrong))
}

pub fn epoll(wrong: bool) -> io::Result<()> {
    let door = listener()?;
    let epoll = Epoll::new()?;
    epoll.add(door.as_raw_fd(), EpollFlags::IN, 0)?;
    let mut clients = BTreeMap::new();
    let (mut duplicates, mut events) = (Vec::new(), Vec::with_capacity(64));
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == 0 {
                let (client, _) = door.accept()?;
                client.set_nonblocking(true)?;
                duplicates.push(client.try_clone()?); // for a log, say
                let fd = client.as_raw_fd();
                epoll.add(fd, EpollFlags::IN, fd as u64)?;
                clients.insert(fd, client);
                continue;
            }
            let fd = event.data() as i32;
            let Some(mut client) = clients.get(&fd) else { continue };
            let mut buffer = [0; 4096];
            match client.read(&mut buffer)? {
                0 => {
                    if !wrong {
                        epoll.delete(fd)?; // the duplicate keeps the file open, and listed
                    }
                    clients.remove(&fd);
                }
                count => client.write_all(&buffer[..count])?,
            }
        }
    }
}

pub fn edge(wrong: bool) -> io::Result<()> {
    let flags = EpollFlags::IN | EpollFlags::OUT | EpollFlags::ET;
    let door = listener()?;
    let epoll = Epoll::new()?;
    epoll.add(door.as_raw_fd(), EpollFlags::IN | EpollFlags::ET, 0)?;
    let mut clients: BTreeMap<i32, (TcpStream, Vec<u8>)> = BTreeMap::new();
    let mut events = Vec::with_capacity(64);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == 0 {
                while let Ok((client, _)) = door.accept() {
                    client.set_nonblocking(true)?;
                    let fd = client.as_raw_fd();
                    epoll.add(fd, flags, fd as u64)?;
                    clients.insert(fd, (client, Vec::new()));
                    if wrong {
                        break;
                    }
                }
            } else if let Some((client, output)) = clients.get_mut(&(event.data() as i32))
                && !echo(client, output, wrong)
            {
                epoll.delete(event.data() as i32)?;
                clients.remove(&(event.data() as i32));
            }
        }
    }
}

/// Reads and writes until both would block. Returns whether the client is still there.
fn echo(client: &mut TcpStream, output: &mut Vec<u8>, wrong: bool) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => output.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return false,
        }
        if wrong {
            break; // what is left is not reported again
        }
    }
    while !output.is_empty() {
        match client.write(output) {
            Ok(count) => _ = output.drain(..count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return false,
        }
    }
    true
}
