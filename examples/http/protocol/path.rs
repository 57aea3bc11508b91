//! Paths in their normal form (RFC 3986, section 6.2).

use std::borrow::Cow;

use super::status::Status;

/// Decodes a path, and removes its segments `.` and `..`. So equal paths are equal texts, and none
/// leads out of the root. A path that would is an error. So is a path with an encoded `/`, a NUL, or
/// bytes that are no text.
pub fn normal(path: &str) -> Result<Cow<'_, str>, Status> {
    let is_special = |pair: &[u8]| matches!(pair, [_, b'%'] | [b'/', b'.' | b'/']);
    if !path.as_bytes().windows(2).any(is_special) {
        return Ok(path.into());
    }
    let mut segments: Vec<String> = Vec::new();
    let mut is_folder = false;
    for segment in path.split('/').skip(1) {
        let segment = decode(segment)?;
        is_folder = matches!(&*segment, "" | "." | "..");
        match &*segment {
            "" | "." => {}
            ".." => drop(segments.pop().ok_or(Status::BAD_REQUEST)?),
            _ => segments.push(segment),
        }
    }
    let end = if is_folder && !segments.is_empty() { "/" } else { "" };
    Ok(format!("/{}{end}", segments.join("/")).into())
}

/// Decodes the percent-encoded bytes of a segment.
fn decode(segment: &str) -> Result<String, Status> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match behind {
            [high, low, behind @ ..] if *first == b'%' => (16 * digit(*high) + digit(*low), behind),
            _ => (*first, behind),
        };
        if matches!(byte, 0 | b'/') {
            return Err(Status::BAD_REQUEST);
        }
        decoded.push(byte);
        rest = behind;
    }
    String::from_utf8(decoded).map_err(|_| Status::BAD_REQUEST)
}

/// Returns the value of a hexadecimal digit. The head was checked.
fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).unwrap_or_default() as u8
}
