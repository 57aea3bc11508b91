//! Chapters 5 to 9.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use tripoll::net::Utf8Decoder;
use tripoll::sys::{PollFd, PollFlags, poll};

use crate::looped::{Client, HIGH, Serve, Timers, address, serve, wanted};

pub fn one_at_a_time(wrong: bool) -> io::Result<()> {
    let door = TcpListener::bind(address())?;
    let mut before: Option<TcpStream> = None;
    for client in door.incoming() {
        let mut client = client?;
        drop(before.take());
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            if client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if wrong {
            before = Some(client); // it is closed when the next one comes
        }
    }
    Ok(())
}

/// Each piece, and 好 behind it.
struct Pieces {
    decoders: BTreeMap<u64, Utf8Decoder>,
    waits_in_send: bool,
    answers_the_end: bool,
}

impl Pieces {
    fn new() -> Self {
        Pieces { decoders: BTreeMap::new(), waits_in_send: false, answers_the_end: false }
    }
}

impl Serve for Pieces {
    fn received(&mut self, client: &mut Client, data: &[u8], _: &mut Timers) {
        let decoder = self.decoders.entry(client.id).or_default();
        for piece in data.chunks(1024) {
            client.output.extend((decoder.decode(piece) + "好").bytes());
        }
        if self.waits_in_send {
            let _ = client.socket.set_nonblocking(false);
            let _ = client.write(); // waits for a client that does not read
        }
    }

    fn finished(&mut self, client: &mut Client) {
        if self.answers_the_end {
            client.output.extend("好".bytes()); // the end is not a message
        }
        self.decoders.remove(&client.id);
        client.closing = true;
    }

    fn wants(&self, client: &Client) -> PollFlags {
        wanted(client, 4096)
    }
}

pub fn inputs(wrong: bool) -> io::Result<()> {
    serve(Pieces { waits_in_send: wrong, ..Pieces::new() })
}

pub fn message_dict(wrong: bool) -> io::Result<()> {
    serve(Pieces { answers_the_end: wrong, ..Pieces::new() })
}

pub fn back_pressure(wrong: bool) -> io::Result<()> {
    struct Echo(usize);
    impl Serve for Echo {
        fn wants(&self, client: &Client) -> PollFlags {
            wanted(client, self.0)
        }
    }
    serve(Echo(if wrong { usize::MAX } else { HIGH }))
}

pub fn ports(wrong: bool) -> io::Result<()> {
    let address = address();
    let (host, port) = address.rsplit_once(':').unwrap_or(("127.0.0.1", &address));
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let doors = (0..3).map(|more| TcpListener::bind((host, port + more)));
    let doors: Vec<_> = doors.collect::<io::Result<_>>()?;
    let mut clients: Vec<TcpStream> = Vec::new();
    loop {
        let watched = doors.iter().map(AsRawFd::as_raw_fd);
        let watched = watched.chain(clients.iter().map(AsRawFd::as_raw_fd));
        let mut lines: Vec<_> = watched.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        poll(&mut lines, None)?;
        let is_ready = |line: &PollFd| !line.revents().is_empty();
        let mut at = doors.len();
        clients.retain_mut(|client| {
            at += 1;
            !is_ready(&lines[at - 1]) || matches!(client.read(&mut [0; 4096]), Ok(1..))
        });
        for (door, _) in doors.iter().zip(&lines).filter(|(_, line)| is_ready(line)) {
            let (mut client, _) = door.accept()?;
            write!(client, "hello from {}", client.local_addr()?.port())?;
            if !wrong {
                client.shutdown(Shutdown::Write)?;
                clients.push(client);
            } // or it is closed here: a reset, if the client has sent something
        }
    }
}
