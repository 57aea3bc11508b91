//! How the listeners of several loops accept.

use std::borrow::Borrow;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::task::Waker;

use super::counters::{LoopState, Tally};
use super::shared::Shared;
use super::slot::{Admitted, LoopSlot};
use crate::net::accept::{Attempt, Incoming};
use crate::net::limit::Permit;
use crate::net::listener::Listener;
use crate::net::stream::Stream;
use crate::reactor::{Context, Next};

/// Accepts within the limits that all loops share, and passes the connections on.
pub(super) struct Entrance<S: 'static, D> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) to: D,
}

/// Where an entrance passes its connections, in a reactor with the state `T`.
pub(super) trait Onward<S: 'static, T> {
    /// Returns the counts of the thread that accepts.
    fn tally<'a>(&'a self, shared: &'a Shared<S>) -> &'a Tally;

    fn pass(&self, admitted: Admitted, shared: &Arc<Shared<S>>, cx: &mut Context<'_, T>);
}

/// The loop that accepts serves what it accepts.
pub(super) struct Here<S: 'static>(pub(super) Arc<LoopSlot<S>>);

impl<S: 'static> Onward<S, S> for Here<S> {
    fn tally<'a>(&'a self, _: &'a Shared<S>) -> &'a Tally {
        &self.0.tally
    }

    fn pass(&self, mut admitted: Admitted, shared: &Arc<Shared<S>>, cx: &mut Context<'_, S>) {
        if self.0.state() != LoopState::Running {
            // It is drained, and its listener not closed yet. If all are shut down, it serves.
            match shared.try_hand_over(admitted) {
                Ok(()) => return,
                Err(back) => admitted = *back,
            }
        }
        let stream = self.0.keep(admitted);
        shared.serve(&self.0, stream, cx);
    }
}

/// One of the loops serves it.
pub(super) struct Round;

impl<S: 'static> Onward<S, ()> for Round {
    fn tally<'a>(&'a self, shared: &'a Shared<S>) -> &'a Tally {
        &shared.acceptor_tally
    }

    fn pass(&self, admitted: Admitted, shared: &Arc<Shared<S>>, _: &mut Context<'_>) {
        shared.acceptor_tally.accepted.add_one();
        shared.hand_over(admitted);
    }
}

impl<F, S, T, D> Incoming<F, T> for Entrance<S, D>
where
    F: Borrow<Listener>,
    S: 'static,
    D: Onward<S, T>,
{
    type Accepted = Stream;
    type Slot = Permit;

    fn reserve(&mut self, waker: &Waker) -> Option<Permit> {
        let permit = self.shared.limit().acquire(waker);
        if permit.is_none() {
            self.to.tally(&self.shared).paused_at_limit.add_one();
        }
        permit
    }

    fn accept(&mut self, listener: &F) -> io::Result<Attempt<Stream>> {
        listener.borrow().accept().map(Attempt::Accepted)
    }

    fn deliver(
        &mut self,
        stream: Stream,
        permit: Permit,
        _: Option<RawFd>,
        cx: &mut Context<'_, T>,
    ) -> Next {
        let Entrance { shared, to } = self;
        if let Some(admitted) = shared.admit(stream, permit, to.tally(shared)) {
            to.pass(admitted, shared, cx);
        }
        Next::Keep
    }

    fn backlog(&self, listener: &F) -> u32 {
        listener.borrow().backlog()
    }

    fn reject_pending(&mut self, listener: &F) -> (usize, Option<io::Error>) {
        listener.borrow().reject_pending()
    }
}
