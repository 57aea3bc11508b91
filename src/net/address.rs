//! Where a listener listens, and who a peer is.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

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

impl FromStr for Address {
    type Err = io::Error;

    /// `HOST:PORT`, or a path, which is told by its `/`, or `@NAME`, an abstract one. A host name is
    /// looked up, and its first address taken.
    fn from_str(text: &str) -> io::Result<Self> {
        if let Some(name) = text.strip_prefix('@') {
            return Ok(Address::Abstract(name.into()));
        }
        if text.contains('/') {
            return Ok(Address::Unix(text.into()));
        }
        let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
        found.map(Address::Inet).ok_or_else(|| {
            let message = format!(
                "{text:?} is neither HOST:PORT nor the path of a socket (with a / in it) nor @NAME"
            );
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
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
