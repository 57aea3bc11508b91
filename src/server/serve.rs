//! `serve_forever`, `handle_request`, `shutdown`, `server_close`.

use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::door::Requests;
use super::serving::ServingGuard;
use super::transport::{Request, Watched};
use super::{BaseServer, Exit};
use crate::net::Acceptor;
use crate::reactor::{Context, Reactor};
use crate::selector::{Deadline, Interest, Token};

/// What `handle_request` has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// There was a request. (It may have been refused.)
    Request,
    /// There was none in time, and `handle_timeout` was called.
    Timeout,
    /// There was none, and the server was shut down.
    Shutdown,
}

/// How long a handler may take to notice that its client is gone.
const REACTION: Duration = Duration::from_millis(500);

impl<R: Request> BaseServer<R> {
    pub(super) fn serve_forever(&self, poll_interval: Duration) -> io::Result<()> {
        self.strategy.check()?;
        let mut reactor = self.reactor()?;
        let handle = reactor.handle();
        // `stop` would be for good: the clients in the loop are still to be told of the end.
        let wake = move || drop(handle.run(|_| ()));
        let Some(_serving) = ServingGuard::begin(self.arc(), wake)? else { return Ok(()) };
        self.watch(&mut reactor.context(), self.config().requests_per_turn, None)?;
        while !self.serving.is_stopping() {
            let deadline = Instant::now().checked_add(poll_interval);
            let taken = self.serving.taken();
            reactor.turn(deadline.map_or(Deadline::Never, Deadline::At))?;
            if self.serving.is_stopping() && self.serving.taken() == taken {
                break;
            }
            if reactor.is_empty() {
                let message = "the server's socket has failed; the log says how";
                return Err(io::Error::other(message));
            }
            self.hooks.service_actions(self);
        }
        self.wind_down(&mut reactor)?;
        drop(reactor);
        self.take_exit()
    }

    /// Tells the clients in the loop of the end, and gives them the grace they were given to take
    /// what they are owed.
    fn wind_down(&self, reactor: &mut Reactor) -> io::Result<()> {
        let grace = self.serving.grace().unwrap_or_default();
        let end = Deadline::after(grace);
        reactor.context().wind_down(grace);
        reactor.turn(Deadline::Now)?;
        while !reactor.is_empty() && end.remaining() != Some(Duration::ZERO) {
            reactor.turn(end)?;
        }
        Ok(())
    }

    pub(super) fn serve_in<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        poll_interval: Duration,
    ) -> io::Result<Token> {
        self.strategy.check()?;
        let place = Arc::new(OnceLock::new());
        let (handle, token, server) =
            (cx.handle(), Arc::clone(&place), Arc::downgrade(&self.arc()));
        let stop = move || {
            let (token, server) = (Arc::clone(&token), Weak::clone(&server));
            let _ = handle.run(move |cx| {
                if let (Some(&token), Some(server)) = (token.get(), server.upgrade()) {
                    let _ = cx.remove(token); // it may be gone
                    server.dismiss(cx);
                }
            });
        };
        let Some(serving) = ServingGuard::begin(self.arc(), stop)? else {
            let message = "the server was shut down before it ever served";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
        };
        let token = self.watch(cx, self.config().requests_per_turn, Some(serving))?;
        let _ = place.set(token);
        service(self.arc(), token, poll_interval, cx);
        Ok(token)
    }

    /// Tells the clients in somebody else's loop of the end. They end there; whoever has not within
    /// the grace of a close is cut off.
    fn dismiss<S: 'static>(self: Arc<Self>, cx: &mut Context<'_, S>) {
        let mailboxes = self.live.mailboxes();
        mailboxes.iter().for_each(|mailbox| mailbox.finish());
        let end = self.serving.grace().and_then(|grace| Instant::now().checked_add(grace));
        if let (Some(end), false) = (end, mailboxes.is_empty()) {
            cx.set_timer(end, move |_| {
                self.connections().iter().for_each(|(request, _)| request.cut());
            });
        }
    }

    pub(super) fn handle_request(&self) -> io::Result<Handled> {
        self.strategy.check()?;
        let mut reactor = self.reactor()?;
        let handle = reactor.handle();
        let wake = move || drop(handle.run(|_| ()));
        let Some(_serving) = ServingGuard::begin(self.arc(), wake)? else {
            return Ok(Handled::Shutdown);
        };
        let listener = self.watch(&mut reactor.context(), 1, None)?;
        let timeout = self.config().timeout.or_else(|| self.strategy.timeout());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let taken = self.serving.taken();
        while self.serving.taken() == taken {
            if self.serving.is_stopping() {
                return Ok(Handled::Shutdown);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.hooks.handle_timeout(self);
                return Ok(Handled::Timeout);
            }
            reactor.turn(deadline.map_or(Deadline::Never, Deadline::At))?;
        }
        // A client that is kept in the loop is handled when it is gone.
        if self.class.is_in_loop() {
            reactor.context().remove(listener)?;
            while !reactor.is_empty() && !self.serving.is_stopping() {
                reactor.turn(Deadline::Never)?;
            }
            drop(reactor);
        }
        self.take_exit()?;
        Ok(Handled::Request)
    }

    pub(super) fn handle_request_noblock(&self) -> io::Result<bool> {
        self.strategy.check()?;
        if self.class.is_in_loop() {
            let message =
                "the clients of this server need a loop to be in: serve_in, serve_forever";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        if !self.strategy.has_room(Box::new(|| ())) {
            return Ok(false);
        }
        let Ok((request, address)) = self.hooks.get_request(self) else { return Ok(false) };
        self.process(request, &address).map_err(io::Error::other)?;
        Ok(true)
    }

    fn take_exit(&self) -> io::Result<()> {
        if self.serving.take_exit() { Err(io::Error::other(Exit)) } else { Ok(()) }
    }

    fn reactor(&self) -> io::Result<Reactor> {
        Reactor::builder().backend(self.config().backend).trigger(self.config().trigger).build()
    }

    fn watch<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        per_turn: u32,
        serving: Option<ServingGuard<R>>,
    ) -> io::Result<Token> {
        let door = Requests { server: self.arc(), _serving: serving };
        let acceptor = Acceptor::new(per_turn.max(1), door)?;
        let token = cx.add(Watched(self.endpoint()?), Interest::READ, acceptor)?;
        self.strategy.resume();
        self.run_errands(cx);
        Ok(token)
    }

    /// Asks `serve_forever` to return, and does not wait: to be called from everywhere, handlers
    /// included.
    ///
    /// Before the server has ever served this is remembered, and the first `serve_forever` returns
    /// at once. When it has served and does so no longer, it is nothing.
    pub fn request_shutdown(&self) {
        self.serving.request_stop();
    }

    /// Asks `serve_forever` to return, and waits until it has: Python's `shutdown`. The loop is
    /// woken, whatever its `poll_interval`; a handler that it is in the middle of is waited for.
    /// Twice is once. Nothing is closed by this, but for clients that were kept in the loop.
    ///
    /// # Errors
    ///
    /// `Deadlock` on the thread that serves: it would wait for itself. Use
    /// [`request_shutdown`](Self::request_shutdown) there. `Unsupported` in a child of a forking
    /// server, from where the server cannot be reached.
    pub fn shutdown(&self) -> io::Result<()> {
        if self.serving.is_child() {
            let message = "this is a child: the server is in the parent process";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        if self.serving.is_here() {
            let message = "shutdown on the thread that serves would wait for itself: \
                           use request_shutdown";
            return Err(io::Error::new(io::ErrorKind::Deadlock, message));
        }
        self.serving.request_stop();
        self.serving.wait(None);
        Ok(())
    }

    /// Ends serving, closes the socket, and waits for those who still work, as the concurrency has
    /// it: the body of the base class. With a [grace](super::Server::server_close_within), whoever
    /// works longer is cut off.
    pub fn server_close(&self) {
        if self.serving.is_child() {
            return; // whoever works, works for the parent
        }
        let grace = self.serving.grace();
        let deadline = grace.and_then(|grace| Instant::now().checked_add(grace));
        self.serving.request_stop();
        if !self.end(deadline) {
            for (request, _) in self.connections() {
                request.cut();
            }
            self.strategy.cut();
            self.end(Some(Instant::now() + REACTION));
        }
    }

    /// Whether nobody serves or works any more. Waits for that until the deadline.
    pub(super) fn end(&self, deadline: Option<Instant>) -> bool {
        // On the thread that serves, the loop ends when this has returned.
        let has_served = self.serving.is_here() || self.serving.wait(deadline);
        self.let_go();
        self.strategy.join(deadline) && has_served
    }
}

/// Calls `service_actions` every `poll_interval` for as long as the server is in the loop.
fn service<R: Request, S: 'static>(
    server: Arc<BaseServer<R>>,
    token: Token,
    poll_interval: Duration,
    cx: &mut Context<'_, S>,
) {
    let Some(next) = Instant::now().checked_add(poll_interval) else { return };
    cx.set_timer(next, move |cx| {
        if cx.interest(token).is_some() {
            server.hooks.service_actions(&server);
            service(server, token, poll_interval, cx);
        }
    });
}
