//! Datagrams that the kernel has not taken yet.
//!
//! Each *lane* has room of its own in the kernel: that of the socket, or that of one Unix receiver. Only
//! the first datagram of a lane can be sent. So an attempt costs one call a lane, however many datagrams
//! wait.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::time::Instant;

use super::address::Address;

/// A datagram that waits. `to` is `None` for the connected peer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) to: Option<Address>,
    pub(super) data: Box<[u8]>,
    /// Its place among all datagrams, counted from zero.
    number: u64,
    /// Until when it may wait. `None` is for ever, and until it is known.
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

/// A receiver with room of its own. `None` is the socket.
type Receiver = Option<Address>;

/// Datagrams that wait for the same room, in the order in which they were sent. At least one.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    size: usize,
}

/// The datagrams that wait, each lane in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct DatagramQueue {
    lanes: HashMap<Receiver, Lane>,
    /// The lanes, by the number of their first datagram.
    heads: BTreeMap<u64, Receiver>,
    /// The lanes of the datagrams that have no deadline yet, each once.
    fresh: Vec<Receiver>,
    /// The number of the first datagram that has no deadline yet.
    first_fresh: u64,
    /// The number of the next datagram.
    next: u64,
    size: usize,
}

impl DatagramQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Returns what all datagrams count.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns whether a datagram waits for the room of this receiver. A later one must not overtake it.
    pub(super) fn holds(&self, receiver: &Receiver) -> bool {
        !self.is_empty() && self.lanes.contains_key(receiver)
    }

    /// Adds a datagram. With `has_own_room`, its receiver may not hold more than what is free below
    /// `limit`: the first gets a half, the second a third, and there is always room for another one.
    /// Returns false if there is no room.
    pub(super) fn push(
        &mut self,
        data: &[u8],
        to: Option<Address>,
        limit: usize,
        has_own_room: bool,
    ) -> bool {
        let receiver = to.clone().filter(|_| has_own_room);
        let held = self.lanes.get(&receiver).map_or(0, |lane| lane.size);
        let free = limit.saturating_sub(self.size);
        if free == 0 || has_own_room && held > free {
            return false;
        }
        let waiting = Waiting { to, data: data.into(), number: self.next, until: None };
        self.next += 1;
        self.size += waiting.size();
        if held == 0 {
            self.heads.insert(waiting.number, receiver.clone());
        }
        let lane = self.lanes.entry(receiver.clone()).or_default();
        if lane.waiting.back().is_none_or(|last| last.number < self.first_fresh) {
            self.fresh.push(receiver);
        }
        lane.size += waiting.size();
        lane.waiting.push_back(waiting);
        true
    }

    /// Sets until when the datagrams may wait that were added since the last call.
    pub(super) fn set_deadline(&mut self, until: Option<Instant>) {
        for receiver in self.fresh.drain(..) {
            let Some(lane) = self.lanes.get_mut(&receiver) else { continue };
            let is_fresh = |waiting: &&mut Waiting| waiting.number >= self.first_fresh;
            for waiting in lane.waiting.iter_mut().rev().take_while(is_fresh) {
                waiting.until = until;
            }
        }
        self.first_fresh = self.next;
    }

    /// Returns the deadline that comes first.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let (_, receiver) = self.heads.first_key_value()?;
        self.lanes.get(receiver)?.waiting.front()?.until
    }

    /// Sends what there is room for. A lane without room delays no other. Returns what failed otherwise,
    /// and whether any was sent.
    pub(super) fn flush(
        &mut self,
        mut send: impl FnMut(&Waiting) -> io::Result<()>,
    ) -> (Vec<Failure>, bool) {
        let (mut failures, mut has_sent) = (Vec::new(), false);
        let receivers: Vec<_> = self.heads.values().cloned().collect();
        for receiver in receivers {
            while let Some(waiting) = self.lanes.get(&receiver).and_then(|l| l.waiting.front()) {
                match send(waiting) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    result => {
                        has_sent |= result.is_ok();
                        let to = self.pop(&receiver).and_then(|waiting| waiting.to);
                        failures.extend(result.err().map(|error| (error, to)));
                    }
                }
            }
        }
        (failures, has_sent)
    }

    /// Removes and returns the datagrams whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Failure> {
        let mut expired = Vec::new();
        while self.next_deadline().is_some_and(|until| until <= now)
            && let Some((_, receiver)) = self.heads.first_key_value()
            && let Some(waiting) = self.pop(&receiver.clone())
        {
            let error = io::Error::new(io::ErrorKind::TimedOut, "there was no room for a datagram");
            expired.push((error, waiting.to));
        }
        expired
    }

    /// Removes the first datagram of a lane.
    fn pop(&mut self, receiver: &Receiver) -> Option<Waiting> {
        let lane = self.lanes.get_mut(receiver)?;
        let waiting = lane.waiting.pop_front()?;
        lane.size -= waiting.size();
        self.size -= waiting.size();
        self.heads.remove(&waiting.number);
        match lane.waiting.front() {
            Some(next) => {
                self.heads.insert(next.number, receiver.clone());
            }
            None => {
                self.lanes.remove(receiver);
            }
        }
        Some(waiting)
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
        let (failures, has_sent) = queue.flush(|waiting| match &waiting.to {
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
        queue.flush(|waiting| {
            sent.push(waiting.data[0]);
            Ok(())
        });
        assert_eq!(sent, [1, 4, 0, 2]);
        assert!(queue.is_empty() && queue.size() == 0 && queue.lanes.is_empty());
    }

    #[test]
    fn without_room_for_any_all_wait_in_their_order() {
        let mut queue = DatagramQueue::default();
        for number in 0..3 {
            assert!(queue.push(&[number], to("one"), 1 << 20, false));
        }
        let mut room = 1;
        let mut sent = Vec::new();
        queue.flush(|waiting| {
            if room == 0 {
                return Err(blocks());
            }
            room -= 1;
            sent.push(waiting.data[0]);
            Ok(())
        });
        queue.flush(|waiting| {
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
