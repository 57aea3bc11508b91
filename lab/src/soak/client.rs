//! The clients: friendly ones, whose answers are compared, and hostile ones of every kind.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::server::Target;
use crate::workload::Xorshift;

/// What clients have done, and what went wrong with friendly ones.
#[derive(Debug, Default)]
pub(super) struct Tally {
    clients: BTreeMap<&'static str, u64>,
    /// The bytes that friendly clients have got back, equal to those that they have sent.
    compared: u64,
    pub(super) faults: Vec<String>,
}

/// A thread of clients keeps its first faults. More of them say nothing new.
const MOST_FAULTS: usize = 5;

impl Tally {
    pub(super) fn add(&mut self, other: &Tally) {
        for (&what, count) in &other.clients {
            *self.clients.entry(what).or_default() += count;
        }
        self.compared += other.compared;
        self.faults.extend(other.faults.iter().cloned());
    }

    fn note(&mut self, target: &Target, manner: Manner, result: io::Result<u64>) {
        *self.clients.entry(manner.name()).or_default() += 1;
        match result {
            Ok(compared) => self.compared += compared,
            Err(error) if manner.is_friendly() && self.faults.len() < MOST_FAULTS => {
                let what = match error.kind() {
                    io::ErrorKind::WouldBlock => format!("no answer within {PATIENCE:?}"),
                    _ => error.to_string(),
                };
                let Target { name, .. } = target;
                self.faults.push(format!("{name}: a {} client: {what}", manner.name()));
            }
            Err(_) => {} // the server may close the connection of a hostile one
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.clients.values().sum();
        write!(f, "{total} clients, {} bytes compared", self.compared)?;
        self.clients.iter().try_for_each(|(what, count)| write!(f, "\n    {count:>8} {what}"))
    }
}

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Sends pieces, and reads each back.
    Friendly,
    /// Sends all, finishes, and reads to the end.
    HalfClosing,
    /// Sends much, and reads a little at a time.
    Slow,
    /// Sends without reading.
    Flooding,
    /// Leaves by a reset.
    Resetting,
    /// Connects, and sends nothing.
    Silent,
    /// Closes at once.
    Fleeting,
    /// Sends datagrams of any length, and reads no answer.
    Careless,
}

impl Manner {
    const OF_STREAMS: [Manner; 7] = [
        Manner::Friendly,
        Manner::HalfClosing,
        Manner::Slow,
        Manner::Flooding,
        Manner::Resetting,
        Manner::Silent,
        Manner::Fleeting,
    ];
    const OF_DATAGRAMS: [Manner; 3] = [Manner::Friendly, Manner::Silent, Manner::Careless];

    fn name(self) -> &'static str {
        match self {
            Manner::Friendly => "friendly",
            Manner::HalfClosing => "half-closing",
            Manner::Slow => "slow",
            Manner::Flooding => "flooding",
            Manner::Resetting => "resetting",
            Manner::Silent => "silent",
            Manner::Fleeting => "fleeting",
            Manner::Careless => "careless",
        }
    }

    fn is_friendly(self) -> bool {
        matches!(self, Manner::Friendly | Manner::HalfClosing)
    }
}

/// A hostile client leaves after so long.
const VISIT: Duration = Duration::from_millis(300);
/// A friendly one waits for so long, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PIECE: usize = 8 << 10;

/// Sends one client after the other until `over`.
pub(super) fn come_and_go(targets: &[Target], mut dice: Xorshift, over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while !over.load(Ordering::Relaxed) {
        let target = &targets[dice.below(targets.len())];
        let manners: &[_] =
            if target.is_datagram { &Manner::OF_DATAGRAMS } else { &Manner::OF_STREAMS };
        let manner = manners[dice.below(manners.len())];
        let result = visit(target, manner, &mut dice, over);
        tally.note(target, manner, result);
    }
    tally
}

/// Sends one friendly client.
pub(super) fn greet(target: &Target) -> Tally {
    let mut tally = Tally::default();
    let result = visit(target, Manner::Friendly, &mut Xorshift::default(), &AtomicBool::new(false));
    tally.note(target, Manner::Friendly, result);
    tally
}

/// Returns how many bytes were compared.
fn visit(
    target: &Target,
    manner: Manner,
    dice: &mut Xorshift,
    over: &AtomicBool,
) -> io::Result<u64> {
    let abstract_name = target.address.strip_prefix('@');
    match (target.is_datagram, abstract_name) {
        (false, None) => {
            let client = TcpStream::connect(&target.address)?;
            client.set_read_timeout(Some(PATIENCE))?;
            client.set_write_timeout(Some(PATIENCE))?;
            talk(client, TcpStream::shutdown, TcpStream::set_nonblocking, manner, dice, over)
        }
        (false, Some(name)) => {
            let client = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            client.set_read_timeout(Some(PATIENCE))?;
            client.set_write_timeout(Some(PATIENCE))?;
            talk(client, UnixStream::shutdown, UnixStream::set_nonblocking, manner, dice, over)
        }
        (true, None) => {
            let client = UdpSocket::bind("127.0.0.1:0")?;
            client.connect(&target.address)?;
            client.set_read_timeout(Some(VISIT))?;
            exchange(|data| client.send(data), |buffer| client.recv(buffer), manner, dice)
        }
        (true, Some(name)) => {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let own = format!("tripoll-soak-{}-{number}", std::process::id());
            let client = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(own)?)?;
            client.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            client.set_read_timeout(Some(VISIT))?;
            client.set_write_timeout(Some(VISIT))?;
            exchange(|data| client.send(data), |buffer| client.recv(buffer), manner, dice)
        }
    }
}

/// Talks as a client of a stream.
fn talk<S: Read + Write + AsFd>(
    mut server: S,
    shutdown: fn(&S, Shutdown) -> io::Result<()>,
    set_nonblocking: fn(&S, bool) -> io::Result<()>,
    manner: Manner,
    dice: &mut Xorshift,
    over: &AtomicBool,
) -> io::Result<u64> {
    let end = Instant::now() + VISIT;
    let mut buffer = vec![0; PIECE];
    match manner {
        Manner::Friendly => {
            let mut compared = 0;
            for _ in 0..1 + dice.below(20) {
                let data = random_bytes(1 + dice.below(PIECE), dice);
                server.write_all(&data)?;
                server.read_exact(&mut buffer[..data.len()])?;
                compare(&data, &buffer[..data.len()])?;
                compared += data.len() as u64;
            }
            Ok(compared)
        }
        Manner::HalfClosing => {
            let data = random_bytes(dice.below(PIECE), dice);
            server.write_all(&data)?;
            shutdown(&server, Shutdown::Write)?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer)?;
            compare(&data, &answer)?;
            Ok(data.len() as u64)
        }
        Manner::Slow | Manner::Flooding | Manner::Resetting => {
            set_nonblocking(&server, true)?;
            let data = random_bytes(64 << 10, dice);
            while Instant::now() < end && !over.load(Ordering::Relaxed) {
                let _ = server.write(&data); // there may be no room
                if manner == Manner::Slow {
                    let _ = server.read(&mut buffer[..100]);
                }
                thread::sleep(Duration::from_millis(5));
                if manner == Manner::Resetting && dice.below(4) == 0 {
                    break;
                }
            }
            if manner == Manner::Resetting {
                set_socket_linger(&server, Some(Duration::ZERO))?;
            }
            Ok(0)
        }
        Manner::Silent => {
            thread::sleep(VISIT);
            Ok(0)
        }
        Manner::Fleeting | Manner::Careless => Ok(0),
    }
}

/// Talks as a client of datagrams.
fn exchange(
    send: impl Fn(&[u8]) -> io::Result<usize>,
    receive: impl Fn(&mut [u8]) -> io::Result<usize>,
    manner: Manner,
    dice: &mut Xorshift,
) -> io::Result<u64> {
    match manner {
        Manner::Friendly => {
            let data = random_bytes(1 + dice.below(1_000), dice);
            let mut buffer = [0; 2_048];
            let end = Instant::now() + PATIENCE;
            // A datagram may be lost, when the server's buffer is full.
            loop {
                match send(&data).and_then(|_| receive(&mut buffer)) {
                    Ok(count) => {
                        compare(&data, &buffer[..count])?;
                        return Ok(count as u64);
                    }
                    Err(error) if Instant::now() > end => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Manner::Careless => {
            for _ in 0..1 + dice.below(50) {
                send(&random_bytes(dice.below(4_000), dice))?;
            }
            Ok(0)
        }
        _ => Ok(0),
    }
}

fn random_bytes(length: usize, dice: &mut Xorshift) -> Vec<u8> {
    (0..length).map(|_| dice.below(256) as u8).collect()
}

fn compare(sent: &[u8], received: &[u8]) -> io::Result<()> {
    if sent == received {
        return Ok(());
    }
    let same = sent.iter().zip(received).take_while(|(sent, received)| sent == received).count();
    Err(io::Error::other(format!(
        "of {} bytes that it sent, {} came back, of which the first {same} are right",
        sent.len(),
        received.len()
    )))
}
