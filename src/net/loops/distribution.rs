//! Which loop gets a connection.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::peers::Peer;
use crate::selector::UnknownName;

/// How connections come to the loops. The [module's page](super) compares the ways.
///
/// ```
/// use tripoll::net::loops::Distribution;
///
/// for &way in Distribution::ALL {
///     assert_eq!(way.to_string().parse::<Distribution>()?, way);
/// }
/// assert!("at-random".parse::<Distribution>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Distribution {
    /// A thread of its own accepts, and hands each connection to the loop that has the fewest open
    /// ones.
    #[default]
    LeastConnections,
    /// A thread of its own accepts, and hands the connections to one loop after another.
    RoundRobin,
    /// A thread of its own accepts. All connections of one peer go to the same loop, as long as that
    /// loop takes any: a peer is what
    /// [`max_connections_per_peer`](super::LoopsBuilder::max_connections_per_peer) says. When a loop
    /// is drained, only its peers move. Clients of a Unix socket go to one loop after another.
    PeerAddress,
    /// Each loop has a listener of its own on the same port (`SO_REUSEPORT`, Linux 3.9), and the kernel
    /// chooses a listener for each connection by a hash of the addresses and ports. TCP only.
    ReusePort,
    /// All loops watch one listener, and the first to accept a connection has it. On epoll the kernel
    /// wakes only one of the loops that sleep (`EPOLLEXCLUSIVE`, Linux 4.5), and so prefers some of
    /// them. On the other backends it wakes all, and all but one have been woken in vain.
    SharedListener,
}

impl Distribution {
    /// All ways.
    pub const ALL: &'static [Distribution] = &[
        Distribution::LeastConnections,
        Distribution::RoundRobin,
        Distribution::PeerAddress,
        Distribution::ReusePort,
        Distribution::SharedListener,
    ];

    /// Returns the name, as it is parsed.
    pub const fn name(self) -> &'static str {
        match self {
            Distribution::LeastConnections => "least-connections",
            Distribution::RoundRobin => "round-robin",
            Distribution::PeerAddress => "peer-address",
            Distribution::ReusePort => "reuse-port",
            Distribution::SharedListener => "shared-listener",
        }
    }

    /// Returns whether a thread of its own accepts for all loops.
    pub(super) fn has_acceptor(self) -> bool {
        !matches!(self, Distribution::ReusePort | Distribution::SharedListener)
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Distribution {
    type Err = UnknownName;

    /// Parses `"least-connections"`, `"round-robin"`, `"peer-address"`, `"reuse-port"` or
    /// `"shared-listener"`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        UnknownName::find("distribution", name, Distribution::ALL)
    }
}

/// Chooses a loop for each connection.
#[derive(Debug)]
pub(super) struct Chooser {
    distribution: Distribution,
    /// The loop at which the next search begins.
    next: AtomicUsize,
    /// With a random key, so that no client can choose its loop.
    hash: RandomState,
}

impl Chooser {
    pub(super) fn new(distribution: Distribution) -> Self {
        Chooser { distribution, next: AtomicUsize::new(0), hash: RandomState::new() }
    }

    /// Chooses one of `count` loops, of which `load` tells the open connections, or `None` if the loop
    /// takes no more. Returns `None` if that is so for all.
    pub(super) fn choose(
        &self,
        count: usize,
        peer: Option<Peer>,
        load: impl Fn(usize) -> Option<usize>,
    ) -> Option<usize> {
        match (self.distribution, peer) {
            (Distribution::PeerAddress, Some(peer)) => {
                // Each loop has a number for the peer, and the highest wins: without the winner, the
                // second is next, and no other peer is affected.
                let takes = |&index: &usize| load(index).is_some();
                (0..count).filter(takes).max_by_key(|&index| self.hash.hash_one((peer, index)))
            }
            (Distribution::RoundRobin | Distribution::PeerAddress, _) => {
                let found = self.in_turn(count).find(|&index| load(index).is_some())?;
                self.next.store(found + 1, Ordering::Relaxed);
                Some(found)
            }
            // Where each loop accepts by itself, this is for what a drained loop leaves.
            (_, _) => {
                let loads = self.in_turn(count).filter_map(|index| Some((load(index)?, index)));
                let (_, found) = loads.min_by_key(|&(load, _)| load)?; // the first of equal ones
                self.next.store(found + 1, Ordering::Relaxed);
                Some(found)
            }
        }
    }

    /// Returns the loops in the order of a search.
    fn in_turn(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let first = self.next.load(Ordering::Relaxed);
        (0..count).map(move |step| first.wrapping_add(step) % count)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn chosen(chooser: &Chooser, loads: &[Option<usize>], peer: Option<Peer>) -> Option<usize> {
        chooser.choose(loads.len(), peer, |index| loads[index])
    }

    #[test]
    fn round_robin_passes_over_loops_that_take_no_more() {
        let chooser = Chooser::new(Distribution::RoundRobin);
        let loads = [Some(9), None, Some(0)];
        let order: Vec<_> = (0..4).map(|_| chosen(&chooser, &loads, None)).collect();
        assert_eq!(order, [Some(0), Some(2), Some(0), Some(2)]);
        assert_eq!(chosen(&chooser, &[None, None], None), None);
    }

    #[test]
    fn least_connections_chooses_in_turn_among_equals() {
        let chooser = Chooser::new(Distribution::LeastConnections);
        let equal: Vec<_> = (0..4).map(|_| chosen(&chooser, &[Some(1); 3], None)).collect();
        assert_eq!(equal, [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(chosen(&chooser, &[Some(3), Some(2), Some(4)], None), Some(1));
        assert_eq!(chosen(&chooser, &[Some(3), None, Some(4)], None), Some(0));
    }

    #[test]
    fn peers_keep_their_loop_and_only_those_of_a_drained_loop_move() {
        let chooser = Chooser::new(Distribution::PeerAddress);
        let peers = (0..200).map(|number| Some(Peer::V4(Ipv4Addr::from_bits(number))));
        let mut used = [0; 3];
        for peer in peers {
            let first = chosen(&chooser, &[Some(0); 3], peer).unwrap();
            used[first] += 1;
            assert_eq!(chosen(&chooser, &[Some(5), Some(0), Some(1)], peer), Some(first));
            let without_2 = chosen(&chooser, &[Some(0), Some(0), None], peer).unwrap();
            assert!(without_2 == first || first == 2);
        }
        assert!(used.iter().all(|&count| count > 20), "{used:?}");
    }
}
