//! Where a listener listens, and who a peer is.

use std::ffi::OsStr;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::{fmt, io};

use socket2::SockAddr;

/// An address of either family.
///
/// ```
/// use tripoll::net::Address;
///
/// assert_eq!("127.0.0.1:80".parse::<Address>()?, Address::Inet(([127, 0, 0, 1], 80).into()));
/// assert_eq!("[::1]:80".parse::<Address>()?.to_string(), "[::1]:80");
/// assert_eq!("/run/echo".parse::<Address>()?, Address::Unix("/run/echo".into()));
/// assert_eq!("@echo".parse::<Address>()?, Address::Abstract(b"echo".into()));
/// assert!("echo".parse::<Address>().is_err());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// IPv4 or IPv6, and a port.
    Inet(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// A Unix socket's name that is no file's: Linux's abstract namespace. Written with an `@`.
    Abstract(Vec<u8>),
    /// None: the usual address of a Unix socket's client.
    Unnamed,
}

impl Address {
    pub(crate) fn of(address: &SockAddr) -> Self {
        if let Some(address) = address.as_socket() {
            Address::Inet(address)
        } else if let Some(path) = address.as_pathname() {
            Address::Unix(path.into())
        } else if let Some(name) = address.as_abstract_namespace() {
            Address::Abstract(name.into())
        } else {
            Address::Unnamed
        }
    }

    pub(crate) fn to_sock_addr(&self) -> io::Result<SockAddr> {
        match self {
            Address::Inet(address) => Ok((*address).into()),
            // (Linux takes an empty path for "any abstract name", where nobody finds it.)
            Address::Unix(path) if !path.as_os_str().is_empty() => SockAddr::unix(path),
            Address::Abstract(name) => {
                SockAddr::unix(OsStr::from_bytes(&[b"\0", name.as_slice()].concat()))
            }
            Address::Unix(_) | Address::Unnamed => {
                let message = "nobody can connect to a socket without a name";
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
        }
    }
}

impl Address {
    /// That of a host and a port. A name is looked up.
    pub(crate) fn of_host(host: &str, port: u16) -> io::Result<Self> {
        let found = (host, port).to_socket_addrs().map_err(|error| {
            io::Error::new(error.kind(), format!("{host:?} cannot be resolved: {error}"))
        })?;
        let none = || {
            let message = format!("{host:?} cannot be resolved: it has no address");
            io::Error::new(io::ErrorKind::AddrNotAvailable, message)
        };
        choose(found).map(Address::Inet).ok_or_else(none)
    }
}

/// Of a name's addresses the first that is IPv4, if there is one.
fn choose(found: impl Iterator<Item = SocketAddr>) -> Option<SocketAddr> {
    let mut found = found.peekable();
    let first = found.peek().copied();
    found.find(SocketAddr::is_ipv4).or(first)
}

impl FromStr for Address {
    type Err = io::Error;

    /// `HOST:PORT`, or a path, which is told by its `/`, or `@NAME`, an abstract one. A host name is
    /// looked up; if it has several addresses, the first IPv4 one is taken, as Python's servers do.
    fn from_str(text: &str) -> io::Result<Self> {
        if let Some(name) = text.strip_prefix('@') {
            return Ok(Address::Abstract(name.into()));
        }
        if text.contains('/') {
            return Ok(Address::Unix(text.into()));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && let (false, Ok(port)) = (host.is_empty(), port.parse())
        {
            return text.parse().map(Address::Inet).or_else(|_| Address::of_host(host, port));
        }
        let message = format!(
            "{text:?} is neither HOST:PORT nor the path of a socket (with a / in it) nor @NAME"
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
            Address::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
            Address::Unnamed => f.pad("(unnamed)"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Inet(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_addresses_it_is_the_first_of_ipv4() {
        let [six, four, other]: [SocketAddr; 3] =
            ["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
        assert_eq!(choose([six, four, other].into_iter()), Some(four));
        assert_eq!(choose([six].into_iter()), Some(six));
        assert_eq!(choose([].into_iter()), None);
    }
}
