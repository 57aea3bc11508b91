//! The table of cases, and what a client makes of the answers.

use std::fs;
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
    file: Vec<FileCase>,
}

/// What a client sends, and what it is answered. See the head of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub section: String,
    pub send: String,
    /// What the client sends after the first response.
    #[serde(default)]
    pub more: String,
    #[serde(default)]
    fill: usize,
    /// Number of fields that `{lines}` stands for.
    #[serde(default)]
    lines: usize,
    pub status: Vec<u16>,
    #[serde(default)]
    pub then: Then,
    body: Option<String>,
    field: Option<String>,
    #[serde(default)]
    is_head: bool,
}

/// A request for a file with the letters, and its answer. See the head of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCase {
    pub name: String,
    pub section: String,
    /// Fields of the request.
    #[serde(default)]
    send: Vec<String>,
    #[serde(default)]
    is_head: bool,
    #[serde(default)]
    is_empty: bool,
    status: u16,
    #[serde(default)]
    body: String,
    #[serde(default)]
    field: Vec<String>,
}

/// The content of the file of all [`FileCase`]s.
pub const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

/// When it was modified, in seconds since 1970: Sun, 06 Nov 1994 08:49:37 GMT.
pub const MODIFIED: u64 = 784_111_777;

impl FileCase {
    pub fn content(&self) -> &'static str {
        if self.is_empty { "" } else { LETTERS }
    }

    /// Returns the request for the file at this path.
    pub fn request(&self, path: &str) -> String {
        let method = if self.is_head { "HEAD" } else { "GET" };
        let fields: String = self.send.iter().map(|field| format!("{field}\r\n")).collect();
        format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    #[track_caller]
    pub fn check(&self, output: &[u8]) {
        let responses = responses(output, |index| index == 0 && self.is_head);
        let context = || format!("{} ({}): {}", self.name, self.section, output.escape_ascii());
        let responses = responses.unwrap_or_else(|| panic!("no responses: {}", context()));
        let Some(first) = responses.first() else { panic!("no response: {}", context()) };
        assert_eq!(first.status, self.status, "{}", context());
        assert_eq!(first.body, self.body.as_bytes(), "{}", context());
        for field in &self.field {
            assert!(first.has_field(field), "{field}: {}", context());
        }
        let has_range = first.head.contains("\r\nContent-Range: ");
        assert_eq!(has_range, matches!(self.status, 206 | 416), "{}", context());
    }
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    #[default]
    Keep,
    Close,
    Wait,
}

/// A request that is always answered, as the last one.
pub const LAST: &str = "GET /pipeline HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
/// A request that is always answered.
pub const PLAIN: &str = "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n";

impl Case {
    /// Returns what the client sends first.
    pub fn first(&self) -> Vec<u8> {
        let lines: String = (0..self.lines).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let text = self.send.replace("{fill}", &"a".repeat(self.fill)).replace("{lines}", &lines);
        text.chars().map(|character| u8::try_from(character).unwrap()).collect()
    }

    /// Checks the answers to `before` plain requests, to this case, and, if the connection persists, to
    /// [`LAST`]. An incomplete request is answered when the client has half-closed.
    #[track_caller]
    pub fn check(&self, before: usize, output: &[u8]) {
        let context = || format!("{} ({}): {}", self.name, self.section, output.escape_ascii());
        let count = before + self.status.len();
        let responses = responses(output, |index| self.is_head && index + 1 == count)
            .unwrap_or_else(|| panic!("these are no responses: {}", context()));
        let mut expected = vec![200; before];
        expected.extend(&self.status);
        expected.extend(match self.then {
            Then::Keep => Some(200),
            Then::Close => None,
            Then::Wait => Some(400),
        });
        let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
        assert_eq!(statuses, expected, "{}", context());

        let (last, others) = responses.split_last().unwrap();
        assert!(last.has_field("Connection: close"), "{}", context());
        let are_kept = others.iter().all(|response| !response.has_field("Connection: close"));
        assert!(are_kept, "{}", context());
        for response in responses.iter().filter(|response| response.status >= 200) {
            assert!(response.has_field("Server: tripoll"), "{}", context());
            assert!(response.head.contains("\r\nDate: "), "{}", context());
        }
        if let Some(response) = count.checked_sub(1).map(|index| &responses[index]) {
            if let Some(body) = &self.body {
                assert_eq!(response.body, body.as_bytes(), "{}", context());
            }
            if let Some(field) = &self.field {
                assert!(response.has_field(field), "{field}: {}", context());
            }
        }
    }
}

/// A response.
pub struct Response {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn has_field(&self, field: &str) -> bool {
        self.head.contains(&format!("\r\n{field}\r\n"))
    }
}

/// Splits the output of a server into responses. `is_head` says which of them have no body for all
/// that their fields say. `None` if they are malformed or incomplete.
pub fn responses(output: &[u8], is_head: impl Fn(usize) -> bool) -> Option<Vec<Response>> {
    let mut found = Vec::new();
    let mut rest = output;
    while !rest.is_empty() {
        let end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(rest[..end].into()).ok()?;
        let status = head.strip_prefix("HTTP/1.1 ")?.split_once(' ')?.0.parse().ok()?;
        let mut lengths = head.lines().filter_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = match (status, lengths.next(), lengths.next()) {
            (100 | 204 | 304, None, None) => 0,
            (_, Some(length), None) => length.parse().ok()?,
            _ => return None,
        };
        let length = if is_head(found.len()) { 0 } else { length };
        let body = rest[end..].get(..length)?.to_vec();
        rest = &rest[end + length..];
        found.push(Response { status, head, body });
    }
    Some(found)
}

fn table() -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_cases.toml");
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    table().case
}

/// Returns all cases with a file.
pub fn file_cases() -> Vec<FileCase> {
    table().file
}

#[test]
fn the_table_has_enough_cases_of_each_kind() {
    let cases = cases();
    assert!(cases.len() >= 240, "{}", cases.len());
    let count = |then| cases.iter().filter(|case| case.then == then).count();
    assert!(count(Then::Keep) >= 70, "{}", count(Then::Keep));
    assert!(count(Then::Close) >= 110, "{}", count(Then::Close));
    assert!(count(Then::Wait) >= 20, "{}", count(Then::Wait));
    let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    assert!(cases.iter().all(|case| case.section.starts_with("RFC ")));
}

#[test]
fn a_request_that_is_malformed_ends_the_connection() {
    for case in cases() {
        let is_error = |status: &u16| matches!(status, 400 | 408 | 413 | 414 | 417 | 431 | 505);
        let has_error = case.status.iter().any(is_error);
        assert!(!has_error || case.then == Then::Close, "{}", case.name);
    }
}
