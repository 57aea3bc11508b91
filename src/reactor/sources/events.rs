//! The handler behind `on`: passes the events of a source to a callback.

use std::io;
use std::os::fd::AsFd;

use crate::reactor::context::Context;
use crate::reactor::handler::{Handler, Next};
use crate::reactor::source::Source;
use crate::selector::{Interest, Token};

/// A source with events that are taken one by one.
pub(super) trait Events: AsFd + 'static {
    type Event;

    /// Returns the next event, or `WouldBlock`.
    fn next(&mut self) -> io::Result<Self::Event>;
}

/// Adds a source, and passes its events to `callback`.
pub(super) fn on<F: Events, S: 'static>(
    source: F,
    cx: &mut Context<'_, S>,
    callback: impl FnMut(F::Event, &mut Context<'_, S>) + 'static,
) -> io::Result<Token> {
    Ok(cx.add(source, Interest::READ, Callback(callback))?)
}

struct Callback<C>(C);

impl<F, S, C> Handler<F, S> for Callback<C>
where
    F: Events,
    S: 'static,
    C: FnMut(F::Event, &mut Context<'_, S>),
{
    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        // The callback may have removed its source.
        while cx.interest(source.token()).is_some() {
            let event = source.try_io(Interest::READ, F::next)?;
            (self.0)(event, cx);
        }
        Ok(Next::Keep)
    }
}
