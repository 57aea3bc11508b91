//! Binding a socket of any type to an address.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use socket2::{Domain, SockAddr, Socket, Type};

use super::address::Address;

/// The options of binding a socket.
#[derive(Debug, Clone)]
pub(crate) struct BindOptions {
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    pub(crate) v6_only: bool,
    pub(crate) replace_stale: bool,
}

impl BindOptions {
    /// Returns a socket of `kind` for `address`, non-blocking, not yet bound.
    pub(crate) fn socket(address: &Address, kind: Type) -> io::Result<Socket> {
        let make =
            |target: SockAddr| Socket::new(target.domain(), kind.nonblocking().cloexec(), None);
        let bindable = address.check_bindable().and_then(|()| address.to_sock_addr());
        bindable.and_then(make).map_err(|error| with_address(address, error, ""))
    }

    /// Binds `socket` to `address`; port 0 is any free port.
    pub(crate) fn bind(&self, socket: &Socket, address: &Address) -> io::Result<()> {
        self.try_bind(socket, address).map_err(|error| {
            let advice = match (error.kind(), address) {
                (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
                    "; if no process listens there, remove the file or set replace_stale"
                }
                _ => "",
            };
            with_address(address, error, advice)
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

/// Adds the address to the message of an error.
fn with_address(address: &Address, error: io::Error, advice: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{advice}"))
}

/// Returns whether there is a socket on which no process listens. Only a refused connection proves
/// that. The connection is tried non-blocking, because a listener with a full queue would block it
/// forever. A datagram socket refuses a stream with another error.
fn is_stale(path: &Path) -> io::Result<bool> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    Ok(is_socket && probe.connect(&SockAddr::unix(path)?).is_err_and(refused))
}

/// The file of a bound Unix socket. It is removed on drop, unless another process has put its own in
/// its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Returns the file of a socket bound to `address`, if there is one.
    pub(super) fn of(address: &Address) -> Option<Self> {
        let Address::Unix(path) = address else { return None };
        Some(SocketFile { path: path.clone(), identity: identity(path)? })
    }

    /// Does not remove the file.
    pub(super) fn keep(mut self) {
        self.identity = (0, 0); // the identity of no file
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the device and the inode of a file, which identify it.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
