//! The values, by their keys.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// What an entry costs beside its bytes, about.
const OVERHEAD: usize = 100;

#[derive(Debug, Clone)]
pub enum Value {
    String(Vec<u8>),
    List(VecDeque<Vec<u8>>),
}

impl Value {
    fn size(&self) -> usize {
        match self {
            Value::String(text) => text.len(),
            Value::List(list) => list.iter().map(|text| text.len() + OVERHEAD).sum(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    value: Value,
    expires: Option<Instant>,
}

/// A value of the other type is at this key.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongType;

/// All values. Time is passed in, so that a test can choose it.
#[derive(Debug)]
pub struct Store {
    entries: HashMap<Vec<u8>, Entry>,
    /// The keys that expire, the next one first.
    expiring: BTreeSet<(Instant, Vec<u8>)>,
    now: Instant,
    size: usize,
    max_size: usize,
}

impl Store {
    /// Returns an empty store for about so many bytes.
    pub fn new(max_size: usize, now: Instant) -> Self {
        let (entries, expiring) = (HashMap::new(), BTreeSet::new());
        Store { entries, expiring, now, size: 0, max_size }
    }

    /// Sets the time. Values that have expired are gone from now on.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// Frees up to `most` expired values, so that one call does not take long. Returns whether there
    /// are further values that expire.
    pub fn sweep(&mut self, most: usize) -> bool {
        for _ in 0..most {
            match self.expiring.first() {
                Some((at, key)) if *at <= self.now => {
                    let key = key.clone();
                    self.remove(&key);
                }
                _ => break,
            }
        }
        self.has_expiring()
    }

    /// Returns whether there are values that expire, or that have.
    pub fn has_expiring(&self) -> bool {
        !self.expiring.is_empty()
    }

    /// Returns the number of values, with those that have expired and are not freed.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether `size` more bytes may be stored.
    pub fn has_room(&self, size: usize) -> bool {
        self.size + size + OVERHEAD <= self.max_size
    }

    /// Returns the entry, unless it has expired.
    fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let expires = self.entries.get(key)?.expires;
        if expires.is_some_and(|at| at <= self.now) {
            self.remove(key);
            return None;
        }
        self.entries.get_mut(key)
    }

    pub fn contains(&mut self, key: &[u8]) -> bool {
        self.entry(key).is_some()
    }

    pub fn string(&mut self, key: &[u8]) -> Result<Option<&[u8]>, WrongType> {
        match self.entry(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::List(_)) => Err(WrongType),
        }
    }

    pub fn list(&mut self, key: &[u8]) -> Result<Option<&VecDeque<Vec<u8>>>, WrongType> {
        match self.entry(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(Value::String(_)) => Err(WrongType),
        }
    }

    /// Sets a string, which expires at a time or never.
    pub fn set(&mut self, key: &[u8], text: &[u8], expires: Option<Instant>) {
        self.remove(key);
        self.insert(key, Value::String(text.to_vec()), expires);
    }

    /// Puts strings at one end of a list, which is made if there is none. Returns its length.
    pub fn push(&mut self, key: &[u8], front: bool, texts: &[&[u8]]) -> Result<usize, WrongType> {
        if !self.contains(key) {
            self.insert(key, Value::List(VecDeque::new()), None);
        }
        let Some(Entry { value: Value::List(list), .. }) = self.entries.get_mut(key) else {
            return Err(WrongType);
        };
        for text in texts {
            self.size += text.len() + OVERHEAD;
            if front {
                list.push_front(text.to_vec());
            } else {
                list.push_back(text.to_vec());
            }
        }
        Ok(list.len())
    }

    /// Sets when a value expires, if it does. Returns whether there is such a value.
    pub fn set_expires(&mut self, key: &[u8], at: Option<Instant>) -> bool {
        let Some(entry) = self.entry(key) else { return false };
        if let Some(before) = std::mem::replace(&mut entry.expires, at) {
            self.expiring.remove(&(before, key.to_vec()));
        }
        if let Some(at) = at {
            self.expiring.insert((at, key.to_vec()));
        }
        true
    }

    /// Returns when a value expires: `Some(None)` for one that does not.
    pub fn expires(&mut self, key: &[u8]) -> Option<Option<Instant>> {
        self.entry(key).map(|entry| entry.expires)
    }

    /// Returns how long a value lives: `Some(None)` for one that does not expire.
    pub fn life(&mut self, key: &[u8]) -> Option<Option<Duration>> {
        let (now, expires) = (self.now, self.expires(key)?);
        Some(expires.map(|at| at.saturating_duration_since(now)))
    }

    /// Removes a value. Returns whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return false };
        self.size -= key.len() + OVERHEAD + entry.value.size();
        if let Some(at) = entry.expires {
            self.expiring.remove(&(at, key));
        }
        entry.expires.is_none_or(|at| at > self.now)
    }

    fn insert(&mut self, key: &[u8], value: Value, expires: Option<Instant>) {
        self.size += key.len() + OVERHEAD + value.size();
        if let Some(at) = expires {
            self.expiring.insert((at, key.to_vec()));
        }
        self.entries.insert(key.to_vec(), Entry { value, expires });
    }
}
