//! The trait is open: selectors implemented outside the crate.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use support::selector::*;
use support::sockets::*;
use support::*;
use tripoll::selector::{
    Backend, Caps, Deadline, Event, Events, Interest, Readiness, Selector, SelectorCounters, Token,
    Trigger,
};

/// Writes down what is asked of another selector.
#[derive(Debug)]
struct Recorder {
    inner: Box<dyn Selector>,
    log: Vec<String>,
}

impl Selector for Recorder {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        let answer = self.inner.add(fd, token, interest, trigger);
        let outcome = outcome(&answer);
        self.log.push(format!("add {} {interest:?} {trigger}: {outcome}", token.index()));
        answer
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let answer = self.inner.set(fd, interest);
        self.log.push(format!("set {interest:?}: {}", outcome(&answer)));
        answer
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        let answer = self.inner.remove(fd);
        self.log.push(format!("remove: {}", outcome(&answer)));
        answer
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        let answer = self.inner.wait_interruptible(events, deadline);
        let tokens: Vec<_> = events.iter().map(|event| event.token().index()).collect();
        self.log.push(format!("wait: {} {tokens:?}", outcome(&answer)));
        answer
    }

    fn counters(&self) -> SelectorCounters {
        self.inner.counters()
    }
}

fn outcome(answer: &io::Result<()>) -> String {
    match answer {
        Ok(()) => "ok".into(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

#[test]
fn a_recording_selector_sees_everything_that_is_asked() {
    for &backend in Backend::ALL {
        let _context = Context(format!("on {backend}"));
        let mut selector = Recorder { inner: backend.selector().unwrap(), log: Vec::new() };
        assert_eq!(selector.name(), backend.name());
        let trigger = selector.caps().triggers[0];
        let (mine, mut theirs) = unix_pair();
        let fd = mine.as_raw_fd();

        selector.add(fd, Token::new(7, 0), Interest::READ, trigger).unwrap();
        selector.add(fd, Token::new(8, 0), Interest::READ, trigger).unwrap_err();
        theirs.write_all(b"x").unwrap();
        assert_eq!(reported_now(&mut selector), [(Token::new(7, 0), Readiness::READ)]);
        selector.set(fd, Interest::NONE).unwrap();
        assert_eq!(reported_now(&mut selector), []);
        selector.remove(fd).unwrap();
        selector.remove(fd).unwrap_err();

        let expected = [
            &format!("add 7 Interest(READ) {trigger}: ok"),
            &format!("add 8 Interest(READ) {trigger}: AlreadyExists"),
            "wait: ok [7]",
            "set Interest(0x0): ok",
            "wait: ok []",
            "remove: ok",
            "remove: NotFound",
        ];
        assert_eq!(selector.log, expected);
        assert_eq!(selector.counters().waits, 2);
    }
}

/// Does to its user what a kernel may do. It interrupts every third wait, reports one event at a
/// time and the rest late, and now and then reports an event that is not true.
#[derive(Debug)]
struct Faulty {
    inner: Box<dyn Selector>,
    tokens: Vec<(RawFd, Token)>,
    late: VecDeque<Event>,
    waits: usize,
}

impl Faulty {
    fn new(backend: Backend) -> Self {
        let inner = backend.selector().unwrap();
        Faulty { inner, tokens: Vec::new(), late: VecDeque::new(), waits: 0 }
    }
}

impl Selector for Faulty {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.inner.add(fd, token, interest, trigger)?;
        self.tokens.push((fd, token));
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.inner.set(fd, interest)
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.inner.remove(fd)?;
        if let Some(position) = self.tokens.iter().position(|(number, _)| *number == fd) {
            let (_, token) = self.tokens.swap_remove(position);
            self.late.retain(|event| event.token() != token);
        }
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        self.waits += 1;
        if self.waits.is_multiple_of(3) {
            return Err(ErrorKind::Interrupted.into());
        }
        if self.late.is_empty() {
            self.inner.wait_interruptible(events, deadline)?;
            self.late.extend(events.iter());
            events.clear();
        }
        if self.waits.is_multiple_of(5) {
            let (_, token) = self.tokens[self.waits % self.tokens.len()];
            events.push(Event::new(token, Readiness::READ));
        }
        self.late.pop_front().into_iter().for_each(|event| events.push(event));
        Ok(())
    }
}

/// Sends `rounds` bytes through each of the streams, and reads until all have come. A reader that
/// reads to the end after each event, and relies on no event, is bound to succeed.
fn carry(selector: &mut dyn Selector, trigger: Trigger, rounds: usize) {
    let streams: Vec<(UnixStream, UnixStream)> = (0..5).map(|_| unix_pair()).collect();
    for (token, (mine, _)) in (0..).zip(&streams) {
        selector.add(mine.as_raw_fd(), Token::from(token), Interest::READ, trigger).unwrap();
    }
    let mut events = Events::new();
    for _ in 0..rounds {
        for (_, theirs) in &streams {
            let mut theirs = theirs;
            theirs.write_all(b"x").unwrap();
        }
        let mut missing = streams.len();
        while missing > 0 {
            selector.wait(&mut events, Deadline::after(LONG)).unwrap();
            assert!(!events.is_empty(), "{missing} bytes were never reported");
            for event in &events {
                let mut mine = &streams[event.token().index() as usize].0;
                while let Ok(length) = mine.read(&mut [0; 8]) {
                    missing -= length;
                }
                if trigger == Trigger::OneShot {
                    selector.set(mine.as_raw_fd(), Interest::READ).unwrap();
                }
            }
        }
    }
    for (mine, _) in &streams {
        selector.remove(mine.as_raw_fd()).unwrap();
    }
}

#[test]
fn reading_to_the_end_gets_everything_through_a_faulty_selector_too() {
    on_every_backend(Trigger::ALL, |plain, trigger| {
        carry(plain, trigger, 100);
        let mut faulty = Faulty::new(plain.name().parse().unwrap());
        carry(&mut faulty, trigger, 100);
        assert!(faulty.waits > 500, "it reported one thing at a time");
    });
}
