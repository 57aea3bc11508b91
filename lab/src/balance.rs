//! `tripoll balance`: how evenly each way of distribution loads several loops.
//!
//! Clients connect, ask and are answered. Some of them stay, the others leave. What counts is how many
//! connections each loop has got, and how many are open in it at the end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use hdrhistogram::Histogram;
use socket2::{Domain, Socket, Type};
use tripoll::net::loops::{Distribution, LoopsCounters};
use tripoll::net::{Address, Connection, Loops, Protocol, Wire};
use tripoll::{Backend, Context, Trigger};

use crate::workload::Xorshift;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Balance {
    /// The number of loops.
    pub threads: usize,
    /// The number of connections for each way.
    pub connections: usize,
    /// The number of clients that connect at the same time.
    pub clients: usize,
    /// One of so many connections stays, by chance. The others leave after an answer.
    pub one_stays_of: usize,
    /// The backend of the loops.
    pub backend: Backend,
    /// The trigger of the loops.
    pub trigger: Trigger,
}

/// What was measured: the counters for each way, while the connections that stay are open.
#[derive(Debug)]
pub struct Outcome {
    balance: Balance,
    ways: Vec<(Distribution, LoopsCounters)>,
}

/// What was measured with one way.
pub(crate) struct Run {
    /// The counters, while the connections that stay are open.
    pub(crate) counters: LoopsCounters,
    /// How long each client waited, from its call of connect until its answer, in nanoseconds.
    pub(crate) answers: Histogram<u64>,
}

/// The longest time that a connection may take.
const LONG: Duration = Duration::from_secs(60);
/// Clients come from so many addresses.
const PEERS: usize = 250;

/// Sends one byte back, and closes if it is a full stop.
struct Answer;

impl Protocol for Answer {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> io::Result<usize> {
        wire.write(data);
        if data.contains(&b'.') {
            wire.close();
        }
        Ok(data.len())
    }
}

impl Balance {
    /// Measures each way.
    ///
    /// # Errors
    ///
    /// Those of starting the loops and of connecting. `TimedOut` if the connections that leave do not
    /// end.
    pub fn run(self) -> io::Result<Outcome> {
        let measure = |&way: &Distribution| Ok((way, self.measure(way)?.counters));
        let ways = Distribution::ALL.iter().map(measure).collect::<io::Result<_>>()?;
        Ok(Outcome { balance: self, ways })
    }

    /// Measures one way.
    pub(crate) fn measure(self, way: Distribution) -> io::Result<Run> {
        let loops = Loops::builder()
            .threads(self.threads)
            .backend(self.backend)
            .trigger(self.trigger)
            .distribution(way)
            .max_connections(usize::MAX)
            .serve(
                "127.0.0.1:0",
                |_| (),
                |stream, cx| {
                    Connection::new(Answer).linger(Duration::ZERO).serve(stream, cx)?;
                    Ok(())
                },
            )?;
        let Address::Inet(address) = *loops.local_address() else {
            unreachable!("it was bound to an IP address")
        };
        let number = AtomicUsize::new(0);
        let client = || -> io::Result<(Vec<TcpStream>, Histogram<u64>)> {
            let (mut staying, mut answers) = (Vec::new(), histogram());
            loop {
                let number = number.fetch_add(1, Ordering::Relaxed);
                if number >= self.connections {
                    return Ok((staying, answers));
                }
                // What a connection does follows from its number, and is the same for each way.
                let mut random = Xorshift::from_seed(number as u64);
                let stays = random.below(self.one_stays_of) == 0;
                staying.extend(connect(address, random.below(PEERS), stays, &mut answers)?);
            }
        };
        let ended = thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients).map(|_| scope.spawn(client)).collect();
            let all = clients.into_iter().map(|client| client.join().expect("no client panics"));
            all.collect::<io::Result<Vec<_>>>()
        })?;
        let open = ended.iter().map(|(staying, _)| staying.len()).sum();
        let mut all = histogram();
        for (_, answers) in &ended {
            all.add(answers).map_err(io::Error::other)?;
        }
        let give_up = Instant::now() + LONG;
        while loops.counters().alive() > open {
            if Instant::now() > give_up {
                let message =
                    format!("{} connections are open, not {open}", loops.counters().alive());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            thread::sleep(Duration::from_millis(1));
        }
        let counters = loops.counters();
        loops.stop();
        loops.join()?;
        Ok(Run { counters, answers: all })
    }
}

/// Returns a histogram of times in nanoseconds.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONG.as_nanos() as u64, 3).expect("the bounds are in order")
}

/// Connects from one of the addresses of this machine, asks, and records the time until the answer.
/// Returns the connection if it stays.
fn connect(
    to: SocketAddr,
    peer: usize,
    stays: bool,
    answers: &mut Histogram<u64>,
) -> io::Result<Option<TcpStream>> {
    let from = SocketAddr::from(([127, 0, 0, 1 + peer as u8], 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&from.into())?;
    let start = Instant::now();
    socket.connect(&to.into())?;
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(LONG))?;
    client.write_all(if stays { b"x" } else { b"." })?;
    client.read_exact(&mut [0])?;
    answers.saturating_record(start.elapsed().as_nanos() as u64);
    if stays {
        return Ok(Some(client));
    }
    client.read_to_end(&mut Vec::new())?;
    Ok(None)
}

/// The most of some counts and the least of them, as a ratio. `None` if the least is zero.
fn ratio(counts: &[u64]) -> Option<f64> {
    let (most, least) = (counts.iter().max()?, counts.iter().min()?);
    (*least > 0).then(|| *most as f64 / *least as f64)
}

struct Ratio(Option<f64>);

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ratio) => f.pad(&format!("{ratio:.2}")),
            None => f.pad("∞"), // one loop has none
        }
    }
}

/// A few counts in a row.
fn row(counts: &[u64]) -> String {
    counts.iter().map(|count| format!("{count:>6}")).collect()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Balance { threads, connections, clients, one_stays_of, backend, trigger } =
            self.balance;
        writeln!(
            f,
            "{connections} connections to {threads} loops on {backend}, {trigger}-triggered, \
             {clients} at a time.\nOne of {one_stays_of} stays open, the others leave after an \
             answer. max/min: 1.00 is even.\n"
        )?;
        let width = 6 * threads;
        writeln!(f, "{:<18}{:>width$} max/min  {:>width$} max/min", "", "accepted", "open")?;
        for (way, counters) in &self.ways {
            let accepted: Vec<u64> = counters.loops.iter().map(|one| one.accepted).collect();
            let open: Vec<u64> = counters.loops.iter().map(|one| one.alive as u64).collect();
            let ratios = (Ratio(ratio(&accepted)), Ratio(ratio(&open)));
            let (accepted, open) = (row(&accepted), row(&open));
            writeln!(f, "{:<18}{accepted} {:>7}  {open} {:>7}", way.name(), ratios.0, ratios.1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ratio, ratio};

    #[test]
    fn a_loop_without_connections_has_no_ratio() {
        assert_eq!(ratio(&[3, 2, 4]), Some(2.0));
        assert_eq!(ratio(&[3, 0]), None);
        assert_eq!(format!("{:>4}|{:>5}", Ratio(None), Ratio(Some(1.0))), "   ∞| 1.00");
    }
}
