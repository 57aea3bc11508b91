//! Conditional requests and ranges of a file (RFC 9110, sections 13 and 14).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httparse::{EMPTY_HEADER, Header};
use httpdate::{HttpDate, parse_http_date};
use memchr::memchr;

use super::head::{MAX_FIELDS, list};
use super::status::Status;

/// The statuses that only files have.
impl Status {
    pub const PARTIAL_CONTENT: Status = Status(206);
    pub const NOT_MODIFIED: Status = Status(304);
    pub const RANGE_NOT_SATISFIABLE: Status = Status(416);
}

/// The version of a file: what its validators are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The length in bytes.
    pub length: u64,
    /// When it was last modified, in seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
}

impl Version {
    /// Returns the field `ETag`.
    pub fn tag(&self) -> String {
        let Version { length, modified: (seconds, nanoseconds) } = self;
        format!("\"{seconds:x}-{nanoseconds:x}-{length:x}\"")
    }

    /// Returns the field `Last-Modified`, which is not later than `now`, in seconds since 1970. `None`
    /// for a time before 1970.
    pub fn date(&self, now: u64) -> Option<HttpDate> {
        let seconds = u64::try_from(self.modified.0).ok()?.min(now);
        Some(HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds)))
    }
}

/// What is sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// The bytes from the first to the last, both included.
    Range(u64, u64),
    /// Nothing: the client has this version.
    NotModified,
    /// Nothing: the range begins behind the end.
    Unsatisfiable,
}

/// What a request says of the version and of the part that it wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    range: Option<ByteRange>,
    /// The range is only wanted of this version: an entity tag or a date.
    if_range: Option<String>,
    /// The entity tags that the client has, or `*`.
    if_none_match: Option<String>,
    /// In seconds since 1970.
    if_modified_since: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteRange {
    /// From this byte, up to that one if it is given.
    From(u64, Option<u64>),
    /// The last bytes, so many of them.
    Last(u64),
}

impl Conditions {
    /// Parses the conditions in a head that has been parsed without an error. `None` if it has none. A
    /// field that cannot be understood is ignored, as the RFC wants it.
    pub fn parse(head: &[u8], is_get: bool) -> Option<Box<Self>> {
        let end = memchr(b'\n', head)?;
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let parsed = httparse::parse_headers(&head[end + 1..], &mut fields).ok()?;
        let httparse::Status::Complete((_, fields)) = parsed else { return None };
        let found = Conditions {
            range: only(fields, "range").filter(|_| is_get).and_then(ByteRange::parse),
            // One that is there twice or is no text matches nothing.
            if_range: has(fields, "if-range")
                .then(|| only(fields, "if-range").unwrap_or_default().into()),
            if_none_match: joined(fields, "if-none-match"),
            if_modified_since: only(fields, "if-modified-since").and_then(seconds),
        };
        (found != Conditions::default()).then(|| Box::new(found))
    }

    /// Returns what is sent of this version.
    pub fn part(&self, version: &Version) -> Part {
        let has_it = match (&self.if_none_match, self.if_modified_since) {
            // Only without a tag does the date count.
            (Some(tags), _) => has_tag(tags, &version.tag()),
            (None, Some(since)) => version.modified.0 <= since,
            (None, None) => false,
        };
        if has_it {
            return Part::NotModified;
        }
        match self.range {
            Some(range) if self.wants_range_of(version) => range.of(version.length),
            _ => Part::Whole,
        }
    }

    fn wants_range_of(&self, version: &Version) -> bool {
        let Some(wanted) = &self.if_range else { return true };
        *wanted == version.tag() || seconds(wanted) == Some(version.modified.0)
    }
}

impl ByteRange {
    /// Parses a field `Range` with one range in bytes. Several ranges, and other units, are ignored.
    fn parse(value: &str) -> Option<Self> {
        let (unit, range) = value.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        Some(match (first, last) {
            ("", last) => ByteRange::Last(number(last)?),
            (first, "") => ByteRange::From(number(first)?, None),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(ByteRange::From(first, Some(last)))?
            }
        })
    }

    /// Returns this part of a file of so many bytes.
    fn of(self, length: u64) -> Part {
        let end = length.saturating_sub(1);
        match self {
            ByteRange::Last(0) => Part::Unsatisfiable,
            ByteRange::Last(_) if length == 0 => Part::Whole,
            ByteRange::Last(count) => Part::Range(length.saturating_sub(count), end),
            ByteRange::From(first, _) if first >= length => Part::Unsatisfiable,
            ByteRange::From(first, last) => {
                Part::Range(first, last.map_or(end, |last| last.min(end)))
            }
        }
    }
}

/// Parses digits. A number that is too large is the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Returns the seconds of a date since 1970.
fn seconds(date: &str) -> Option<i64> {
    let date: SystemTime = parse_http_date(date).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Returns whether a list of entity tags has this one. Weak tags count as strong ones here.
fn has_tag(tags: &str, tag: &str) -> bool {
    let mut tags = list(tags.as_bytes()).map(|other| other.strip_prefix(b"W/").unwrap_or(other));
    tags.any(|other| other == b"*" || other == tag.as_bytes())
}

fn values<'a>(fields: &[Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let is_named = move |field: &&Header| field.name.eq_ignore_ascii_case(name);
    fields.iter().filter(is_named).map(|field| field.value)
}

fn has(fields: &[Header], name: &str) -> bool {
    values(fields, name).next().is_some()
}

/// Returns the value of a field that is there once, and is a text.
fn only<'a>(fields: &[Header<'a>], name: &str) -> Option<&'a str> {
    let mut values = values(fields, name);
    match (values.next(), values.next()) {
        (Some(value), None) => str::from_utf8(value).ok(),
        _ => None,
    }
}

/// Returns all values of a list.
fn joined(fields: &[Header], name: &str) -> Option<String> {
    let all: Vec<_> = values(fields, name).map(String::from_utf8_lossy).collect();
    (!all.is_empty()).then(|| all.join(","))
}
