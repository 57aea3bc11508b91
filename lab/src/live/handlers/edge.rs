//! What the edge-triggered handlers share: a bare loop with clients whose sockets do not block.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use tripoll::Interest;

use crate::live::bare::Bare;
use crate::live::program::{Beginning, Subject};
use crate::live::record::Text;
use crate::live::recorder;
use crate::live::settings::Settings;
use crate::live::socket::{Acceptor, Socket};
use crate::live::table::View;
use crate::live::work::work;

/// A server over a bare loop.
pub(super) struct Edge {
    pub(super) bare: Bare,
    pub(super) listener: Acceptor,
    clients: BTreeMap<RawFd, Client>,
    turn: fn(&mut Edge, &Settings) -> io::Result<()>,
    habit: Habit,
}

/// What a server does wrong, whatever its trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    None,
    /// It asks for "writable" all the time.
    AsksAlways,
    /// It closes a descriptor before it removes it from the selector.
    ClosesFirst,
}

/// A client.
pub(super) struct Client {
    pub(super) socket: Socket,
    /// What it is still to be sent.
    pub(super) message: Vec<u8>,
    pub(super) has_ended: bool,
}

impl Edge {
    pub(super) fn begin(
        beginning: Beginning,
        turn: fn(&mut Edge, &Settings) -> io::Result<()>,
    ) -> io::Result<Box<dyn Subject>> {
        Edge::with(beginning, turn, Habit::None)
    }

    pub(super) fn with(
        beginning: Beginning,
        turn: fn(&mut Edge, &Settings) -> io::Result<()>,
        habit: Habit,
    ) -> io::Result<Box<dyn Subject>> {
        Ok(Box::new(Edge::new(beginning, turn, habit)?))
    }

    pub(super) fn new(
        beginning: Beginning,
        turn: fn(&mut Edge, &Settings) -> io::Result<()>,
        habit: Habit,
    ) -> io::Result<Edge> {
        let mut bare = Bare::new(&beginning)?;
        let listener = Acceptor::new(beginning.listener)?;
        listener.set_nonblocking(true)?;
        bare.watch(listener.as_raw_fd(), Interest::READ)?;
        Ok(Edge { bare, listener, clients: BTreeMap::new(), turn, habit })
    }

    /// Accepts all pending connections.
    pub(super) fn accept_all(&mut self, settings: &Settings) -> io::Result<()> {
        let fd = self.listener.as_raw_fd();
        let Edge { bare, listener, clients, habit, .. } = self;
        bare.dispatch(fd, |bare| {
            loop {
                let socket = match listener.accept(settings.limit) {
                    Ok(socket) => socket,
                    Err(_) => return bare.arm(fd), // EAGAIN, or an error that the next event shows
                };
                socket.set_nonblocking(true)?;
                bare.watch(socket.as_raw_fd(), habit.interest(Interest::READ))?;
                let client = Client { socket, message: Vec::new(), has_ended: false };
                clients.insert(client.socket.as_raw_fd(), client);
            }
        })
    }

    /// Calls `handler` for a client. One that has ended, or fails, is closed.
    pub(super) fn dispatch(
        &mut self,
        fd: RawFd,
        handler: impl FnOnce(&mut Client) -> io::Result<()>,
    ) -> io::Result<()> {
        let Edge { bare, clients, habit, .. } = self;
        bare.dispatch(fd, |bare| {
            let Some(client) = clients.get_mut(&fd) else { return Ok(()) };
            let result = match handler(client) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                result => result,
            };
            let is_done = client.has_ended && client.message.is_empty();
            if result.is_err() || is_done {
                if *habit == Habit::ClosesFirst {
                    clients.remove(&fd);
                }
                bare.forget(fd);
                clients.remove(&fd);
                return Ok(());
            }
            let mut interest = Interest::NONE;
            interest.set(Interest::READ, !client.has_ended);
            interest.set(Interest::WRITE, !client.message.is_empty());
            recorder::with(|recorder| recorder.buffered(fd, client.message.len()));
            bare.watch(fd, habit.interest(interest))?;
            bare.arm(fd)
        })
    }
}

impl Habit {
    /// Returns what a server with this habit asks for.
    fn interest(self, needed: Interest) -> Interest {
        match self {
            Habit::AsksAlways => needed | Interest::WRITE,
            _ => needed,
        }
    }
}

impl Client {
    /// Reads 1,024 bytes at most.
    pub(super) fn receive(&mut self, settings: &Settings) -> io::Result<()> {
        let mut buffer = [0; 1024];
        let count = self.socket.read(&mut buffer)?;
        self.has_ended = count == 0;
        work(settings);
        self.message.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    /// Sends what the kernel takes. The rest stays.
    pub(super) fn send(&mut self) -> io::Result<()> {
        while !self.message.is_empty() {
            match self.socket.write(&self.message) {
                Ok(count) => drop(self.message.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Subject for Edge {
    fn turn(&mut self, settings: &Settings) -> io::Result<()> {
        self.bare.set_settings(settings);
        (self.turn)(self, settings)
    }

    fn views(&mut self) -> Vec<View> {
        self.bare.views()
    }

    fn switch(&mut self, settings: &Settings) -> io::Result<()> {
        self.bare.switch(settings)
    }

    fn effective(&mut self) -> Text {
        self.bare.effective()
    }
}
