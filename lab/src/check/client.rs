//! A client of the program that is checked. Every wait has a limit.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::SendFlags;
use rustix::net::sockopt::set_socket_linger;

use super::verdict::{Verdict, Wrong, expect, quoted};

/// How long a client waits for what it expects, also on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// A connected client with a name.
#[derive(Debug)]
pub(super) struct Client {
    name: String,
    stream: TcpStream,
}

impl Client {
    pub(super) fn connect(name: &str, address: SocketAddr) -> Verdict<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| {
            Wrong::new(format!("that {name} can connect to {address}"), describe(&error))
        })?;
        Client::with(name, stream)
    }

    /// A client, or a peer that was accepted.
    pub(super) fn with(name: &str, stream: TcpStream) -> Verdict<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { name: name.into(), stream })
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Verdict {
        let bytes = bytes.as_ref();
        let sent = self.stream.write_all(bytes);
        sent.map_err(|error| {
            let what = format!("that {} can send {}", self.name, quoted(bytes));
            Wrong::new(what, describe(&error))
        })
    }

    /// Sends one byte out of band.
    pub(super) fn send_urgent(&mut self, byte: u8) -> Verdict {
        rustix::net::send(&self.stream, &[byte], SendFlags::OOB).map_err(io::Error::from)?;
        Ok(())
    }

    /// Sends a pattern until nothing was taken for a while, and returns how much that was. Stops after
    /// `most` bytes.
    pub(super) fn flood(&mut self, most: usize) -> Verdict<usize> {
        let pattern = pattern(0, 64 << 10);
        self.pour(&pattern, most)
    }

    /// Sends the same bytes again and again until nothing was taken for a while, and returns how much
    /// that was. Stops after `most` bytes.
    pub(super) fn pour(&mut self, again: &[u8], most: usize) -> Verdict<usize> {
        let (sent, error) = self.try_pour(again, most)?;
        match error {
            None => Ok(sent),
            Some(error) => {
                let what = format!("that {} can go on sending", self.name);
                Err(Wrong::new(what, describe(&error)))
            }
        }
    }

    /// As `pour`. Returns also the error after which no more can be sent.
    pub(super) fn try_pour(
        &mut self,
        again: &[u8],
        most: usize,
    ) -> Verdict<(usize, Option<io::Error>)> {
        const WHILE: Duration = Duration::from_millis(600);
        self.stream.set_nonblocking(true)?;
        let (mut sent, mut last, mut end) = (0, Instant::now(), None);
        while sent < most && last.elapsed() < WHILE && end.is_none() {
            match self.stream.write(&again[sent % again.len()..]) {
                Ok(count) => (sent, last) = (sent + count, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => end = Some(error),
            }
        }
        self.stream.set_nonblocking(false)?;
        Ok((sent, end))
    }

    /// Reads so many bytes, of which `flood` has sent the pattern.
    pub(super) fn expect_flood(&mut self, count: usize) -> Verdict {
        let mut buffer = vec![0; 64 << 10];
        let mut read = 0;
        while read < count {
            let most = buffer.len().min(count - read);
            let what = format!("that {} gets all {count} bytes back", self.name);
            let number = match self.stream.read(&mut buffer[..most]) {
                Ok(0) => return Err(Wrong::new(what, format!("the end after {read} bytes"))),
                Ok(number) => number,
                Err(error) => {
                    let seen = format!("{} after {read} bytes", describe(&error));
                    return Err(Wrong::new(what, seen));
                }
            };
            let same = buffer[..number] == pattern(read, number)[..];
            expect(same, what, format!("other bytes between {read} and {}", read + number))?;
            read += number;
        }
        Ok(())
    }

    /// Reads exactly these bytes.
    pub(super) fn expect(&mut self, bytes: impl AsRef<[u8]>) -> Verdict {
        let bytes = bytes.as_ref();
        let what = format!("that {} gets {}", self.name, quoted(bytes));
        let most = 2 * PATIENCE + Duration::from_micros(bytes.len() as u64); // a mebibyte a second
        let (mut read, end) = (Vec::new(), Instant::now() + most);
        let mut buffer = [0; 16 << 10];
        while read.len() < bytes.len() {
            if Instant::now() > end {
                return Err(Wrong::new(what, format!("only {} in time", quoted(&read))));
            }
            let most = buffer.len().min(bytes.len() - read.len());
            let before = || match read.as_slice() {
                [] => String::new(),
                read => format!("{}, then ", quoted(read)),
            };
            let from = read.len();
            match self.stream.read(&mut buffer[..most]) {
                Ok(0) => return Err(Wrong::new(what, format!("{}the end", before()))),
                Ok(count) => read.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    return Err(Wrong::new(what, format!("{}{}", before(), describe(&error))));
                }
            }
            if !bytes[from..].starts_with(&read[from..]) {
                return Err(Wrong::new(what, quoted(&read)));
            }
        }
        Ok(())
    }

    /// Reads a line with its end, `\n`.
    pub(super) fn line(&mut self) -> Verdict<String> {
        const MOST: usize = 4096;
        let what = format!("that {} gets a line", self.name);
        let (mut line, end) = (Vec::new(), Instant::now() + 2 * PATIENCE);
        while !line.ends_with(b"\n") && line.len() < MOST && Instant::now() < end {
            let mut byte = [0];
            let after = |line: &[u8]| format!("after {}", quoted(line));
            match self.stream.read(&mut byte) {
                Ok(0) => return Err(Wrong::new(what, format!("the end {}", after(&line)))),
                Ok(_) => line.push(byte[0]),
                Err(error) => {
                    let seen = format!("{} {}", describe(&error), after(&line));
                    return Err(Wrong::new(what, seen));
                }
            }
        }
        expect(line.ends_with(b"\n"), what, quoted(&line))?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Sends, and expects an answer and nothing behind it.
    pub(super) fn ask(&mut self, bytes: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Verdict {
        self.send(bytes)?;
        self.expect(&answer)?;
        self.stream.set_nonblocking(true)?;
        let mut more = [0; 1024];
        let count = self.stream.peek(&mut more).unwrap_or(0);
        self.stream.set_nonblocking(false)?;
        let answer = quoted(answer.as_ref());
        let seen = format!("{answer} and then {}", quoted(&more[..count]));
        expect(count == 0, format!("that {} gets {answer}", self.name), seen)
    }

    /// Expects the end of the stream, and no byte before it.
    pub(super) fn expect_end(&mut self) -> Verdict {
        let what = format!("that {} reads the end of the stream", self.name);
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Ok(()),
            Ok(count) => Err(Wrong::new(what, quoted(&buffer[..count]))),
            Err(error) => Err(Wrong::new(what, describe(&error))),
        }
    }

    /// Expects the end of the stream or a reset, whatever comes before.
    pub(super) fn expect_gone(&mut self) -> Verdict {
        let what = format!("that {} is disconnected", self.name);
        let (mut buffer, end) = ([0; 4096], Instant::now() + PATIENCE);
        while Instant::now() < end {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(_) => break,
            }
        }
        Err(Wrong::new(what, format!("no end within {PATIENCE:?}")))
    }

    /// Reads exactly these bytes, or finds that it is disconnected before the first of them.
    pub(super) fn expect_or_gone(&mut self, bytes: impl AsRef<[u8]>) -> Verdict {
        match self.stream.peek(&mut [0]) {
            Ok(0) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            _ => self.expect(bytes),
        }
    }

    /// Whether something has come that was not read.
    pub(super) fn has_input(&mut self) -> Verdict<bool> {
        self.stream.set_nonblocking(true)?;
        let count = self.stream.peek(&mut [0]).unwrap_or(0);
        self.stream.set_nonblocking(false)?;
        Ok(count > 0)
    }

    /// Whether it reads the end or a reset, now. What came before is read.
    pub(super) fn is_gone(&mut self) -> Verdict<bool> {
        self.stream.set_nonblocking(true)?;
        let is_gone = loop {
            match self.stream.read(&mut [0; 1024]) {
                Ok(1..) => {}
                Ok(0) => break true,
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false)?;
        Ok(is_gone)
    }

    /// Expects nothing for so long: no byte, no end.
    pub(super) fn expect_silence(&mut self, time: Duration) -> Verdict {
        self.stream.set_read_timeout(Some(time))?;
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer);
        self.stream.set_read_timeout(Some(PATIENCE))?;
        let what = format!("that {} gets nothing yet", self.name);
        match read {
            Ok(0) => Err(Wrong::new(what, "the end of the stream")),
            Ok(count) => Err(Wrong::new(what, quoted(&buffer[..count]))),
            Err(error) if is_timeout(&error) => Ok(()),
            Err(error) => Err(Wrong::new(what, describe(&error))),
        }
    }

    /// Reads until the end of the stream.
    pub(super) fn read_to_end(&mut self) -> Verdict<Vec<u8>> {
        const MOST: u64 = 1 << 20;
        let mut read = Vec::new();
        let what = format!("that {} reads the end of the stream", self.name);
        let ended = Read::by_ref(&mut self.stream).take(MOST).read_to_end(&mut read);
        let after = format!("after {}", quoted(&read));
        ended.map_err(|error| Wrong::new(&what, format!("{} {after}", describe(&error))))?;
        expect(
            (read.len() as u64) < MOST,
            what,
            format!("more and more bytes: {}", quoted(&read)),
        )?;
        Ok(read)
    }

    /// Finishes sending, and goes on reading.
    pub(super) fn half_close(&mut self) -> Verdict {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Leaves by a reset.
    pub(super) fn reset(self) -> Verdict {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).map_err(io::Error::from)?;
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        _ if is_timeout(error) => format!("nothing for {} s", PATIENCE.as_secs()),
        ErrorKind::ConnectionReset => "a reset of the connection".into(),
        ErrorKind::BrokenPipe => "the connection closed".into(),
        ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => error.to_string(),
    }
}

/// Printable letters without spaces and line ends, from a place of the endless pattern on. Of 64 KiB
/// that are repeated, letters that follow each other differ.
fn pattern(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).map(|place| b'!' + (place % (64 << 10) % 89) as u8).collect()
}
