//! How a socket gets its address, whatever its type.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use socket2::{Domain, SockAddr, Socket, Type};

use super::address::Address;

/// What is said before and while a socket is bound.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    pub(crate) v6_only: bool,
    pub(crate) replace_stale: bool,
}

impl Binding {
    /// A socket of `kind` for `address`, non-blocking, not yet bound.
    pub(crate) fn socket(address: &Address, kind: Type) -> io::Result<Socket> {
        let make =
            |target: SockAddr| Socket::new(target.domain(), kind.nonblocking().cloexec(), None);
        address.to_sock_addr().and_then(make).map_err(|error| name(address, error, ""))
    }

    /// Binds `socket` to `address`; port 0 is any free port.
    pub(crate) fn bind(&self, socket: &Socket, address: &Address) -> io::Result<()> {
        self.try_bind(socket, address).map_err(|error| {
            let advice = match (error.kind(), address) {
                (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
                    "; if nobody listens there, remove the file, or ask to replace a stale one"
                }
                _ => "",
            };
            name(address, error, advice)
        })
    }

    fn try_bind(&self, socket: &Socket, address: &Address) -> io::Result<()> {
        if let Address::Inet(address) = address {
            socket.set_reuse_address(self.reuse_address)?;
            if self.reuse_port {
                socket.set_reuse_port(true)?;
            }
            if address.is_ipv6() {
                socket.set_only_v6(self.v6_only)?;
            }
        }
        let target = address.to_sock_addr()?;
        match socket.bind(&target) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.replace_stale => {
                match address {
                    Address::Unix(path) if is_stale(path)? => fs::remove_file(path)?,
                    _ => return Err(error),
                }
                socket.bind(&target)
            }
            bound => bound,
        }
    }
}

/// The error, with the address in its message.
fn name(address: &Address, error: io::Error, advice: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{advice}"))
}

/// Whether there is a socket that nobody listens on. Only a refused connection proves that. (It is
/// tried without waiting: somebody who listens and has a full queue makes it wait for ever. Where a
/// datagram socket lives, a stream is refused in another way.)
fn is_stale(path: &Path) -> io::Result<bool> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    Ok(is_socket && probe.connect(&SockAddr::unix(path)?).is_err_and(refused))
}

/// The file that a Unix socket is bound to, removed when this is dropped: only our own, for a
/// successor may have put its own in its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// That of a socket bound to `address`, if it has one.
    pub(super) fn of(address: &Address) -> Option<Self> {
        let Address::Unix(path) = address else { return None };
        Some(SocketFile { path: path.clone(), identity: identity(path)? })
    }

    /// Leaves it where it is.
    pub(super) fn keep(mut self) {
        self.identity = (0, 0); // no file's
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Which file this is, whatever it is called.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
