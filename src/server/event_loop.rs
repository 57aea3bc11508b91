//! The loop in which a server runs: `serve_forever`, `serve_in`, `handle_request`, `shutdown`,
//! `server_close`.

use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::base::BaseServer;
use super::config::ServerConfig;
use super::handler::Exit;
use crate::net::{Acceptor, Address, Attempt, Incoming};
use crate::reactor::{Context, Next, Reactor};
use crate::selector::{Deadline, Interest, Token};
use crate::server::concurrency::Slot;
use crate::server::lifecycle::{RunState, ServeGuard};
use crate::server::transport::{Endpoint, Request};

/// How `serve_forever` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Served {
    /// The server was shut down.
    Shutdown,
    /// A handler returned [`Exit`](super::Exit).
    Exit,
}

/// What `handle_request` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// It handled a request, which may have been refused, or lost before it was accepted.
    Request,
    /// It handled a request, and the handler returned [`Exit`](super::Exit).
    Exit,
    /// There was no request in time, and it called `handle_timeout`.
    Timeout,
    /// There was no request, and the server was shut down.
    Shutdown,
    /// There was no request: only for `handle_request_noblock`.
    NoRequest,
}

/// How long a loop waits for clients that have not received output that the kernel has taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause before a loop looks again, where no event tells it.
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// How long a handler may take to notice that its connection was shut down.
const REACTION: Duration = Duration::from_millis(500);

/// A run in a loop of the server's own.
struct ServerLoop {
    // Dropped first: when the run has ended, nothing of it is left.
    reactor: Reactor,
    listener: Token,
    run: ServeGuard,
}

impl ServerLoop {
    /// Returns `None` if the run was cancelled.
    fn begin<R: Request>(server: &BaseServer<R>, per_turn: u32) -> io::Result<Option<Self>> {
        server.runner.check()?;
        server.check_active()?;
        let ServerConfig { backend, trigger, .. } = *server.config();
        let mut reactor = Reactor::builder().backend(backend).trigger(trigger).build()?;
        let (handle, waker) = (reactor.handle(), reactor.handle());
        // Not `stop`, which is permanent: the clients in the loop must still be served to their end.
        let wake = move || drop(waker.post(|_| ()));
        let notify = move |token| drop(handle.notify(token));
        let Some(run) = server.lifecycle.begin(wake, notify)? else { return Ok(None) };
        let run_state = Arc::clone(&run.run_state);
        match server.watch(&mut reactor.context(), per_turn, run_state, None) {
            Ok(listener) => Ok(Some(ServerLoop { reactor, listener, run })),
            Err(error) => {
                drop(reactor);
                Err(error)
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.run.run_state.is_stopping()
    }

    fn tried(&self) -> u64 {
        self.run.run_state.tried()
    }

    fn turn(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.reactor.turn(deadline.map_or(Deadline::Never, Deadline::At)).map(drop)
    }

    /// Shuts down the clients in the loop, and waits until their output is flushed, and until they have
    /// received it: when the loop is dropped, those that still send are reset.
    fn shutdown<R: Request>(&mut self, server: &BaseServer<R>) -> io::Result<()> {
        self.reactor.context().shutdown(Duration::MAX);
        self.reactor.turn(Deadline::Now)?;
        let mut give_up = None;
        loop {
            let until = server.lifecycle.until(); // a close may have changed it
            if until.remaining() == Some(Duration::ZERO) {
                return Ok(());
            }
            let next = if self.run.run_state.has_pending_flushes() {
                until
            } else if Instant::now() < *give_up.get_or_insert_with(|| Instant::now() + PATIENCE)
                && self.has_undelivered_output(server)
            {
                // No event reports that it was received.
                Deadline::after(until.remaining().map_or(POLL_PAUSE, |left| left.min(POLL_PAUSE)))
            } else {
                return Ok(());
            };
            self.reactor.turn(next)?;
        }
    }

    /// Returns whether a client in the loop has not received its output.
    fn has_undelivered_output<R: Request>(&self, server: &BaseServer<R>) -> bool {
        let clients = server.connections.in_loop(&self.run.run_state);
        clients.iter().any(|client| client.has_undelivered_output())
    }

    /// Serves the clients in the loop to their end, and accepts no others.
    fn empty<R: Request>(&mut self, server: &BaseServer<R>) -> io::Result<()> {
        self.reactor.context().remove(self.listener)?;
        while !self.reactor.context().is_empty() {
            if self.is_stopping() {
                return self.shutdown(server);
            }
            self.reactor.turn(Deadline::Never)?;
        }
        Ok(())
    }

    fn end(self) -> Served {
        let ServerLoop { reactor, run, .. } = self;
        drop(reactor); // handlers may return `Exit` even now
        if run.run_state.is_exiting() { Served::Exit } else { Served::Shutdown }
    }
}

impl<R: Request> BaseServer<R> {
    pub(super) fn serve_forever(&self, poll_interval: Duration) -> io::Result<Served> {
        let Some(mut server_loop) = ServerLoop::begin(self, self.config().requests_per_turn)?
        else {
            return Ok(Served::Shutdown);
        };
        while !server_loop.is_stopping() {
            let tried = server_loop.tried();
            server_loop.turn(Instant::now().checked_add(poll_interval))?;
            if server_loop.is_stopping() && server_loop.tried() == tried {
                break;
            }
            self.call("service_actions", |server| server.hooks.service_actions(server));
        }
        server_loop.shutdown(self)?;
        Ok(server_loop.end())
    }

    pub(super) fn serve_in<S: 'static>(
        &self,
        poll_interval: Duration,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Token> {
        self.runner.check()?;
        self.check_active()?;
        let place = Arc::new(OnceLock::new());
        let (handle, token, server) = (cx.handle(), Arc::clone(&place), Weak::clone(&self.me));
        let stop = move || {
            let (token, server) = (Arc::clone(&token), Weak::clone(&server));
            let _ = handle.post(move |cx| {
                if let (Some(&token), Some(server)) = (token.get(), server.upgrade()) {
                    let _ = cx.remove(token); // it may be gone
                    server.end_clients(cx);
                }
            });
        };
        let handle = cx.handle();
        let notify = move |token| drop(handle.notify(token));
        let Some(run) = self.lifecycle.begin(stop, notify)? else {
            let message = "the server was shut down before it ever served";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
        };
        let run_state = Arc::clone(&run.run_state);
        let token = self.watch(cx, self.config().requests_per_turn, run_state, Some(run))?;
        let _ = place.set(token);
        service(Weak::clone(&self.me), token, poll_interval, cx);
        Ok(token)
    }

    /// Shuts down the clients in a loop that is not the server's own. They end there. After the
    /// grace of a close, their connections are cut.
    fn end_clients<S: 'static>(self: Arc<Self>, cx: &mut Context<'_, S>) {
        let parked = self.runner.parked();
        let has_clients = self.connections.end_all() || !parked.is_empty();
        for token in parked {
            let _ = cx.notify(token); // it may be gone
        }
        let end = self.lifecycle.grace().and_then(|grace| cx.now().checked_add(grace));
        if let (Some(end), true) = (end, has_clients) {
            cx.set_timer(end, move |_| {
                self.connections().iter().for_each(|(request, _)| request.cut());
            });
        }
    }

    pub(super) fn handle_request(&self) -> io::Result<Handled> {
        let Some(mut server_loop) = ServerLoop::begin(self, 1)? else {
            return Ok(Handled::Shutdown);
        };
        let timeout = self.config().timeout.or_else(|| self.runner.timeout());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            server_loop.turn(deadline)?;
            if server_loop.tried() > 0 {
                break;
            }
            if server_loop.is_stopping() {
                return Ok(Handled::Shutdown);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.call("handle_timeout", |server| server.hooks.handle_timeout(server));
                return Ok(Handled::Timeout);
            }
        }
        // A client in the loop is handled when its connection is closed.
        if self.keeps_clients() {
            server_loop.empty(self)?;
        }
        Ok(match server_loop.end() {
            Served::Shutdown => Handled::Request,
            Served::Exit => Handled::Exit,
        })
    }

    pub(super) fn handle_request_noblock(&self) -> io::Result<Handled> {
        self.runner.check()?;
        if self.keeps_clients() {
            let message =
                "the clients of this server need a loop to be in: serve_in, serve_forever";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        self.runner.service_actions(); // no loop reaps children here
        let Some(slot) = self.runner.reserve(Waker::noop()) else { return Ok(Handled::NoRequest) };
        let Ok(Attempt::Accepted((request, address))) = self.next_request() else {
            return Ok(Handled::NoRequest);
        };
        self.runner.note_descriptors(&|| vec![self.fileno()]);
        Ok(match self.process(request, &address, slot) {
            Ok(()) => Handled::Request,
            Err(Exit) => Handled::Exit,
        })
    }

    /// Returns whether the loop has clients, beside the listener.
    fn keeps_clients(&self) -> bool {
        self.factory.is_in_loop() || self.runner.parks()
    }

    fn watch<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        per_turn: u32,
        run_state: Arc<RunState>,
        run: Option<ServeGuard>,
    ) -> io::Result<Token> {
        let incoming = IncomingRequests { server: self.arc(), run_state, _run: run };
        let name = self.server_address().to_string();
        let acceptor = Acceptor::new(name, per_turn.max(1), incoming);
        self.begin_input()?;
        let token = cx.add(self.endpoint()?, Interest::READ, acceptor)?;
        self.runner.resume();
        self.run_loop_requests(cx);
        Ok(token)
    }

    /// Requests that `serve_forever` return, and does not wait for that. It can be called from
    /// everywhere, handlers included.
    ///
    /// Before the first run it cancels that one: the first `serve_forever` returns at once. Between
    /// runs it does nothing.
    pub fn request_shutdown(&self) {
        self.lifecycle.request_stop();
        self.runner.stop();
    }

    /// Ends the run, because a handler returned `Exit`.
    pub(super) fn exit(&self) {
        self.lifecycle.exit();
        self.runner.stop();
    }

    /// Requests that `serve_forever` return, and waits until it has: Python's `shutdown`. The loop
    /// is woken, whatever its `poll_interval`. A handler that runs in the loop is waited for. A
    /// second call does nothing.
    ///
    /// Nothing is closed, except the clients in the loop: each ends when it has been silent for 50 ms,
    /// has a second to read its output, and is reset if it does not. [`server_close_within`](super::Server::server_close_within) and
    /// `server_close` give them more time. Clients that are pending in the accept queue stay there:
    /// the next run serves them, or `server_close` resets them.
    ///
    /// A server in [your own loop](super::Server::serve_in) leaves it in the next turn, so the loop
    /// must go on turning.
    ///
    /// # Errors
    ///
    /// `Deadlock` on the thread that serves, which would wait for itself: use
    /// [`request_shutdown`](Self::request_shutdown) there. `Unsupported` in a child of a forking
    /// server, which cannot reach the server.
    pub fn shutdown(&self) -> io::Result<()> {
        if self.lifecycle.is_child() {
            let message = "this is a child: the server is in the parent process";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        if self.lifecycle.is_here() {
            let message = "shutdown on the thread that serves would wait for itself: \
                           use request_shutdown";
            return Err(io::Error::new(io::ErrorKind::Deadlock, message));
        }
        let asked = self.lifecycle.request_stop();
        self.runner.stop();
        self.lifecycle.wait(asked, None);
        Ok(())
    }

    /// Ends the run, closes the socket, and waits for the running handlers as the concurrency
    /// defines it. It is the body of the base class, and does not call the
    /// [hook](super::Hooks::server_close). With a [grace](super::Server::server_close_within),
    /// handlers that run longer are cut off.
    pub fn server_close(&self) {
        if self.lifecycle.is_child() {
            return; // the handlers work for the parent
        }
        let grace = self.lifecycle.grace();
        let deadline = grace.and_then(|grace| Instant::now().checked_add(grace));
        self.lifecycle.close_by(deadline.map_or(Deadline::Never, Deadline::At));
        if !self.end(deadline) {
            for (request, _) in self.connections() {
                request.cut();
            }
            self.runner.cut();
            self.end(Some(Instant::now() + REACTION));
        }
    }

    /// Closes the server, and returns whether its run and all its handlers have ended by the
    /// deadline.
    pub(super) fn end(&self, deadline: Option<Instant>) -> bool {
        let asked = self.lifecycle.close();
        self.runner.stop();
        // On the thread that serves, the loop ends when this has returned.
        let has_served = self.lifecycle.is_here() || self.lifecycle.wait(asked, deadline);
        self.close_socket();
        self.runner.join(deadline) && has_served
    }
}

/// Calls `service_actions` every `poll_interval` for as long as the server is in the loop.
fn service<R: Request, S: 'static>(
    server: Weak<BaseServer<R>>,
    token: Token,
    poll_interval: Duration,
    cx: &mut Context<'_, S>,
) {
    let Some(next) = cx.now().checked_add(poll_interval) else { return };
    cx.set_timer(next, move |cx| {
        let Some(this) = server.upgrade().filter(|_| cx.interest(token).is_some()) else { return };
        this.call("service_actions", |server| server.hooks.service_actions(server));
        service(server, token, poll_interval, cx);
    });
}

// The server's side of the accept loop.

/// Hands what comes in to the server's hooks.
pub(super) struct IncomingRequests<R: Request> {
    pub(super) server: Arc<BaseServer<R>>,
    pub(super) run_state: Arc<RunState>,
    /// Ends serving when this is dropped, where the loop is not the server's own.
    pub(super) _run: Option<ServeGuard>,
}

impl<R: Request, S: 'static> Incoming<Arc<R::Endpoint>, S> for IncomingRequests<R> {
    type Accepted = (R, Address);
    type Slot = Slot;

    fn reserve(&mut self, waker: &Waker) -> Option<Slot> {
        // A shutdown in the middle of a turn counts too: nothing would serve a request accepted now.
        if self.run_state.is_stopping() { None } else { self.server.runner.reserve(waker) }
    }

    fn accept(&mut self, _: &Arc<R::Endpoint>) -> io::Result<Attempt<(R, Address)>> {
        let attempt = self.server.next_request();
        match &attempt {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(Attempt::Postponed) => {}
            _ => self.run_state.note_request(),
        }
        attempt
    }

    fn deliver(
        &mut self,
        (request, address): (R, Address),
        slot: Slot,
        reserve: Option<RawFd>,
        cx: &mut Context<'_, S>,
    ) -> Next {
        let held = || cx.descriptors().into_iter().chain(reserve).collect();
        self.server.runner.note_descriptors(&held);
        let processed = self.server.process(request, &address, slot);
        self.server.run_loop_requests(cx);
        match processed {
            Ok(()) => Next::Keep,
            Err(_) => {
                self.server.exit();
                Next::Disarm
            }
        }
    }

    fn backlog(&self, endpoint: &Arc<R::Endpoint>) -> u32 {
        endpoint.backlog()
    }

    fn reject_pending(&mut self, endpoint: &Arc<R::Endpoint>) -> (usize, Option<io::Error>) {
        endpoint.reject_pending()
    }
}
