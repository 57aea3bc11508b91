//! Random histories: many clients, who write and read in pieces of any size, or do not read for a
//! while, finish early, or vanish, over a protocol of lines. Whatever happens, every client that
//! stays gets exactly the bytes that its own lines ask for. Fixed seeds, on every backend and
//! trigger.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;
use support::net::{Call, Server};
use support::{Dice, LONG, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::{Address, Connection, Listener, Watermarks, Wire};

const CLIENTS: usize = 8;

/// What is answered to a line: itself, backwards, three times.
fn answer(line: &[u8]) -> Vec<u8> {
    let mut answer = line.to_vec();
    answer.reverse();
    answer.repeat(3)
}

/// All answers: to each line with its end, and to what comes after the last.
fn answers(text: &[u8]) -> Vec<u8> {
    text.split_inclusive(|&byte| byte == b'\n').flat_map(answer).collect()
}

/// One client and its part in the history.
struct Client {
    stream: Socket,
    /// What it has to say, and how much of it is said.
    text: Vec<u8>,
    said: usize,
    heard: Vec<u8>,
    is_done: bool,
    /// Vanishes, with a reset, when so much is said.
    vanishes_at: Option<usize>,
}

impl Client {
    fn new(server: &Server, dice: &mut Dice) -> Self {
        let stream = match &server.address {
            Address::Unix(path) => Socket::from(UnixStream::connect(path).unwrap()),
            _ => Socket::from(server.client()),
        };
        stream.set_nonblocking(true).unwrap();
        let mut text = Vec::new();
        for _ in 0..dice.below(60) {
            let longest = [1, 10, 100, 30_000][dice.below(4)];
            let letter = b'a' + dice.below(26) as u8;
            text.resize(text.len() + dice.below(longest), letter);
            text.push(b'\n');
        }
        text.resize(text.len() + dice.below(5), b'.'); // not always a whole line at the end
        let vanishes_at = (dice.below(6) == 0).then(|| dice.below(text.len() + 1));
        Client { stream, text, said: 0, heard: Vec::new(), is_done: false, vanishes_at }
    }

    /// Does one thing. False if nothing can be done now.
    fn act(&mut self, dice: &mut Dice) -> bool {
        if self.vanishes_at.is_some_and(|at| self.said >= at) {
            self.stream.set_linger(Some(Duration::ZERO)).unwrap();
            self.is_done = true;
            return true;
        }
        let most = [10, 1_000, 50_000][dice.below(3)];
        let size = 1 + dice.below(most);
        if dice.below(2) == 0 { self.write(size) } else { self.read(size) }
    }

    fn write(&mut self, size: usize) -> bool {
        if self.said == self.text.len() {
            return false;
        }
        let piece = &self.text[self.said..self.text.len().min(self.said + size)];
        match self.stream.write(piece) {
            Ok(count) => self.said += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return false;
            }
        }
        if self.said == self.text.len() && self.vanishes_at.is_none() {
            self.stream.shutdown(Shutdown::Write).unwrap();
        }
        true
    }

    fn read(&mut self, size: usize) -> bool {
        let mut buffer = vec![0; size];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.is_done = true,
            Ok(count) => self.heard.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                return false;
            }
        }
        true
    }
}

#[test]
fn every_client_gets_what_its_own_lines_ask_for() {
    on_every_pair_and_noise(|pair| {
        let drained = Arc::new(AtomicUsize::new(0));
        let lines = {
            let drained = drained.clone();
            move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Received(data) => {
                        let Some(end) = data.iter().position(|&byte| byte == b'\n') else {
                            return Ok(0);
                        };
                        wire.write(&answer(&data[..=end]));
                        return Ok(end + 1);
                    }
                    Call::Ended(rest) => {
                        wire.write(&answer(rest));
                        wire.close();
                    }
                    Call::Drained => _ = drained.fetch_add(1, Ordering::Relaxed),
                    _ => {}
                }
                Ok(0)
            }
        };
        // The answer to a long line is over the limit, and so closes the connection if it is followed
        // by another: a connection above the high mark must not call its protocol.
        let marks = |connection: Connection<_>| {
            connection.watermarks(Watermarks::new(1_000, 10_000, 50_000))
        };
        // Over TCP, and over a Unix socket, whose buffers are small: who does not read is soon felt.
        let path = std::env::temp_dir().join(format!("tripoll-model-{}", std::process::id()));
        for (seed, address) in
            ["127.0.0.1:0".parse().unwrap(), Address::Unix(path)].iter().enumerate()
        {
            let server = Server::at(pair, address, Listener::builder(), marks, lines.clone());
            let mut dice = Dice(seed as u64);
            let mut clients: Vec<_> =
                (0..CLIENTS).map(|_| Client::new(&server, &mut dice)).collect();
            let mut last_act = Instant::now();
            while !clients.is_empty() {
                let index = dice.below(clients.len());
                if clients[index].act(&mut dice) {
                    last_act = Instant::now();
                } else {
                    assert!(last_act.elapsed() < LONG, "seed {seed}: nobody can go on");
                    std::thread::yield_now();
                }
                if clients[index].is_done {
                    let client = clients.swap_remove(index);
                    let expected = answers(&client.text);
                    if client.vanishes_at.is_some() {
                        assert!(expected.starts_with(&client.heard), "seed {seed}");
                    } else {
                        assert!(expected == client.heard, "seed {seed}: other bytes");
                    }
                }
            }
            server.await_sources(1);
            let calls: Vec<_> = server.calls.try_iter().collect();
            let count = |is_it: fn(&Call) -> bool| calls.iter().filter(|call| is_it(call)).count();
            assert_eq!(count(|call| *call == Call::Opened), CLIENTS);
            assert_eq!(count(|call| matches!(call, Call::Closed(_))), CLIENTS);
        }
        assert!(drained.load(Ordering::Relaxed) > 0, "nobody was ever choked");
    });
}
