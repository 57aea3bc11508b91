//! What the peers of a Unix datagram socket have not read.

use std::collections::HashMap;

use super::address::Address;

/// The datagrams that were sent through one Unix socket and have not been read, by their receivers.
///
/// Linux charges an unread datagram to the send buffer of its *sender*. A client that has connected its
/// socket to the server may let any number wait. So one client that reads nothing would use up the
/// buffer, and nobody else could be answered.
///
/// The kernel says how much is unread in all, and not by whom. Here each datagram is noted when it is
/// sent. When the sum falls, what was sent last is taken for read: whoever reads at all reads soon. It
/// is an estimate, whose sum is exact.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// The unread datagrams in the order in which they were sent, with their sizes. Neighbours of one
    /// receiver are added up.
    sent: Vec<(Address, usize)>,
    by_peer: HashMap<Address, usize>,
    total: usize,
}

impl Unread {
    /// Learns how much is unread in all.
    pub(super) fn observe(&mut self, total: usize) {
        while self.total > total
            && let Some((peer, size)) = self.sent.last_mut()
        {
            let read = (self.total - total).min(*size);
            *size -= read;
            self.total -= read;
            let left = self.by_peer.get_mut(peer).map(|unread| {
                *unread -= read;
                *unread
            });
            if left == Some(0) {
                self.by_peer.remove(peer);
            }
            if *size == 0 {
                self.sent.pop();
            }
        }
    }

    /// Notes that a datagram was sent to `peer`, and that so much is unread in all since.
    pub(super) fn sent(&mut self, peer: &Address, total: usize) {
        let size = total.saturating_sub(self.total);
        if size == 0 {
            return; // it was read already
        }
        self.total += size;
        *self.by_peer.entry(peer.clone()).or_default() += size;
        match self.sent.last_mut() {
            Some((last, sum)) if last == peer => *sum += size,
            _ => self.sent.push((peer.clone(), size)),
        }
    }

    /// Returns whether `peer` may be sent another datagram, through a send buffer of `capacity` bytes.
    /// What it has not read must not be more than what is free: the first to read nothing gets a half,
    /// the second a third, and there is always room for another one.
    pub(super) fn has_room(&self, peer: &Address, capacity: usize) -> bool {
        self.of(peer) <= capacity.saturating_sub(self.total)
    }

    /// Returns how much `peer` has not read.
    pub(super) fn of(&self, peer: &Address) -> usize {
        self.by_peer.get(peer).copied().unwrap_or(0)
    }

    /// Returns the peer that has left the most unread.
    pub(super) fn most(&self) -> Option<(&Address, usize)> {
        self.by_peer.iter().map(|(peer, unread)| (peer, *unread)).max_by_key(|(_, unread)| *unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> Address {
        Address::Abstract(name.as_bytes().to_vec())
    }

    /// Sends to `peer` until it has no room. Returns how much it got.
    fn fill(unread: &mut Unread, peer: &Address, capacity: usize) -> usize {
        while unread.has_room(peer, capacity) {
            let total = unread.total + 100;
            unread.sent(peer, total);
        }
        unread.of(peer)
    }

    #[test]
    fn each_that_reads_nothing_gets_less_and_there_is_always_room() {
        let mut unread = Unread::default();
        assert_eq!(fill(&mut unread, &peer("first"), 100_000), 50_100);
        assert_eq!(fill(&mut unread, &peer("second"), 100_000), 25_000);
        for number in 0..20 {
            let next = peer(&number.to_string());
            assert!(unread.has_room(&next, 100_000));
            fill(&mut unread, &next, 100_000);
        }
        assert_eq!(unread.most(), Some((&peer("first"), 50_100)));
    }

    #[test]
    fn what_was_sent_last_is_taken_for_read() {
        let mut unread = Unread::default();
        let (slow, quick) = (peer("slow"), peer("quick"));
        fill(&mut unread, &slow, 10_000);
        let held = unread.total;
        for _ in 0..1_000 {
            unread.observe(held);
            assert!(unread.has_room(&quick, 10_000) && !unread.has_room(&slow, 10_000));
            unread.sent(&quick, held + 700);
        }
        assert_eq!((unread.of(&slow), unread.of(&quick)), (held, 700));
        unread.observe(0);
        assert_eq!((unread.of(&slow), unread.of(&quick), unread.most()), (0, 0, None));
        assert!(unread.sent.is_empty() && unread.by_peer.is_empty());
    }

    #[test]
    fn a_part_that_was_read_leaves_the_rest() {
        let mut unread = Unread::default();
        for total in [600, 1_000] {
            unread.sent(&peer("slow"), total);
        }
        assert_eq!(unread.sent.len(), 1, "neighbours of one receiver are added up");
        unread.observe(700);
        assert_eq!((unread.of(&peer("slow")), unread.total), (700, 700));
    }

    #[test]
    fn a_datagram_that_was_read_at_once_is_not_noted() {
        let mut unread = Unread::default();
        unread.sent(&peer("quick"), 0);
        assert!(unread.sent.is_empty());
    }
}
