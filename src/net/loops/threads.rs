//! The threads: one with a reactor for each loop, and one that accepts for all.

use std::borrow::Borrow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::entrance::{Entrance, Here, Round};
use super::error::{Cause, LoopError};
use super::shared::{Shared, WhenOneFails};
use super::slot::LoopSlot;
use super::start::Start;
use crate::net::accept::{Acceptor, Incoming};
use crate::net::listener::Listener;
use crate::reactor::{Context, Reactor};
use crate::selector::{Interest, Token};
use crate::sync::{Panicked, catch_panic, lock};

/// The listener of one loop.
pub(super) enum Door {
    Own(Listener),
    Shared(Arc<Listener>),
}

/// A listener that several loops watch.
pub(super) struct SharedListener(Arc<Listener>);

impl AsFd for SharedListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Borrow<Listener> for SharedListener {
    fn borrow(&self) -> &Listener {
        &self.0
    }
}

/// The thread of one loop, which may have a listener.
pub(super) fn run_loop<S: 'static>(
    name: String,
    shared: &Arc<Shared<S>>,
    slot: &Arc<LoopSlot<S>>,
    make: impl FnOnce() -> io::Result<Reactor<S>>,
    door: Option<Door>,
    start: Start,
) {
    let prepared = prepare(|| {
        let mut reactor = make()?;
        slot.set_handle(reactor.handle());
        if let Some(door) = door {
            let entrance = Entrance { shared: Arc::clone(shared), to: Here(Arc::clone(slot)) };
            let cx = &mut reactor.context();
            let token = match door {
                Door::Own(listener) => accept(listener, entrance, shared.per_turn, cx)?,
                Door::Shared(listener) => {
                    accept(SharedListener(listener), entrance, shared.per_turn, cx)?
                }
            };
            let _ = slot.listener.set(token);
        }
        Ok(reactor)
    });
    let Some(mut reactor) = start.when_all_are_ready(prepared) else { return };

    let ended = catch_panic(|| reactor.run());
    slot.drain();
    shared.hand_on(slot);
    shared.end_acceptor_without_loops();
    let counters = reactor.context().counters();
    drop_reactor(&name, reactor);
    shared.look_for_connections();
    slot.end(counters);
    report(shared, name, Some(slot.index), ended);
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
    let Some(mut reactor) = start.when_all_are_ready(prepared) else { return };

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
fn accept<F, S: 'static, T: 'static, D>(
    listener: F,
    entrance: Entrance<S, D>,
    per_turn: u32,
    cx: &mut Context<'_, T>,
) -> io::Result<Token>
where
    F: AsFd + Borrow<Listener> + 'static,
    Entrance<S, D>: Incoming<F, T>,
    D: 'static,
{
    let name = listener.borrow().local_address().to_string();
    Ok(cx.add(listener, Interest::READ, Acceptor::new(name, per_turn, entrance))?)
}

/// Prepares a reactor. A panic of the program's code is an error.
fn prepare<T>(make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_panic(make).unwrap_or_else(|panic| Err(io::Error::other(panic)))
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
