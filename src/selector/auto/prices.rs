//! What `poll` and `epoll` cost on this machine.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::selector::Selector;
use crate::selector::epoll::EpollSelector;
use crate::selector::event::{Events, Interest, Token, Trigger};
use crate::selector::poll::PollSelector;
use crate::sys::{self, Deadline};

/// What the parts of a wait cost with `poll` and with `epoll`, each in nanoseconds.
///
/// A wait with `poll` costs [`poll`](Self::poll), and [`poll_watched`](Self::poll_watched) for each
/// watched descriptor, and so on. [`AutoSelector`](super::AutoSelector) decides by them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Prices {
    /// A wait with `poll`, without descriptors.
    pub poll: f64,
    /// Each descriptor that it watches, ready or not.
    pub poll_watched: f64,
    /// Each descriptor that is ready, in addition.
    pub poll_ready: f64,
    /// Each descriptor that it watches, in addition, when the wait sleeps.
    pub poll_asleep: f64,
    /// A wait with `epoll`, without events.
    pub epoll: f64,
    /// Each descriptor that is ready: what it costs to note that it has become ready, and to report it.
    /// `poll` pays only for the report.
    pub epoll_ready: f64,
    /// Each change of the interest of a descriptor.
    pub epoll_change: f64,
    /// Each descriptor that is added or removed.
    pub epoll_add: f64,
    /// Making an epoll instance.
    pub epoll_new: f64,
}

impl Prices {
    /// No prices at all. An [`AutoSelector`](super::AutoSelector) with these switches at each
    /// decision, which is for tests.
    pub const ZERO: Prices = Prices {
        poll: 0.0,
        poll_watched: 0.0,
        poll_ready: 0.0,
        poll_asleep: 0.0,
        epoll: 0.0,
        epoll_ready: 0.0,
        epoll_change: 0.0,
        epoll_add: 0.0,
        epoll_new: 0.0,
    };

    /// The prices of a virtual machine of 2026, for a process that cannot measure.
    const TYPICAL: Prices = Prices {
        poll: 120.0,
        poll_watched: 37.0,
        poll_ready: 5.0,
        poll_asleep: 100.0,
        epoll: 150.0,
        epoll_ready: 60.0,
        epoll_change: 160.0,
        epoll_add: 270.0,
        epoll_new: 3_000.0,
    };

    /// Returns the prices on this machine. They are measured once a process, in about two
    /// milliseconds, with 48 descriptors. Without so many, they are those of another machine.
    pub fn of_this_machine() -> Prices {
        static PRICES: OnceLock<Prices> = OnceLock::new();
        *PRICES.get_or_init(|| measure().unwrap_or(Prices::TYPICAL))
    }

    /// Returns what moving `watched` descriptors from one call to the other costs, on average of both
    /// directions.
    pub(super) fn switch(&self, watched: usize) -> f64 {
        self.epoll_new / 2.0 + self.epoll_add * watched as f64
    }
}

/// The number of descriptors that are watched to find the prices of one.
const MANY: usize = 24;

fn measure() -> io::Result<Prices> {
    let pairs = (0..MANY).map(|_| UnixStream::pair()).collect::<io::Result<Vec<_>>>()?;
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let mut poll = PollSelector::new().asking_first(false);
    let poll_none = wait(&mut poll);
    add(&mut poll, &ours)?;
    let poll_idle = wait(&mut poll);
    let poll_asleep = asleep(&mut poll);
    let plain = exchange(&ours, &theirs, None)?;
    let poll_ready = exchange(&ours, &theirs, Some(&mut poll))?;
    let mut epoll = EpollSelector::new()?;
    let epoll_none = wait(&mut epoll);
    let (mut added, mut changed) = (f64::MAX, f64::MAX);
    for round in 0..ROUNDS {
        let start = Instant::now();
        add(&mut epoll, &ours)?;
        let middle = Instant::now();
        set(&mut epoll, &ours, Interest::READ | Interest::WRITE)?;
        let end = Instant::now();
        let mut both = middle - start;
        if round + 1 < ROUNDS {
            let start = Instant::now();
            for socket in &ours {
                epoll.remove(socket.as_raw_fd())?;
            }
            both += start.elapsed();
            added = nanos(both).min(added);
        }
        changed = nanos(end - middle).min(changed);
    }
    set(&mut epoll, &ours, Interest::READ)?;
    let epoll_ready = exchange(&ours, &theirs, Some(&mut epoll))?;
    let new = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        drop(EpollSelector::new());
        nanos(start.elapsed())
    });
    let new = new.fold(f64::MAX, f64::min);
    let each = |more: f64, less: f64| (more - less).max(0.0) / MANY as f64;
    Ok(Prices {
        poll: poll_none,
        poll_watched: each(poll_idle, poll_none),
        poll_ready: each(poll_ready, poll_idle + plain),
        poll_asleep,
        epoll: epoll_none,
        epoll_ready: each(epoll_ready, epoll_none + plain),
        epoll_change: each(changed, 0.0),
        epoll_add: each(added, 0.0) / 2.0,
        epoll_new: new,
    })
}

const ROUNDS: u32 = 15;

/// Adds all of `sockets`.
fn add(selector: &mut dyn Selector, sockets: &[UnixStream]) -> io::Result<()> {
    sockets.iter().try_for_each(|socket| {
        selector.add(socket.as_raw_fd(), Token::from(0), Interest::READ, Trigger::Level)
    })
}

/// Sets the interest of all of `sockets`.
fn set(selector: &mut dyn Selector, sockets: &[UnixStream], interest: Interest) -> io::Result<()> {
    sockets.iter().try_for_each(|socket| selector.set(socket.as_raw_fd(), interest))
}

/// Returns what a wait that does not block costs: the least of some rounds.
fn wait(selector: &mut dyn Selector) -> f64 {
    const WAITS: u32 = 10;
    let mut events = Events::new();
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for _ in 0..WAITS {
            let _ = selector.wait(&mut events, Deadline::Now);
        }
        nanos(start.elapsed()) / f64::from(WAITS)
    });
    rounds.fold(f64::MAX, f64::min)
}

/// Returns what it costs that a byte comes to all of the sockets, that a wait reports them, and that
/// the bytes are read: the least of some rounds. `epoll` notes each byte when it comes.
fn exchange(
    ours: &[UnixStream],
    theirs: &[UnixStream],
    mut selector: Option<&mut dyn Selector>,
) -> io::Result<f64> {
    let mut events = Events::new();
    let mut least = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for mut socket in theirs {
            socket.write_all(b"1")?;
        }
        if let Some(selector) = &mut selector {
            selector.wait(&mut events, Deadline::Now)?;
        }
        for mut socket in ours {
            socket.read_exact(&mut [0])?;
        }
        least = nanos(start.elapsed()).min(least);
    }
    Ok(least)
}

/// Returns what each descriptor costs in addition when the wait sleeps: the least processor time of
/// some rounds, without that of a wait that sleeps on nothing.
fn asleep(many: &mut PollSelector) -> f64 {
    let mut none = PollSelector::new().asking_first(false);
    let cost = |selector: &mut PollSelector| {
        let mut events = Events::new();
        let rounds = (0..ROUNDS).map(|_| {
            let start = sys::thread_time();
            let _ = selector.wait(&mut events, Deadline::after(Duration::from_nanos(1)));
            nanos(sys::thread_time() - start)
        });
        rounds.fold(f64::MAX, f64::min)
    };
    let (none, awake) = (cost(&mut none), wait(many));
    (cost(many) - none - awake).max(0.0) / MANY as f64
}

fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::{Prices, measure};

    #[test]
    fn this_machine_has_prices() {
        let prices = measure().unwrap();
        for price in [
            prices.poll,
            prices.poll_watched,
            prices.epoll,
            prices.epoll_change,
            prices.epoll_add,
            prices.epoll_new,
        ] {
            assert!(price > 0.0 && price < 1e7, "{prices:?}");
        }
        assert_eq!(Prices::of_this_machine(), Prices::of_this_machine());
    }

    #[test]
    fn a_switch_costs_more_with_more_descriptors() {
        assert!(Prices::TYPICAL.switch(100) > Prices::TYPICAL.switch(10));
        assert_eq!(Prices::ZERO.switch(100), 0.0);
    }
}
