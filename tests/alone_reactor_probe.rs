//! Looking on: what a probe sees and what the log says is what happened.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::{Budget, Counters, Dispatch, DispatchOutcome, Probe};
use tripoll::selector::{Event, Events, Readiness};
use tripoll::{Deadline, Interest, Next, Token};

#[derive(Debug, Clone, PartialEq)]
enum Saw {
    Applied(Token, Interest),
    Waiting(Deadline),
    Waited(Vec<Token>),
    Dispatched(Dispatch),
    Stale(Token),
    Turned(Counters),
}

/// Writes down what it sees.
#[derive(Clone, Default)]
struct Witness(Rc<RefCell<Vec<Saw>>>);

impl Witness {
    fn saw(&self, saw: Saw) {
        self.0.borrow_mut().push(saw);
    }

    /// What it has seen since it was last asked, without what the reactor says of itself.
    fn take(&self) -> Vec<Saw> {
        self.0.borrow_mut().drain(..).filter(|saw| !matches!(saw, Saw::Turned(_))).collect()
    }
}

impl Probe for Witness {
    fn applied(&mut self, token: Token, interest: Interest) {
        self.saw(Saw::Applied(token, interest));
    }

    fn waiting(&mut self, deadline: Deadline) {
        self.saw(Saw::Waiting(deadline));
    }

    fn waited(&mut self, slept: Duration, events: &Events) {
        assert!(slept < LONG);
        self.saw(Saw::Waited(events.iter().map(|event| event.token()).collect()));
    }

    fn dispatched(&mut self, dispatch: &Dispatch) {
        self.saw(Saw::Dispatched(*dispatch));
    }

    fn stale(&mut self, event: Event) {
        self.saw(Saw::Stale(event.token()));
    }

    fn turned(&mut self, counters: &Counters) {
        self.saw(Saw::Turned(*counters));
    }
}

fn dispatches(saw: &[Saw]) -> Vec<Dispatch> {
    let dispatch = |saw: &Saw| match saw {
        Saw::Dispatched(dispatch) => Some(*dispatch),
        _ => None,
    };
    saw.iter().filter_map(dispatch).collect()
}

#[test]
fn a_probe_sees_a_turn_from_beginning_to_end() {
    on_every_pair(|pair| {
        let witness = Witness::default();
        let builder = pair.builder().probe(witness.clone()).budget(Budget::new(2, 1_000));
        let mut reactor = pair.build(builder, ());
        let (mine, mut theirs) = unix_pair();
        let token = add(&mut reactor, mine, Interest::NONE, |source, _| {
            let mut byte = [0];
            loop {
                source.read_exact(&mut byte)?;
                if byte == *b"." {
                    return Ok(Next::Remove);
                }
            }
        });
        let_settle(&mut reactor);
        witness.take();

        reactor.context().set_interest(token, Interest::READ).unwrap();
        theirs.write_all(b"abc").unwrap();
        reactor.turn(Deadline::Never).unwrap();
        let saw = witness.take();
        assert_eq!(saw[0], Saw::Applied(token, Interest::READ));
        assert_eq!(saw[1], Saw::Waiting(Deadline::Never));
        assert_eq!(saw[2], Saw::Waited(vec![token]));
        let Saw::Dispatched(dispatch) = saw[3] else { panic!("{saw:?}") };
        assert_eq!(saw.len(), 4);
        assert_eq!((dispatch.token, dispatch.interest), (token, Interest::READ));
        assert!(dispatch.readiness.contains(Readiness::READ));
        assert_eq!((dispatch.operations, dispatch.bytes_read, dispatch.bytes_written), (2, 2, 0));
        assert!(dispatch.cut_off && !dispatch.spurious);
        assert_eq!(dispatch.outcome, DispatchOutcome::Ready);

        // It goes on without sleeping, and meets WouldBlock.
        reactor.turn(Deadline::Never).unwrap();
        let saw = witness.take();
        assert_eq!(saw[0], Saw::Waiting(Deadline::Now));
        let dispatch = dispatches(&saw)[0];
        assert_eq!((dispatch.operations, dispatch.bytes_read), (2, 1));
        assert_eq!(dispatch.outcome, DispatchOutcome::Waiting);
        assert!(!dispatch.cut_off && !dispatch.spurious);

        theirs.write_all(b".").unwrap();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_eq!(dispatches(&witness.take())[0].outcome, DispatchOutcome::Removed);
        assert_quiet(&mut reactor);
        assert_eq!(dispatches(&witness.take()), []);
    });
}

#[test]
fn a_probe_sees_what_became_of_each_source() {
    on_every_pair(|pair| {
        let witness = Witness::default();
        let mut reactor = pair.build(pair.builder().probe(witness.clone()), ());
        let outcomes = [
            (b'd', DispatchOutcome::Disarmed),
            (b'e', DispatchOutcome::Removed), // by an error
            (b'w', DispatchOutcome::Waiting),
            (b'r', DispatchOutcome::Ready),
        ];
        for (what, outcome) in outcomes {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(&[what, b'x']).unwrap();
            let token = add(&mut reactor, mine, Interest::READ, |source, _| {
                let mut what = [0];
                source.read_exact(&mut what)?;
                match what[0] {
                    b'd' => Ok(Next::Disarm),
                    b'e' => Err(ErrorKind::InvalidData.into()),
                    b'w' => source
                        .read(&mut [0; 8])
                        .and_then(|_| source.read(&mut [0; 8]))
                        .map(|_| Next::Keep),
                    _ => Ok(Next::Keep),
                }
            });
            reactor.turn(Deadline::after(LONG)).unwrap();
            let seen = dispatches(&witness.take());
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].token, seen[0].outcome), (token, outcome));
            let _ = reactor.context().remove(token);
        }
    });
}

#[test]
fn what_a_probe_sees_agrees_with_the_counters() {
    on_every_pair(|pair| {
        let witness = Witness::default();
        let mut reactor = pair.build(pair.builder().probe(witness.clone()), ());
        let mut peers = Vec::new();
        for _ in 0..5 {
            let (mine, theirs) = tcp_pair();
            add(&mut reactor, mine, Interest::READ, echo());
            peers.push(theirs);
        }
        for _ in 0..10 {
            for peer in &mut peers {
                peer.write_all(b"ping").unwrap();
            }
            for peer in &mut peers {
                let mut pong = [0; 8];
                drive(&mut reactor, 10, |_| peer.read(&mut pong).is_ok());
            }
        }
        let saw = witness.0.borrow();
        let counters = reactor.context().counters();
        let Some(Saw::Turned(last)) = saw.last() else { panic!("the turn has no end") };
        assert_eq!(*last, counters);
        let count = |is: fn(&Saw) -> bool| saw.iter().filter(|saw| is(saw)).count() as u64;
        assert_eq!(count(|saw| matches!(saw, Saw::Turned(_))), counters.turns);
        assert_eq!(count(|saw| matches!(saw, Saw::Waiting(_))), counters.turns);
        assert_eq!(count(|saw| matches!(saw, Saw::Waited(_))), counters.turns);
        let seen = dispatches(&saw);
        assert_eq!(seen.len() as u64, counters.dispatches);
        assert_eq!(seen.iter().filter(|seen| seen.spurious).count() as u64, counters.spurious);
        assert_eq!(seen.iter().map(|seen| seen.bytes_read).sum::<usize>(), 5 * 10 * 4);
        assert_eq!(seen.iter().map(|seen| seen.bytes_written).sum::<usize>(), 5 * 10 * 4);
        let events: usize = saw
            .iter()
            .map(|saw| if let Saw::Waited(events) = saw { events.len() } else { 0 })
            .sum();
        assert_eq!(events as u64, counters.events);
    });
}

#[test]
fn a_probe_sees_stale_events() {
    on_every_pair(|pair| {
        let faults = support::faulty::Faults::default();
        let witness = Witness::default();
        let builder = pair.builder().selector(faults.of(pair.backend)).probe(witness.clone());
        let mut reactor = pair.build(builder, ());
        let stranger = Token::new(5, 5);
        faults.plan().extra = vec![Event::new(stranger, Readiness::READ)];
        assert_eq!(reactor.turn(Deadline::Never).unwrap(), 0);
        assert!(witness.take().contains(&Saw::Stale(stranger)));
        assert_eq!(reactor.context().counters().stale, 1);
    });
}

/// Keeps what this thread logs.
struct Notebook;

static NOTES: Mutex<Vec<(std::thread::ThreadId, Level, String)>> = Mutex::new(Vec::new());

impl Log for Notebook {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("tripoll")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let note = (std::thread::current().id(), record.level(), record.args().to_string());
            NOTES.lock().unwrap().push(note);
        }
    }

    fn flush(&self) {}
}

#[test]
fn the_log_has_one_readable_line_for_each_call() {
    log::set_logger(&Notebook).unwrap();
    log::set_max_level(LevelFilter::Trace);
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, mut theirs) = unix_pair();
        let token = add(&mut reactor, mine, Interest::READ, echo());
        theirs.write_all(b"ping").unwrap();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 4); // unread, it would make the end an error
        drop(theirs);
        while !reactor.context().is_empty() {
            assert!(reactor.turn(Deadline::after(LONG)).unwrap() > 0);
        }
        let me = std::thread::current().id();
        let lines: Vec<_> = {
            let mut notes = NOTES.lock().unwrap();
            let mine = notes.extract_if(.., |(thread, ..)| *thread == me);
            mine.map(|(_, level, line)| (level, line)).collect()
        };
        assert_eq!(lines.len() as u64, reactor.context().counters().dispatches, "{lines:?}");
        let (level, line) = &lines[0];
        assert_eq!(*level, Level::Trace);
        for part in [
            pair.backend.name(),
            &pair.effective_trigger().to_string(),
            &format!("{token:?}"),
            "interest READ",
            "reported READ",
            "read 4",
            "wrote 4",
            "waiting",
        ] {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        assert!(!line.contains('\n') && line.len() < 120, "{line:?}");
    });
}
