//! Chapters 26, 27, 29 and 31.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use tripoll::sys::{Epoll, EpollFlags};

use crate::looped::{Client, Serve, Timers, address, listener, serve, serve_on};

pub fn one_listener(wrong: bool) -> io::Result<()> {
    let door = listener()?;
    thread::scope(|scope| {
        let run = || {
            one_loop(
                &door,
                if wrong { EpollFlags::IN } else { EpollFlags::EXCLUSIVE | EpollFlags::IN },
            )
        };
        let loops: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        loops.into_iter().try_for_each(|one| one.join().unwrap_or(Ok(())))
    })
}

/// A loop of its own, and a listener that it shares with others.
fn one_loop(door: &TcpListener, flags: EpollFlags) -> io::Result<()> {
    let epoll = Epoll::new()?;
    epoll.add(door.as_raw_fd(), flags, 0)?;
    let mut clients: BTreeMap<u64, TcpStream> = BTreeMap::new();
    let mut events = Vec::with_capacity(1);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if let Some(client) = clients.get_mut(&event.data()) {
                if !lines(client) {
                    epoll.delete(client.as_raw_fd())?;
                    clients.remove(&event.data());
                }
            } else if let Ok((mut client, _)) = door.accept() {
                let _ = client.write_all(b"hello\n"); // it may have left
                epoll.add(client.as_raw_fd(), EpollFlags::IN, client.as_raw_fd() as u64)?;
                clients.insert(client.as_raw_fd() as u64, client);
            }
        }
    }
}

/// Sends back what has come. Returns whether the client is still there.
fn lines(client: &mut TcpStream) -> bool {
    let mut buffer = [0; 1024];
    let Ok(count @ 1..) = client.read(&mut buffer) else { return false };
    if buffer[..count] == *b"sleep\n" {
        thread::sleep(Duration::from_secs(1));
    }
    client.write_all(&buffer[..count]).is_ok()
}

pub fn one_shot(wrong: bool) -> io::Result<()> {
    let flags = EpollFlags::IN | if wrong { EpollFlags::empty() } else { EpollFlags::ONESHOT };
    let door = listener()?;
    let epoll = Epoll::new()?;
    epoll.add(door.as_raw_fd(), flags, 0)?;
    let clients = Mutex::new(BTreeMap::<u64, Arc<TcpStream>>::new());
    let lock = || clients.lock().unwrap_or_else(PoisonError::into_inner);
    let worker = || -> io::Result<()> {
        let mut events = Vec::with_capacity(1);
        loop {
            epoll.wait(&mut events, None)?;
            let data = events[0].data();
            let client = lock().get(&data).map(Arc::clone);
            match client {
                Some(client) if !work(&client) => {
                    // The number is free when the last of us has dropped the client.
                    let _ = epoll.delete(client.as_raw_fd());
                    lock().remove(&data);
                }
                Some(client) => epoll.modify(client.as_raw_fd(), flags, data)?,
                None if data == 0 => {
                    if let Ok((client, _)) = door.accept() {
                        client.set_nonblocking(true)?;
                        let (fd, client) = (client.as_raw_fd(), Arc::new(client));
                        lock().insert(fd as u64, client);
                        epoll.add(fd, flags, fd as u64)?;
                    }
                    epoll.modify(door.as_raw_fd(), flags, 0)?;
                }
                None => {}
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
    })
}

/// Works for each digit, and sends back what has come. Returns whether the client is still there.
fn work(mut client: &TcpStream) -> bool {
    let mut buffer = [0; 1024];
    let count = match client.read(&mut buffer) {
        Ok(0) => {
            let _ = client.shutdown(Shutdown::Both);
            return false;
        }
        Ok(count) => count,
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    };
    let digits = buffer[..count].iter().filter(|byte| byte.is_ascii_digit());
    let sum: u64 = digits.map(|digit| u64::from(digit - b'0')).sum();
    thread::sleep(Duration::from_millis(10 * sum));
    client.write_all(&buffer[..count]).is_ok()
}

pub fn no_promise(wrong: bool) -> io::Result<()> {
    struct Echo;
    impl Serve for Echo {}
    let door = TcpListener::bind(address())?;
    door.set_nonblocking(!wrong)?;
    thread::scope(|scope| {
        let loops: Vec<_> = (0..4).map(|_| scope.spawn(|| serve_on(&door, Echo))).collect();
        loops.into_iter().try_for_each(|one| one.join().unwrap_or(Ok(())))
    })
}

pub fn children(wrong: bool) -> io::Result<()> {
    struct Starts(bool);
    impl Serve for Starts {
        fn opened(&mut self, client: &mut Client, _: &mut Timers) {
            if self.0 {
                let _ = fcntl_setfd(&client.socket, FdFlags::empty()); // as `accept` in C does
            }
        }

        fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
            client.input.extend_from_slice(data);
            for line in client.lines() {
                if line == b"run\n"
                    && let Ok(mut helper) = Command::new("sleep").arg("4").spawn()
                {
                    thread::spawn(move || helper.wait());
                    client.output.extend(b"started\n");
                } else {
                    client.closing |= line == b"bye\n";
                    client.output.extend(line);
                }
            }
        }
    }
    serve(Starts(wrong))
}
