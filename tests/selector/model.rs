//! Random histories of a few sockets, lived through by every backend and trigger in lock-step, each
//! compared after every step with a model of what the kernel is said to do. Streams end and break,
//! a datagram socket has a queue of errors, copies of closed descriptors live on in another process,
//! and all sockets move to a new selector.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::libc::MSG_ERRQUEUE;
use nix::sys::socket::{setsockopt, sockopt};
use proptest::prelude::*;
use socket2::SockRef;
use support::selector::*;
use support::sockets::*;
use tripoll::selector::{Backend, Interest, Readiness, Selector, Token, Trigger};
use tripoll::sys::PollFlags;

/// The last one is a datagram socket, the others are streams.
const SOCKETS: usize = 4;

/// What can happen to one of the sockets.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add(Interest),
    Set(Interest),
    Remove,
    /// Removed, closed, and a new one opened, which is likely to be given the same number.
    Replace,
    /// As `Replace`, while a copy of the old one stays open, as a process that was forked has it, and
    /// becomes ready.
    ReplaceCopied,
    /// Every selector is replaced by a new one, which is given all sockets.
    Switch,
    /// The peer sends a byte.
    PeerWrites,
    PeerShutsDown,
    PeerCloses,
    /// We read all there is.
    Drain,
    /// We send a byte, which the peer never reads: if it closes then, that is an error. The datagram
    /// socket sends to where nobody receives, which is an error in its queue.
    Write,
    /// We take one error out of the queue.
    TakeError,
    ShutDown,
}

fn any_step() -> impl Strategy<Value = Step> {
    let interest = || (0..=7u8).prop_map(Interest::from_bits_truncate);
    prop_oneof![
        4 => interest().prop_map(Step::Add),
        4 => interest().prop_map(Step::Set),
        1 => Just(Step::Remove),
        2 => Just(Step::Replace),
        1 => Just(Step::ReplaceCopied),
        1 => Just(Step::Switch),
        4 => Just(Step::PeerWrites),
        1 => Just(Step::PeerShutsDown),
        1 => Just(Step::PeerCloses),
        3 => Just(Step::Drain),
        4 => Just(Step::Write),
        3 => Just(Step::TakeError),
        1 => Just(Step::ShutDown),
    ]
}

/// One socket, and what the model knows of it.
struct Watched {
    socket: Mine,
    unread: bool,
    /// The interest in every selector, if the socket was added.
    interest: Option<Interest>,
}

/// The end that the selectors watch.
enum Mine {
    Stream(Stream),
    Datagrams(Datagrams),
}

struct Stream {
    mine: UnixStream,
    theirs: Option<UnixStream>,
    unread_by_peer: bool,
    error: bool,
    shut_down: bool,
    peer_shut_down: bool,
}

struct Datagrams {
    mine: UdpSocket,
    theirs: UdpSocket,
    /// Where nobody receives.
    nowhere: SocketAddr,
    /// Whether the next call fails with the error of an earlier datagram.
    error: bool,
    /// The number of errors in the queue.
    queued: u32,
}

impl Watched {
    fn new(index: usize) -> Self {
        let socket = if index + 1 < SOCKETS {
            let (mine, theirs) = unix_pair();
            let theirs = Some(theirs);
            Mine::Stream(Stream {
                mine,
                theirs,
                unread_by_peer: false,
                error: false,
                shut_down: false,
                peer_shut_down: false,
            })
        } else {
            let mine = UdpSocket::bind("127.0.0.1:0").unwrap();
            mine.set_nonblocking(true).unwrap();
            setsockopt(&mine, sockopt::Ipv4RecvErr, &true).unwrap();
            let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
            theirs.connect(mine.local_addr().unwrap()).unwrap();
            let nowhere = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            Mine::Datagrams(Datagrams { mine, theirs, nowhere, error: false, queued: 0 })
        };
        Watched { socket, unread: false, interest: None }
    }

    fn number(&self) -> RawFd {
        match &self.socket {
            Mine::Stream(stream) => stream.mine.as_raw_fd(),
            Mine::Datagrams(socket) => socket.mine.as_raw_fd(),
        }
    }

    /// Returns what makes the old socket of `Step::ReplaceCopied` ready, and keeps it open.
    fn copy(&self) -> Option<UnixStream> {
        let Mine::Stream(stream) = &self.socket else { return None };
        if let Some(mut theirs) = stream.theirs.as_ref().filter(|_| !stream.peer_shut_down) {
            theirs.write_all(b"x").unwrap();
        }
        Some(stream.mine.try_clone().unwrap())
    }

    /// What is the case, asked for or not.
    fn state(&self) -> Readiness {
        let mut state = Readiness::WRITE; // the few bytes written here always fit
        state.set(Readiness::READ, self.unread);
        match &self.socket {
            Mine::Stream(stream) => {
                let peer_is_gone = stream.theirs.is_none();
                let no_more_to_come = stream.peer_shut_down || peer_is_gone;
                let hangup = peer_is_gone || stream.peer_shut_down && stream.shut_down;
                state.set(Readiness::READ, self.unread || no_more_to_come);
                state.set(Readiness::READ_CLOSED, no_more_to_come);
                state.set(Readiness::HANGUP, hangup);
                state.set(Readiness::ERROR, stream.error);
            }
            Mine::Datagrams(socket) => {
                state.set(Readiness::ERROR, socket.error || socket.queued > 0);
            }
        }
        state
    }

    /// What `poll` and `epoll` say of it: what was asked for, and hang-up and error.
    fn answer(&self) -> Readiness {
        let interest = self.interest.unwrap_or(Interest::NONE);
        if interest.is_empty() {
            return Readiness::empty();
        }
        let mut visible = Readiness::HANGUP | Readiness::ERROR;
        visible.set(Readiness::READ | Readiness::READ_CLOSED, interest.contains(Interest::READ));
        visible.set(Readiness::WRITE, interest.contains(Interest::WRITE));
        self.state() & visible
    }

    /// Returns the answer as `selector` reports it.
    fn answer_of(&self, selector: &dyn Selector) -> Readiness {
        let (answer, interest) = (self.answer(), self.interest.unwrap_or(Interest::NONE));
        let mut said = answer;
        if !selector.caps().reports.contains(Readiness::HANGUP) {
            // It reports the reasons as ready to read.
            said = Readiness::empty();
            let reason = answer.difference(Readiness::WRITE);
            said.set(Readiness::READ, interest.contains(Interest::READ) && !reason.is_empty());
            said.set(Readiness::WRITE, answer.contains(Readiness::WRITE));
        } else if selector.name() == "mio" {
            // mio reports a hang-up as a shutdown by the peer too; `Caps` do not say so.
            let read_closed = Readiness::READ_CLOSED | Readiness::HANGUP;
            said.set(Readiness::READ_CLOSED, answer.intersects(read_closed));
        }
        said
    }

    /// Applies `step` to the socket itself. Returns whether a selector that watches it has news.
    fn live(&mut self, step: Step) -> bool {
        // The kernel does not say which of the two came, and looks when it is asked.
        let readers = Interest::READ | Interest::PRIORITY;
        let is_read = self.interest.is_some_and(|interest| interest.intersects(readers));
        match (&mut self.socket, step) {
            (Mine::Stream(stream), Step::PeerWrites) => {
                let has_come = stream.peer_writes();
                self.unread |= has_come;
                has_come && is_read
            }
            (Mine::Stream(stream), Step::Drain) => {
                let mut buffer = [0; 64];
                while let Ok(1..) = stream.mine.read(&mut buffer) {}
                self.unread = false;
                stream.error = false; // the read has returned it
                false
            }
            (Mine::Stream(stream), _) => stream.live(step),
            (Mine::Datagrams(socket), Step::PeerWrites) => {
                let _refused = socket.theirs.send(b"x").unwrap();
                settle(&socket.mine, PollFlags::IN);
                self.unread = true;
                is_read
            }
            (Mine::Datagrams(socket), Step::Drain) => {
                while socket.mine.recv(&mut [0; 8]).map_err(|error| error.kind())
                    != Err(ErrorKind::WouldBlock)
                {}
                self.unread = false;
                socket.error = false; // a call has returned it; the queue is as it was
                false
            }
            (Mine::Datagrams(socket), Step::Write) => socket.fail(),
            (Mine::Datagrams(socket), Step::TakeError) => socket.take_error(),
            (Mine::Datagrams(_), _) => false,
        }
    }
}

impl Stream {
    fn peer_writes(&mut self) -> bool {
        let Some(theirs) = &mut self.theirs else { return false };
        if self.peer_shut_down {
            return false;
        }
        theirs.write_all(b"x").unwrap();
        true
    }

    fn live(&mut self, step: Step) -> bool {
        match step {
            Step::PeerShutsDown => {
                let Some(theirs) = &self.theirs else { return false };
                theirs.shutdown(Shutdown::Write).unwrap();
                self.peer_shut_down = true;
                true
            }
            Step::PeerCloses => {
                let was_there = self.theirs.take().is_some();
                // Another test may be starting a program, which has a copy until it runs.
                settle(&self.mine, PollFlags::HUP);
                self.error |= was_there && self.unread_by_peer;
                was_there
            }
            Step::Write => {
                if self.theirs.is_some() && !self.shut_down {
                    self.mine.write_all(b"x").unwrap();
                    self.unread_by_peer = true;
                }
                false
            }
            Step::ShutDown => {
                self.mine.shutdown(Shutdown::Write).unwrap();
                self.shut_down = true;
                true
            }
            _ => false,
        }
    }
}

impl Datagrams {
    /// Sends to where nobody receives. The error of an earlier datagram comes first.
    fn fail(&mut self) -> bool {
        let result = self.mine.send_to(b"x", self.nowhere);
        assert_eq!(result.is_err(), std::mem::take(&mut self.error), "{result:?}");
        if result.is_ok() {
            settle(&self.mine, PollFlags::ERR);
            (self.error, self.queued) = (true, self.queued + 1);
        }
        result.is_ok()
    }

    /// Takes the oldest error out of the queue. The kernel then fails the next call with the next
    /// error, and reports it.
    fn take_error(&mut self) -> bool {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
        let taken = SockRef::from(&self.mine).recv_with_flags(&mut buffer, MSG_ERRQUEUE);
        assert_eq!(taken.is_ok(), self.queued > 0, "{taken:?}");
        if taken.is_ok() {
            self.queued -= 1;
            self.error = self.queued > 0;
        }
        taken.is_ok() && self.error
    }
}

/// One backend with one trigger.
struct Subject {
    backend: Backend,
    selector: Box<dyn Selector>,
    trigger: Trigger,
    /// Whether a socket is armed (one-shot), or something is new of it (edge).
    unreported: [bool; SOCKETS],
}

fn subjects() -> Vec<Subject> {
    let mut subjects = Vec::new();
    for &backend in Backend::ALL {
        for &trigger in backend.selector().unwrap().caps().triggers {
            let selector = backend.selector().unwrap();
            subjects.push(Subject { backend, selector, trigger, unreported: [false; SOCKETS] });
        }
    }
    subjects
}

impl Subject {
    /// Returns the events that the next wait must report.
    fn expected(&mut self, sockets: &[Watched]) -> Vec<(Token, Readiness)> {
        let mut expected = Vec::new();
        for (index, socket) in sockets.iter().enumerate() {
            let answer = socket.answer_of(&*self.selector);
            let reported = match self.trigger {
                Trigger::Level => !answer.is_empty(),
                _ => !answer.is_empty() && self.unreported[index],
            };
            if reported {
                expected.push((Token::from(index as u64), answer));
            }
            if reported || self.trigger == Trigger::Edge {
                self.unreported[index] = false;
            }
        }
        expected
    }

    /// Applies a step that concerns the selector.
    fn change(&mut self, index: usize, socket: &Watched, step: Step) -> Result<(), ErrorKind> {
        let (fd, token) = (socket.number(), Token::from(index as u64));
        let answer = match step {
            Step::Add(interest) => self.selector.add(fd, token, interest, self.trigger),
            Step::Set(interest) => self.selector.set(fd, interest),
            _ => self.selector.remove(fd),
        };
        if answer.is_ok() {
            self.unreported[index] = true;
        }
        answer.map_err(|error| error.kind())
    }
}

impl Subject {
    /// Moves all sockets to a new selector.
    fn switch(&mut self, sockets: &[Watched]) {
        assert_eq!(self.selector.counters().repairs, 0);
        self.selector = self.backend.selector().unwrap();
        for (index, socket) in sockets.iter().enumerate() {
            self.unreported[index] = false;
            if let Some(interest) = socket.interest {
                self.change(index, socket, Step::Add(interest)).unwrap();
            }
        }
    }
}

/// Sockets, and copies of some that were closed.
struct World {
    sockets: Vec<Watched>,
    copies: Vec<(UnixStream, Watched)>,
}

impl World {
    /// Lets `step` happen to the socket called `index`, and asks every subject.
    fn live(&mut self, subjects: &mut [Subject], index: usize, step: Step) {
        let sockets = &mut self.sockets;
        let added = sockets[index].interest.is_some();
        match step {
            Step::Switch => subjects.iter_mut().for_each(|subject| subject.switch(sockets)),
            Step::Add(_) | Step::Set(_) | Step::Remove | Step::Replace | Step::ReplaceCopied => {
                let expected = match (step, added) {
                    (Step::Add(_), true) => Err(ErrorKind::AlreadyExists),
                    (Step::Add(_), false) | (_, true) => Ok(()),
                    (_, false) => Err(ErrorKind::NotFound),
                };
                for subject in &mut *subjects {
                    let answer = subject.change(index, &sockets[index], step);
                    assert_eq!(answer, expected, "{} {}", subject.selector.name(), subject.trigger);
                }
                match (step, added) {
                    (Step::Add(interest), false) | (Step::Set(interest), true) => {
                        sockets[index].interest = Some(interest);
                    }
                    (Step::Remove, _) => sockets[index].interest = None,
                    (Step::Replace, _) => sockets[index] = Watched::new(index),
                    (Step::ReplaceCopied, _) => self.replace_copied(index),
                    _ => {}
                }
            }
            _ => {
                if sockets[index].live(step) {
                    for subject in subjects.iter_mut().filter(|s| s.trigger == Trigger::Edge) {
                        subject.unreported[index] = true;
                    }
                }
            }
        }
        for subject in subjects {
            let expected = subject.expected(&self.sockets);
            let mut reported = reported_now(&mut *subject.selector);
            reported.sort_by_key(|(token, _)| *token);
            let (name, trigger) = (subject.selector.name(), subject.trigger);
            assert_eq!(reported, expected, "{name} {trigger}, after {step:?} of socket {index}");
        }
    }

    /// Closes the socket called `index`, while a copy stays open.
    fn replace_copied(&mut self, index: usize) {
        let copy = self.sockets[index].copy();
        let mut old = std::mem::replace(&mut self.sockets[index], Watched::new(index));
        if let (Some(copy), Mine::Stream(stream)) = (copy, &mut old.socket) {
            // Its number is free for another file.
            let (unused, _) = unix_pair();
            drop(std::mem::replace(&mut stream.mine, unused));
            self.copies.push((copy, old));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_backend_lives_through_the_same_history(
        history in prop::collection::vec((0..SOCKETS, any_step()), 1..60)
    ) {
        let mut subjects = subjects();
        let sockets = (0..SOCKETS).map(Watched::new).collect();
        let mut world = World { sockets, copies: Vec::new() };
        for (index, step) in history {
            world.live(&mut subjects, index, step);
        }
        for subject in subjects {
            prop_assert_eq!(subject.selector.counters().repairs, 0);
        }
    }
}
