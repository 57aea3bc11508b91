//! Where all records meet: a ring of the last ones, which every page reads at its own speed.
//!
//! A page has a place in the ring and no queue. One that does not read falls behind, and loses what the
//! ring has lost. So no page costs more than its socket.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::Record;

/// The most records that are kept.
const CAPACITY: usize = 2_048;

/// The most bytes of records that are kept.
const MOST_BYTES: usize = 32 << 20;

/// A record in the ring.
#[derive(Debug)]
pub struct Entry {
    /// Its place. The first one is 0.
    pub place: u64,
    /// The name of its event.
    pub name: &'static str,
    /// The number of the turn, for the event `turn`.
    pub turn: Option<u64>,
    /// Its data.
    pub json: String,
}

/// What is called after each record.
type Listener = Box<dyn Fn() + Send + Sync>;

/// The ring.
#[derive(Default)]
pub struct Hub {
    ring: Mutex<Ring>,
    grown: Condvar,
    listener: Mutex<Option<Listener>>,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    next: u64,
    hello: Option<Arc<Entry>>,
    snapshot: Option<Arc<Entry>>,
    turn: Option<Arc<Entry>>,
}

impl Hub {
    /// Returns an empty ring.
    pub fn new() -> Self {
        Hub::default()
    }

    /// Sets what is called after each record, by the thread that has published it.
    pub fn on_record(&self, listener: impl Fn() + Send + Sync + 'static) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(listener));
    }

    /// Publishes a record.
    pub fn publish(&self, record: &Record) {
        let turn = match record {
            Record::Turn(turn) => Some(turn.t),
            _ => None,
        };
        self.push(record.name(), turn, record.to_json());
        self.grown.notify_all();
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &*listener {
            listener();
        }
    }

    fn push(&self, name: &'static str, turn: Option<u64>, json: String) {
        let mut ring = self.ring();
        let entry = Arc::new(Entry { place: ring.next, name, turn, json });
        ring.next += 1;
        ring.bytes += entry.json.len();
        let latest = match name {
            "hello" => {
                (ring.snapshot, ring.turn) = (None, None); // they are those of an earlier subject
                Some(&mut ring.hello)
            }
            "snapshot" => Some(&mut ring.snapshot),
            "turn" => Some(&mut ring.turn),
            _ => None,
        };
        if let Some(latest) = latest {
            *latest = Some(Arc::clone(&entry));
        }
        ring.entries.push_back(entry);
        while ring.entries.len() > CAPACITY || ring.bytes > MOST_BYTES {
            let Some(lost) = ring.entries.pop_front() else { break };
            ring.bytes -= lost.json.len();
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the place after the last record.
    pub fn end(&self) -> u64 {
        self.ring().next
    }

    /// Returns the record at `place`, or the first one after it that is still there.
    pub fn at(&self, place: u64) -> Option<Arc<Entry>> {
        let ring = self.ring();
        let first = ring.entries.front()?.place;
        ring.entries.get(place.saturating_sub(first) as usize).cloned()
    }

    /// Returns the place after the record of turn `turn` of the current subject, if it is still there.
    pub fn after_turn(&self, turn: u64) -> Option<u64> {
        let ring = self.ring();
        let began = ring.hello.as_ref()?.place;
        let found = ring
            .entries
            .iter()
            .rev()
            .take_while(|entry| entry.place > began)
            .find(|entry| entry.turn == Some(turn))?;
        Some(found.place + 1)
    }

    /// Returns the number of turns among the records from `first` to before `end`, as far as they are
    /// still there.
    pub fn turns(&self, first: u64, end: u64) -> u64 {
        let ring = self.ring();
        let range = first..end;
        let turns = ring.entries.iter().filter(|entry| range.contains(&entry.place));
        turns.filter(|entry| entry.turn.is_some()).count() as u64
    }

    /// Returns what a new page needs, in order: the settings, and the last state.
    pub fn introduction(&self) -> Vec<Arc<Entry>> {
        let ring = self.ring();
        let mut state = vec![ring.snapshot.clone(), ring.turn.clone()];
        state.sort_by_key(|entry| entry.as_ref().map(|entry| entry.place));
        [ring.hello.clone()].into_iter().chain(state).flatten().collect()
    }

    /// Waits for the record at `place`, for at most `time`.
    pub fn wait(&self, place: u64, time: Duration) -> Option<Arc<Entry>> {
        let until = Instant::now() + time;
        let mut ring = self.ring();
        while ring.next <= place {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            ring = self.grown.wait_timeout(ring, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(ring);
        self.at(place)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("end", &self.end()).finish_non_exhaustive()
    }
}
