//! The records that the lab sends to its pages, writes to files and reads from them.
//!
//! Each record is one JSON object. Its keys are short English words, its numbers are plain, and its texts
//! are identifiers. Sentences for people are made from it elsewhere, in every language. A record grows by
//! keys, and never changes one, so each reader ignores what it does not know.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A text of a record: an identifier, or a piece of data.
pub type Text = Cow<'static, str>;

/// The version of the records.
pub const VERSION: u32 = 1;

/// Event `hello`: the settings. It comes first, and again when a subject begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The version of the records.
    pub v: u32,
    /// The version of this program.
    pub version: Text,
    /// The release of the kernel.
    pub kernel: Text,
    /// The machine's architecture.
    pub arch: Text,
    /// The system call that waits.
    pub backend: Text,
    /// The requested trigger.
    pub trigger: Text,
    /// The trigger in effect.
    pub effective: Text,
    /// The running handler.
    pub handler: Text,
    /// Where the subject stands.
    pub gate: Place,
    /// The running scenario.
    pub scenario: Option<Text>,
    /// The address of the subject.
    pub subject: Text,
    /// The limit of descriptors.
    pub limit: u64,
    /// Reads, writes and accepts of one call of a handler.
    pub budget: u32,
    /// Bytes of a write buffer above which its connection is not read. Zero: there is none.
    pub watermark: u64,
    /// Milliseconds for which a handler works on each message.
    pub slow: u64,
    /// The timeout of a wait, in milliseconds.
    pub timeout: u64,
    /// The backends that can be chosen.
    pub backends: Vec<Text>,
    /// The handlers that can be chosen.
    pub handlers: Vec<Text>,
    /// The scenarios that can be chosen.
    pub scenarios: Vec<ScenarioTitle>,
    /// The sources of the handlers.
    pub code: BTreeMap<Text, Code>,
}

/// A text in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Both {
    /// The English text.
    pub en: Text,
    /// The Chinese text.
    pub zh: Text,
}

/// A scenario in the list of a [`Hello`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScenarioTitle {
    /// Its name.
    pub id: Text,
    /// The number of its question.
    pub question: u32,
    /// Its question.
    pub title: Both,
    /// Its chapter in the book.
    pub chapter: Text,
    /// What to do.
    pub steps: Vec<Both>,
    /// What one sees.
    pub see: Both,
}

/// The source of a handler in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The Rust source. [`Lines::rust`] counts its lines from 1.
    pub rust: Text,
    /// The program of the tutorials that does the same.
    pub python: Option<Text>,
}

/// Where the subject stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Before its wait.
    #[default]
    Before,
    /// After its wait, before the dispatch.
    After,
    /// Nowhere: it runs.
    Running,
    /// It has ended with an error.
    Dead,
}

/// Event `snapshot`: the state between turns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The last turn.
    pub turn: u64,
    /// Where the subject stands.
    pub gate: Place,
    /// The table of sources.
    pub sources: Vec<Row>,
    /// The lab's clients.
    pub clients: Vec<Client>,
    /// The lists of the tutorials' program.
    pub lists: Option<Lists>,
    /// The kernel's own list.
    pub kernel: Option<Vec<KernelEntry>>,
    /// At gate `after`: the wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// At gate `after`: what the wait has reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Vec<Reported>>,
    /// What is ready.
    pub ready: Vec<Ready>,
    /// What is ready and will not be reported.
    pub ghosts: Vec<i32>,
    /// At gate `after`: what was predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Predicted>,
    /// The lines of the handler.
    pub line: Option<Lines>,
}

/// Event `turn`: one turn of the subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    /// Its number. The first turn of a subject is 1.
    pub t: u64,
    /// When it ended, in microseconds since the subject began.
    pub at_us: u64,
    /// Where the subject stands now.
    pub gate: Place,
    /// The wait.
    pub wait: Wait,
    /// What the wait has reported, and what was dispatched again without a report.
    pub reported: Vec<Reported>,
    /// What was ready when the wait had returned: a zero-timeout `poll` of all sources.
    pub ready: Vec<Ready>,
    /// What was ready for its interest, was not reported, and will not be.
    pub ghosts: Vec<i32>,
    /// The system calls of the handlers, in order.
    pub calls: Vec<Call>,
    /// The calls of handlers.
    pub dispatches: Vec<Dispatched>,
    /// The table of sources at the end of the turn.
    pub sources: Vec<Row>,
    /// The sources that were removed.
    pub gone: Vec<Gone>,
    /// The lists of the tutorials' program.
    pub lists: Option<Lists>,
    /// What this wait costs under each call, by a model.
    pub cost: Costs,
    /// What was measured.
    pub measured: Measured,
    /// The kernel's own list.
    pub kernel: Option<Vec<KernelEntry>>,
    /// The lines of the handler.
    pub line: Option<Lines>,
    /// What is wrong.
    pub lints: Vec<Lint>,
    /// What was predicted.
    pub predicted: Option<Predicted>,
    /// The error with which the handler has ended its server.
    pub died: Option<String>,
    /// The turns before this one that have no record.
    pub skipped: u64,
    /// What the skipped turns have done, together.
    pub since: Since,
    /// The records that this page was not sent, because it did not read.
    pub dropped: u64,
}

/// The turns that have no record, together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Since {
    /// The events that were reported.
    pub events: u64,
    /// The system calls of handlers.
    pub calls: u64,
    /// The bytes that were read.
    pub read: u64,
    /// The bytes that were written.
    pub written: u64,
    /// The time that they took, in nanoseconds.
    pub ns: u64,
}

/// A wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wait {
    /// The system call.
    pub call: Text,
    /// Its arguments, as a text.
    pub args: String,
    /// Its timeout. `None`: it waits without a limit.
    pub timeout_ms: Option<u64>,
    /// How long it took, in nanoseconds.
    pub slept_ns: u64,
    /// The number of descriptors that it has returned.
    pub returned: usize,
    /// What it has returned, as it is.
    pub raw: Vec<Raw>,
    /// Whether the lab ended it, to pause or to change something.
    pub nudged: bool,
    /// The error with which it failed.
    pub error: Option<String>,
}

/// A descriptor as a wait has returned it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// The descriptor.
    pub fd: i32,
    /// Its mask, `IN|OUT`.
    pub mask: String,
}

/// A source that was reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reported {
    /// The descriptor.
    pub fd: i32,
    /// Its slot. `None` for a descriptor of the loop itself.
    pub slot: Option<u32>,
    /// The generation of the slot.
    #[serde(rename = "gen")]
    pub generation: u32,
    /// Whether it was reported as readable.
    pub r: bool,
    /// Whether it was reported as writable.
    pub w: bool,
    /// Whether an urgent byte, an error or a hang-up was reported.
    pub e: bool,
    /// Whether it is dispatched again, without a new event.
    pub again: bool,
}

/// A source that is ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ready {
    /// The descriptor.
    pub fd: i32,
    /// Whether a read would not block.
    pub r: bool,
    /// Whether a write would not block.
    pub w: bool,
    /// Whether there is an error or a hang-up.
    pub e: bool,
}

/// A system call of a handler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// The descriptor.
    pub fd: i32,
    /// The call: `accept`, `read` or `write`.
    pub what: Text,
    /// The number of bytes, or the descriptor that was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<u64>,
    /// The name of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first bytes, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How long it took, in nanoseconds.
    pub ns: u64,
}

/// A call of a handler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dispatched {
    /// The descriptor.
    pub fd: i32,
    /// The number of operations.
    pub operations: u32,
    /// The number of bytes that were read.
    pub read: u64,
    /// The number of bytes that were written.
    pub written: u64,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
    /// Whether the first operation would have blocked.
    pub spurious: bool,
    /// Whether the budget has ended it.
    pub cut_off: bool,
    /// What follows: `waiting`, `ready`, `disarmed` or `removed`.
    pub outcome: Text,
}

/// A row of the table of sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Its slot. `None` for a descriptor of the loop itself.
    pub slot: Option<u32>,
    /// The generation of the slot.
    #[serde(rename = "gen")]
    pub generation: u32,
    /// The descriptor.
    pub fd: i32,
    /// Its role: `listener`, `client`, `waker`, `timer`, `signal` or `other`.
    pub role: Text,
    /// Its name.
    pub name: String,
    /// The address of its peer.
    pub peer: Option<String>,
    /// The interest: `r`, `w`, `rw` or `-`.
    pub interest: Text,
    /// What the kernel was asked: `IN|ET`.
    pub asked: String,
    /// Whether it can be reported: false for a one-shot descriptor that was reported.
    pub armed: bool,
    /// What was reported in the last wait: `r`, `w`, `rw` or `-`.
    pub reported: Text,
    /// What is ready now: `r`, `w`, `rw` or `-`.
    pub ready: Text,
    /// Whether it is ready for its interest, was not reported, and will not be.
    pub ghost: bool,
    /// The bytes that have arrived and were not read (`FIONREAD`).
    pub read_queue: Option<u64>,
    /// The bytes that the peer has not acknowledged (`SIOCOUTQ`).
    pub write_queue: Option<u64>,
    /// The bytes that the program holds, because the kernel has not taken them.
    pub buffered: u64,
    /// How long until its deadline, in milliseconds.
    pub deadline_ms: Option<u64>,
}

/// A source that was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gone {
    /// Its slot.
    pub slot: Option<u32>,
    /// The generation of the slot.
    #[serde(rename = "gen")]
    pub generation: u32,
    /// The descriptor.
    pub fd: i32,
    /// Why: `end`, the name of an error, or `removed`.
    pub why: String,
}

/// The lists of the tutorials' program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lists {
    /// What is watched for reading.
    pub inputs: Vec<i32>,
    /// What is watched for writing.
    pub outputs: Vec<i32>,
    /// What is to be sent, by descriptor.
    pub message_dict: BTreeMap<i32, Vec<String>>,
}

/// An entry of the kernel's list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelEntry {
    /// The descriptor with which it was added. It may be closed.
    pub fd: i32,
    /// What the kernel was asked: `IN|ET`.
    pub mask: String,
    /// Whether the table of sources has it.
    pub known: bool,
}

/// What a wait costs under each call, by a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Costs {
    /// `select(2)`.
    pub select: Cost,
    /// `poll(2)`.
    pub poll: Cost,
    /// `epoll_wait(2)`, and the changes of its list in this turn.
    pub epoll: Cost,
}

/// What a wait costs, by a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// The descriptors that are looked at.
    pub looked: u64,
    /// The bytes that are copied to the kernel.
    #[serde(rename = "in")]
    pub bytes_in: u64,
    /// The bytes that are copied from the kernel.
    pub out: u64,
    /// The system calls that change the kernel's list.
    pub changes: u64,
}

/// What was measured in a turn, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// The wait.
    pub wait_ns: u64,
    /// The calls of `accept`.
    pub accept_ns: u64,
    /// The calls of `read`.
    pub read_ns: u64,
    /// The calls of `write`.
    pub write_ns: u64,
    /// The handlers and the loop, without these calls.
    pub handler_ns: u64,
    /// The lab's own observation.
    pub probe_ns: u64,
}

/// The lines of the handler's source that ran. The last one is the next to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lines {
    /// The handler.
    pub handler: Text,
    /// The lines of the Rust source.
    pub rust: Vec<u32>,
    /// The lines of the Python program.
    pub python: Vec<u32>,
}

/// Something that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lint {
    /// Its name.
    pub id: Text,
    /// The descriptor.
    pub fd: Option<i32>,
    /// How often, or how much.
    pub n: u64,
}

/// A prediction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Predicted {
    /// The descriptors that were predicted.
    pub fds: Vec<i32>,
    /// Whether these were reported, and no others.
    pub right: bool,
    /// The right predictions so far.
    pub hits: u32,
    /// All predictions so far.
    pub of: u32,
}

/// Event `client`: a client of the lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEvent {
    /// The client.
    pub client: Client,
}

/// A client of the lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Client {
    /// Its number. The first one is 1.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its own address.
    pub address: Option<String>,
    /// `connecting`, `open`, `half-closed`, `reset`, `closed` or `refused`.
    pub state: Text,
    /// Whether it reads.
    pub reading: bool,
    /// The bytes that it has sent.
    pub sent: u64,
    /// The bytes that it has received.
    pub received: u64,
    /// The bytes that it still has to send.
    pub unsent: u64,
    /// The last fault.
    pub fault: Option<Text>,
    /// The last bytes that it has received, as a text.
    pub last: String,
}

/// Event `control`: something was changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// What was changed.
    pub op: Text,
    /// The new value.
    pub value: serde_json::Value,
    /// Where the subject stands.
    pub gate: Place,
    /// What this means.
    pub sentence: Both,
    /// The descriptors that the next wait reports again, because of it.
    pub re_reported: Vec<i32>,
}

/// A record with the name of its event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// The settings.
    Hello(Box<Hello>),
    /// The state between turns.
    Snapshot(Box<Snapshot>),
    /// One turn.
    Turn(Box<Turn>),
    /// A client.
    Client(ClientEvent),
    /// A change.
    Control(Control),
    /// The subject is inside one call.
    Busy(Busy),
    /// The lab ends.
    Bye(Bye),
}

/// Event `busy`: the subject is inside one call, and so serves nobody else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Busy {
    /// The turn that has not ended.
    pub t: u64,
    /// The descriptor of the call.
    pub fd: Option<i32>,
    /// The call: `read`, `write`, `accept` or `handler`. Empty when it has ended.
    pub what: Text,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// Event `bye`: the lab ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {}

impl Record {
    /// Returns the name of the event.
    pub fn name(&self) -> &'static str {
        match self {
            Record::Hello(_) => "hello",
            Record::Snapshot(_) => "snapshot",
            Record::Turn(_) => "turn",
            Record::Client(_) => "client",
            Record::Control(_) => "control",
            Record::Busy(_) => "busy",
            Record::Bye(_) => "bye",
        }
    }

    /// Returns the record as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // no record has a key that is no text
    }

    /// Returns the record of the event `name` with this data. `None` for an event of a later version, or
    /// for data that is no such record.
    pub fn from_json(name: &str, data: &str) -> Option<Record> {
        Some(match name {
            "hello" => Record::Hello(serde_json::from_str(data).ok()?),
            "snapshot" => Record::Snapshot(serde_json::from_str(data).ok()?),
            "turn" => Record::Turn(serde_json::from_str(data).ok()?),
            "client" => Record::Client(serde_json::from_str(data).ok()?),
            "control" => Record::Control(serde_json::from_str(data).ok()?),
            "busy" => Record::Busy(serde_json::from_str(data).ok()?),
            "bye" => Record::Bye(serde_json::from_str(data).ok()?),
            _ => return None,
        })
    }
}
