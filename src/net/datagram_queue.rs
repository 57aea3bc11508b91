//! Datagrams that the kernel has not taken yet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::time::Instant;

use super::address::Address;

/// A datagram that waits. `to` is `None` for the connected peer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) to: Option<Address>,
    pub(super) data: Box<[u8]>,
    /// Until when it may wait. `None` until it is known.
    until: Option<Instant>,
}

/// What one datagram counts beside its bytes, so that empty ones are bounded, too.
const OVERHEAD: usize = 128;

impl Waiting {
    fn size(&self) -> usize {
        self.data.len() + OVERHEAD
    }
}

/// A datagram that was given up, with the reason.
pub(super) type Failure = (io::Error, Option<Address>);

/// The datagrams in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct DatagramQueue {
    waiting: VecDeque<Waiting>,
    size: usize,
    by_receiver: HashMap<Option<Address>, usize>,
}

impl DatagramQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns what all datagrams count.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns whether a datagram waits for this receiver. A later one must not overtake it.
    pub(super) fn holds(&self, to: &Option<Address>) -> bool {
        !self.is_empty() && self.by_receiver.contains_key(to)
    }

    /// Adds a datagram. With `share`, a receiver may not hold more than what is free below `limit`: the
    /// first gets a half, the second a third, and there is always room for another one. Returns false
    /// if there is no room.
    pub(super) fn push(
        &mut self,
        data: &[u8],
        to: Option<Address>,
        limit: usize,
        share: bool,
    ) -> bool {
        let held = self.by_receiver.get(&to).copied().unwrap_or(0);
        let free = limit.saturating_sub(self.size);
        if free == 0 || share && held > free {
            return false;
        }
        let waiting = Waiting { to, data: data.into(), until: None };
        self.size += waiting.size();
        *self.by_receiver.entry(waiting.to.clone()).or_default() += waiting.size();
        self.waiting.push_back(waiting);
        true
    }

    /// Sets until when the datagrams that were added last may wait.
    pub(super) fn set_deadline(&mut self, until: Option<Instant>) {
        for waiting in self.waiting.iter_mut().rev().take_while(|waiting| waiting.until.is_none()) {
            waiting.until = until;
        }
    }

    /// Returns the deadline that comes first.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.front().and_then(|waiting| waiting.until)
    }

    /// Sends what there is room for. With `by_receiver`, each receiver has room of its own, and one
    /// without it delays no other. Returns what failed otherwise, and whether any was sent.
    pub(super) fn flush(
        &mut self,
        by_receiver: bool,
        mut send: impl FnMut(&Waiting) -> io::Result<()>,
    ) -> (Vec<Failure>, bool) {
        let (mut failures, mut has_sent) = (Vec::new(), false);
        let mut blocked = HashSet::new();
        for _ in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.pop_front() else { break };
            if blocked.contains(&waiting.to) {
                self.waiting.push_back(waiting); // all are passed once, so their order stays
                continue;
            }
            match send(&waiting) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && by_receiver => {
                    blocked.insert(waiting.to.clone());
                    self.waiting.push_back(waiting);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting.push_front(waiting);
                    break;
                }
                result => {
                    self.forget(&waiting);
                    has_sent |= result.is_ok();
                    failures.extend(result.err().map(|error| (error, waiting.to)));
                }
            }
        }
        (failures, has_sent)
    }

    /// Removes and returns the datagrams whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Failure> {
        let mut expired = Vec::new();
        while self.next_deadline().is_some_and(|until| until <= now)
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.forget(&waiting);
            let error = io::Error::new(io::ErrorKind::TimedOut, "there was no room for a datagram");
            expired.push((error, waiting.to));
        }
        expired
    }

    fn forget(&mut self, waiting: &Waiting) {
        self.size -= waiting.size();
        if let Some(held) = self.by_receiver.get_mut(&waiting.to) {
            *held -= waiting.size();
            if *held == 0 {
                self.by_receiver.remove(&waiting.to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn to(name: &str) -> Option<Address> {
        Some(Address::Abstract(name.into()))
    }

    fn blocks() -> io::Error {
        io::ErrorKind::WouldBlock.into()
    }

    #[test]
    fn a_receiver_without_room_delays_no_other_and_each_keeps_its_order() {
        let mut queue = DatagramQueue::default();
        for (number, name) in ["slow", "quick", "slow", "gone", "quick"].iter().enumerate() {
            assert!(queue.push(&[number as u8], to(name), 1 << 20, true));
        }
        let mut sent = Vec::new();
        let (failures, has_sent) = queue.flush(true, |waiting| match &waiting.to {
            slow if *slow == to("slow") => Err(blocks()),
            gone if *gone == to("gone") => Err(io::ErrorKind::NotFound.into()),
            _ => {
                sent.push(waiting.data[0]);
                Ok(())
            }
        });
        assert!(has_sent);
        assert_eq!(sent, [1, 4]);
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].0.kind(), &failures[0].1), (io::ErrorKind::NotFound, &to("gone")));
        assert!(queue.holds(&to("slow")) && !queue.holds(&to("quick")));
        queue.flush(true, |waiting| {
            sent.push(waiting.data[0]);
            Ok(())
        });
        assert_eq!(sent, [1, 4, 0, 2]);
        assert!(queue.is_empty() && queue.size() == 0 && queue.by_receiver.is_empty());
    }

    #[test]
    fn without_room_for_any_all_wait_in_their_order() {
        let mut queue = DatagramQueue::default();
        for number in 0..3 {
            assert!(queue.push(&[number], to("one"), 1 << 20, false));
        }
        let mut room = 1;
        let mut sent = Vec::new();
        queue.flush(false, |waiting| {
            if room == 0 {
                return Err(blocks());
            }
            room -= 1;
            sent.push(waiting.data[0]);
            Ok(())
        });
        queue.flush(false, |waiting| {
            sent.push(waiting.data[0]);
            Ok(())
        });
        assert_eq!(sent, [0, 1, 2]);
    }

    #[test]
    fn the_queue_is_bounded_and_no_receiver_takes_all_of_it() {
        let mut queue = DatagramQueue::default();
        let limit = 100 * OVERHEAD;
        let fill = |queue: &mut DatagramQueue, name: &str| {
            (0..1_000).take_while(|_| queue.push(b"", to(name), limit, true)).count()
        };
        assert_eq!(fill(&mut queue, "first"), 51);
        assert_eq!(fill(&mut queue, "second"), 25);
        assert!(fill(&mut queue, "third") > 0 && fill(&mut queue, "fourth") > 0);
        assert!(queue.size() <= limit);

        let mut queue = DatagramQueue::default();
        assert!(queue.push(&[0; 10_000], to("one"), 1, false), "one may be of any size");
        assert!(!queue.push(b"", to("one"), 1, false));
    }

    #[test]
    fn what_has_waited_too_long_is_given_up() {
        let mut queue = DatagramQueue::default();
        let now = Instant::now();
        queue.push(b"old", to("one"), 1_000, false);
        queue.set_deadline(Some(now));
        queue.push(b"new", to("one"), 1_000, false);
        queue.set_deadline(Some(now + Duration::from_secs(1)));
        assert_eq!(queue.next_deadline(), Some(now));
        let expired = queue.expire(now);
        assert_eq!(expired.len(), 1);
        assert_eq!(expired[0].0.kind(), io::ErrorKind::TimedOut);
        assert_eq!(queue.size(), 3 + OVERHEAD);
    }
}
