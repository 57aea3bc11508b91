//! Random histories of a few streams, lived through by every backend and trigger in lock-step, each
//! compared after every step with a model of what the kernel is said to do.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use proptest::prelude::*;
use support::selector::*;
use support::sockets::*;
use tripoll::selector::{Backend, Interest, Readiness, Selector, Token, Trigger};
use tripoll::sys::PollFlags;

const STREAMS: usize = 3;

/// What can happen to one of the streams.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add(Interest),
    Set(Interest),
    Remove,
    /// Removed, closed, and a new one opened, which is likely to be given the same number.
    Replace,
    /// The peer sends a byte.
    PeerWrites,
    PeerShutsDown,
    PeerCloses,
    /// We read all there is.
    Drain,
    /// We send a byte, which the peer never reads: if it closes then, that is an error.
    Write,
    ShutDown,
}

fn any_step() -> impl Strategy<Value = Step> {
    let interest = || (0..=7u8).prop_map(Interest::from_bits_truncate);
    prop_oneof![
        4 => interest().prop_map(Step::Add),
        4 => interest().prop_map(Step::Set),
        1 => Just(Step::Remove),
        2 => Just(Step::Replace),
        4 => Just(Step::PeerWrites),
        1 => Just(Step::PeerShutsDown),
        1 => Just(Step::PeerCloses),
        3 => Just(Step::Drain),
        1 => Just(Step::Write),
        1 => Just(Step::ShutDown),
    ]
}

/// One stream, and what the model knows of it.
struct Stream {
    mine: UnixStream,
    theirs: Option<UnixStream>,
    unread: bool,
    unread_by_peer: bool,
    error: bool,
    shut_down: bool,
    peer_shut_down: bool,
    /// The interest in every selector, if the stream was added.
    interest: Option<Interest>,
}

impl Stream {
    fn new() -> Self {
        let (mine, theirs) = unix_pair();
        Stream {
            mine,
            theirs: Some(theirs),
            unread: false,
            unread_by_peer: false,
            error: false,
            shut_down: false,
            peer_shut_down: false,
            interest: None,
        }
    }

    /// What is the case, asked for or not.
    fn state(&self) -> Readiness {
        let peer_is_gone = self.theirs.is_none();
        let no_more_to_come = self.peer_shut_down || peer_is_gone;
        let mut state = Readiness::WRITE; // the few bytes written here always fit
        state.set(Readiness::READ, self.unread || no_more_to_come);
        state.set(Readiness::READ_CLOSED, no_more_to_come);
        state.set(Readiness::HANGUP, peer_is_gone || self.peer_shut_down && self.shut_down);
        state.set(Readiness::ERROR, self.error);
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

    /// Applies `step` to the stream itself. Returns whether a selector that watches it has news.
    fn live(&mut self, step: Step) -> bool {
        match step {
            Step::PeerWrites => {
                let Some(theirs) = &mut self.theirs else { return false };
                if self.peer_shut_down {
                    return false;
                }
                theirs.write_all(b"x").unwrap();
                self.unread = true;
                // The kernel does not say which of the two came, and looks when it is asked.
                let readers = Interest::READ | Interest::PRIORITY;
                self.interest.is_some_and(|interest| interest.intersects(readers))
            }
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
            Step::Drain => {
                let mut buffer = [0; 64];
                while let Ok(1..) = self.mine.read(&mut buffer) {}
                self.unread = false;
                self.error = false; // the read has returned it
                false
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
            Step::Add(_) | Step::Set(_) | Step::Remove | Step::Replace => unreachable!(),
        }
    }
}

/// One backend with one trigger.
struct Subject {
    selector: Box<dyn Selector>,
    trigger: Trigger,
    /// Whether a stream is armed (one-shot), or something is new of it (edge).
    unreported: [bool; STREAMS],
}

fn subjects() -> Vec<Subject> {
    let mut subjects = Vec::new();
    for backend in Backend::ALL {
        for &trigger in backend.selector().unwrap().caps().triggers {
            let selector = backend.selector().unwrap();
            subjects.push(Subject { selector, trigger, unreported: [false; STREAMS] });
        }
    }
    subjects
}

impl Subject {
    /// Returns the events that the next wait must report.
    fn expected(&mut self, streams: &[Stream]) -> Vec<(Token, Readiness)> {
        let mut expected = Vec::new();
        for (index, stream) in streams.iter().enumerate() {
            let answer = stream.answer_of(&*self.selector);
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
    fn change(&mut self, index: usize, stream: &Stream, step: Step) -> Result<(), ErrorKind> {
        let (fd, token) = (stream.mine.as_raw_fd(), Token::from(index as u64));
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

/// Lets `step` happen to the stream called `index`, and asks every subject.
fn live(subjects: &mut [Subject], streams: &mut [Stream], index: usize, step: Step) {
    let added = streams[index].interest.is_some();
    match step {
        Step::Add(_) | Step::Set(_) | Step::Remove | Step::Replace => {
            let expected = match (step, added) {
                (Step::Add(_), true) => Err(ErrorKind::AlreadyExists),
                (Step::Add(_), false) | (_, true) => Ok(()),
                (_, false) => Err(ErrorKind::NotFound),
            };
            for subject in &mut *subjects {
                let answer = subject.change(index, &streams[index], step);
                assert_eq!(answer, expected, "{} {}", subject.selector.name(), subject.trigger);
            }
            match (step, added) {
                (Step::Add(interest), false) | (Step::Set(interest), true) => {
                    streams[index].interest = Some(interest);
                }
                (Step::Remove, _) => streams[index].interest = None,
                (Step::Replace, _) => streams[index] = Stream::new(),
                _ => {}
            }
        }
        _ => {
            if streams[index].live(step) {
                for subject in subjects.iter_mut().filter(|s| s.trigger == Trigger::Edge) {
                    subject.unreported[index] = true;
                }
            }
        }
    }
    for subject in subjects {
        let expected = subject.expected(streams);
        let mut reported = reported_now(&mut *subject.selector);
        reported.sort_by_key(|(token, _)| *token);
        let (name, trigger) = (subject.selector.name(), subject.trigger);
        assert_eq!(reported, expected, "{name} {trigger}, after {step:?} of stream {index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_backend_lives_through_the_same_history(
        history in prop::collection::vec((0..STREAMS, any_step()), 1..60)
    ) {
        let mut subjects = subjects();
        let mut streams: Vec<_> = std::iter::repeat_with(Stream::new).take(STREAMS).collect();
        for (index, step) in history {
            live(&mut subjects, &mut streams, index, step);
        }
        for subject in subjects {
            prop_assert_eq!(subject.selector.counters().repairs, 0);
        }
    }
}
