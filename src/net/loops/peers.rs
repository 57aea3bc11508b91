//! How many connections each peer has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use crate::net::address::Address;
use crate::sync::lock;

/// What counts as one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address: its network. A host chooses the other bits freely, and
    /// changes them when it likes (RFC 8981).
    Network(u64),
    /// A link-local address, with its interface. All hosts of a link have the same first 64 bits.
    LinkLocal(Ipv6Addr, u32),
}

impl Peer {
    /// Returns the peer that has an address. `None` for a Unix socket, which tells no peer from
    /// another.
    pub(super) fn of(address: &Address) -> Option<Self> {
        let Address::Inet(address) = address else { return None };
        Some(match (address.ip().to_canonical(), address) {
            (IpAddr::V4(address), _) => Peer::V4(address), // also an IPv4 peer of an IPv6 socket
            (IpAddr::V6(ip), SocketAddr::V6(address)) if ip.is_unicast_link_local() => {
                Peer::LinkLocal(ip, address.scope_id())
            }
            (IpAddr::V6(ip), _) => Peer::Network((ip.to_bits() >> 64) as u64),
        })
    }
}

/// The number of connections of each peer that has any.
type Counts = Mutex<HashMap<Peer, usize>>;

/// Limits the connections of each peer. A peer without connections has no entry, so that there are
/// at most as many entries as connections.
#[derive(Debug)]
pub(super) struct PeerLimit {
    /// `None` if there is no limit.
    most: Option<usize>,
    counts: Arc<Counts>,
}

/// The right of a peer to one connection.
pub(super) struct PeerPermit {
    /// `None` if it counts toward no limit.
    counted: Option<(Peer, Arc<Counts>)>,
}

impl PeerLimit {
    /// Returns a limit of `most` connections for each peer, at least one. `None` is no limit.
    pub(super) fn new(most: Option<usize>) -> Self {
        PeerLimit { most: most.map(|most| most.max(1)), counts: Arc::default() }
    }

    /// Acquires a permit for a connection of the peer at `address`. `None`: it has as many as it may.
    pub(super) fn acquire(&self, address: &Address) -> Option<PeerPermit> {
        let (Some(most), Some(peer)) = (self.most, Peer::of(address)) else {
            return Some(PeerPermit { counted: None });
        };
        let mut counts = lock(&self.counts);
        let count = counts.entry(peer).or_insert(0); // `most` is one at least
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(PeerPermit { counted: Some((peer, Arc::clone(&self.counts))) })
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let Some((peer, counts)) = &self.counted else { return };
        if let Entry::Occupied(mut entry) = lock(counts).entry(*peer) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl fmt::Debug for PeerPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerPermit").field(&self.counted.as_ref().map(|(peer, _)| peer)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<Peer> {
        Peer::of(&text.parse().unwrap())
    }

    #[test]
    fn a_peer_is_an_ipv4_address_or_an_ipv6_network_whatever_its_port() {
        assert_eq!(peer("192.0.2.1:1"), peer("192.0.2.1:2"));
        assert_ne!(peer("192.0.2.1:1"), peer("192.0.2.2:1"));
        assert_eq!(peer("[2001:db8::1]:1"), peer("[2001:db8::ffff:0:0:2]:2"));
        assert_ne!(peer("[2001:db8::1]:1"), peer("[2001:db8:0:1::1]:1"));
    }

    #[test]
    fn ipv4_peers_of_an_ipv6_socket_are_not_one_network() {
        assert_eq!(peer("[::ffff:192.0.2.1]:1"), peer("192.0.2.1:1"));
        assert_ne!(peer("[::ffff:192.0.2.1]:1"), peer("[::ffff:192.0.2.2]:1"));
    }

    #[test]
    fn hosts_of_one_link_are_different_peers() {
        assert_ne!(peer("[fe80::1]:1"), peer("[fe80::2]:1"));
        assert_ne!(peer("[fe80::1%1]:1"), peer("[fe80::1%2]:1"));
        assert_eq!(peer("[fe80::1%1]:1"), peer("[fe80::1%1]:2"));
    }

    #[test]
    fn each_peer_has_its_own_limit_and_leaves_nothing_behind() {
        let limit = PeerLimit::new(Some(2));
        let [one, other] = ["192.0.2.1:1", "192.0.2.2:1"].map(|text| text.parse().unwrap());
        let permits = [limit.acquire(&one).unwrap(), limit.acquire(&one).unwrap()];
        assert!(limit.acquire(&one).is_none());
        let another = limit.acquire(&other).unwrap();
        drop(permits);
        assert!(limit.acquire(&one).is_some());
        drop(another);
        assert!(lock(&limit.counts).is_empty());
    }

    #[test]
    fn a_unix_peer_and_a_limit_of_none_are_not_counted() {
        let limit = PeerLimit::new(Some(1));
        let permits: Vec<_> = (0..3).map(|_| limit.acquire(&Address::Unnamed)).collect();
        assert!(permits.iter().all(Option::is_some) && lock(&limit.counts).is_empty());
        let (limit, address) = (PeerLimit::new(None), "192.0.2.1:1".parse().unwrap());
        let permits: Vec<_> = (0..3).map(|_| limit.acquire(&address)).collect();
        assert!(permits.iter().all(Option::is_some) && lock(&limit.counts).is_empty());
    }
}
