//! What a descriptor from elsewhere is.

use std::fmt;
use std::fs::{File, FileType};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

use socket2::{Domain, SockRef, Socket, Type};

/// What a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketKind {
    /// A connected stream socket.
    Connection(Family),
    /// A stream socket that listens.
    Listener(Family),
    /// A stream socket that is not connected and does not listen.
    Idle(Family),
    Datagrams(Family),
    /// A socket of another kind, with what the kernel says of it.
    Other(Domain, Type),
    /// No socket. `None` if its type is not known.
    File(Option<FileType>),
}

/// The family of a socket's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Inet,
    Unix,
}

impl SocketKind {
    /// # Errors
    ///
    /// Those of `getsockopt(2)`. For an open descriptor they do not fail.
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let socket = SockRef::from(&fd);
        let kind = match socket.r#type() {
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => {
                return Ok(SocketKind::File(file_type(fd)));
            }
            kind => kind?,
        };
        let domain = socket.domain()?;
        let family = match domain {
            Domain::IPV4 | Domain::IPV6 => Family::Inet,
            Domain::UNIX => Family::Unix,
            _ => return Ok(SocketKind::Other(domain, kind)),
        };
        Ok(match kind {
            Type::STREAM if socket.is_listener()? => SocketKind::Listener(family),
            Type::STREAM if socket.peer_addr().is_ok() => SocketKind::Connection(family),
            Type::STREAM => SocketKind::Idle(family),
            Type::DGRAM => SocketKind::Datagrams(family),
            _ => SocketKind::Other(domain, kind),
        })
    }

    pub(super) fn family(self) -> Option<Family> {
        match self {
            SocketKind::Connection(family)
            | SocketKind::Listener(family)
            | SocketKind::Idle(family)
            | SocketKind::Datagrams(family) => Some(family),
            SocketKind::Other(..) | SocketKind::File(_) => None,
        }
    }
}

impl fmt::Display for SocketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |family, tcp, unix| if family == Family::Inet { tcp } else { unix };
        f.write_str(match *self {
            SocketKind::Connection(family) => name(family, "a TCP connection", "a Unix connection"),
            SocketKind::Listener(family) => {
                name(family, "a TCP socket that listens", "a Unix stream socket that listens")
            }
            SocketKind::Idle(family) => name(
                family,
                "a TCP socket that is not connected",
                "a Unix stream socket that is not connected",
            ),
            SocketKind::Datagrams(family) => name(family, "a UDP socket", "a Unix datagram socket"),
            SocketKind::Other(Domain::UNIX, Type::SEQPACKET) => "a Unix socket for packets",
            SocketKind::Other(domain, kind) => {
                return write!(
                    f,
                    "a socket of family {} and type {}",
                    i32::from(domain),
                    i32::from(kind)
                );
            }
            SocketKind::File(Some(file)) if file.is_file() => "a regular file",
            SocketKind::File(Some(file)) if file.is_dir() => "a directory",
            SocketKind::File(Some(file)) if file.is_fifo() => "a pipe",
            SocketKind::File(Some(file)) if file.is_char_device() => "a character device",
            SocketKind::File(Some(file)) if file.is_block_device() => "a block device",
            SocketKind::File(_) => "neither a file nor a socket", // an eventfd, for example
        })
    }
}

fn file_type(fd: BorrowedFd<'_>) -> Option<FileType> {
    let file = File::from(fd.try_clone_to_owned().ok()?);
    file.metadata().ok().map(|metadata| metadata.file_type())
}

/// Returns the descriptor as a socket, if `is_wanted`.
///
/// # Errors
///
/// `InvalidInput`, with what the descriptor is. Then it is closed.
pub(super) fn socket_of(
    fd: OwnedFd,
    wanted: &str,
    is_wanted: impl FnOnce(SocketKind) -> bool,
) -> io::Result<Socket> {
    let found = SocketKind::of(fd.as_fd())?;
    if !is_wanted(found) {
        let message = format!("descriptor {} is not {wanted}: it is {found}", fd.as_raw_fd());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(fd.into())
}
