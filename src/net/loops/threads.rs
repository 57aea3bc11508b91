//! The threads: one with a reactor for each loop, and one that accepts for all.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::entrance::{Entrance, Here, Round};
use super::error::{Cause, LoopError};
use super::shared::{Shared, WhenOneFails};
use super::slot::LoopSlot;
use crate::net::accept::{Acceptor, Incoming};
use crate::net::listener::Listener;
use crate::reactor::{Context, Reactor};
use crate::selector::{Interest, Token};
use crate::sync::{Panicked, catch_panic, lock};

/// How a thread tells that it is ready, and learns that all are.
pub(super) struct Start {
    pub(super) ready: Sender<io::Result<()>>,
    /// Disconnected if one of the threads is not ready: then none runs.
    pub(super) go: Receiver<()>,
}

impl Start {
    /// Tells that this thread is ready. Returns whether it runs.
    fn may_run(self) -> bool {
        self.ready.send(Ok(())).is_ok() && self.go.recv().is_ok()
    }
}

/// The thread of one loop, which may have a listener of its own.
pub(super) fn run_loop<S: 'static>(
    name: String,
    shared: &Arc<Shared<S>>,
    slot: &Arc<LoopSlot<S>>,
    make: impl FnOnce() -> io::Result<Reactor<S>>,
    listener: Option<Listener>,
    start: Start,
) {
    let prepared = prepare(|| {
        let mut reactor = make()?;
        slot.set_handle(reactor.handle());
        if let Some(listener) = listener {
            let entrance = Entrance { shared: Arc::clone(shared), to: Here(Arc::clone(slot)) };
            let cx = &mut reactor.context();
            let token = accept(listener, entrance, shared.per_turn, cx)?;
            let _ = slot.listener.set(token);
        }
        Ok(reactor)
    });
    let Some(mut reactor) = started(prepared, start) else { return };

    let ended = catch_panic(|| reactor.run());
    slot.end(reactor.context().counters());
    shared.hand_on(slot);
    drop_reactor(&name, reactor);
    report(shared, name, Some(slot.index), ended);
    shared.end_acceptor_without_loops();
}

/// The thread that accepts for all.
pub(super) fn run_acceptor<S: 'static>(
    name: String,
    shared: &Arc<Shared<S>>,
    make: impl FnOnce() -> io::Result<Reactor>,
    listener: Listener,
    start: Start,
) {
    let prepared = prepare(|| {
        let mut reactor = make()?;
        let _ = shared.acceptor.set(reactor.handle());
        let entrance = Entrance { shared: Arc::clone(shared), to: Round };
        let cx = &mut reactor.context();
        accept(listener, entrance, shared.per_turn, cx)?;
        Ok(reactor)
    });
    let Some(mut reactor) = started(prepared, start) else { return };

    let ended = catch_panic(|| reactor.run());
    drop_reactor(&name, reactor);
    let has_failed = !matches!(ended, Ok(Ok(())));
    report(shared, name, None, ended);
    shared.acceptor_ended();
    if has_failed {
        // No connection will come. The loops finish those that they have, and end.
        for slot in &shared.slots {
            shared.drain(slot, |slot, _| slot.stop_when_empty());
        }
    }
}

/// Adds a listener to a reactor.
fn accept<S: 'static, T: 'static, D>(
    listener: Listener,
    entrance: Entrance<S, D>,
    per_turn: u32,
    cx: &mut Context<'_, T>,
) -> io::Result<Token>
where
    Entrance<S, D>: Incoming<Listener, T>,
    D: 'static,
{
    let name = listener.local_address().to_string();
    Ok(cx.add(listener, Interest::READ, Acceptor::new(name, per_turn, entrance))?)
}

/// Prepares a reactor. A panic of the program's code is an error.
fn prepare<T>(make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_panic(make).unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Tells whether the reactor is ready, and returns it if it runs.
fn started<T>(prepared: io::Result<T>, start: Start) -> Option<T> {
    match prepared {
        Ok(reactor) => start.may_run().then_some(reactor),
        Err(error) => {
            let _ = start.ready.send(Err(error)); // the program may have been told another one
            None
        }
    }
}

/// Drops a reactor, and with it the program's state and protocols, which may panic.
fn drop_reactor<S>(name: &str, reactor: Reactor<S>) {
    if let Err(panic) = catch_panic(|| drop(reactor)) {
        log::error!("the reactor of the thread {name:?} {panic} while it was dropped");
    }
}

/// Reports how a thread has ended, and shuts the others down if that was chosen.
fn report<S: 'static>(
    shared: &Arc<Shared<S>>,
    name: String,
    index: Option<usize>,
    ended: Result<io::Result<()>, Panicked>,
) {
    let cause = match ended {
        Ok(Ok(())) => return,
        Ok(Err(error)) => Cause::Failed(error),
        Err(panic) => Cause::Panicked(panic),
    };
    let error = LoopError::new(name, index, cause);
    log::error!("{error}");
    lock(&shared.failures).push(error.clone());
    if let Some(on_failure) = &shared.on_failure
        && let Err(panic) = catch_panic(|| on_failure(&error))
    {
        log::error!("the callback of failed loops {panic}");
    }
    if let WhenOneFails::ShutDown(grace) = shared.when_one_fails {
        shared.shutdown(grace);
    }
}
