//! The select + threads model: a loop accepts, and a pool's workers talk.

use std::io;
use std::sync::Arc;

use super::accept::{Acceptor, Door};
use super::limit::Gate;
use super::listener::Listener;
use super::stream::Stream;
use crate::pool::{Pool, Reservation, WhenFull};
use crate::reactor::{Context, Next};
use crate::selector::{Interest, Token};
use crate::sync::Call;

impl Listener {
    /// Accepts in a reactor from now on, and has each connection, made blocking, talked with by a
    /// worker of `pool`. Several listeners may share one. What `talk` returns as an error is logged,
    /// and ends that connection alone.
    ///
    /// The pool knows nothing of connections: who drains it waits for clients that are silent, unless
    /// `talk` gives them a [time to speak](Stream::settimeout).
    ///
    /// With [`WhenFull::Pause`] a client is accepted only when there is a place for it in the pool,
    /// working or waiting; the others wait in the kernel's queue.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch the socket.
    pub fn serve_in_pool<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        pool: &Arc<Pool>,
        when_full: WhenFull,
        talk: impl Fn(Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Token> {
        let door = Handoff {
            gate: self.max_connections().map(Gate::new),
            pool: Arc::clone(pool),
            when_full,
            talk: Arc::new(talk),
            place: None,
        };
        let acceptor = Acceptor::new(self.accepts_per_turn(), door)?;
        Ok(cx.add(self, Interest::READ, acceptor)?)
    }
}

/// The door of a listener whose connections go to a pool.
struct Handoff<T> {
    gate: Option<Gate>,
    pool: Arc<Pool>,
    when_full: WhenFull,
    talk: Arc<T>,
    /// For the one who may be about to come in.
    place: Option<Reservation>,
}

impl<T: Fn(Stream) -> io::Result<()> + Send + Sync + 'static> Handoff<T> {
    fn hand_over(&mut self, stream: Stream) -> io::Result<()> {
        let place = self.place.take();
        stream.set_nonblocking(false)?;
        let talk = Arc::clone(&self.talk);
        let job = move || {
            if let Err(error) = talk(stream) {
                log::debug!(target: "tripoll", "a connection in the pool ended: {error}");
            }
        };
        match (place, self.when_full) {
            (Some(place), _) => place.submit(job)?,
            (None, WhenFull::Block) => self.pool.submit_or_wait(job)?,
            (None, WhenFull::Pause | WhenFull::Shed) => self.pool.submit(job)?,
        }
        Ok(())
    }
}

impl<S, T> Door<Listener, S> for Handoff<T>
where
    S: 'static,
    T: Fn(Stream) -> io::Result<()> + Send + Sync + 'static,
{
    type Guest = Stream;

    fn has_room(&mut self, call: &Call) -> bool {
        if self.gate.as_ref().is_some_and(|gate| !gate.has_room(Some(call))) {
            return false;
        }
        if self.when_full == WhenFull::Pause {
            self.place = self.pool.reserve(Some(call));
            return self.place.is_some();
        }
        true
    }

    fn accept(&mut self, listener: &Listener) -> io::Result<Stream> {
        // A place that nobody takes is not to be kept from others.
        listener.accept().inspect_err(|_| self.place = None)
    }

    fn let_in(&mut self, mut stream: Stream, _: Token, _: &mut Context<'_, S>) -> Next {
        if let Some(gate) = &self.gate {
            stream.hold(gate.enter());
        }
        if let Err(error) = self.hand_over(stream) {
            log::debug!(target: "tripoll", "a new connection ended: {error}");
        }
        Next::Keep
    }

    fn turn_away(&mut self, listener: &Listener) -> bool {
        listener.turn_away()
    }

    fn name(&self, listener: &Listener) -> String {
        listener.local_address().to_string()
    }
}
