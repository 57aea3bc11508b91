//! Addresses of sockets.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use socket2::{SockAddr, Socket};

use crate::sys;

/// The address of a socket: an IP address with a port, or that of a Unix socket.
///
/// Its text is one of `IP:PORT`, `[IPV6]:PORT`, a path with a `/` in it, or `@NAME`. `:PORT` is parsed
/// as `0.0.0.0:PORT`. Parsing never resolves a host name. [`ToAddress`](super::ToAddress) does,
/// and [`resolve`](super::resolve()), which does not block.
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
    /// Returns the IP address with its port, for the types of the standard library. `None` for the address
    /// of a Unix socket.
    ///
    /// ```
    /// use std::net::TcpStream;
    /// use tripoll::net::Listener;
    ///
    /// let listener = Listener::bind("127.0.0.1:0")?;
    /// let address = listener.local_address().as_inet().expect("it is a TCP listener");
    /// TcpStream::connect(address)?;
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "SocketAddr")]
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(address) => Some(*address),
            _ => None,
        }
    }

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

    /// Returns the address to which a socket is bound.
    pub(crate) fn of_socket(socket: &Socket) -> io::Result<Self> {
        let address = socket.local_addr();
        Ok(Address::of(&address.map_err(|error| sys::with_context("getsockname", error))?))
    }

    pub(crate) fn to_sock_addr(&self) -> io::Result<SockAddr> {
        match self {
            Address::Inet(address) => Ok((*address).into()),
            Address::Unix(path) => {
                let path = path.as_os_str().as_bytes();
                if path.is_empty() {
                    // Linux would bind it to an arbitrary abstract name.
                    return Err(invalid("an empty path is not the address of a socket".into()));
                }
                if path.contains(&0) {
                    return Err(invalid("a path cannot contain a NUL".into()));
                }
                unix(path, "a path")
            }
            Address::Abstract(name) => {
                unix(&[b"\0", name.as_slice()].concat(), "an abstract name, with its @,")
            }
            Address::Unnamed => Err(invalid("no address was given".into())),
        }
    }

    /// Returns whether the address is fit to be bound. A socket with the empty abstract name can be
    /// answered, but no text names it.
    pub(super) fn check_bindable(&self) -> io::Result<()> {
        match self {
            Address::Abstract(name) if name.is_empty() => {
                Err(invalid("an abstract name cannot be empty".into()))
            }
            _ => Ok(()),
        }
    }
}

/// The number of bytes of `sun_path`. Linux would take a path that fills it, but other programs
/// need the NUL at its end.
const SUN_PATH: usize = 108;

fn unix(bytes: &[u8], what: &str) -> io::Result<SockAddr> {
    let most = if bytes[0] == 0 { SUN_PATH } else { SUN_PATH - 1 };
    if bytes.len() > most {
        let message = format!("{what} has {most} bytes at most, not {}", bytes.len());
        return Err(invalid(message));
    }
    SockAddr::unix(OsStr::from_bytes(bytes))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The text of an address, as it is parsed. A peer chooses the name of its socket, so characters that
/// would act on a terminal or begin a line of a log are escaped as in Rust's strings.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(path) => write_escaped(path.as_os_str().as_bytes(), f),
            Address::Abstract(name) => {
                f.write_char('@')?;
                write_escaped(name, f)
            }
            Address::Unnamed => f.pad("(unnamed)"),
        }
    }
}

/// Writes text as it is, except control characters, others that are not printable, backslashes, and
/// bytes that are not UTF-8.
fn write_escaped(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '"' => f.write_char(c)?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
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
    fn an_address_may_fill_its_place_and_not_more() {
        let path = |length| Address::Unix(PathBuf::from("/".repeat(length)));
        assert!(path(107).to_sock_addr().is_ok()); // with the NUL at its end
        assert!(path(108).to_sock_addr().is_err());
        let name = |length| Address::Abstract(vec![b'a'; length]);
        assert!(name(107).to_sock_addr().is_ok()); // with the NUL before it
        assert!(name(108).to_sock_addr().is_err());
    }

    #[test]
    fn what_a_peer_chose_as_its_name_cannot_forge_a_line_of_a_log() {
        let texts: [(&[u8], &str); 8] = [
            (b"a\nERROR b\r\0", r"a\nERROR b\r\0"),
            (b"\x1b[2Ja\x07\x7f", r"\u{1b}[2Ja\u{7}\u{7f}"),
            ("\u{9b}2J\u{85}".as_bytes(), r"\u{9b}2J\u{85}"),
            ("\u{202e}abc\u{2028}".as_bytes(), r"\u{202e}abc\u{2028}"),
            (b"a\xff\xc3", r"a\xff\xc3"),
            (br"a\n", r"a\\n"),
            ("你好 'it' \"é\"".as_bytes(), "你好 'it' \"é\""),
            (b"", ""),
        ];
        for (bytes, text) in texts {
            assert_eq!(Address::Abstract(bytes.into()).to_string(), format!("@{text}"));
            let path = PathBuf::from(OsStr::from_bytes(bytes));
            assert_eq!(Address::Unix(path).to_string(), text);
        }
    }
}
