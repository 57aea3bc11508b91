//! Texts of addresses, and what else can be converted into an address.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::address::Address;

/// What can be converted into the address of a socket.
///
/// | Python | here |
/// |---|---|
/// | `("localhost", 9999)` | the same, or `"localhost:9999"`, or a [`SocketAddr`] |
/// | `("::1", 9999)` | the same, or `"[::1]:9999"`, or `("[::1]", 9999)` |
/// | `("", 9999)`: all interfaces, IPv4 | the same, or `":9999"`, or `"0.0.0.0:9999"`; with IPv6 `"[::]:9999"` |
/// | `"/run/echo"` | the same, if there is a `/` in it; any [`Path`] |
/// | `"\0echo"`: an abstract name | the same, or `"@echo"` |
///
/// An [`Address`] is one, too. A host name is resolved, which may block: it is meant for the start of a
/// program. In a loop, [`resolve`](super::resolve()) lets a pool do it. If a name has several addresses,
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
    /// `InvalidInput` for a text that is not an address: the message says what is wrong with it. The
    /// errors of resolving a host name.
    fn to_address(&self) -> io::Result<Address>;
}

impl ToAddress for str {
    fn to_address(&self) -> io::Result<Address> {
        match Text::read(self)? {
            Text::Address(address) => Ok(address),
            Text::Host(host, port) => resolve(host, port),
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
            ("", port) => Ok(all_interfaces(port)),
            (host, port) => resolve(without_brackets(host)?.unwrap_or(host), port),
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

impl FromStr for Address {
    type Err = io::Error;

    /// Parses `IP:PORT`, `[IPV6]:PORT`, `:PORT` (all IPv4 interfaces), a path with a `/` in it, or
    /// `@NAME`. Resolves no host name.
    fn from_str(text: &str) -> io::Result<Self> {
        match Text::read(text)? {
            Text::Address(address) => Ok(address),
            Text::Host(host, _) => Err(invalid(format!(
                "{text:?} is not an address: {host:?} is a host name, which only \
                 ToAddress::to_address and net::resolve resolve"
            ))),
        }
    }
}

/// What the text of an address says.
pub(super) enum Text<'a> {
    Address(Address),
    /// A host name and a port.
    Host(&'a str, u16),
}

impl<'a> Text<'a> {
    pub(super) fn read(text: &'a str) -> io::Result<Self> {
        if let Some(name) = text.strip_prefix(['@', '\0']) {
            return match name {
                "" => Err(not_an_address(text, "no name follows the @")),
                name => Ok(Text::Address(Address::Abstract(name.into()))),
            };
        }
        if text.contains('/') {
            return match text.contains('\0') {
                true => Err(not_an_address(text, "a path cannot contain a NUL")),
                false => Ok(Text::Address(Address::Unix(text.into()))),
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Text::Address(Address::Inet(address)));
        }
        let (host, port) = split_port(text)?;
        if let Some(host) = without_brackets(host)? {
            return Ok(Text::Host(host, port)); // with the name of an interface in it
        }
        match host {
            "" => Ok(Text::Address(all_interfaces(port))),
            host if host.parse::<Ipv6Addr>().is_ok() => {
                Err(not_an_address(text, &format!("write [{host}]:{port}")))
            }
            host if host.contains(':') => {
                Err(not_an_address(text, &format!("{host:?} is not an IPv6 address")))
            }
            host => Ok(Text::Host(host, port)),
        }
    }
}

/// Splits `HOST:PORT`.
fn split_port(text: &str) -> io::Result<(&str, u16)> {
    let refuse = |why: &str| Err(not_an_address(text, why));
    let is_ipv6 = text.parse::<Ipv6Addr>().is_ok();
    let (host, port) = match text.rsplit_once(':') {
        Some(parts) if !is_ipv6 && !text.ends_with(']') => parts,
        _ if text.is_empty() => return refuse("it is empty"),
        Some((host, port)) if is_ipv6 && host.parse::<Ipv6Addr>().is_ok() => {
            return refuse(&format!("write [{host}]:{port}, or [{text}]:PORT"));
        }
        _ if is_ipv6 => return refuse(&format!("it has no port: write [{text}]:PORT")),
        _ if is_number(text) => {
            return refuse(&format!(
                "it has no host: write :{text} for all interfaces, or 127.0.0.1:{text} for this \
                 machine only"
            ));
        }
        Some(_) => {
            return refuse(&format!("it has no port: write {}:PORT", text.escape_debug()));
        }
        None => {
            return refuse(
                "it is neither HOST:PORT (it has no port) nor the path of a socket (with a / in it) \
                 nor @NAME",
            );
        }
    };
    if port.is_empty() {
        return refuse("no port follows the colon");
    }
    if !is_number(port) {
        return refuse(&format!("its port {port:?} is not a number"));
    }
    match port.parse() {
        Ok(port) => Ok((host, port)),
        Err(_) => refuse(&format!("its port {port} is over 65535")),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns what is between the brackets of `[IPV6]`, which may end with `%INTERFACE`. Returns `None`
/// for a host without brackets.
fn without_brackets(host: &str) -> io::Result<Option<&str>> {
    if !host.contains(['[', ']']) {
        return Ok(None);
    }
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_ipv6 = |inside: &&str| {
        let address = inside.split_once('%').map_or(*inside, |(address, _)| address);
        address.parse::<Ipv6Addr>().is_ok()
    };
    match inside.filter(is_ipv6) {
        Some(inside) => Ok(Some(inside)),
        None => Err(invalid(format!("{host:?} is not an IPv6 address in brackets"))),
    }
}

fn not_an_address(text: &str, why: &str) -> io::Error {
    invalid(format!("{text:?} is not an address: {why}"))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Returns the address of all IPv4 interfaces.
fn all_interfaces(port: u16) -> Address {
    Address::Inet((Ipv4Addr::UNSPECIFIED, port).into())
}

/// Resolves a host, and returns its address.
fn resolve(host: &str, port: u16) -> io::Result<Address> {
    let found = resolve_all(host, port)?;
    Ok(Address::Inet(choose(found.into_iter()).expect("there is an address")))
}

/// Resolves a host, and returns its addresses, at least one, in the order of `getaddrinfo(3)`. Blocks.
pub(super) fn resolve_all(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = (host, port).to_socket_addrs().map_err(|error| {
        io::Error::new(error.kind(), format!("cannot resolve {host:?}: {error}"))
    })?;
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        let message = format!("cannot resolve {host:?}: it has no address");
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
    }
    Ok(found)
}

/// Returns the first IPv4 address, or the first of all if there is none.
fn choose(found: impl Iterator<Item = SocketAddr>) -> Option<SocketAddr> {
    let mut found = found.peekable();
    let first = found.peek().copied();
    found.find(SocketAddr::is_ipv4).or(first)
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
    fn other_usual_forms_are_understood() {
        let localhost = Address::Inet((Ipv6Addr::LOCALHOST, 80).into());
        assert_eq!(("::1", 80).to_address().unwrap(), localhost);
        assert_eq!(("[::1]", 80).to_address().unwrap(), localhost);
        assert_eq!((String::from("[::1]"), 80).to_address().unwrap(), localhost);
        assert_eq!("[::1%1]:80".to_address().unwrap(), "[::1%1]:80".parse().unwrap());
        let all = Address::Inet((Ipv4Addr::UNSPECIFIED, 7_000).into());
        assert_eq!(("", 7_000).to_address().unwrap(), all);
        assert_eq!(":7000".to_address().unwrap(), all);
        assert_eq!(":7000".parse::<Address>().unwrap(), all);
        assert_eq!("\0echo".parse::<Address>().unwrap(), Address::Abstract(b"echo".into()));
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused_with_the_reason() {
        let texts = [
            ("", "it is empty"),
            ("7000", "it has no host: write :7000 for all interfaces, or 127.0.0.1:7000 for"),
            ("70000", "it has no host"),
            ("echo", "it has no port"),
            ("localhost", "it has no port"),
            ("127.0.0.1", "it has no port"),
            ("::1", "it has no port: write [::1]:PORT"),
            ("[::1]", "it has no port: write [::1]:PORT"),
            ("127.0.0.1:70000", "its port 70000 is over 65535"),
            ("localhost:65536", "its port 65536 is over 65535"),
            ("[::1]:70000", "its port 70000 is over 65535"),
            (":70000", "its port 70000 is over 65535"),
            ("127.0.0.1:-1", "its port \"-1\" is not a number"),
            ("127.0.0.1:+80", "its port \"+80\" is not a number"),
            ("127.0.0.1: 80", "its port \" 80\" is not a number"),
            ("localhost:http", "its port \"http\" is not a number"),
            ("localhost:", "no port follows the colon"),
            ("[::1]:", "no port follows the colon"),
            (":", "no port follows the colon"),
            ("::1:80", "write [::1]:80, or [::1:80]:PORT"),
            ("1:2:3:4:5:6:7:8:80", "write [1:2:3:4:5:6:7:8]:80"),
            ("1:2:80", "\"1:2\" is not an IPv6 address"),
            ("[::1:80", "\"[::1\" is not an IPv6 address in brackets"),
            ("[localhost]:80", "\"[localhost]\" is not an IPv6 address in brackets"),
            ("[127.0.0.1]:80", "\"[127.0.0.1]\" is not an IPv6 address in brackets"),
            ("@", "no name follows the @"),
            ("\0", "no name follows the @"),
            ("/run/a\0b", "a path cannot contain a NUL"),
        ];
        for (text, why) in texts {
            for error in [text.parse::<Address>().unwrap_err(), text.to_address().unwrap_err()] {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text:?}");
                assert!(error.to_string().contains(why), "{text:?}: {error}");
            }
        }
        for host in ["[::1", "::1]", "[]", "[localhost]"] {
            let error = (host, 80).to_address().unwrap_err();
            assert!(error.to_string().contains("in brackets"), "{host:?}: {error}");
        }
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
