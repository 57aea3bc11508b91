//! `serve_forever`, `handle_request`, `shutdown`, `server_close`.

use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::door::Requests;
use super::serving::{Run, Signals};
use super::transport::Request;
use super::{BaseServer, Config, Exit};
use crate::net::Acceptor;
use crate::reactor::{Context, Reactor};
use crate::selector::{Deadline, Interest, Token};

/// What `handle_request` has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// There was a request. (It may have been refused, or lost before it could be taken.)
    Request,
    /// There was none in time, and `handle_timeout` was called.
    Timeout,
    /// There was none, and the server was shut down.
    Shutdown,
}

/// How long a handler may take to notice that its client is gone.
const REACTION: Duration = Duration::from_millis(500);

/// A serving in a loop of the server's own.
struct Loop {
    // Goes first: when the serving has ended, nothing of it is left.
    reactor: Reactor,
    listener: Token,
    run: Run,
}

impl Loop {
    /// `None` if it is to end at once.
    fn begin<R: Request>(server: &BaseServer<R>, per_turn: u32) -> io::Result<Option<Self>> {
        server.strategy.check()?;
        server.check_active()?;
        let Config { backend, trigger, .. } = *server.config();
        let mut reactor = Reactor::builder().backend(backend).trigger(trigger).build()?;
        let handle = reactor.handle();
        // `stop` would be for good: the clients in the loop are still to be told of the end.
        let wake = move || drop(handle.run(|_| ()));
        let Some(run) = server.serving.begin(wake)? else { return Ok(None) };
        let signals = Arc::clone(&run.signals);
        match server.watch(&mut reactor.context(), per_turn, signals, None) {
            Ok(listener) => Ok(Some(Loop { reactor, listener, run })),
            Err(error) => {
                drop(reactor);
                Err(error)
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.run.signals.is_stopping()
    }

    fn tried(&self) -> u64 {
        self.run.signals.tried()
    }

    fn turn(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.reactor.turn(deadline.map_or(Deadline::Never, Deadline::At))?;
        if self.reactor.context().interest(self.listener).is_none() {
            return Err(io::Error::other("the server's socket has failed; the log says how"));
        }
        Ok(())
    }

    /// Tells the clients in the loop of the end, and waits for those who are owed something.
    fn wind_down<R: Request>(&mut self, server: &BaseServer<R>) -> io::Result<()> {
        self.reactor.context().wind_down(Duration::MAX);
        self.reactor.turn(Deadline::Now)?;
        while self.run.signals.has_debts() {
            let until = server.serving.until(); // somebody may say otherwise meanwhile
            if until.remaining() == Some(Duration::ZERO) {
                break;
            }
            self.reactor.turn(until)?;
        }
        Ok(())
    }

    /// Has the clients in the loop served to their end, and nobody else.
    fn empty<R: Request>(&mut self, server: &BaseServer<R>) -> io::Result<()> {
        self.reactor.context().remove(self.listener)?;
        while !self.reactor.is_empty() {
            if self.is_stopping() {
                return self.wind_down(server);
            }
            self.reactor.turn(Deadline::Never)?;
        }
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        let Loop { reactor, run, .. } = self;
        drop(reactor); // handlers may say `Exit` even now
        if run.signals.is_exiting() { Err(io::Error::other(Exit)) } else { Ok(()) }
    }
}

impl<R: Request> BaseServer<R> {
    pub(super) fn serve_forever(&self, poll_interval: Duration) -> io::Result<()> {
        let Some(mut serving) = Loop::begin(self, self.config().requests_per_turn)? else {
            return Ok(());
        };
        while !serving.is_stopping() {
            let tried = serving.tried();
            serving.turn(Instant::now().checked_add(poll_interval))?;
            if serving.is_stopping() && serving.tried() == tried {
                break;
            }
            self.call("service_actions", |server| server.hooks.service_actions(server));
        }
        serving.wind_down(self)?;
        serving.end()
    }

    pub(super) fn serve_in<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        poll_interval: Duration,
    ) -> io::Result<Token> {
        self.strategy.check()?;
        self.check_active()?;
        let place = Arc::new(OnceLock::new());
        let (handle, token, server) = (cx.handle(), Arc::clone(&place), Weak::clone(&self.me));
        let stop = move || {
            let (token, server) = (Arc::clone(&token), Weak::clone(&server));
            let _ = handle.run(move |cx| {
                if let (Some(&token), Some(server)) = (token.get(), server.upgrade()) {
                    let _ = cx.remove(token); // it may be gone
                    server.dismiss(cx);
                }
            });
        };
        let Some(run) = self.serving.begin(stop)? else {
            let message = "the server was shut down before it ever served";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
        };
        let signals = Arc::clone(&run.signals);
        let token = self.watch(cx, self.config().requests_per_turn, signals, Some(run))?;
        let _ = place.set(token);
        service(Weak::clone(&self.me), token, poll_interval, cx);
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
        let Some(mut serving) = Loop::begin(self, 1)? else { return Ok(Handled::Shutdown) };
        let timeout = self.config().timeout.or_else(|| self.strategy.timeout());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            serving.turn(deadline)?;
            if serving.tried() > 0 {
                break;
            }
            if serving.is_stopping() {
                return Ok(Handled::Shutdown);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.call("handle_timeout", |server| server.hooks.handle_timeout(server));
                return Ok(Handled::Timeout);
            }
        }
        // A client that is kept in the loop is handled when it is gone.
        if self.class.is_in_loop() {
            serving.empty(self)?;
        }
        serving.end()?;
        Ok(Handled::Request)
    }

    pub(super) fn handle_request_noblock(&self) -> io::Result<bool> {
        self.strategy.check()?;
        if self.class.is_in_loop() {
            let message =
                "the clients of this server need a loop to be in: serve_in, serve_forever";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        self.strategy.service_actions(); // nobody else reaps children here
        if !self.strategy.has_room(None) {
            return Ok(false);
        }
        let Ok((request, address)) = self.next_request() else { return Ok(false) };
        self.strategy.note_descriptors(&|| vec![self.fileno()]);
        self.process(request, &address).map_err(io::Error::other)?;
        Ok(true)
    }

    fn watch<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        per_turn: u32,
        signals: Arc<Signals>,
        run: Option<Run>,
    ) -> io::Result<Token> {
        let door = Requests { server: self.arc(), signals, _run: run };
        let acceptor = Acceptor::new(per_turn.max(1), door)?;
        let token = cx.add(self.endpoint()?, Interest::READ, acceptor)?;
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
        self.strategy.stop();
    }

    /// A handler has said `Exit`.
    pub(super) fn exit(&self) {
        self.serving.exit();
        self.strategy.stop();
    }

    /// Asks `serve_forever` to return, and waits until it has: Python's `shutdown`. The loop is
    /// woken, whatever its `poll_interval`; a handler that it is in the middle of is waited for.
    /// Twice is once. Nothing is closed by this, but for clients that were kept in the loop: who is
    /// owed something has a second to take it, and is reset if it does not. (To give them more, or for
    /// ever, is the business of [`server_close_within`](super::Server::server_close_within) and
    /// `server_close`.)
    ///
    /// A server in [somebody's loop](super::Server::serve_in) is out of it when the loop has turned:
    /// who has stopped turning it, would wait for ever.
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
        let asked = self.serving.request_stop();
        self.strategy.stop();
        self.serving.wait(asked, None);
        Ok(())
    }

    /// Ends serving, closes the socket, and waits for those who still work, as the concurrency has
    /// it: the body of the base class, which does not call the [hook](super::Hooks::server_close).
    /// With a [grace](super::Server::server_close_within), whoever works longer is cut off.
    pub fn server_close(&self) {
        if self.serving.is_child() {
            return; // whoever works, works for the parent
        }
        let grace = self.serving.grace();
        let deadline = grace.and_then(|grace| Instant::now().checked_add(grace));
        self.serving.close_by(deadline.map_or(Deadline::Never, Deadline::At));
        if !self.end(deadline) {
            for (request, _) in self.connections() {
                request.cut();
            }
            self.strategy.cut();
            self.end(Some(Instant::now() + REACTION));
        }
    }

    /// Whether nobody serves or works any more, nor ever will. Waits for that until the deadline.
    pub(super) fn end(&self, deadline: Option<Instant>) -> bool {
        let asked = self.serving.close();
        self.strategy.stop();
        // On the thread that serves, the loop ends when this has returned.
        let has_served = self.serving.is_here() || self.serving.wait(asked, deadline);
        self.let_go();
        self.strategy.join(deadline) && has_served
    }
}

/// Calls `service_actions` every `poll_interval` for as long as the server is in the loop.
fn service<R: Request, S: 'static>(
    server: Weak<BaseServer<R>>,
    token: Token,
    poll_interval: Duration,
    cx: &mut Context<'_, S>,
) {
    let Some(next) = Instant::now().checked_add(poll_interval) else { return };
    cx.set_timer(next, move |cx| {
        let Some(this) = server.upgrade().filter(|_| cx.interest(token).is_some()) else { return };
        this.call("service_actions", |server| server.hooks.service_actions(server));
        service(server, token, poll_interval, cx);
    });
}
