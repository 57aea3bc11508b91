//! The option `--trace`: what a loop did, turn by turn, in the lines of `tripoll trace`.
//!
//! A selector around that of the reactor knows the descriptors and the waits. A probe knows what the
//! handlers did. Both write to the log, one line a write, as soon as they know the line.

mod names;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Instant;

use tripoll::reactor::{Counters, Dispatch, DispatchOutcome, Probe, ReactorBuilder};
use tripoll::selector::{Caps, Selector, SelectorCounters};
use tripoll::{Backend, Deadline, Events, Interest, Token, Trigger};
use tripoll_trace::{
    LEGEND_EN, LEGEND_ZH, Source, Wait, Watching, arguments, call, is_chinese, masks,
};

pub(crate) use names::note_listener;

/// The target of these lines in the log.
pub(crate) const TARGET: &str = "trace";

/// Returns the builder of a reactor that is traced.
pub(crate) fn observe(builder: ReactorBuilder, backend: Backend) -> ReactorBuilder {
    // If there is none, building the reactor fails, and says why.
    let Ok(inner) = backend.selector() else { return builder };
    static LEGEND: Once = Once::new();
    let legend = if is_chinese() { LEGEND_ZH } else { LEGEND_EN };
    LEGEND.call_once(|| log::trace!(target: TARGET, "{}", legend.trim_end()));
    let turn = Shared(Arc::new(Mutex::new(Turn { number: 1, ..Turn::default() })));
    builder.selector(Traced { inner, turn: turn.clone() }).probe(turn)
}

/// Prints a line. The lines of several loops mingle, so the name of a thread stands before its lines.
fn print(line: impl fmt::Display) {
    match thread::current().name() {
        None | Some("main") => log::trace!(target: TARGET, "{line}"),
        Some(name) => log::trace!(target: TARGET, "{name}: {line}"),
    }
}

/// A turn, and what is known of its sources.
#[derive(Debug, Default)]
struct Turn {
    number: u64,
    /// The trigger in effect.
    trigger: Trigger,
    /// The backend, from the first wait on.
    backend: &'static str,
    sources: HashMap<Token, Seen>,
    /// The names of the reactor's sources, by index.
    names: HashMap<u32, String>,
    tokens: HashMap<RawFd, Token>,
    /// What was reported and not yet passed to a handler.
    reported: Vec<(Token, String)>,
    /// The sources that were removed in this turn.
    removed: Vec<Token>,
}

/// A source that the selector watches.
#[derive(Debug)]
struct Seen {
    fd: RawFd,
    interest: Interest,
}

impl Turn {
    /// Returns the name of a source, and its descriptor.
    fn source(&self, token: Token) -> Option<(String, RawFd)> {
        let fd = self.sources.get(&token)?.fd;
        // What has no name is the reactor's own.
        let name = self.names.get(&token.index()).cloned().unwrap_or_else(|| names::of_number(fd));
        Some((name, fd))
    }

    /// Forgets the sources that were removed.
    fn forget_removed(&mut self) {
        for token in self.removed.drain(..) {
            self.sources.remove(&token);
        }
    }
}

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Turn>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The selector of the reactor, observed.
#[derive(Debug)]
struct Traced {
    inner: Box<dyn Selector>,
    turn: Shared,
}

impl Selector for Traced {
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
        let mut turn = self.turn.lock();
        turn.removed.retain(|removed| *removed != token);
        turn.sources.insert(token, Seen { fd, interest });
        turn.tokens.insert(fd, token);
        turn.trigger = trigger;
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.inner.set(fd, interest)?;
        let mut turn = self.turn.lock();
        let token = turn.tokens.get(&fd).copied();
        if let Some(seen) = token.and_then(|token| turn.sources.get_mut(&token)) {
            seen.interest = interest;
        }
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.inner.remove(fd)?;
        let mut turn = self.turn.lock();
        if let Some(token) = turn.tokens.remove(&fd) {
            turn.removed.push(token); // its last line is still to come
        }
        Ok(())
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        let backend = self.inner.name();
        let watching = Watching {
            backend,
            epoll: self.inner.own_fd().map(|fd| fd.as_raw_fd()),
            capacity: events.capacity(),
            timeout_ms: deadline.remaining().map(|left| left.as_micros().div_ceil(1_000) as u64),
        };
        let arguments = {
            let mut turn = self.turn.lock();
            turn.forget_removed();
            if turn.backend.is_empty() {
                turn.backend = backend;
                print(format_args!("# {backend} {}", turn.trigger));
            }
            arguments(&watching, turn.sources.values().map(|seen| (seen.fd, seen.interest)))
        };
        let began = Instant::now();
        let waited = self.inner.wait_interruptible(events, deadline);
        let took = began.elapsed();

        let mut turn = self.turn.lock();
        let error = waited.as_ref().err().map(ToString::to_string);
        let result = error.as_deref().map_or(Ok(events.len()), Err);
        let line =
            Wait { turn: turn.number, call: call(backend), arguments: &arguments, result, took };
        print(line);
        if waited.is_ok() {
            let raw =
                |event: tripoll::Event| (event.token(), masks::raw(backend, event.readiness()));
            turn.reported = events.iter().map(raw).collect();
        }
        waited
    }

    fn own_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.own_fd()
    }

    fn counters(&self) -> SelectorCounters {
        self.inner.counters()
    }
}

impl Probe for Shared {
    fn added(&mut self, token: Token, descriptor: BorrowedFd<'_>) {
        self.lock().names.insert(token.index(), names::of_source(descriptor));
    }

    fn dispatched(&mut self, dispatch: &Dispatch) {
        let turn = &mut *self.lock();
        turn.reported.retain(|(token, _)| *token != dispatch.token);
        let reported = match dispatch.readiness {
            readiness if readiness.is_empty() => "again".into(),
            readiness => masks::raw(turn.backend, readiness),
        };
        let interest = dispatch.interest;
        let wants = [Interest::READ, Interest::WRITE].map(|of| interest.contains(of));
        let done = done(dispatch);
        let Some((name, fd)) = turn.source(dispatch.token) else { return };
        let line = Source {
            name: &name,
            fd,
            wants: masks::directions(wants[0], wants[1]),
            reported: &reported,
            done: &done,
            read: dispatch.bytes_read as u64,
            written: dispatch.bytes_written as u64,
        };
        print(line);
    }

    /// What was reported, and is passed to no handler, is for the reactor itself, as its waker, or for a
    /// source that another handler has removed.
    fn turned(&mut self, counters: &Counters) {
        let turn = &mut *self.lock();
        for (token, reported) in std::mem::take(&mut turn.reported) {
            let wants = turn.sources.get(&token).map_or(Interest::NONE, |seen| seen.interest);
            let wants = [Interest::READ, Interest::WRITE].map(|of| wants.contains(of));
            let Some((name, fd)) = turn.source(token) else { continue };
            let wants = masks::directions(wants[0], wants[1]);
            let (reported, done) = (&*reported, &[][..]);
            let line = Source { name: &name, fd, wants, reported, done, read: 0, written: 0 };
            print(line);
        }
        turn.forget_removed();
        turn.number = counters.turns + 1;
    }
}

/// Says what a handler did. The reactor counts its calls, and does not note each of them.
fn done(dispatch: &Dispatch) -> Vec<String> {
    let calls = match dispatch.operations {
        1 => "1 call".to_string(),
        count => format!("{count} calls"),
    };
    let outcome = match dispatch.outcome {
        DispatchOutcome::Ready => "still ready",
        DispatchOutcome::Disarmed => "disarmed",
        DispatchOutcome::Removed => "removed",
        _ => "",
    };
    let spurious = if dispatch.spurious { "EAGAIN at once" } else { "" };
    let cut_off = if dispatch.cut_off { "budget used up" } else { "" };
    let words = [spurious, cut_off, outcome].into_iter().filter(|word| !word.is_empty());
    [calls].into_iter().chain(words.map(String::from)).collect()
}
