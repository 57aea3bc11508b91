//! All clients in the loop that accepts them.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::net::{Address, CloseReason, Connection, Gate, Permit, Protocol, Wire, copy_of};
use crate::reactor::Context;
use crate::selector::Interest;
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, Errand, Strategy, Supports};
use crate::server::config::ServerConfig;
use crate::server::connections::{Mailbox, Post};
use crate::server::handler::exchange::DatagramExchange;
use crate::server::handler::in_loop::LoopExchange;
use crate::server::handler::{Conversation, Exchange, HandlerResult};
use crate::server::lifecycle::{Debt, Signals};
use crate::server::transport::{Datagram, Request};
use crate::sync::{Call, lock};

/// All clients in the loop that accepts them, on one thread, which Python's module lacks.
///
/// The handlers of stream servers are handed a [`LoopExchange`], and must not wait. Datagrams are
/// handled one after the other, as [`Inline`](crate::server::Inline) handles them; a reply for which its
/// receiver has no room fails at once with `TimedOut`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InReactor {
    /// How many connections there may be at once: any number. More are not accepted until one ends.
    pub max_connections: Option<usize>,
}

impl Supports<LoopExchange> for InReactor {}
impl Supports<Exchange<Datagram>> for InReactor {}
impl Supports<DatagramExchange> for InReactor {}

impl Concurrency for InReactor {
    fn strategy<R: Request>(self) -> io::Result<Box<dyn Strategy<R>>> {
        let gate = self.max_connections.map(|most| Gate::new(most.max(1)));
        Ok(Box::new(Clients { gate, newest: Mutex::default() }))
    }
}

/// The clients that the loop has not taken yet.
#[derive(Debug)]
struct Clients<R> {
    gate: Option<Gate>,
    newest: Mutex<Vec<(R, Address)>>,
}

impl<R: Request> Strategy<R> for Clients<R> {
    fn has_room(&self, call: Option<&Call>) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.has_room(call))
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.hooks.finish_request(server, request, client_address)?;
        if !server.class.is_in_loop() {
            server.hooks.shutdown_request(server, request);
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn keep(&self, request: &R, client_address: &Address) {
        let mut newest = lock(&self.newest);
        newest.push((request.clone(), client_address.clone()));
    }

    fn errands(&self, _: bool) -> Vec<Errand<R>> {
        let newest = std::mem::take(&mut *lock(&self.newest));
        let keep = |(request, address)| {
            Errand::Keep(request, address, self.gate.as_ref().map(Gate::enter))
        };
        newest.into_iter().map(keep).collect()
    }
}

/// A conversation over a [`Connection`].
struct Spoken {
    talk: Box<dyn Conversation>,
    mailbox: Arc<Mailbox>,
    clock: Clock,
    /// Of the serving that has let it in.
    signals: Arc<Signals>,
    /// While the client is owed something, and nothing more is to come.
    debt: Option<Debt>,
    _permit: Option<Permit>,
}

impl Spoken {
    /// Does what the handler has left to do.
    fn follow<S: 'static>(
        &mut self,
        wire: &mut Wire<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let left = self.talk.left();
        if left.is_closing {
            left.output.extend(self.mailbox.close().unsent); // `handle_error`'s last word, say
        }
        let output = std::mem::take(&mut left.output);
        if !output.is_empty() {
            wire.write(&output);
        }
        self.clock.note_owed(wire.unsent(), output.len());
        let timeout = left.timeout.take();
        if let Some(timeout) = timeout {
            self.clock.set_own(timeout);
        }
        if left.is_closing {
            wire.close(); // which has a deadline of its own
            if wire.unsent() > 0 && self.debt.is_none() {
                self.debt = Some(self.signals.owe());
            }
            return Ok(());
        }
        match self.clock.next() {
            None if timeout.is_none() => Ok(()), // as it was: most clients have no time limit
            next => cx.set_deadline(wire.token(), next),
        }
    }
}

impl<S: 'static> Protocol<S> for Spoken {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.talk.opened();
        self.follow(wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<usize> {
        self.clock.note_heard();
        let used = self.talk.received(data);
        self.follow(wire, cx)?;
        Ok(used)
    }

    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        rest: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        self.talk.ended(rest);
        self.follow(wire, cx)
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.follow(wire, cx)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        match self.clock.look(wire.unsent()) {
            Due::Nobody => {}
            Due::Handler => self.talk.timed_out(),
            Due::Read => self.talk.fail(io::ErrorKind::TimedOut.into()),
            // It takes nothing of what it is owed.
            Due::Idle if wire.unsent() > 0 => {
                wire.abort();
                return Ok(());
            }
            Due::Idle => self.talk.hear_no_more(),
        }
        self.follow(wire, cx)
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let Post { unsent, is_last, .. } = self.mailbox.take();
        self.talk.left().output.extend(unsent);
        if is_last {
            self.talk.finish();
        }
        self.follow(wire, cx)
    }

    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.talk.finish();
        self.follow(wire, cx)
    }

    fn closed(&mut self, why: &CloseReason, _: &mut Context<'_, S>) {
        let error = match why {
            CloseReason::Failed(error) => Some(copy_of(error)),
            _ => None,
        };
        self.talk.closed(error);
    }
}

/// Takes a client into the loop.
pub(in crate::server) fn keep<S: 'static>(
    talk: Box<dyn Conversation>,
    permit: Option<Permit>,
    cx: &mut Context<'_, S>,
) -> io::Result<()> {
    let (stream, server) = talk.client();
    let mailbox = Arc::<Mailbox>::default();
    let clock = Clock::new(server.config());
    let signals = server.serving.signals().unwrap_or_default();
    let its = Arc::clone(&mailbox);
    let spoken = Spoken { talk, mailbox: its, clock, signals, debt: None, _permit: permit };
    let token = cx.add(Arc::clone(&stream), Interest::READ, Connection::new(spoken))?;
    let handle = cx.handle();
    mailbox.open(move || drop(handle.notify(token)));
    server.live.set_mailbox(&stream, mailbox);
    Ok(())
}

// How long a client in the loop may be silent.

/// What a client's one deadline in the loop stands for: the handler's own timeout, and the server's
/// two.
#[derive(Debug)]
pub(in crate::server) struct Clock {
    /// When the handler wants to be called.
    own: Option<Instant>,
    read: Option<Duration>,
    idle: Option<Duration>,
    /// When something last came.
    heard: Instant,
    /// When something last passed, in one direction or the other.
    passed: Instant,
    /// How much was owed to the client when that was last looked at.
    owed: usize,
}

/// Whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Due {
    Nobody,
    Handler,
    Read,
    Idle,
}

impl Clock {
    pub(in crate::server) fn new(config: &ServerConfig) -> Self {
        let now = Instant::now();
        let ServerConfig { read_timeout: read, idle_timeout: idle, .. } = *config;
        Clock { own: None, read, idle, heard: now, passed: now, owed: 0 }
    }

    fn is_limited(&self) -> bool {
        self.read.or(self.idle).is_some()
    }

    pub(in crate::server) fn set_own(&mut self, timeout: Option<Duration>) {
        self.own = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// Something has come.
    pub(in crate::server) fn note_heard(&mut self) {
        if self.is_limited() {
            self.heard = Instant::now();
            self.passed = self.heard;
        }
    }

    /// So much is owed now, after `new` bytes more were.
    pub(in crate::server) fn note_owed(&mut self, owed: usize, new: usize) {
        if self.is_limited() && owed < self.owed + new {
            self.passed = Instant::now();
        }
        self.owed = owed;
    }

    /// When to look next.
    pub(in crate::server) fn next(&self) -> Option<Instant> {
        let read = self.read.and_then(|read| self.heard.checked_add(read));
        let idle = self.idle.and_then(|idle| self.passed.checked_add(idle));
        [self.own, read, idle].into_iter().flatten().min()
    }

    /// The deadline has come: whose?
    pub(in crate::server) fn look(&mut self, owed: usize) -> Due {
        self.note_owed(owed, 0);
        let now = Instant::now();
        let is_over = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.duration_since(since) >= limit)
        };
        if self.own.is_some_and(|own| own <= now) {
            self.own = None;
            Due::Handler
        } else if is_over(self.heard, self.read) {
            Due::Read
        } else if is_over(self.passed, self.idle) {
            Due::Idle
        } else {
            Due::Nobody
        }
    }
}
