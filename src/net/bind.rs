//! Binding a socket of any type to an address.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use socket2::{SockAddr, Socket, Type};

use super::address::Address;
use super::socket_file::{self, SocketFile};
use crate::sys;

/// The options of binding a socket.
#[derive(Debug, Clone)]
pub(crate) struct BindOptions {
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    pub(crate) v6_only: bool,
    pub(crate) replace_stale: bool,
    /// The permissions of the file of a Unix socket. `None`: what the umask leaves of 0o777.
    pub(crate) mode: Option<u32>,
}

impl BindOptions {
    /// Returns a socket of `kind` for `address`, non-blocking, not yet bound.
    pub(crate) fn socket(address: &Address, kind: Type) -> io::Result<Socket> {
        let make =
            |target: SockAddr| Socket::new(target.domain(), kind.nonblocking().cloexec(), None);
        let bindable = address.check_bindable().and_then(|()| address.to_sock_addr());
        bindable.and_then(make).map_err(|error| with_address(address, error, String::new()))
    }

    /// Binds `socket` to `address`; port 0 is any free port. Returns the file of a Unix socket.
    pub(crate) fn bind(
        &self,
        socket: &Socket,
        address: &Address,
    ) -> io::Result<Option<SocketFile>> {
        self.try_bind(socket, address).map_err(|error| {
            let cause =
                self.cause(&error, address).map_or(String::new(), |cause| format!("; {cause}"));
            with_address(address, error, cause)
        })
    }

    fn try_bind(&self, socket: &Socket, address: &Address) -> io::Result<Option<SocketFile>> {
        let target = address.to_sock_addr()?;
        let Address::Unix(path) = address else {
            if let Address::Inet(address) = address {
                socket.set_reuse_address(self.reuse_address)?;
                if self.reuse_port {
                    socket.set_reuse_port(true)?;
                }
                if address.is_ipv6() {
                    socket.set_only_v6(self.v6_only)?;
                }
            }
            return socket.bind(&target).map(|()| None);
        };
        if let Some(mode) = self.mode {
            set_mode(socket, mode)?;
        }
        if self.replace_stale {
            socket_file::replace_stale(path, || socket.bind(&target))?;
        } else {
            socket.bind(&target)?;
        }
        let file = SocketFile::of(path);
        if let Some(mode) = self.mode {
            // The umask may have taken some.
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(file)
    }

    /// Returns what is behind an error of `bind(2)`, and what to do.
    fn cause(&self, error: &io::Error, address: &Address) -> Option<String> {
        Some(match (error.kind(), address) {
            (io::ErrorKind::AddrInUse, Address::Unix(path)) => what_is_at(path).into(),
            (io::ErrorKind::AddrInUse, Address::Inet(_)) if self.reuse_address => {
                "another socket has this port".into()
            }
            (io::ErrorKind::AddrInUse, Address::Inet(_)) => {
                "another socket has this port, or old connections of it are in TIME_WAIT (see \
                 reuse_address)"
                    .into()
            }
            (io::ErrorKind::AddrInUse, _) => "a process uses this name".into(),
            (io::ErrorKind::AddrNotAvailable, Address::Inet(_)) => {
                "no interface of this machine has this address".into()
            }
            (io::ErrorKind::PermissionDenied, Address::Inet(_)) => {
                "a port below 1024 needs CAP_NET_BIND_SERVICE".into()
            }
            (io::ErrorKind::PermissionDenied, Address::Unix(path)) => {
                format!("the directory {} must be writable", directory(path).display())
            }
            (io::ErrorKind::NotFound, Address::Unix(path)) if !directory(path).exists() => {
                format!("there is no directory {}", directory(path).display())
            }
            _ => return None,
        })
    }
}

/// Sets the permissions that the file of a socket gets when it is bound, so that at no time the file
/// has more. The umask is subtracted then.
fn set_mode(socket: &Socket, mode: u32) -> io::Result<()> {
    if mode > 0o777 {
        let message = format!("the mode 0o{mode:o} of a socket's file is over 0o777");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    File::from(socket.as_fd().try_clone_to_owned()?).set_permissions(Permissions::from_mode(mode))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns what is in the way of a Unix socket.
fn what_is_at(path: &Path) -> &'static str {
    match fs::symlink_metadata(path).map(|file| file.file_type()) {
        Ok(kind) if kind.is_socket() && socket_file::is_used(path) => "a process uses this socket",
        Ok(kind) if kind.is_socket() => {
            "if no process listens there, remove the file or set replace_stale"
        }
        Ok(kind) if kind.is_dir() => "this is a directory: add the name of a socket",
        Ok(kind) if kind.is_symlink() => "this is a symbolic link: give the path of a socket",
        Ok(_) => "this file is not a socket: choose another path",
        Err(_) => "another process was there a moment ago: try again",
    }
}

/// Adds the address and the cause to the message of an error.
fn with_address(address: &Address, error: io::Error, cause: String) -> io::Error {
    sys::with_context_and_hint(format!("cannot listen on {address}"), error, cause)
}
