//! The header of the PROXY protocol, without sockets: a proxy sends it before the bytes of a client, so
//! that the server knows the client's address. Version 1 is a line, version 2 is binary.
//!
//! The crate `ppp` knows the formats. Where a header ends, and how long it may be, is decided here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ppp::{v1, v2};

/// The most bytes of a header of version 1, as the protocol says.
pub const MAX_LINE: usize = 107;
/// The most bytes of a header of version 2, with its extensions.
pub const MAX_BINARY: usize = 2_048;

/// Where a client connected from, and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// The version of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "v1" => Ok(Version::V1),
            "v2" => Ok(Version::V2),
            _ => Err("it is neither v1 nor v2"),
        }
    }
}

/// Why bytes are no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderError(String);

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no header of the PROXY protocol: {}", self.0)
    }
}

impl std::error::Error for HeaderError {}

/// A whole header: its length in bytes, and the ends that it tells, if it does.
pub type Header = (usize, Option<Ends>);

/// Parses the header at the beginning of `data`. Returns `None` if it is incomplete.
///
/// # Errors
///
/// Fails as soon as `data` cannot be the beginning of a header.
pub fn parse(data: &[u8]) -> Result<Option<Header>, HeaderError> {
    if begins(data, v2::PROTOCOL_PREFIX) {
        parse_binary(data)
    } else if begins(data, b"PROXY ") {
        parse_line(data)
    } else {
        Err(HeaderError("it begins with other bytes".into()))
    }
}

/// Returns whether `data` begins with `prefix`, or is the beginning of it.
fn begins(data: &[u8], prefix: &[u8]) -> bool {
    let length = data.len().min(prefix.len());
    data[..length] == prefix[..length]
}

fn parse_line(data: &[u8]) -> Result<Option<Header>, HeaderError> {
    let most = data.len().min(MAX_LINE);
    let Some(end) = data[..most].windows(2).position(|two| two == b"\r\n") else {
        if data.len() < MAX_LINE {
            return Ok(None);
        }
        return Err(HeaderError(format!("a line is longer than {MAX_LINE} bytes")));
    };
    let line = &data[..end + 2];
    if line.contains(&b'+') {
        return Err(HeaderError("a port has a sign".into()));
    }
    let header = v1::Header::try_from(line).map_err(|error| HeaderError(error.to_string()))?;
    let ends = match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(a) => Some(ends(
            (a.source_address, a.source_port),
            (a.destination_address, a.destination_port),
        )),
        v1::Addresses::Tcp6(a) => Some(ends(
            (a.source_address, a.source_port),
            (a.destination_address, a.destination_port),
        )),
    };
    Ok(Some((line.len(), ends)))
}

fn parse_binary(data: &[u8]) -> Result<Option<Header>, HeaderError> {
    const FIXED: usize = 16;
    let Some(&[high, low]) = data.get(FIXED - 2..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_BINARY {
        return Err(HeaderError(format!("{length} bytes are above the limit of {MAX_BINARY}")));
    }
    let Some(data) = data.get(..length) else { return Ok(None) };
    let header = v2::Header::try_from(data).map_err(|error| HeaderError(error.to_string()))?;
    if header.protocol == v2::Protocol::Datagram {
        return Err(HeaderError("it is that of a datagram".into()));
    }
    let ends = match header.addresses {
        // The other proxy connects for itself: a health check.
        _ if header.command == v2::Command::Local => None,
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        v2::Addresses::IPv4(a) => Some(ends(
            (a.source_address, a.source_port),
            (a.destination_address, a.destination_port),
        )),
        v2::Addresses::IPv6(a) => Some(ends(
            (a.source_address, a.source_port),
            (a.destination_address, a.destination_port),
        )),
    };
    Ok(Some((length, ends)))
}

fn ends<T: Into<IpAddr>>(source: (T, u16), destination: (T, u16)) -> Ends {
    Ends { source: source.into(), destination: destination.into() }
}

/// Returns a header. Without ends, as for a client of a Unix socket, it says that they are not known.
pub fn write(version: Version, ends: Option<Ends>) -> Vec<u8> {
    // A pair of two families has no form of its own.
    let ends = ends.filter(|ends| ends.source.is_ipv4() == ends.destination.is_ipv4());
    match version {
        Version::V1 => match ends {
            Some(Ends { source, destination }) => {
                v1::Addresses::from((source, destination)).to_string().into_bytes()
            }
            None => b"PROXY UNKNOWN\r\n".to_vec(),
        },
        Version::V2 => {
            let addresses = ends.map_or(v2::Addresses::Unspecified, |ends| {
                v2::Addresses::from((ends.source, ends.destination))
            });
            let protocol =
                if ends.is_some() { v2::Protocol::Stream } else { v2::Protocol::Unspecified };
            let command = v2::Version::Two | v2::Command::Proxy;
            let header = v2::Builder::with_addresses(command, protocol, addresses).build();
            header.unwrap_or_default() // it fails for extensions that are too long
        }
    }
}
