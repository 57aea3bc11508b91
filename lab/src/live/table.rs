//! The table of what the subject's selector watches, and what is ready of it.
//!
//! *Ready now* is a `poll` with a zero timeout beside the wait. It consumes nothing: an edge that was not
//! reported yet stays so.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::RawFd;
use std::sync::Weak;
use std::time::Duration;

use rustix::io::ioctl_fionread;
use tripoll::net::Stream;
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Interest, Token, Trigger};
use tripoll_trace::masks::{asked, directions};

use super::record::{Ready, Reported, Row, Text};

/// A descriptor that is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) token: Token,
    /// The interest that the selector was given.
    pub(super) interest: Interest,
    /// Whether it can be reported.
    pub(super) is_armed: bool,
}

/// What is known of a descriptor besides.
#[derive(Debug, Clone, Default)]
pub(super) struct Described {
    pub(super) role: &'static str,
    pub(super) name: String,
    pub(super) peer: Option<String>,
    pub(super) socket: Weak<Stream>,
    /// The bytes that the program holds.
    pub(super) buffered: u64,
}

/// What the loop itself knows of a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) fd: RawFd,
    /// The interest of the program. It may be less than what the selector was given.
    pub(super) interest: Interest,
    /// The directions that the loop remembers as ready, so that it dispatches without a report.
    pub(super) remembered: Interest,
    pub(super) is_disarmed: bool,
    pub(super) deadline: Option<Duration>,
}

/// The table.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) watched: BTreeMap<RawFd, Watch>,
    pub(super) by_token: HashMap<Token, RawFd>,
    pub(super) described: BTreeMap<RawFd, Described>,
    pub(super) views: BTreeMap<RawFd, View>,
    /// The backend.
    pub(super) backend: &'static str,
    /// The trigger in effect.
    pub(super) trigger: Trigger,
    /// The epoll.
    pub(super) epoll: Option<RawFd>,
}

/// The index of the tokens of a loop's own descriptors.
const OWN: u32 = u32::MAX;

/// Returns the slot of a token. `None` for that of a loop itself.
pub(super) fn slot(token: Token) -> Option<u32> {
    (token.index() != OWN).then_some(token.index())
}

impl Table {
    /// Returns the interest of the program in a descriptor.
    fn interest(&self, fd: RawFd, watch: &Watch) -> Interest {
        match self.views.get(&fd) {
            Some(view) if view.is_disarmed => Interest::NONE,
            Some(view) => view.interest,
            None => watch.interest,
        }
    }

    /// Asks the kernel what is ready now.
    pub(super) fn ready(&self) -> Vec<Ready> {
        let asked = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
        let mut lines: Vec<_> = self.watched.keys().map(|&fd| PollFd::new(fd, asked)).collect();
        let zero = Some(Duration::ZERO);
        if poll(&mut lines, zero).is_err() {
            return Vec::new(); // the limit of descriptors is below their number
        }
        let ready = |line: &PollFd| {
            let found = line.revents();
            let e = found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::PRI);
            let r = found.intersects(PollFlags::IN | PollFlags::RDHUP | PollFlags::HUP);
            Ready { fd: line.fd(), r, w: found.contains(PollFlags::OUT), e }
        };
        lines.iter().filter(|line| !line.revents().is_empty()).map(ready).collect()
    }

    /// Returns those of `ready` that are ready for their interest.
    pub(super) fn wanted(&self, ready: &[Ready]) -> Vec<RawFd> {
        let is_wanted = |ready: &&Ready| {
            let Some(watch) = self.watched.get(&ready.fd) else { return false };
            let interest = self.interest(ready.fd, watch);
            slot(watch.token).is_some()
                && (ready.r && interest.contains(Interest::READ)
                    || ready.w && interest.contains(Interest::WRITE))
        };
        ready.iter().filter(is_wanted).map(|ready| ready.fd).collect()
    }

    /// Returns whether the epoll has something to report that it has not reported.
    fn has_pending(&self) -> bool {
        let Some(epoll) = self.epoll else { return false };
        let mut line = [PollFd::new(epoll, PollFlags::IN)];
        poll(&mut line, Some(Duration::ZERO)).is_ok_and(|count| count > 0)
    }

    /// Returns the ghosts: what is ready for its interest, is not reported, and will not be.
    ///
    /// Level-triggered there are none: the next wait reports what is ready. A source that its loop
    /// remembers as ready is none either, since the loop will call its handler. `ready` was asked before
    /// this call. What the epoll still has to report may be any of them: then those of `before` stay.
    pub(super) fn ghosts(
        &self,
        ready: &[Ready],
        reported: &[Reported],
        before: &[RawFd],
    ) -> Vec<RawFd> {
        let is_edge = self.trigger == Trigger::Edge;
        let has_pending = is_edge && self.has_pending();
        let is_ghost = |ready: &&Ready| {
            let Some(watch) = self.watched.get(&ready.fd) else { return false };
            let remembered = self.views.get(&ready.fd).map(|view| view.remembered);
            let remembered = remembered.unwrap_or(Interest::NONE);
            let interest = self.interest(ready.fd, watch) - remembered;
            let is_wanted = ready.r && interest.contains(Interest::READ)
                || ready.w && interest.contains(Interest::WRITE);
            let is_reported = reported.iter().any(|reported| reported.fd == ready.fd);
            let is_mute = is_edge || !watch.is_armed;
            let is_known = !has_pending || before.contains(&ready.fd);
            slot(watch.token).is_some() && is_wanted && !is_reported && is_mute && is_known
        };
        ready.iter().filter(is_ghost).map(|ready| ready.fd).collect()
    }

    /// Returns the rows, by slot.
    pub(super) fn rows(
        &self,
        ready: &[Ready],
        reported: &[Reported],
        ghosts: &[RawFd],
    ) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .watched
            .iter()
            .map(|(&fd, watch)| self.row(fd, watch, ready, reported, ghosts))
            .collect();
        rows.sort_by_key(|row| (row.slot.is_none(), row.slot, row.fd));
        rows
    }

    fn row(
        &self,
        fd: RawFd,
        watch: &Watch,
        ready: &[Ready],
        reported: &[Reported],
        ghosts: &[RawFd],
    ) -> Row {
        let described = self.described.get(&fd).cloned().unwrap_or_default();
        let view = self.views.get(&fd);
        let interest = self.interest(fd, watch);
        let (has_read, has_write) =
            (interest.contains(Interest::READ), interest.contains(Interest::WRITE));
        let reported = reported.iter().find(|reported| reported.fd == fd && !reported.again);
        let ready = ready.iter().find(|ready| ready.fd == fd);
        let socket = described.socket.upgrade();
        let read_queue = socket.as_ref().and_then(|socket| ioctl_fionread(&**socket).ok());
        let write_queue = socket.as_ref().and_then(|socket| socket.send_queue().ok());
        Row {
            slot: slot(watch.token),
            generation: watch.token.generation(),
            fd,
            role: Text::Borrowed(match described.role {
                "" if slot(watch.token).is_none() => "waker",
                "" => "other",
                role => role,
            }),
            name: described.name,
            peer: described.peer,
            interest: Text::Borrowed(directions(has_read, has_write)),
            asked: asked(self.backend, watch.interest, self.trigger),
            armed: watch.is_armed && !view.is_some_and(|view| view.is_disarmed),
            reported: Text::Borrowed(reported.map_or("-", |it| directions(it.r, it.w))),
            ready: Text::Borrowed(ready.map_or("-", |it| directions(it.r, it.w))),
            ghost: ghosts.contains(&fd),
            read_queue,
            write_queue: write_queue.map(|bytes| bytes as u64),
            buffered: described.buffered,
            deadline_ms: view.and_then(|view| view.deadline).map(|left| left.as_millis() as u64),
        }
    }
}
