//! A connection that is made again when it is lost.
//!
//! Its state moves as that of a try does: it belongs to the try, then to the handler of the connection,
//! then to the pause.

use std::io;
use std::panic::resume_unwind;

use super::super::close_reason::CloseReason;
use super::super::connection::Connection;
use super::super::protocol::Protocol;
use super::super::retry::{Pauses, Retry};
use super::super::stage::{Connecting, Stop, Then};
use super::super::stream::Stream;
use super::pause::Sleeper;
use super::run::{self, Done, Plan};
use super::tries::after_failure;
use crate::reactor::{Context, Handler, Next, Source};
use crate::selector::{Interest, Token};
use crate::sync::hold_panic;

/// Connects again and again.
struct Again<M> {
    plan: Plan,
    pauses: Pauses,
    connecting: Connecting,
    /// Makes the connection of each try.
    make: M,
}

/// Begins the first try.
pub(super) fn begin<S, P, M>(
    plan: Plan,
    retry: &Retry,
    connecting: Connecting,
    make: M,
    cx: &mut Context<'_, S>,
) where
    S: 'static,
    P: Protocol<S> + 'static,
    M: FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
{
    let again = Again { plan, pauses: Pauses::new(retry), connecting, make };
    again.begin_try(Sleeper::new(), true, cx);
}

impl<M> Again<M> {
    fn begin_try<S, P>(
        mut self,
        sleeper: io::Result<Sleeper>,
        is_in_call: bool,
        cx: &mut Context<'_, S>,
    ) where
        S: 'static,
        P: Protocol<S> + 'static,
        M: FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
    {
        let made = hold_panic(|| (self.make)(cx));
        if !matches!(made, Ok(Some(_))) {
            self.connecting.set_over();
        }
        let Some(connection) = made.unwrap_or_else(|panic| resume_unwind(panic)) else { return };
        let (plan, connecting) = (self.plan.clone(), self.connecting.clone());
        let done: Done<S> = Box::new(move |result, cx| match result {
            Ok(stream) => self.serve(stream, connection, sleeper, cx),
            Err(Stop::Failed(error)) => self.failed(error, connection, sleeper, cx),
            Err(stop) => {
                self.connecting.set_over();
                connection.not_connected(stop.into_reason(), cx);
            }
        });
        run::begin(plan, connecting, is_in_call, cx, done);
    }

    fn serve<S, P>(
        self,
        stream: Stream,
        connection: Connection<P>,
        sleeper: io::Result<Sleeper>,
        cx: &mut Context<'_, S>,
    ) where
        S: 'static,
        P: Protocol<S> + 'static,
        M: FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
    {
        let connecting = self.connecting.clone();
        let lasting = Lasting { connection, again: Some((self, sleeper)) };
        let known = stream.known();
        match cx.add_known(stream, Interest::READ, lasting, known) {
            Ok(source) => connecting.wait_for(source),
            Err((refused, lasting)) => {
                let (again, sleeper) = lasting.again.expect("it was not removed");
                again.failed(refused.into(), lasting.connection, sleeper, cx);
            }
        }
    }

    /// Tells the protocol that there is no connection, and pauses, even if the protocol panics.
    fn failed<S, P>(
        mut self,
        error: io::Error,
        connection: Connection<P>,
        sleeper: io::Result<Sleeper>,
        cx: &mut Context<'_, S>,
    ) where
        S: 'static,
        P: Protocol<S> + 'static,
        M: FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
    {
        let (pause, error) = after_failure(&mut self.pauses, error);
        match (pause, sleeper) {
            (Some(pause), Ok(sleeper)) => {
                let reason = CloseReason::ConnectFailed(error);
                let told = hold_panic(|| connection.not_connected(reason, cx));
                self.pause(pause, sleeper, cx);
                told.unwrap_or_else(|panic| resume_unwind(panic));
            }
            _ => {
                self.connecting.set_over();
                connection.not_connected(CloseReason::ConnectFailed(error), cx);
            }
        }
    }

    fn pause<S, P>(self, pause: std::time::Duration, sleeper: Sleeper, cx: &mut Context<'_, S>)
    where
        S: 'static,
        P: Protocol<S> + 'static,
        M: FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
    {
        if self.connecting.is_cancelled() || cx.is_shutting_down() {
            return self.connecting.set_over();
        }
        let connecting = self.connecting.clone();
        if let Err((error, again)) = sleeper.sleep(pause, &connecting, self, cx) {
            log::error!("the connection is not made again: {error}");
            again.connecting.set_over();
        }
    }
}

impl<S, P, M> Then<S, Sleeper> for Again<M>
where
    S: 'static,
    P: Protocol<S> + 'static,
    M: FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
{
    fn then(self, slept: Result<Sleeper, Stop>, cx: &mut Context<'_, S>) {
        match slept {
            Ok(sleeper) => self.begin_try(Ok(sleeper), false, cx),
            Err(_) => self.connecting.set_over(),
        }
    }
}

/// The handler of a connection that is made again when it is lost.
struct Lasting<P, M> {
    connection: Connection<P>,
    /// `None` after the connection was removed.
    again: Option<(Again<M>, io::Result<Sleeper>)>,
}

impl<S, P, M> Handler<Stream, S> for Lasting<P, M>
where
    S: 'static,
    P: Protocol<S> + 'static,
    M: FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
{
    fn added(
        &mut self,
        source: &mut Source<'_, Stream>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.connection.added(source, cx)
    }

    fn ready(
        &mut self,
        source: &mut Source<'_, Stream>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.connection.ready(source, cx)
    }

    fn timed_out(
        &mut self,
        source: &mut Source<'_, Stream>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.connection.timed_out(source, cx)
    }

    fn notified(
        &mut self,
        source: &mut Source<'_, Stream>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.connection.notified(source, cx)
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, Stream>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.connection.shutting_down(source, cx)
    }

    /// Pauses before the next try, unless the program has removed the connection. A panic of the protocol
    /// prevents nothing.
    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let is_lost = error.is_some() || self.connection.is_lost();
        let connection = &mut self.connection;
        let told = hold_panic(|| Handler::<Stream, S>::removed(connection, token, error, cx));
        match self.again.take() {
            Some((mut again, Ok(sleeper))) if is_lost => {
                let pause = again.pauses.lost();
                again.pause(pause, sleeper, cx);
            }
            Some((again, sleeper)) => {
                again.connecting.set_over();
                if let (Err(error), true) = (sleeper, is_lost) {
                    log::error!("the connection is not made again: {error}");
                }
            }
            None => {}
        }
        told.unwrap_or_else(|panic| resume_unwind(panic));
    }
}
