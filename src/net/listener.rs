//! A listening socket.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::acceptor::Acceptor;
use super::{Address, Stream};
use crate::{Context, Interest, Token, sys};

/// A socket that listens, TCP or Unix. Dropped, it closes, and removes its file if it is a Unix
/// socket's and still its own.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    backlog: u32,
    most: Option<usize>,
    per_turn: u32,
    file: Option<(u64, u64)>,
}

/// How a [`Listener`] is to listen.
#[derive(Debug, Clone)]
pub struct ListenerBuilder {
    backlog: u32,
    reuse_address: bool,
    reuse_port: bool,
    v6_only: bool,
    replace_stale: bool,
    most: Option<usize>,
    per_turn: u32,
}

impl Listener {
    /// Listens on `address` with the defaults of [`Listener::builder`]. Port 0 is any free port.
    ///
    /// # Errors
    ///
    /// As [`ListenerBuilder::bind`].
    pub fn bind(address: &Address) -> io::Result<Self> {
        Listener::builder().bind(address)
    }

    /// A listener of one's own choice.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder {
            backlog: 1_024,
            reuse_address: true,
            reuse_port: false,
            v6_only: true,
            replace_stale: false,
            most: None,
            per_turn: 32,
        }
    }

    /// Where it listens: with the port that it has got, if it asked for any.
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// How many connections may wait to be accepted: what was asked for, or the system's limit
    /// (`/proc/sys/net/core/somaxconn`) where that is lower.
    pub fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Accepts in a reactor from now on, and hands each connection to `accepted`: to be
    /// [served](super::Connection::serve) there, or made blocking and given to a thread. An error that
    /// it returns is logged, and ends that connection alone.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch the socket.
    pub fn serve<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        accepted: impl FnMut(Stream, &mut Context<'_, S>) -> io::Result<()> + 'static,
    ) -> io::Result<Token> {
        let acceptor = Acceptor::new(self.most, self.per_turn, accepted)?;
        Ok(cx.add(self, Interest::READ, acceptor)?)
    }

    /// Makes [`accept`](Self::accept) wait, or not: a thread that does nothing else wants it to. A
    /// listener in a reactor never waits.
    ///
    /// # Errors
    ///
    /// Whatever `fcntl(2)` says.
    pub fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        self.socket.set_nonblocking(yes)
    }

    /// The next connection that waits, non-blocking.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when none waits and the listener does not either, and all that `accept(2)` lists.
    pub fn accept(&self) -> io::Result<Stream> {
        let (socket, peer) = sys::accept(self.as_fd())?;
        Ok(Stream::accepted(socket, &peer))
    }
}

impl ListenerBuilder {
    /// How many connections may wait to be accepted, 1,024 if not said (5 in the tutorials). The
    /// system's limit may be lower, see [`Listener::backlog`].
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Whether a port may be taken while connections of an earlier listener are in TIME_WAIT
    /// (`SO_REUSEADDR`): yes if not said.
    pub fn reuse_address(mut self, yes: bool) -> Self {
        self.reuse_address = yes;
        self
    }

    /// Whether several listeners may share the port, the kernel spreading connections among them
    /// (`SO_REUSEPORT`): no if not said. When one of them is closed, what waits in its queue is lost.
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.reuse_port = yes;
        self
    }

    /// Whether an IPv6 address takes IPv6 clients only (`IPV6_V6ONLY`): yes if not said, whatever
    /// the system's own default is.
    pub fn v6_only(mut self, yes: bool) -> Self {
        self.v6_only = yes;
        self
    }

    /// Whether the file of a Unix socket that nobody listens on any more may be replaced: no if not
    /// said. Nothing but such a file is ever removed.
    pub fn replace_stale(mut self, yes: bool) -> Self {
        self.replace_stale = yes;
        self
    }

    /// How many accepted connections may be alive at once; any number if not said. More than that
    /// are not accepted, and wait in the backlog.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.most = Some(most.max(1));
        self
    }

    /// How many connections are accepted in one turn, 32 if not said: so that a flood of new clients
    /// does not starve the old ones.
    pub fn accepts_per_turn(mut self, budget: u32) -> Self {
        self.per_turn = budget.max(1);
        self
    }

    /// Listens on `address`. Port 0 is any free port.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `PermissionDenied` and whatever else `bind(2)` says, with the address in the
    /// message.
    pub fn bind(&self, address: &Address) -> io::Result<Listener> {
        self.try_bind(address).map_err(|error| {
            let advice = match (error.kind(), address) {
                (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
                    "; if nobody listens there, remove the file, or ask to replace a stale one"
                }
                _ => "",
            };
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{advice}"))
        })
    }

    fn try_bind(&self, address: &Address) -> io::Result<Listener> {
        let target = address.to_sock_addr()?;
        let socket = Socket::new(target.domain(), Type::STREAM.nonblocking().cloexec(), None)?;
        if let Address::Inet(_) = address {
            socket.set_reuse_address(self.reuse_address)?;
            if self.reuse_port {
                socket.set_reuse_port(true)?;
            }
        }
        if target.domain() == Domain::IPV6 {
            socket.set_only_v6(self.v6_only)?;
        }
        match socket.bind(&target) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.replace_stale => {
                match address {
                    Address::Unix(path) if is_stale(path)? => fs::remove_file(path)?,
                    _ => return Err(error),
                }
                socket.bind(&target)?;
            }
            bound => bound?,
        }
        let backlog = self.backlog.min(system_backlog());
        if backlog < self.backlog {
            log::info!(target: "tripoll", "{address}: the system's backlog is {backlog}, not {}", self.backlog);
        }
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let file = match address {
            Address::Unix(path) => identity(path),
            _ => None,
        };
        Ok(Listener {
            address: Address::of(&socket.local_addr()?),
            socket,
            backlog,
            most: self.most,
            per_turn: self.per_turn,
            file,
        })
    }
}

/// Whether there is a socket that nobody listens on. Only a refused connection proves that. (It is
/// tried without waiting: somebody who listens and has a full queue makes it wait for ever.)
fn is_stale(path: &Path) -> io::Result<bool> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    Ok(is_socket && probe.connect(&SockAddr::unix(path)?).is_err_and(refused))
}

/// Which file this is, whatever it is called.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The system's limit of waiting connections.
fn system_backlog() -> u32 {
    fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u32::MAX)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Only our own file: a successor may have put its own in its place.
        if let Address::Unix(path) = &self.address
            && self.file.is_some()
            && identity(path) == self.file
        {
            let _ = fs::remove_file(path);
        }
    }
}
