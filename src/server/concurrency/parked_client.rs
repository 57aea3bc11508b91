//! One client of a server that parks: its place in the loop, and its turns with a worker.
//!
//! ```text
//!                input, an end, a timeout
//!   ┌────────┐ ──────────────────────────► ┌──────┐         ┌──────┐
//!   │ PARKED │                             │ AWAY │ ──────► │ OVER │
//!   └────────┘ ◄────────────────────────── └──────┘         └──────┘
//!   in the loop       no more input        in the queue of the pool,
//!                                          or with a worker
//! ```
//!
//! The socket stays in the loop as a source, without interest while the client is away. The client
//! itself, with its handler, is passed on by value. So a step of its conversation never meets another.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use std::{io, mem};

use super::parking::Parking;
use crate::net::{Address, Permit, QUIET, Stream};
use crate::reactor::{Context, Handler, Next, Source};
use crate::selector::{Interest, Token};
use crate::server::base::BaseServer;
use crate::server::concurrency::Slot;
use crate::server::handler::{Conversation, HandlerResult};
use crate::server::lifecycle::RunState;
use crate::server::transport::Request;
use crate::sync::lock;

/// A client with its conversation.
struct Client<R: Request> {
    server: Arc<BaseServer<R>>,
    request: R,
    address: Address,
    conversation: Box<dyn Conversation>,
    is_over: bool,
}

impl<R: Request> Client<R> {
    fn take_step(&mut self, step: Step) -> After {
        let stepped = match step {
            Step::SetUp => self.conversation.set_up().map(|()| true),
            Step::Handle => self.conversation.handle(),
            Step::Look => Ok(true),
            Step::End(outcome) => outcome.map(|()| false),
        };
        match stepped {
            Err(error) => return After::End(Err(error)),
            Ok(false) => return After::End(Ok(())),
            Ok(true) if self.conversation.has_buffered_input() => return After::Input,
            Ok(true) => {}
        }
        match look(self.conversation.stream()) {
            None => After::Silence,
            Some(Step::End(outcome)) => After::End(outcome),
            Some(_) => After::Input,
        }
    }

    fn end(&mut self, outcome: HandlerResult) {
        if mem::replace(&mut self.is_over, true) {
            return;
        }
        if let Err(error) = self.conversation.finish(outcome) {
            self.server.report_error(&self.request, &self.address, &error);
        }
        self.server.shut_down(&self.request);
    }
}

/// The pool has been closed, and dropped the client. Its handler is still told of the end.
impl<R: Request> Drop for Client<R> {
    fn drop(&mut self) {
        if !self.is_over {
            self.request.cut(); // a last answer must not block
            self.end(Ok(()));
        }
    }
}

/// Where a client is.
enum Seat<R: Request> {
    Parked(Client<R>),
    Away,
    Over,
    /// The loop has ended, or has lost the source. The client cannot return.
    Closed,
}

/// The place of a client in the loop.
struct Place<R: Request> {
    parking: Arc<Parking>,
    run_state: Arc<RunState>,
    token: OnceLock<Token>,
    seat: Mutex<Seat<R>>,
}

impl<R: Request> Place<R> {
    /// Takes the client, if it is parked.
    fn take(&self) -> Option<Client<R>> {
        let mut seat = lock(&self.seat);
        match mem::replace(&mut *seat, Seat::Away) {
            Seat::Parked(client) => Some(client),
            other => {
                *seat = other;
                None
            }
        }
    }

    /// Changes the seat of a client that is away, and tells the loop. Returns what the loop cannot take.
    fn return_to(&self, new: Seat<R>) -> Result<(), Seat<R>> {
        let mut seat = lock(&self.seat);
        if matches!(*seat, Seat::Closed) {
            return Err(new);
        }
        *seat = new;
        drop(seat);
        if let Some(&token) = self.token.get() {
            self.run_state.notify(token);
        }
        Ok(())
    }
}

/// A step of a conversation.
enum Step {
    SetUp,
    Handle,
    /// Looks for input.
    Look,
    End(HandlerResult),
}

/// Returns the next step of a silent client, if there is input for one, or an end.
fn look(stream: &Stream) -> Option<Step> {
    match stream.peek_now() {
        Ok(true) => Some(Step::Handle),
        Ok(false) => Some(Step::End(Ok(()))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => Some(Step::End(Err(error.into()))),
    }
}

/// What follows from a step.
enum After {
    /// There is input for another call of the handler.
    Input,
    /// There is none yet.
    Silence,
    End(HandlerResult),
}

/// A client that waits for a worker, or is with one.
struct Job<R: Request> {
    place: Arc<Place<R>>,
    /// `None` when it has returned to the loop.
    client: Option<Client<R>>,
}

impl<R: Request> Job<R> {
    fn new(place: &Arc<Place<R>>, client: Client<R>) -> Self {
        Job { place: Arc::clone(place), client: Some(client) }
    }

    /// Waits for a worker, behind all others. A pool that is closed drops the job.
    fn submit(self, step: Step) {
        let parking = Arc::clone(&self.place.parking);
        let _ = parking.pool.submit(move || self.run(step));
    }

    fn run(mut self, mut step: Step) {
        while let Some(client) = &mut self.client {
            match client.take_step(step) {
                After::Input if self.place.parking.has_queue() => return self.submit(Step::Handle),
                After::Input => step = Step::Handle,
                After::Silence => return self.park(),
                After::End(outcome) => return client.end(outcome),
            }
        }
    }

    fn park(mut self) {
        let Some(mut client) = self.client.take() else { return };
        client.conversation.rest();
        if let Err(Seat::Parked(mut client)) = self.place.return_to(Seat::Parked(client)) {
            client.end(Ok(()));
            self.client = Some(client);
        }
    }
}

/// Drops the client if it has not returned to the loop, and has the loop close its connection.
impl<R: Request> Drop for Job<R> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(client);
            let _ = self.place.return_to(Seat::Over);
        }
    }
}

/// The source of a client in the loop.
struct ParkedClient<R: Request> {
    place: Arc<Place<R>>,
    /// Since when it is parked.
    since: Instant,
    /// Whether it ends when it is silent, because the server or the loop shuts down.
    is_ending: bool,
    /// Whether the end of the run waits for it.
    is_awaited: bool,
    _permit: Permit,
}

impl<R: Request> ParkedClient<R> {
    fn is_parked(&self) -> bool {
        matches!(*lock(&self.place.seat), Seat::Parked(_))
    }

    /// Passes the client to a worker.
    fn resume(&mut self, source: &mut Source<'_, Arc<Stream>>, step: Step) {
        source.set_interest(Interest::NONE);
        self.set_awaited(false);
        if let Some(client) = self.place.take() {
            Job::new(&self.place, client).submit(step);
        }
    }

    fn set_awaited(&mut self, is_awaited: bool) {
        match (mem::replace(&mut self.is_awaited, is_awaited), is_awaited) {
            (false, true) => self.place.run_state.begin_flush(),
            (true, false) => self.place.run_state.end_flush(),
            _ => {}
        }
    }

    /// Returns when the client has been silent for too long. `None` is never.
    fn silent_until(&self, stream: &Stream) -> Option<Instant> {
        let read = stream.read_timeout().and_then(|timeout| self.since.checked_add(timeout));
        [read, stream.idle_at(self.since)].into_iter().flatten().min()
    }

    /// Sets the deadline of a parked client.
    fn set_deadline<S: 'static>(
        &mut self,
        source: &Source<'_, Arc<Stream>>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        self.is_ending |= self.place.run_state.is_stopping();
        let at = if self.is_ending {
            self.set_awaited(true);
            cx.now().checked_add(QUIET)
        } else {
            self.silent_until(source.get_ref())
        };
        cx.set_deadline(source.token(), at)
    }
}

impl<R: Request, S: 'static> Handler<Arc<Stream>, S> for ParkedClient<R> {
    /// The readiness is always [`Done`](Next::Done): workers read, too, and the reactor does not see it.
    fn ready(
        &mut self,
        source: &mut Source<'_, Arc<Stream>>,
        _: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        if let Some(step) = look(source.get_ref()) {
            self.resume(source, step);
        }
        Ok(Next::Done)
    }

    /// The client has returned or is over, or the run ends.
    fn notified(
        &mut self,
        source: &mut Source<'_, Arc<Stream>>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        if matches!(*lock(&self.place.seat), Seat::Over) {
            return Ok(Next::Remove);
        }
        if self.is_parked() {
            if source.interest() == Interest::NONE {
                source.set_interest(Interest::READ);
                self.since = cx.now();
            }
            self.set_deadline(source, cx)?;
        }
        Ok(Next::Keep)
    }

    fn timed_out(
        &mut self,
        source: &mut Source<'_, Arc<Stream>>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        // Others may have sent something to a client that is not ending.
        match self.silent_until(source.get_ref()).filter(|_| !self.is_ending) {
            // It is away, or has just returned: its silence begins when the loop is notified of that.
            _ if source.interest() == Interest::NONE => {}
            Some(at) if at > cx.now() => cx.set_deadline(source.token(), Some(at))?,
            // The report of its input may be late.
            _ => {
                let step = look(source.get_ref()).unwrap_or(Step::End(Ok(())));
                self.resume(source, step);
            }
        }
        Ok(Next::Keep)
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, Arc<Stream>>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.is_ending = true;
        if self.is_parked() {
            self.set_deadline(source, cx)?;
        }
        Ok(Next::Keep)
    }
}

/// The loop may be dropped with its clients. A worker then answers what those that are parked have
/// sent, and ends them.
impl<R: Request> Drop for ParkedClient<R> {
    fn drop(&mut self) {
        self.set_awaited(false);
        if let Some(token) = self.place.token.get() {
            self.place.parking.remove(*token);
        }
        let seat = mem::replace(&mut *lock(&self.place.seat), Seat::Closed);
        if let Seat::Parked(client) = seat {
            Job::new(&self.place, client).submit(Step::Look);
        }
    }
}

/// Takes a client into the loop, and has a worker begin its conversation.
pub(in crate::server) fn park<R: Request, S: 'static>(
    server: &Arc<BaseServer<R>>,
    (request, address): (R, Address),
    conversation: Box<dyn Conversation>,
    (slot, parking): (Slot, Arc<Parking>),
    cx: &mut Context<'_, S>,
) -> io::Result<()> {
    let stream = Arc::clone(conversation.stream());
    let server = Arc::clone(server);
    let run_state = server.lifecycle.run_state();
    let client = Client { server, request, address, conversation, is_over: false };
    let Some(run_state) = run_state else {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "the server does not serve"));
    };
    let place = Arc::new(Place {
        parking,
        run_state,
        token: OnceLock::new(),
        seat: Mutex::new(Seat::Away),
    });
    let source = ParkedClient {
        place: Arc::clone(&place),
        since: cx.now(),
        is_ending: false,
        is_awaited: false,
        _permit: slot.permit.unwrap_or_default(),
    };
    let token = cx.add(Arc::clone(&stream), Interest::NONE, source)?;
    let _ = place.token.set(token);
    place.parking.add(token);
    let job = Job::new(&place, client); // without a step it ends the client, and its source
    // The loop only looks whether there is input, and workers read and write.
    stream.set_nonblocking(false)?;
    job.submit(Step::SetUp);
    Ok(())
}
