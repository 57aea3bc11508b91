//! `serve_forever`, `handle_request`, `shutdown`, `server_close`.

use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::base::BaseServer;
use super::config::ServerConfig;
use super::handler::Exit;
use crate::net::{Acceptor, Address, Door};
use crate::reactor::{Context, Next, Reactor, Source};
use crate::selector::{Deadline, Interest, Token};
use crate::server::concurrency::{Errand, in_loop as in_reactor};
use crate::server::handler::Class;
use crate::server::lifecycle::{Run, Signals};
use crate::server::transport::{Endpoint, Request};
use crate::sync::Call;

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
        let ServerConfig { backend, trigger, .. } = *server.config();
        let mut reactor = Reactor::builder().backend(backend).trigger(trigger).build()?;
        let handle = reactor.handle();
        // `stop` would be for good: the clients in the loop are still to be told of the end.
        let wake = move || drop(handle.post(|_| ()));
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
    fn shutdown<R: Request>(&mut self, server: &BaseServer<R>) -> io::Result<()> {
        self.reactor.context().shutdown(Duration::MAX);
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
        while !self.reactor.context().is_empty() {
            if self.is_stopping() {
                return self.shutdown(server);
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
        serving.shutdown(self)?;
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
            let _ = handle.post(move |cx| {
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

// The server's side of the accept loop.

/// Hands what comes in to the server's hooks.
pub(super) struct Requests<R: Request> {
    pub(super) server: Arc<BaseServer<R>>,
    pub(super) signals: Arc<Signals>,
    /// Serving ends with the door, where the loop is not the server's own.
    pub(super) _run: Option<Run>,
}

impl<R: Request, S: 'static> Door<Arc<R::Endpoint>, S> for Requests<R> {
    type Guest = (R, Address);

    fn has_room(&mut self, call: &Call) -> bool {
        // Also after a shutdown in the middle of a turn: what is accepted then, nobody would serve.
        !self.signals.is_stopping() && self.server.strategy.has_room(Some(call))
    }

    fn accept(&mut self, _: &Arc<R::Endpoint>) -> io::Result<(R, Address)> {
        let request = self.server.next_request();
        if !matches!(&request, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.signals.note_request();
        }
        request
    }

    fn let_in(
        &mut self,
        (request, address): (R, Address),
        _: Token,
        cx: &mut Context<'_, S>,
    ) -> Next {
        self.server.strategy.note_descriptors(&|| cx.descriptors());
        let processed = self.server.process(request, &address);
        self.server.run_errands(cx);
        match processed {
            Ok(()) => Next::Keep,
            Err(_) => {
                self.server.exit();
                Next::Disarm
            }
        }
    }

    fn turn_away(&mut self, listener: &Arc<R::Endpoint>) -> bool {
        listener.turn_away()
    }

    fn name(&self, _: &Arc<R::Endpoint>) -> String {
        self.server.server_address().to_string()
    }
}

// What the loop does for a concurrency.

/// How soon a loop asks again for errands.
const MOMENT: Duration = Duration::from_millis(10);

impl<R: Request> BaseServer<R> {
    /// Does in the loop what the concurrency asks for.
    pub(super) fn run_errands<S: 'static>(&self, cx: &mut Context<'_, S>) {
        self.run_all(self.strategy.errands(false), cx);
    }

    fn run_all<S: 'static>(&self, errands: Vec<Errand<R>>, cx: &mut Context<'_, S>) {
        for errand in errands {
            if let Err(error) = self.run(errand, cx) {
                log::warn!(target: "tripoll", "the loop cannot watch what it is to watch: {error}");
            }
        }
    }

    fn run<S: 'static>(&self, errand: Errand<R>, cx: &mut Context<'_, S>) -> io::Result<()> {
        match errand {
            Errand::AskAgain => {
                let server = self.me.clone();
                cx.set_timer(Instant::now() + MOMENT, move |cx| {
                    if let Some(server) = server.upgrade() {
                        server.run_all(server.strategy.errands(true), cx);
                    }
                });
            }
            Errand::WhenReadable(fd, body) => {
                let mut body = Some(body);
                cx.add(
                    fd,
                    Interest::READ,
                    move |_: &mut Source<'_, _>, _: &mut Context<'_, S>| {
                        if let Some(body) = body.take() {
                            body();
                        }
                        Ok(Next::Remove)
                    },
                )?;
            }
            Errand::Keep(request, address, permit) => {
                if let Class::InLoop(class) = &self.class {
                    in_reactor::keep(class(self.exchange(&request, &address)), permit, cx)?;
                }
            }
        }
        Ok(())
    }
}
