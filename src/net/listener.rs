//! A listening socket.

use std::os::fd::{AsFd, BorrowedFd};
use std::{fs, io};

use socket2::{Socket, Type};

use super::accept::{Acceptor, Door};
use super::address::Address;
use super::bind::{Binding, SocketFile};
use super::limit::Gate;
use super::stream::Stream;
use crate::reactor::{Context, Next};
use crate::selector::{Interest, Token};
use crate::sync::Call;
use crate::sys;

/// A socket that listens, TCP or Unix. Dropped, it closes, and removes its file if it is a Unix
/// socket's and still its own.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    backlog: u32,
    most: Option<usize>,
    per_turn: u32,
    file: Option<SocketFile>,
}

/// How a [`Listener`] is to listen.
#[derive(Debug, Clone)]
#[must_use = "it listens nowhere before `bind`"]
pub struct ListenerBuilder {
    backlog: u32,
    binding: Binding,
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
            binding: Binding {
                reuse_address: true,
                reuse_port: false,
                v6_only: true,
                replace_stale: false,
            },
            most: None,
            per_turn: ACCEPTS_PER_TURN,
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
    /// [served](super::Connection::serve) there, say. An error that it returns is logged, and ends
    /// that connection alone.
    ///
    /// To have them served by threads, see [`serve_in_pool`](Self::serve_in_pool).
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch the socket.
    pub fn serve<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        accepted: impl FnMut(Stream, &mut Context<'_, S>) -> io::Result<()> + 'static,
    ) -> io::Result<Token> {
        let door = Guests { accepted, gate: self.most.map(Gate::new) };
        let acceptor = Acceptor::new(self.per_turn, door)?;
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
        let (socket, peer) = sys::accept(self.as_fd(), libc::SOCK_NONBLOCK)?;
        Ok(Stream::accepted(socket, &peer))
    }

    /// The next connection that waits, blocking, and as the system makes it: without `TCP_NODELAY`.
    pub(crate) fn accept_plain(&self) -> io::Result<Stream> {
        let (socket, peer) = sys::accept(self.as_fd(), 0)?;
        Ok(Stream::plain(socket, &peer))
    }

    /// Listens on a socket that is bound. Its file, if it has one, is removed in the end.
    pub(crate) fn listen(socket: Socket, backlog: u32) -> io::Result<Self> {
        let address = Address::of(&socket.local_addr()?);
        let limit = system_backlog();
        if limit < backlog {
            log::info!(target: "tripoll", "{address}: the system's backlog is {limit}, not {backlog}");
        }
        let backlog = backlog.min(limit);
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Listener {
            file: SocketFile::of(&address),
            address,
            socket,
            backlog,
            most: None,
            per_turn: ACCEPTS_PER_TURN,
        })
    }

    pub(super) fn max_connections(&self) -> Option<usize> {
        self.most
    }

    pub(super) fn accepts_per_turn(&self) -> u32 {
        self.per_turn
    }

    /// Leaves the file of a Unix socket where it is.
    pub(crate) fn keep_file(&mut self) {
        if let Some(file) = self.file.take() {
            file.keep();
        }
    }

    /// Accepts and closes whoever waits now. Whether anybody did.
    pub(crate) fn turn_away(&self) -> bool {
        // With a backlog of n, Linux lets n + 1 wait.
        (0..=self.backlog).take_while(|_| self.accept().is_ok()).count() > 0
    }
}

/// How many connections are accepted in one turn, if not said.
const ACCEPTS_PER_TURN: u32 = 32;

/// The door of a listener whose connections are handed to `accepted`.
struct Guests<A> {
    accepted: A,
    gate: Option<Gate>,
}

impl<S, A> Door<Listener, S> for Guests<A>
where
    S: 'static,
    A: FnMut(Stream, &mut Context<'_, S>) -> io::Result<()>,
{
    type Guest = Stream;

    fn has_room(&mut self, call: &Call) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.has_room(Some(call)))
    }

    fn accept(&mut self, listener: &Listener) -> io::Result<Stream> {
        listener.accept()
    }

    fn let_in(&mut self, mut stream: Stream, _: Token, cx: &mut Context<'_, S>) -> Next {
        if let Some(gate) = &self.gate {
            stream.hold(gate.enter());
        }
        if let Err(error) = (self.accepted)(stream, cx) {
            log::debug!(target: "tripoll", "a new connection ended: {error}");
        }
        Next::Keep
    }

    fn turn_away(&mut self, listener: &Listener) -> bool {
        listener.turn_away()
    }

    fn name(&self, listener: &Listener) -> String {
        listener.address.to_string()
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
        self.binding.reuse_address = yes;
        self
    }

    /// Whether several listeners may share the port, the kernel spreading connections among them
    /// (`SO_REUSEPORT`): no if not said. When one of them is closed, what waits in its queue is lost.
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.binding.reuse_port = yes;
        self
    }

    /// Whether an IPv6 address takes IPv6 clients only (`IPV6_V6ONLY`): yes if not said, whatever
    /// the system's own default is.
    pub fn v6_only(mut self, yes: bool) -> Self {
        self.binding.v6_only = yes;
        self
    }

    /// Whether the file of a Unix socket that nobody listens on any more may be replaced: no if not
    /// said. Nothing but such a file is ever removed.
    pub fn replace_stale(mut self, yes: bool) -> Self {
        self.binding.replace_stale = yes;
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
        let socket = Binding::socket(address, Type::STREAM)?;
        self.binding.bind(&socket, address)?;
        let mut listener = Listener::listen(socket, self.backlog)?;
        (listener.most, listener.per_turn) = (self.most, self.per_turn);
        Ok(listener)
    }
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
