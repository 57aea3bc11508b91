//! The events of one page: its place in the ring of records, as a stream of server-sent events.

use tripoll::net::Wire;

use super::hub::{Entry, Hub};

/// The most bytes that a page may leave unread in the program. Above it, records of turns are dropped.
const MOST_UNREAD: usize = 256 << 10;

/// A page that is so many records behind is sent the newest state instead.
const MOST_BEHIND: u64 = 64;

/// The place of a page in the ring.
#[derive(Debug)]
pub(super) struct Cursor {
    /// The place of the next record.
    next: u64,
    /// Whether it was sent what a new page needs.
    is_introduced: bool,
    /// The records of turns that it was not sent.
    dropped: u64,
}

impl Cursor {
    /// Begins after the turn `last`, if that is known and still in the ring, and else with the newest
    /// state.
    pub(super) fn begin(hub: &Hub, last: Option<u64>) -> Self {
        match last.and_then(|turn| hub.after_turn(turn)) {
            Some(next) => Cursor { next, is_introduced: true, dropped: 0 },
            None => Cursor { next: hub.end(), is_introduced: false, dropped: 0 },
        }
    }

    /// Sends what there is, as long as the page reads. Returns whether anything was sent.
    pub(super) fn send(&mut self, hub: &Hub, wire: &mut Wire) -> bool {
        if !self.is_introduced {
            self.is_introduced = true;
            self.next = hub.end();
            for entry in hub.introduction() {
                self.write(&entry, wire);
            }
        }
        let mut has_sent = false;
        while wire.unsent() < MOST_UNREAD {
            if hub.end() > self.next + MOST_BEHIND {
                self.skip(hub);
                for entry in hub.introduction() {
                    self.write(&entry, wire);
                }
            }
            let Some(entry) = hub.at(self.next) else { break };
            self.next = entry.place + 1;
            self.write(&entry, wire);
            has_sent = true;
        }
        has_sent
    }

    /// Goes to the end, and counts the turns that it leaves out.
    fn skip(&mut self, hub: &Hub) {
        let end = hub.end();
        self.dropped += hub.turns(self.next, end);
        self.next = end;
    }

    fn write(&mut self, entry: &Entry, wire: &mut Wire) {
        if let Some(turn) = entry.turn {
            wire.write(format!("id: {turn}\n").as_bytes());
        }
        wire.write(format!("event: {}\ndata: ", entry.name).as_bytes());
        let json = entry.json.as_bytes();
        // The last key of a turn is that of the records that this page has missed.
        match entry.json.strip_suffix(",\"dropped\":0}").filter(|_| self.dropped > 0) {
            Some(json) => {
                wire.write(json.as_bytes());
                wire.write(format!(",\"dropped\":{}}}", self.dropped).as_bytes());
                self.dropped = 0;
            }
            None => drop(wire.write(json)),
        }
        wire.write(b"\n\n");
    }
}
