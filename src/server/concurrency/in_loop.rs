//! The concurrency that keeps all clients in the loop that accepts them.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::loop_timeouts::{Expired, Timeouts};
use crate::net::{Address, Closed, Connection, Limit, Permit, Protocol, QUIET, Share, Wire};
use crate::reactor::Context;
use crate::selector::Interest;
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, LoopRequest, Runner, Slot, Supports};
use crate::server::config::ServerConfig;
use crate::server::handler::exchange::DatagramExchange;
use crate::server::handler::in_loop::{LoopExchange, cut_by_the_end};
use crate::server::handler::loop_state::PendingActions;
use crate::server::handler::{Exchange, HandlerResult, LoopHandler};
use crate::server::lifecycle::RunState;
use crate::server::transport::{Datagram, Request};
use crate::sync::lock;

/// All clients in the loop that accepts them, on one thread. Python's module has nothing like it.
///
/// The handlers of stream servers get a [`LoopExchange`], and must not block. Datagrams are handled
/// one after the other, as [`Inline`](crate::server::Inline) handles them. A reply for which the
/// receiver has no room fails at once with `TimedOut`.
///
/// A client that reads nothing of its output for the server's
/// [`idle_timeout`](ServerConfig#structfield.idle_timeout) is closed, and the hook `handle_error` gets
/// `TimedOut`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InReactor {
    /// How many connections can be open at once. Further ones are not accepted until one ends.
    /// Default: 10,000.
    pub max_connections: Option<usize>,
    /// How much all clients together may hold, in bytes: output that they have not read, and input that
    /// their handlers have not used. Above that, those that hold more than an equal part are reset when
    /// there is more for them, and `handle_error` is called. So no answer may be longer. There is no more
    /// output for a client that holds 16 MiB, and no more input for one that holds 1 MiB. Default:
    /// 256 MiB.
    pub max_buffered: Option<usize>,
}

impl Default for InReactor {
    fn default() -> Self {
        InReactor { max_connections: Some(10_000), max_buffered: Some(256 << 20) }
    }
}

/// Setters of the fields, by value.
impl InReactor {
    /// Sets [`max_connections`](#structfield.max_connections).
    #[must_use]
    pub fn max_connections(mut self, max_connections: Option<usize>) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets [`max_buffered`](#structfield.max_buffered).
    #[must_use]
    pub fn max_buffered(mut self, max_buffered: Option<usize>) -> Self {
        self.max_buffered = max_buffered;
        self
    }
}

impl Supports<LoopExchange> for InReactor {}
impl Supports<Exchange<Datagram>> for InReactor {}
impl Supports<DatagramExchange> for InReactor {}

impl Concurrency for InReactor {
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>> {
        Ok(Box::new(Clients {
            limit: Limit::new(self.max_connections),
            max_buffered: self.max_buffered,
            newest: Mutex::default(),
        }))
    }
}

/// The clients that the loop has not adopted yet.
#[derive(Debug)]
struct Clients<R> {
    limit: Limit,
    max_buffered: Option<usize>,
    newest: Mutex<Vec<(R, Address, Slot)>>,
}

impl<R: Request> Runner<R> for Clients<R> {
    fn reserve(&self, waker: &Waker) -> Option<Slot> {
        Some(Slot { permit: Some(self.limit.acquire(waker)?), ..Slot::default() })
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.hooks.finish_request(server, request, client_address)?;
        if !server.factory.is_in_loop() {
            server.hooks.shutdown_request(server, request);
        }
        Ok(())
    }

    fn send_timeout(&self) -> Duration {
        Duration::ZERO
    }

    fn max_buffered(&self) -> Option<usize> {
        self.max_buffered
    }

    fn adopt(&self, request: &R, client_address: &Address, slot: Slot) {
        let slot = slot.counted(&self.limit);
        lock(&self.newest).push((request.clone(), client_address.clone(), slot));
    }

    fn loop_requests(&self, _: bool) -> Vec<LoopRequest<R>> {
        let newest = std::mem::take(&mut *lock(&self.newest));
        let adopt = |(request, address, slot)| LoopRequest::Adopt(request, address, slot);
        newest.into_iter().map(adopt).collect()
    }
}

/// The protocol of a client in the loop: calls its handler, and does what the handler leaves to do.
struct LoopProtocol {
    handler: Box<dyn LoopHandler>,
    /// `None` while there is no time limit.
    timeouts: Option<Box<Timeouts>>,
    /// The state of the run that accepted the client.
    run_state: Arc<RunState>,
    /// Whether it ends when the client is silent, because the server shuts down.
    is_ending: bool,
    /// Whether it is ending, and has output that the kernel has not taken.
    is_owed: bool,
    /// The input that is kept for it, if there is any.
    kept: Option<Share>,
    _permit: Permit,
}

/// How many received bytes a handler may leave unused.
const MAX_UNUSED: usize = 1 << 20;

fn holds_too_much() -> io::Error {
    let text = "all clients hold more than max_buffered, and this one more than its part";
    io::Error::new(io::ErrorKind::StorageFull, text)
}

impl LoopProtocol {
    /// Calls the handler for its input, as long as it uses up a part of it and the peer is read from.
    /// A client that sends many requests at once, and does not read the answers, fills the write
    /// buffer up to its high mark and no further.
    fn handle_input<S: 'static>(
        &mut self,
        wire: &mut Wire<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        loop {
            let has_more = self.handler.handle_input();
            self.perform_pending(wire, cx)?;
            let is_deferred = has_more && !wire.is_reading();
            self.handler.state().set_input_deferred(is_deferred);
            if is_deferred {
                return Ok(());
            }
            if !has_more {
                break;
            }
        }
        self.check_input()
    }

    /// Fails if the handler has left too much of the input unused.
    fn check_input(&mut self) -> io::Result<()> {
        let size = self.handler.state().input().len();
        if size > MAX_UNUSED {
            let message = format!("the handler left more than {MAX_UNUSED} bytes of input unused");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        match &mut self.kept {
            _ if size == 0 => self.kept = None,
            Some(kept) => kept.set(size),
            None => self.kept = self.handler.client().0.share_of_total(size),
        }
        if self.kept.as_ref().is_some_and(Share::is_excessive) {
            return Err(holds_too_much());
        }
        Ok(())
    }

    /// Does what the last call of the handler has left to do.
    fn perform_pending<S: 'static>(
        &mut self,
        wire: &mut Wire<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let state = self.handler.state();
        let PendingActions { output, timeout } = state.take_pending();
        if !output.is_empty() {
            wire.write(&output);
            wire.flush_now(); // what is left of it decides what follows
            if wire.is_over_share() {
                return Err(holds_too_much());
            }
        }
        if let Some(timeout) = timeout {
            let timeouts = self.timeouts.get_or_insert_with(|| Box::new(Timeouts::new(cx.now())));
            timeouts.set_handler_timeout(timeout, cx.now());
        }
        if let Some(timeouts) = &mut self.timeouts {
            timeouts.note_unsent(wire.unsent(), output.len(), self.run_state.limits, cx.now());
        }
        if state.is_finished() {
            wire.close(); // this sets a deadline of its own
            if wire.unsent() > 0 && state.begin_flush() {
                self.run_state.begin_flush();
            }
            self.set_ending(false); // from now on the connection does that
            return Ok(());
        }
        if self.is_ending {
            self.is_owed = wire.unsent() > 0;
            return cx.set_deadline(wire.token(), cx.now().checked_add(QUIET));
        }
        match self.timeouts.as_ref().and_then(|timeouts| timeouts.next(self.run_state.limits)) {
            None if timeout.is_none() => Ok(()), // unchanged: most clients have no time limit
            next => cx.set_deadline(wire.token(), next),
        }
    }
}

impl LoopProtocol {
    /// Counts the client as one that a shutdown waits for, or not.
    fn set_ending(&mut self, is_ending: bool) {
        if std::mem::replace(&mut self.is_ending, is_ending) == is_ending {
            return;
        }
        if is_ending {
            self.run_state.begin_flush();
        } else {
            self.is_owed = false;
            self.run_state.end_flush();
        }
    }
}

impl<S: 'static> Protocol<S> for LoopProtocol {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.handler.opened();
        self.perform_pending(wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<usize> {
        if let Some(timeouts) = &mut self.timeouts {
            timeouts.note_received(self.run_state.limits, cx.now());
        }
        self.handler.state().add_input(data);
        self.handle_input(wire, cx)?;
        Ok(data.len())
    }

    fn ended(&mut self, wire: &mut Wire<'_>, _: &[u8], cx: &mut Context<'_, S>) -> io::Result<()> {
        self.handler.end_input();
        self.perform_pending(wire, cx)
    }

    fn below_low_mark(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        if self.handler.state().is_input_deferred() { self.handle_input(wire, cx) } else { Ok(()) }
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.perform_pending(wire, cx)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        if self.is_ending {
            // While the client reads what it has sent before, it may send more.
            if wire.unsent() == 0 {
                self.handler.finish();
            }
            return self.perform_pending(wire, cx);
        }
        let timeouts = self.timeouts.as_mut();
        let expired = timeouts.map(|timeouts| {
            timeouts.check(wire.unsent(), wire.send_queue(), self.run_state.limits, cx.now())
        });
        match expired.unwrap_or(Expired::Nothing) {
            Expired::Nothing => {}
            Expired::Handler => self.handler.timed_out(),
            Expired::Read => self.handler.fail(io::ErrorKind::TimedOut.into()),
            // The client does not read its output.
            Expired::Idle if wire.unsent() > 0 => {
                self.handler.fail(io::ErrorKind::TimedOut.into());
                wire.abort();
                return Ok(());
            }
            Expired::Idle => self.handler.end_input(),
        }
        self.perform_pending(wire, cx)
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.handler.take_mail()?;
        self.perform_pending(wire, cx)
    }

    /// Ends the conversation when the client is silent: what it has sent may not have arrived as a whole.
    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        if !self.handler.state().is_finished() {
            self.set_ending(true);
        }
        self.perform_pending(wire, cx)
    }

    fn closed(&mut self, closed: &Closed, _: &mut Context<'_, S>) {
        if self.handler.state().is_flushing() {
            self.run_state.end_flush();
        }
        if std::mem::take(&mut self.is_ending) {
            self.run_state.end_flush();
        }
        self.is_owed = false;
        self.handler.closed(closed.reason.to_error());
    }
}

/// The loop may be dropped before the client has read what it was waited for.
impl Drop for LoopProtocol {
    fn drop(&mut self) {
        if self.is_ending {
            self.run_state.end_flush();
        }
        if self.is_owed {
            self.handler.fail(cut_by_the_end());
        }
    }
}

/// Takes a client into the loop.
pub(in crate::server) fn adopt<S: 'static>(
    handler: Box<dyn LoopHandler>,
    slot: Slot,
    cx: &mut Context<'_, S>,
) -> io::Result<()> {
    let (stream, server) = handler.client();
    let Some(run_state) = server.lifecycle.run_state() else {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "the server does not serve"));
    };
    let idle_timeout = server.config().idle_timeout;
    let protocol = LoopProtocol {
        handler,
        timeouts: run_state.limits.is_any().then(|| Box::new(Timeouts::new(cx.now()))),
        run_state: Arc::clone(&run_state),
        is_ending: false,
        is_owed: false,
        kept: None,
        _permit: slot.permit.unwrap_or_default(),
    };
    let mut connection = Connection::new(protocol);
    // A connection has the same default, and needs memory for another.
    if idle_timeout != ServerConfig::default().idle_timeout {
        connection = connection.write_timeout(idle_timeout.unwrap_or(Duration::MAX));
    }
    let token = cx.add(Arc::clone(&stream), Interest::READ, connection)?;
    server.connections.route_to_loop(&stream, run_state, token);
    Ok(())
}
