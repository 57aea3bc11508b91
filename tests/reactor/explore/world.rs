//! A kernel with two descriptors, whose every change is an action of the explorer.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::sockets::unix_pair;
use tripoll::selector::{Caps, Events, Readiness};
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Deadline, Event, Interest, Selector, Token, Trigger};

use super::actions::Script;

/// How a selector of this kernel reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Like {
    Select,
    Poll,
    EpollEdge,
}

/// What the kernel and the handlers know of one descriptor.
#[derive(Debug, Default)]
pub struct Slot {
    /// The bytes that can be read.
    pub unread: u8,
    /// Whether one write succeeds.
    pub is_writable: bool,
    pub has_ended: bool,
    pub has_hung_up: bool,
    /// Whether there is something in the error queue. It stays.
    pub has_error: bool,
    /// What the selector watches.
    pub registered: Interest,
    /// Whether something has changed since the last edge-triggered report.
    pub is_edge: bool,
    /// Whether a handler has been told, and has said that it is done.
    pub is_forgiven: bool,
    /// Whether the end was read.
    pub end_was_read: bool,
    pub is_disarmed: bool,
    pub is_notified: bool,
    pub interest: Interest,
    /// The source, while there is one.
    pub life: Option<Life>,
}

/// A source of the reactor.
pub struct Life {
    pub token: Token,
    fd: RawFd,
    /// A real socket pair stands for the descriptor: parked sources wait for a real event.
    mine: UnixStream,
    peer: UnixStream,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Life({})", self.token.index())
    }
}

#[derive(Debug, Default)]
pub struct World {
    pub slots: [Slot; 2],
    /// What handlers do that are called now.
    pub script: Script,
    /// The calls of handlers so far.
    pub calls: u32,
    /// Calls for a source that was not the handler's own, was disarmed, or had no interest.
    pub misdelivered: u32,
}

pub type Shared = Arc<Mutex<World>>;

impl Slot {
    /// A change of the kernel's.
    pub fn changed(&mut self) {
        (self.is_edge, self.is_forgiven) = (true, false);
        if let (Some(life), true) = (&mut self.life, self.registered.is_empty()) {
            let _ = life.peer.write_all(b"x"); // a full one is readable
        }
    }

    fn readiness(&self, like: Like) -> Readiness {
        let mut readiness = Readiness::empty();
        let wants = |direction| self.registered.contains(direction);
        readiness
            .set(Readiness::READ, wants(Interest::READ) && (self.unread > 0 || self.has_ended));
        readiness.set(Readiness::WRITE, wants(Interest::WRITE) && self.is_writable);
        if like == Like::Select {
            let is_failing = self.has_error || self.has_hung_up;
            let directions =
                [(Readiness::READ, Interest::READ), (Readiness::WRITE, Interest::WRITE)];
            for (reported, direction) in directions {
                if is_failing && wants(direction) {
                    readiness |= reported;
                }
            }
        } else {
            readiness.set(Readiness::READ_CLOSED, wants(Interest::READ) && self.has_ended);
            readiness.set(Readiness::ERROR, self.has_error);
            readiness.set(Readiness::HANGUP, self.has_hung_up);
        }
        readiness
    }

    fn set(&mut self, interest: Interest) {
        (self.registered, self.is_edge) = (interest, true);
        if let (Some(life), false) = (&mut self.life, interest.is_empty()) {
            while life.mine.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        }
    }
}

/// The world as a selector.
#[derive(Debug)]
pub struct WorldSelector {
    pub like: Like,
    world: Shared,
    /// The reactor's own descriptors, which are real.
    own: Vec<(RawFd, Token)>,
}

impl WorldSelector {
    pub fn new(like: Like, world: &Shared) -> Self {
        WorldSelector { like, world: Arc::clone(world), own: Vec::new() }
    }

    fn with_slot(&self, fd: RawFd, change: impl FnOnce(&mut Slot)) {
        let mut world = self.world.lock().unwrap();
        let is_here = |slot: &&mut Slot| slot.life.as_ref().is_some_and(|life| life.fd == fd);
        if let Some(slot) = world.slots.iter_mut().find(is_here) {
            change(slot);
        }
    }
}

impl Selector for WorldSelector {
    fn name(&self) -> &'static str {
        "world"
    }

    fn caps(&self) -> Caps {
        let (triggers, reports): (&[Trigger], _) = match self.like {
            Like::Select => (&[Trigger::Level], Readiness::READ | Readiness::WRITE),
            Like::Poll => (&[Trigger::Level], Readiness::all()),
            Like::EpollEdge => (&[Trigger::Edge], Readiness::all()),
        };
        Caps::new(triggers, reports)
    }

    fn add(&mut self, fd: RawFd, token: Token, interest: Interest, _: Trigger) -> io::Result<()> {
        let is_source = self
            .world
            .lock()
            .unwrap()
            .slots
            .iter()
            .any(|slot| slot.life.as_ref().is_some_and(|life| life.fd == fd));
        if is_source {
            self.with_slot(fd, |slot| {
                slot.life.as_mut().unwrap().token = token;
                slot.set(interest);
            });
        } else {
            self.own.push((fd, token));
        }
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.with_slot(fd, |slot| slot.set(interest));
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.with_slot(fd, |slot| slot.registered = Interest::NONE);
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, _: Deadline) -> io::Result<()> {
        events.clear();
        for slot in &mut self.world.lock().unwrap().slots {
            let Some(life) = &slot.life else { continue };
            if slot.registered.is_empty() {
                continue;
            }
            let is_due = self.like != Like::EpollEdge || std::mem::take(&mut slot.is_edge);
            let readiness = slot.readiness(self.like);
            if is_due && !readiness.is_empty() {
                events.push(Event::new(life.token, readiness));
            }
        }
        for &(fd, token) in &self.own {
            let mut fds = [PollFd::new(fd, PollFlags::IN)];
            if poll(&mut fds, Some(Duration::ZERO))? > 0 {
                events.push(Event::new(token, Readiness::READ));
            }
        }
        Ok(())
    }
}

/// A stream of the world.
pub struct WorldStream {
    world: Shared,
    slot: usize,
    socket: UnixStream,
}

impl WorldStream {
    /// Begins a life of a slot, whose token is set when it is added.
    pub fn begin(world: &Shared, slot: usize) -> Self {
        let (socket, peer) = unix_pair();
        peer.set_nonblocking(true).unwrap();
        let mine = socket.try_clone().unwrap();
        let life = Life { token: Token::from(u64::MAX), fd: socket.as_raw_fd(), mine, peer };
        let fresh = Slot { is_writable: true, life: Some(life), ..Slot::default() };
        world.lock().unwrap().slots[slot] = fresh;
        WorldStream { world: Arc::clone(world), slot, socket }
    }
}

impl Read for WorldStream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let slot = &mut self.world.lock().unwrap().slots[self.slot];
        if slot.unread > 0 {
            slot.unread -= 1;
            Ok(1)
        } else if slot.has_ended {
            slot.end_was_read = true;
            Ok(0)
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }
}

impl Write for WorldStream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        let slot = &mut self.world.lock().unwrap().slots[self.slot];
        if slot.has_hung_up {
            return Err(ErrorKind::BrokenPipe.into());
        }
        match std::mem::take(&mut slot.is_writable) {
            true => Ok(1),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for WorldStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
