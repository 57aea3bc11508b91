//! The room without sockets: what guests type, and what they read.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// The most bytes of a line.
pub const MAX_LINE: usize = 1_024;
/// The most characters of a name.
pub const MAX_NAME: usize = 20;
/// When the replies of one call have so many bytes, the rest of the lines waits for the next one.
const ENOUGH: usize = 16 << 10;

const HELP: &str = "* /nick NAME, /who, /quit; all else is said to everybody\n";

/// Why a guest leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// The guest has quit, or has closed.
    Quits,
    /// The guest does not read what the others say.
    IsSlow,
    /// The connection has failed.
    IsLost,
}

/// The guests, each known by a key.
#[derive(Debug)]
pub struct Room<K> {
    guests: HashMap<K, String>,
    names: BTreeMap<String, K>,
    /// What is said, and not yet sent.
    news: Vec<u8>,
    joined: u64,
}

impl<K: Copy + Eq + Hash> Room<K> {
    pub fn new() -> Self {
        Room { guests: HashMap::new(), names: BTreeMap::new(), news: Vec::new(), joined: 0 }
    }

    /// Lets a guest in. Returns the welcome.
    pub fn join(&mut self, key: K) -> String {
        let name = loop {
            self.joined += 1;
            let name = format!("guest{}", self.joined);
            if !self.names.contains_key(&name) {
                break name;
            }
        };
        self.say(&format!("* {name} joins\n"));
        let welcome = format!("* welcome, {name}\n{HELP}");
        self.names.insert(name.clone(), key);
        self.guests.insert(key, name);
        welcome
    }

    /// Does what the lines of a guest say. Returns how many bytes of `data` were used, and whether the
    /// guest stays. The rest is no whole line, or comes after many replies.
    pub fn receive(&mut self, key: K, data: &[u8], reply: &mut Vec<u8>) -> (usize, bool) {
        let mut used = 0;
        while reply.len() < ENOUGH {
            let rest = &data[used..];
            let most = rest.len().min(MAX_LINE + 1);
            let Some(end) = rest[..most].iter().position(|&byte| byte == b'\n') else {
                if rest.len() > MAX_LINE {
                    let error = format!("* a line is longer than {MAX_LINE} bytes\n");
                    reply.extend_from_slice(error.as_bytes());
                    return (data.len(), false);
                }
                break;
            };
            used += end + 1;
            let line = printable(&rest[..end]);
            match self.answer(key, &line) {
                Some(text) => reply.extend_from_slice(text.as_bytes()),
                None => return (used, false),
            }
        }
        (used, true)
    }

    /// Returns what is answered to one guest: nothing, for what is said to all. Returns `None` if the
    /// guest quits.
    fn answer(&mut self, key: K, line: &str) -> Option<String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "/quit" => return None,
            "/who" => self.who(),
            "/nick" => self.rename(key, rest.trim()),
            _ if word.starts_with('/') => HELP.into(),
            _ => {
                if let Some(name) = self.guests.get(&key).filter(|_| !line.is_empty()) {
                    let said = format!("{name}: {line}\n");
                    self.say(&said);
                }
                String::new()
            }
        })
    }

    fn who(&self) -> String {
        let names: Vec<&str> = self.names.keys().map(String::as_str).collect();
        format!("* {} here: {}\n", names.len(), names.join(" "))
    }

    fn rename(&mut self, key: K, name: &str) -> String {
        let is_plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        if name.is_empty() || !is_plain || name.chars().count() > MAX_NAME {
            return format!("* a name is 1 to {MAX_NAME} letters, digits, - and _\n");
        }
        if self.names.contains_key(name) {
            return format!("* {name} is taken\n");
        }
        if let Some(before) = self.guests.insert(key, name.into()) {
            self.names.remove(&before);
            self.say(&format!("* {before} is now {name}\n"));
        }
        self.names.insert(name.into(), key);
        String::new()
    }

    /// Lets a guest out.
    pub fn leave(&mut self, key: K, leaves: Leaves) {
        let Some(name) = self.guests.remove(&key) else { return };
        self.names.remove(&name);
        self.say(&match leaves {
            Leaves::Quits => format!("* {name} leaves\n"),
            Leaves::IsSlow => format!("* {name} is dropped: too slow in reading\n"),
            Leaves::IsLost => format!("* {name} is lost\n"),
        });
    }

    fn say(&mut self, text: &str) {
        self.news.extend_from_slice(text.as_bytes());
    }

    /// Returns whether there is something to send to all.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Takes what is to be sent to all, as one buffer that they share.
    pub fn take_news(&mut self) -> Arc<[u8]> {
        std::mem::take(&mut self.news).into()
    }

    pub fn guests(&self) -> impl Iterator<Item = K> {
        self.guests.keys().copied()
    }
}

impl<K: Copy + Eq + Hash> Default for Room<K> {
    fn default() -> Self {
        Room::new()
    }
}

/// Returns a line as text. What would act on the terminals of others is replaced.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
