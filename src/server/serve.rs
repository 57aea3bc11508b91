//! `serve_forever`, `handle_request`, `shutdown`, `server_close`.

use std::io;
use std::time::{Duration, Instant};

use super::door::Requests;
use super::transport::{Request, Watched};
use super::{BaseServer, Exit};
use crate::net::Acceptor;
use crate::{Deadline, Interest, Reactor};

/// What `handle_request` has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// There was a request. (It may have been refused.)
    Request,
    /// There was none in time, and `handle_timeout` was called.
    Timeout,
}

impl<R: Request> BaseServer<R> {
    pub(super) fn serve_forever(&self, poll_interval: Duration) -> io::Result<()> {
        let mut reactor = self.reactor()?;
        let handle = reactor.handle();
        let Some(_serving) = self.serving.begin(move || handle.stop())? else { return Ok(()) };
        self.watch(&mut reactor, self.config().requests_per_turn)?;
        loop {
            let deadline = Instant::now().checked_add(poll_interval);
            reactor.turn(deadline.map_or(Deadline::Never, Deadline::At))?;
            if self.serving.is_stopping() {
                break;
            }
            if reactor.is_empty() {
                let message = "the server's socket has failed; the log says how";
                return Err(io::Error::other(message));
            }
            self.hooks.service_actions(self);
        }
        if self.serving.take_exit() { Err(io::Error::other(Exit)) } else { Ok(()) }
    }

    pub(super) fn handle_request(&self) -> io::Result<Handled> {
        let mut reactor = self.reactor()?;
        self.watch(&mut reactor, 1)?;
        let timeout = self.config().timeout.or_else(|| self.strategy.timeout());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let taken = self.serving.taken();
        loop {
            reactor.turn(deadline.map_or(Deadline::Never, Deadline::At))?;
            if self.serving.take_exit() {
                return Err(io::Error::other(Exit));
            }
            if self.serving.taken() > taken {
                return Ok(Handled::Request);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.hooks.handle_timeout(self);
                return Ok(Handled::Timeout);
            }
        }
    }

    fn reactor(&self) -> io::Result<Reactor> {
        Reactor::builder().backend(self.config().backend).trigger(self.config().trigger).build()
    }

    fn watch(&self, reactor: &mut Reactor, per_turn: u32) -> io::Result<()> {
        let door = Requests { server: self.arc() };
        let acceptor = Acceptor::new(per_turn.max(1), door)?;
        reactor.add(Watched(self.endpoint()?), Interest::READ, acceptor)?;
        Ok(())
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
    /// Twice is once. Nothing is closed by this.
    ///
    /// # Errors
    ///
    /// `Deadlock` on the thread that serves: it would wait for itself. Use
    /// [`request_shutdown`](Self::request_shutdown) there.
    pub fn shutdown(&self) -> io::Result<()> {
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
    /// it: the body of the base class.
    pub fn server_close(&self) {
        self.close_within(None);
    }

    /// As [`server_close`](Self::server_close); but those who still work after `grace` are cut off:
    /// their connections are shut, so that a read that waits returns.
    pub(super) fn close_within(&self, grace: Option<Duration>) {
        self.serving.request_stop();
        if !self.serving.is_here() {
            self.serving.wait(None);
        }
        self.let_go();
        if !self.strategy.join(grace) {
            for (request, _) in self.connections() {
                request.cut();
            }
            self.strategy.join(None);
        }
    }
}
