//! TCP and Unix sockets, as one type.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How many connections may wait to be accepted. The system may allow fewer.
const BACKLOG: i32 = 1_024;

/// Where to listen. What has a `/` in it is the path of a Unix socket (`./socket` for one in this
/// directory), anything else must be `HOST:PORT`: so a misspelt host does not become a file.
#[derive(Debug, Clone)]
pub enum Address {
    Tcp(String),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            return Ok(Address::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let is_name = !host.is_empty() && !host.contains([':', '[', ']']);
        if text.parse::<SocketAddr>().is_ok() || is_name && port.parse::<u16>().is_ok() {
            Ok(Address::Tcp(text.into()))
        } else {
            Err("neither HOST:PORT (an IPv6 host in brackets) nor a path with a `/`")
        }
    }
}

impl Address {
    /// Listens there.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`, with the address named.
    pub fn listen(&self) -> io::Result<Listener> {
        match self {
            Address::Tcp(address) => listen_tcp(address).map(Listener::Tcp),
            Address::Unix(path) => UnixFile::listen(path).map(Listener::Unix),
        }
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {self}: {error}")))
    }
}

fn listen_tcp(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?; // the standard library's own choice is 128
    Ok(listener)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Where clients come from.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixFile),
}

impl Listener {
    /// The next client that is waiting.
    ///
    /// # Errors
    ///
    /// All that `accept(2)` lists.
    pub fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // An answer is one write: it need not wait for more. (If the client is gone
                // already, the first read says so.)
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream)
            }
            Listener::Unix(file) => Stream::Unix(file.listener.accept()?.0),
        })
    }

    /// Where it listens: of port 0, the port that was free.
    pub fn address(&self) -> Address {
        match self {
            Listener::Tcp(listener) => {
                let address = listener.local_addr().expect("a bound socket has an address");
                Address::Tcp(address.to_string())
            }
            Listener::Unix(file) => Address::Unix(file.path.clone()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(file) => file.listener.as_fd(),
        }
    }
}

/// A listening Unix socket, which takes its file with it when it goes.
#[derive(Debug)]
pub struct UnixFile {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, to know the file by.
    identity: (u64, u64),
}

impl UnixFile {
    fn listen(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let identity = Self::identity_of(path)?;
        Ok(UnixFile { listener, path: path.into(), identity })
    }

    fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
        fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
    }
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        // Unless another server has put its own there.
        if Self::identity_of(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A connection to a client.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(buffer),
            Stream::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a socket keeps nothing back
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}
