//! Where a listener delivers its connections: to a closure in the loop, or to a pool of threads.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::task::Waker;

use super::accept::{Acceptor, Attempt, Incoming};
use super::accept_class::is_by_peer;
use super::address::Address;
use super::limit::{Held, Limit, Permit};
use super::listener::Listener;
use super::listener_counters::ListenerMeter;
use super::stream::Stream;
use crate::pool::{Pool, Reservation, WhenFull};
use crate::reactor::{Context, Next};
use crate::selector::{Interest, Token};
use crate::sync::LogLimit;

impl Listener {
    /// Accepts in a reactor from now on, and calls `accepted` with each connection, which may
    /// [serve](super::Connection::serve) it there. An error that it returns, or its panic, closes that
    /// connection only. It is logged, at most one line a second.
    ///
    /// When the listener can no longer accept, [`Reactor::run`](crate::Reactor::run) returns the
    /// error, unless [`on_end`](Self::on_end) says otherwise.
    ///
    /// When the reactor [shuts down](Context::shutdown), the connections that are pending in the
    /// backlog are still accepted, as far as the limit of connections allows. Others, and those that
    /// come later, are refused by the kernel.
    ///
    /// To serve connections by threads, see [`serve_in_pool`](Self::serve_in_pool).
    ///
    /// ```
    /// use std::io;
    /// use tripoll::net::{Connection, Listener, Protocol, Wire};
    /// use tripoll::{Context, Reactor};
    ///
    /// /// Tells each client its address.
    /// struct Tell;
    ///
    /// impl Protocol for Tell {
    ///     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
    ///         let peer = wire.peer().to_string();
    ///         wire.write(peer.as_bytes());
    ///         wire.close();
    ///         Ok(())
    ///     }
    ///
    ///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    ///         Ok(data.len())
    ///     }
    ///
    ///     fn closed(&mut self, _: &tripoll::net::Closed, cx: &mut Context) {
    ///         cx.stop();
    ///     }
    /// }
    ///
    /// let mut reactor = Reactor::new()?;
    /// let listener = Listener::bind("127.0.0.1:0")?;
    /// let address = listener.local_address().to_string();
    /// listener.serve(&mut reactor.context(), |stream, cx| {
    ///     Connection::new(Tell).serve(stream, cx).map(drop) // its token is not needed
    /// })?;
    /// let client = std::net::TcpStream::connect(address)?;
    /// client.shutdown(std::net::Shutdown::Write)?;
    /// reactor.run()?;
    /// assert_eq!(io::read_to_string(&client)?, client.local_addr()?.to_string());
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the socket.
    pub fn serve<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        accepted: impl FnMut(Stream, &mut Context<'_, S>) -> io::Result<()> + 'static,
    ) -> io::Result<Token> {
        self.serve_to(ToClosure(accepted), cx)
    }

    /// Accepts in a reactor from now on. Each connection, made blocking, is served by a worker of
    /// `pool`, which calls `serve`. Several listeners may share a pool. An error that `serve` returns
    /// closes that connection only. It is logged as a warning, at most one a second, unless the peer
    /// has broken the connection.
    ///
    /// The pool knows nothing of connections. [`Pool::drain`] waits for silent clients too, unless
    /// `serve` sets a [read timeout](Stream::set_read_timeout).
    ///
    /// With [`WhenFull::Pause`] a connection is accepted only when the pool has capacity for it. The
    /// others wait in the backlog.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the socket.
    #[doc(alias = "backpressure")]
    pub fn serve_in_pool<S: 'static>(
        self,
        pool: &Arc<Pool>,
        when_full: WhenFull,
        cx: &mut Context<'_, S>,
        serve: impl Fn(Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Token> {
        let pool = Arc::clone(pool);
        let serve = Arc::new((serve, LogLimit::new()));
        self.serve_to(ToPool { pool, when_full, serve }, cx)
    }

    fn serve_to<S: 'static>(
        mut self,
        destination: impl Destination<S> + 'static,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Token> {
        let limit = Limit::new(self.max_connections());
        let meter = self.take_meter();
        let limited = Limited { limit, destination, warnings: LogLimit::new(), meter };
        let name = self.local_address().to_string();
        let acceptor = Acceptor::new(name, self.accepts_per_turn(), limited);
        let acceptor = acceptor.on_end(self.take_on_end());
        Ok(cx.add(self, Interest::READ, acceptor)?)
    }
}

/// Where connections go.
trait Destination<S> {
    /// The capacity that one connection takes.
    type Capacity;

    /// Reserves capacity; see [`Incoming::reserve`].
    fn reserve(&mut self, waker: &Waker) -> Option<Self::Capacity>;

    /// Passes a connection on.
    fn deliver(
        &mut self,
        stream: Stream,
        capacity: Self::Capacity,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()>;
}

/// Limits the connections of a listener, and delivers them.
struct Limited<D> {
    limit: Limit,
    destination: D,
    warnings: LogLimit,
    meter: Option<ListenerMeter>,
}

impl<D> Limited<D> {
    fn note(&self, note: impl FnOnce(&ListenerMeter)) {
        self.meter.as_ref().map(note);
    }
}

impl<S: 'static, D: Destination<S>> Incoming<Listener, S> for Limited<D> {
    type Accepted = Stream;
    type Slot = (Permit, D::Capacity);

    fn reserve(&mut self, waker: &Waker) -> Option<Self::Slot> {
        let permit = self.limit.acquire(waker);
        let slot = permit.and_then(|permit| Some((permit, self.destination.reserve(waker)?)));
        if slot.is_none() {
            self.note(ListenerMeter::note_limit);
        }
        slot
    }

    fn accept(&mut self, listener: &Listener) -> io::Result<Attempt<Stream>> {
        listener.accept().map(Attempt::Accepted)
    }

    fn deliver(
        &mut self,
        mut stream: Stream,
        (permit, capacity): Self::Slot,
        _: Option<RawFd>,
        cx: &mut Context<'_, S>,
    ) -> Next {
        let counted = self.meter.as_ref().map(|meter| Box::new(meter.accept()) as Box<dyn Held>);
        stream.hold(permit, counted);
        let peer = stream.peer().clone();
        if let Err(error) = self.destination.deliver(stream, capacity, cx) {
            self.note(ListenerMeter::note_refused);
            warn(&self.warnings, "the new connection of", &peer, &error);
        }
        Next::Keep
    }

    fn backlog(&self, listener: &Listener) -> u32 {
        listener.backlog()
    }

    fn reject_pending(&mut self, listener: &Listener) -> (usize, Option<io::Error>) {
        let (count, error) = listener.reject_pending();
        self.note(|meter| meter.note_shed(count));
        (count, error)
    }

    fn note_pause(&mut self) {
        self.note(ListenerMeter::note_pause);
    }

    fn note_panic(&mut self) {
        self.note(ListenerMeter::note_refused);
    }
}

/// Logs why a connection was closed, which no other code is told. What a peer does is no warning.
pub(super) fn warn(limit: &LogLimit, connection: &str, peer: &Address, error: &io::Error) {
    if is_by_peer(error) {
        log::debug!("{connection} {peer} was closed: {error}");
    } else if let Some(left_out) = limit.pass() {
        log::warn!("{connection} {peer} was closed: {error}{left_out}");
    }
}

/// Calls a closure in the loop.
struct ToClosure<A>(A);

impl<S, A> Destination<S> for ToClosure<A>
where
    A: FnMut(Stream, &mut Context<'_, S>) -> io::Result<()>,
{
    type Capacity = ();

    fn reserve(&mut self, _: &Waker) -> Option<()> {
        Some(())
    }

    fn deliver(&mut self, stream: Stream, (): (), cx: &mut Context<'_, S>) -> io::Result<()> {
        (self.0)(stream, cx)
    }
}

/// Submits a job to a pool.
struct ToPool<H> {
    pool: Arc<Pool>,
    when_full: WhenFull,
    serve: Arc<(H, LogLimit)>,
}

impl<S, H> Destination<S> for ToPool<H>
where
    H: Fn(Stream) -> io::Result<()> + Send + Sync + 'static,
{
    /// Only [`WhenFull::Pause`] reserves.
    type Capacity = Option<Reservation>;

    fn reserve(&mut self, waker: &Waker) -> Option<Option<Reservation>> {
        match self.when_full {
            WhenFull::Pause => self.pool.reserve(waker).map(Some),
            WhenFull::Shed | WhenFull::Block => Some(None),
        }
    }

    fn deliver(
        &mut self,
        stream: Stream,
        reservation: Option<Reservation>,
        _: &mut Context<'_, S>,
    ) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        let shared = Arc::clone(&self.serve);
        let peer = stream.peer().clone();
        let job = move || {
            let (serve, warnings) = &*shared;
            if let Err(error) = serve(stream) {
                warn(warnings, "the connection in the pool of", &peer, &error);
            }
        };
        match (reservation, self.when_full) {
            (Some(reservation), _) => reservation.submit(job)?,
            (None, WhenFull::Block) => self.pool.submit_or_wait(job)?,
            (None, WhenFull::Pause | WhenFull::Shed) => self.pool.submit(job)?,
        }
        Ok(())
    }
}
