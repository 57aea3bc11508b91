//! Addresses of sockets, and what can be converted into one.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, io};

use socket2::SockAddr;

/// The address of a socket: an IP address with a port, or that of a Unix socket.
///
/// Its text is one of `IP:PORT`, `[IPV6]:PORT`, a path with a `/` in it, or `@NAME`. Parsing never
/// resolves a host name. [`ToAddress`] does.
///
/// ```
/// use tripoll::net::Address;
///
/// assert_eq!("127.0.0.1:80".parse::<Address>()?, Address::Inet(([127, 0, 0, 1], 80).into()));
/// assert_eq!("[::1]:80".parse::<Address>()?.to_string(), "[::1]:80");
/// assert_eq!("/run/echo".parse::<Address>()?, Address::Unix("/run/echo".into()));
/// assert_eq!("@echo".parse::<Address>()?, Address::Abstract(b"echo".into()));
/// assert!("echo".parse::<Address>().is_err());
/// assert!("localhost:80".parse::<Address>().is_err()); // a name: see `ToAddress`
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IPv4 or IPv6 address with a port.
    Inet(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// A name in Linux's abstract namespace, without a file: `unix(7)`. Its text begins with `@`.
    Abstract(Vec<u8>),
    /// No address: the usual one of the client of a Unix socket.
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
            // Linux would bind an empty path to an arbitrary abstract name.
            Address::Unix(path) if !path.as_os_str().is_empty() => SockAddr::unix(path),
            Address::Abstract(name) => {
                SockAddr::unix(OsStr::from_bytes(&[b"\0", name.as_slice()].concat()))
            }
            Address::Unix(_) | Address::Unnamed => {
                let message = "an empty path is not the address of a socket";
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
        }
    }
}

impl Address {
    /// Resolves a host, and returns its address.
    fn of_host(host: &str, port: u16) -> io::Result<Self> {
        let found = (host, port).to_socket_addrs().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot resolve {host:?}: {error}"))
        })?;
        let none = || {
            let message = format!("cannot resolve {host:?}: it has no address");
            io::Error::new(io::ErrorKind::AddrNotAvailable, message)
        };
        choose(found).map(Address::Inet).ok_or_else(none)
    }
}

/// Returns the first IPv4 address, or the first of all if there is none.
fn choose(found: impl Iterator<Item = SocketAddr>) -> Option<SocketAddr> {
    let mut found = found.peekable();
    let first = found.peek().copied();
    found.find(SocketAddr::is_ipv4).or(first)
}

impl FromStr for Address {
    type Err = io::Error;

    /// Parses `IP:PORT`, `[IPV6]:PORT`, a path with a `/` in it, or `@NAME`. Resolves no host name.
    fn from_str(text: &str) -> io::Result<Self> {
        if let Some(name) = text.strip_prefix('@') {
            return Ok(Address::Abstract(name.into()));
        }
        if text.contains('/') {
            return Ok(Address::Unix(text.into()));
        }
        text.parse().map(Address::Inet).map_err(|_| {
            let message = match host_and_port(text) {
                Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => {
                    format!("{text:?} is not an address: write [{host}]:{port}")
                }
                Some((host, _)) => format!(
                    "{text:?} is not an address: {host:?} is a host name, which only \
                     ToAddress::to_address resolves"
                ),
                None => not_an_address(text),
            };
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }
}

/// Splits `HOST:PORT`. Returns `None` if it is not of this form.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    (!host.is_empty()).then_some((host, port))
}

fn not_an_address(text: &str) -> String {
    format!("{text:?} is neither HOST:PORT nor the path of a socket (with a / in it) nor @NAME")
}

/// What can be converted into the address of a socket.
///
/// | Python | here |
/// |---|---|
/// | `("localhost", 9999)` | the same, or `"localhost:9999"`, or a [`SocketAddr`] |
/// | `("", 9999)`: all interfaces, IPv4 | the same, or `"0.0.0.0:9999"`; with IPv6 `"[::]:9999"` |
/// | `"/run/echo"` | the same, if there is a `/` in it; any [`Path`] |
/// | `"\0echo"`: an abstract name | `"@echo"` |
///
/// An [`Address`] is one, too. A host name is resolved, which may block. If it has several addresses,
/// the first IPv4 address is taken, as Python's servers do.
///
/// ```
/// use tripoll::net::{Address, ToAddress};
///
/// let address = ("localhost", 9999).to_address()?;
/// assert_eq!(address, "localhost:9999".to_address()?);
/// assert_eq!(("", 80).to_address()?, "0.0.0.0:80".parse::<Address>()?);
/// # std::io::Result::Ok(())
/// ```
pub trait ToAddress {
    /// Returns the address.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a text that is not an address, and the errors of resolving a host name.
    fn to_address(&self) -> io::Result<Address>;
}

impl ToAddress for str {
    fn to_address(&self) -> io::Result<Address> {
        match (self.parse(), host_and_port(self)) {
            (Ok(address), _) => Ok(address),
            (Err(_), Some((host, port))) => Address::of_host(host, port),
            (Err(error), None) => Err(error),
        }
    }
}

impl ToAddress for String {
    fn to_address(&self) -> io::Result<Address> {
        self.as_str().to_address()
    }
}

impl<H: AsRef<str>> ToAddress for (H, u16) {
    fn to_address(&self) -> io::Result<Address> {
        match (self.0.as_ref(), self.1) {
            ("", port) => Ok(Address::Inet((Ipv4Addr::UNSPECIFIED, port).into())),
            (host, port) => Address::of_host(host, port),
        }
    }
}

impl ToAddress for Path {
    fn to_address(&self) -> io::Result<Address> {
        Ok(Address::Unix(self.into()))
    }
}

impl ToAddress for PathBuf {
    fn to_address(&self) -> io::Result<Address> {
        Ok(Address::Unix(self.clone()))
    }
}

impl ToAddress for Address {
    fn to_address(&self) -> io::Result<Address> {
        Ok(self.clone())
    }
}

impl ToAddress for SocketAddr {
    fn to_address(&self) -> io::Result<Address> {
        Ok((*self).into())
    }
}

impl<A: ToAddress + ?Sized> ToAddress for &A {
    fn to_address(&self) -> io::Result<Address> {
        (**self).to_address()
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
    fn each_form_is_parsed_and_printed_as_it_was() {
        let forms = [
            ("127.0.0.1:80", Address::Inet(([127, 0, 0, 1], 80).into())),
            ("[::1]:80", Address::Inet((Ipv6Addr::LOCALHOST, 80).into())),
            ("/run/echo", Address::Unix("/run/echo".into())),
            ("./echo:80", Address::Unix("./echo:80".into())),
            ("@echo", Address::Abstract(b"echo".into())),
            ("@a/b:80", Address::Abstract(b"a/b:80".into())),
        ];
        for (text, address) in forms {
            assert_eq!(text.parse::<Address>().unwrap(), address);
            assert_eq!(text.to_address().unwrap(), address);
            assert_eq!(String::from(text).to_address().unwrap(), address);
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn the_error_of_a_bare_ipv6_address_shows_its_brackets() {
        let error = "::1:80".parse::<Address>().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("[::1]:80"), "{error}");
    }

    #[test]
    fn the_first_ipv4_address_is_chosen() {
        let [six, four, other]: [SocketAddr; 3] =
            ["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
        assert_eq!(choose([six, four, other].into_iter()), Some(four));
        assert_eq!(choose([six].into_iter()), Some(six));
        assert_eq!(choose([].into_iter()), None);
    }
}
