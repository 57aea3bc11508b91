//! What the server offers.

use super::head::Head;
use super::path;
use super::status::Status;

/// What is done with a request, which is known when its head was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A text is sent.
    Text(&'static str),
    /// The sum of the query and of the number in the body is sent, or that of the query alone.
    Sum { query: i64, with_body: bool },
    /// The body is sent back.
    Echo,
    /// A file is sent. Its path is below the root.
    File(String),
    /// The allowed methods are sent.
    Options(Methods),
    /// The method is not allowed; these are.
    NotAllowed(Methods),
    /// The request is well-formed, and refused.
    Refuse(Status),
}

impl Action {
    /// Returns whether the body of the request is needed.
    pub fn needs_body(&self) -> bool {
        matches!(self, Action::Echo | Action::Sum { with_body: true, .. })
    }

    /// Returns whether the request is answered with an error.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Action::NotAllowed(_) | Action::Refuse(_))
    }
}

/// The methods that are allowed.
pub type Methods = &'static [&'static str];

const READ: Methods = &["GET", "HEAD", "OPTIONS"];
const SUM: Methods = &["GET", "HEAD", "POST", "OPTIONS"];
const ANY: Methods = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Returns what is done with a request. `has_files` says whether the server has files.
pub fn find(head: &Head, has_files: bool) -> Result<Action, Status> {
    if !ANY.contains(&head.method) {
        return Ok(Action::Refuse(Status::NOT_IMPLEMENTED));
    }
    let path = path::normal(head.path)?;
    let (allowed, action) = match &*path {
        "*" => (ANY, Action::Options(ANY)),
        "/pipeline" => (READ, Action::Text("ok")),
        "/plaintext" => (READ, Action::Text("Hello, World!")),
        "/baseline11" => {
            let action = match head.method {
                "OPTIONS" => Action::Options(SUM),
                method => Action::Sum { query: sum(head.query)?, with_body: method == "POST" },
            };
            (SUM, action)
        }
        "/echo" => (ANY, Action::Echo),
        "/" if !has_files => (ANY, Action::Echo),
        path if has_files => (READ, Action::File(path[1..].into())),
        _ => return Ok(Action::Refuse(Status::NOT_FOUND)),
    };
    Ok(match head.method {
        "OPTIONS" => Action::Options(allowed),
        method if allowed.contains(&method) => action,
        _ => Action::NotAllowed(allowed),
    })
}

/// Adds up the numbers `a` and `b` of a query.
fn sum(query: &str) -> Result<i64, Status> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut numbers = pairs.filter(|(name, _)| matches!(*name, "a" | "b"));
    numbers.try_fold(0, |sum, (_, value)| add(sum, value.as_bytes()))
}

/// Adds the number in `text` to a sum.
pub fn add(sum: i64, text: &[u8]) -> Result<i64, Status> {
    let number = str::from_utf8(text.trim_ascii()).ok().and_then(|text| text.parse().ok());
    number.and_then(|number| sum.checked_add(number)).ok_or(Status::BAD_REQUEST)
}

/// Returns the media type of a file, by its name.
pub fn content_type(path: &str) -> &'static str {
    if path.is_empty() || path.ends_with('/') {
        return "text/html; charset=utf-8"; // the index of a folder
    }
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}
