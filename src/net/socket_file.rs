//! The files of Unix sockets: which process removes one, and when one is stale.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf, absolute};
use std::time::{Duration, Instant};
use std::{io, process, thread};

use socket2::{Domain, SockAddr, Socket, Type};

use super::address::Address;
use crate::sys;

/// The file of a bound Unix socket. It is removed on drop by the process that owns it, unless another
/// file is in its place.
#[derive(Debug)]
#[doc(hidden)]
pub struct SocketFile {
    /// Absolute, because the working directory may change.
    path: PathBuf,
    identity: (u64, u64),
    /// The process that removes the file. A forked child has a copy of this, but not its id.
    owner: Option<u32>,
}

impl SocketFile {
    /// Returns the file of a socket that this process has just bound to `path`.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let path = absolute(path).ok()?;
        let identity = identity(&path)?;
        Some(SocketFile { path, identity, owner: Some(process::id()) })
    }

    /// Returns what is at the address of a socket that was made elsewhere. This process does not remove
    /// it. A relative path says nothing: it was relative to the working directory of another process.
    pub(super) fn of_elsewhere(address: &Address) -> Option<Self> {
        match address {
            Address::Unix(path) if path.is_absolute() => {
                Some(SocketFile { path: path.clone(), identity: identity(path)?, owner: None })
            }
            _ => None,
        }
    }

    /// Sets whether this process removes the file on drop.
    pub(crate) fn set_unlink(&mut self, yes: bool) {
        self.owner = yes.then(process::id);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owner == Some(process::id()) && identity(&self.path) == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the device and the inode of a file, which identify it.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Calls `bind`, and removes the file at `path` before if it is stale. Of several processes that do so
/// at the same time, only one succeeds.
pub(super) fn replace_stale(path: &Path, bind: impl Fn() -> io::Result<()>) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|file| !file.file_type().is_socket()) {
        return bind(); // it fails, and nothing is replaced
    }
    // Without a lock, one process could remove the file that another has just bound.
    let _lock = LockFile::acquire(path)?;
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path)? => {
            // A process without the lock may be binding: the kernel makes the file a little earlier
            // than the socket knows of it.
            thread::sleep(BINDING);
            if !is_stale(path)? {
                return Err(error);
            }
            fs::remove_file(path)?;
            bind()
        }
        bound => bound,
    }
}

/// Longer than `bind(2)` takes.
const BINDING: Duration = Duration::from_millis(10);

/// Returns whether there is a socket that no process has open.
fn is_stale(path: &Path) -> io::Result<bool> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    // A server that does not listen yet refuses connections, as a stale file does. It may begin to
    // listen between the two questions, so their order matters.
    Ok(is_socket && !is_listed(path, &[BOUND]) && is_refused(path)?)
}

/// Returns whether a process seems to use the socket at this path.
pub(super) fn is_used(path: &Path) -> bool {
    is_listed(path, &[BOUND, LISTENS, DATAGRAM])
}

/// The flags, type and state in /proc/net/unix of a stream socket that does not listen yet, and that
/// is not an accepted connection, which has the same path.
const BOUND: &[u8] = b" 00000000 0001 01 ";
const LISTENS: &[u8] = b" 00010000 0001 01 ";
const DATAGRAM: &[u8] = b" 00000000 0002 01 ";

/// Returns whether /proc/net/unix has a socket that was bound to this path, in one of these states. It
/// may have lost its file since.
fn is_listed(path: &Path, states: &[&[u8]]) -> bool {
    let sockets = fs::read("/proc/net/unix").unwrap_or_default();
    // "Num: RefCount Protocol Flags Type St Inode Path": the columns after the first have a fixed
    // width.
    let state = |line: &[u8]| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        line.get(colon + 19..colon + 37).map(<[u8]>::to_vec)
    };
    let is_listed = |path: &Path| {
        let path = [b" ", path.as_os_str().as_bytes()].concat();
        let mut lines = sockets.split(|&byte| byte == b'\n').filter(|line| line.ends_with(&path));
        lines.any(|line| state(line).is_some_and(|state| states.contains(&&*state)))
    };
    is_listed(path) || absolute(path).is_ok_and(|path| is_listed(&path))
}

/// Returns whether connections are refused. The connection is tried non-blocking, because a listener
/// with a full queue would block it forever. A datagram socket refuses a stream with another error.
fn is_refused(path: &Path) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    Ok(probe.connect(&SockAddr::unix(path)?).is_err_and(refused))
}

/// A locked file beside the socket, with `.lock` at the end of its name. It exists only while a stale
/// file is replaced. One that a crash has left is not locked, and is used again.
struct LockFile {
    path: PathBuf,
    _file: File,
}

/// How long another process may hold the lock. It needs it for a few system calls.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(2);

impl LockFile {
    fn acquire(socket: &Path) -> io::Result<Self> {
        let mut path = OsString::from(socket);
        path.push(".lock");
        let path = PathBuf::from(path);
        let with_path = |error: io::Error| {
            io::Error::new(error.kind(), format!("the lock file {}: {error}", path.display()))
        };
        let give_up = Instant::now() + LOCK_TIMEOUT;
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(&path)
                .map_err(with_path)?;
            if sys::try_lock(file.as_fd()).map_err(with_path)? {
                let opened = file.metadata()?;
                // The last holder may have removed the file between the two calls.
                if identity(&path) == Some((opened.dev(), opened.ino())) {
                    return Ok(LockFile { path, _file: file });
                }
            } else if Instant::now() >= give_up {
                let message = "another process holds the lock";
                return Err(with_path(io::Error::new(io::ErrorKind::TimedOut, message)));
            } else {
                thread::sleep(LOCK_PAUSE);
            }
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // while it is locked
    }
}
