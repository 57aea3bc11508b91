//! A kernel with two descriptors, whose every change is an action of the explorer.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use support::sockets::unix_pair;
use tripoll::selector::{Caps, Events, Readiness};
use tripoll::sys::{Epoll, EpollFlags, PollFd, PollFlags, poll};
use tripoll::{Deadline, Event, Interest, Selector, Token, Trigger};

use super::actions::Script;

/// How a selector of this kernel reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Like {
    Select,
    Poll,
    /// Each report names all that is ready.
    EpollEdge,
    /// Each report names only what is new since the last one.
    EdgeApart,
}

impl Like {
    pub fn is_edge(self) -> bool {
        matches!(self, Like::EpollEdge | Like::EdgeApart)
    }
}

/// What a descriptor is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Stream,
    /// A file that changes, as in `/sys`: until it is read anew, a change is urgent, and an error too.
    Attribute,
}

/// What the kernel and the handlers know of one descriptor.
#[derive(Debug, Default)]
pub struct Slot {
    pub kind: Kind,
    /// The bytes that can be read.
    pub unread: u8,
    /// Whether one write succeeds.
    pub is_writable: bool,
    pub has_ended: bool,
    pub has_hung_up: bool,
    /// Whether there is something in the error queue. It stays.
    pub has_error: bool,
    /// Whether there is urgent data, or the attribute has changed.
    pub is_urgent: bool,
    /// What the selector watches.
    pub registered: Interest,
    /// What has become ready since the last edge-triggered report.
    pub fresh: Readiness,
    /// The directions in which a handler has been told, and has said that it is done.
    pub forgiven: Interest,
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
    /// Whether what is the case is shown by the stand-in. It is once a source may be parked.
    pub is_shown: bool,
}

impl Life {
    /// Makes the stand-in neither readable nor writable.
    fn calm(&mut self) {
        while self.mine.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        if self.is_shown {
            let _ = self.mine.write(&[0; 2_048]);
        }
    }

    /// Makes the stand-in ready.
    fn wake(&mut self, directions: Interest) {
        if directions.contains(Interest::WRITE) {
            while self.peer.read(&mut [0; 4_096]).is_ok_and(|count| count > 0) {}
        }
        if !directions.difference(Interest::WRITE).is_empty() {
            let _ = self.peer.write(b"x"); // a full one is readable
        }
    }
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
    /// A change of the kernel's, which makes `directions` ready.
    pub fn changed(&mut self, fresh: Readiness, directions: Interest, like: Like) {
        self.fresh |= fresh;
        let is_reported = if like == Like::EdgeApart { directions } else { Interest::all() };
        self.forgiven.remove(is_reported);
        if let (Some(life), true) = (&mut self.life, self.registered.is_empty()) {
            life.wake(directions & self.interest);
        }
    }

    /// Returns whether a source may have this interest. The stand-in of a parked one cannot be made
    /// urgent, and that of an attribute cannot be made writable.
    pub fn can_want(&self, interest: Interest) -> bool {
        let is_shown = interest != Interest::PRIORITY || !self.has_error;
        is_shown && (self.kind == Kind::Stream || !interest.contains(Interest::WRITE))
    }

    /// Begins to show by the stand-in what is the case.
    pub fn begin_to_show(&mut self) {
        if let Some(life) = &mut self.life
            && !std::mem::replace(&mut life.is_shown, true)
        {
            SockRef::from(&life.mine).set_send_buffer_size(1).unwrap(); // the least there is
        }
        self.show();
    }

    /// Shows by the stand-in what is the case.
    pub fn show(&mut self) {
        let Some(life) = &mut self.life else { return };
        life.calm();
        if life.is_shown {
            let shows_urgent =
                self.kind == Kind::Attribute || self.interest.contains(Interest::PRIORITY);
            let is_readable = self.unread > 0 || self.has_ended || self.is_urgent && shows_urgent;
            let readable = if is_readable { Interest::READ } else { Interest::NONE };
            let writable = if self.is_writable { Interest::WRITE } else { Interest::NONE };
            life.wake(readable | writable);
        }
    }

    fn readiness(&self, like: Like) -> Readiness {
        let mut readiness = Readiness::empty();
        let wants = |direction| self.registered.contains(direction);
        let has_changed = self.kind == Kind::Attribute && self.is_urgent;
        let is_readable = self.unread > 0 || self.has_ended || has_changed;
        readiness.set(Readiness::READ, wants(Interest::READ) && is_readable);
        readiness.set(Readiness::WRITE, wants(Interest::WRITE) && self.is_writable);
        readiness.set(Readiness::PRIORITY, wants(Interest::PRIORITY) && self.is_urgent);
        if like == Like::Select {
            let is_failing = self.has_error || self.has_hung_up || has_changed;
            let directions =
                [(Readiness::READ, Interest::READ), (Readiness::WRITE, Interest::WRITE)];
            for (reported, direction) in directions {
                if is_failing && wants(direction) {
                    readiness |= reported;
                }
            }
        } else {
            readiness.set(Readiness::READ_CLOSED, wants(Interest::READ) && self.has_ended);
            readiness.set(Readiness::ERROR, self.has_error || has_changed);
            readiness.set(Readiness::HANGUP, self.has_hung_up);
        }
        readiness
    }

    /// Registers an interest. The next wait reports what is ready.
    fn set(&mut self, interest: Interest) {
        (self.registered, self.fresh) = (interest, Readiness::all());
        if !interest.is_empty() {
            self.forgiven = Interest::NONE;
            self.show();
        }
    }

    /// Returns what a wait reports.
    fn report(&mut self, like: Like) -> Readiness {
        let readiness = self.readiness(like);
        let fresh = std::mem::take(&mut self.fresh);
        match like {
            Like::Select | Like::Poll => readiness,
            Like::EpollEdge if fresh.is_empty() => Readiness::empty(),
            Like::EpollEdge => readiness,
            Like::EdgeApart => readiness & fresh,
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
            Like::Select => {
                (&[Trigger::Level], Readiness::READ | Readiness::WRITE | Readiness::PRIORITY)
            }
            Like::Poll => (&[Trigger::Level], Readiness::all()),
            Like::EpollEdge | Like::EdgeApart => (&[Trigger::Edge], Readiness::all()),
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
            let token = life.token;
            let readiness = slot.report(self.like);
            if !readiness.is_empty() {
                events.push(Event::new(token, readiness));
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

/// A stream or an attribute of the world.
pub struct WorldStream {
    world: Shared,
    slot: usize,
    identity: Identity,
}

/// The descriptor that the reactor knows.
enum Identity {
    /// That of a stream.
    Socket(UnixStream),
    /// That of a file which is no stream. It is readable when its stand-in is.
    Epoll(Epoll),
}

impl WorldStream {
    /// Begins a life of a slot, whose token is set when it is added.
    pub fn begin(world: &Shared, slot: usize, kind: Kind) -> Self {
        let (mine, peer) = unix_pair();
        let identity = match kind {
            Kind::Stream => Identity::Socket(mine.try_clone().unwrap()),
            Kind::Attribute => {
                let epoll = Epoll::new().unwrap();
                epoll.add(mine.as_raw_fd(), EpollFlags::IN, 0).unwrap();
                Identity::Epoll(epoll)
            }
        };
        let stream = WorldStream { world: Arc::clone(world), slot, identity };
        let fd = stream.as_fd().as_raw_fd();
        let life = Life { token: Token::from(u64::MAX), fd, mine, peer, is_shown: false };
        let fresh = Slot { kind, is_writable: true, life: Some(life), ..Slot::default() };
        world.lock().unwrap().slots[slot] = fresh;
        stream
    }

    /// Reads what is urgent.
    pub fn read_urgent(&mut self) -> io::Result<()> {
        let slot = &mut self.world.lock().unwrap().slots[self.slot];
        match std::mem::take(&mut slot.is_urgent) {
            true => Ok(()),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for WorldStream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let slot = &mut self.world.lock().unwrap().slots[self.slot];
        if slot.unread > 0 {
            slot.unread -= 1;
            Ok(1)
        } else if slot.kind == Kind::Attribute && std::mem::take(&mut slot.is_urgent) {
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
        match &self.identity {
            Identity::Socket(socket) => socket.as_fd(),
            Identity::Epoll(epoll) => epoll.as_fd(),
        }
    }
}
