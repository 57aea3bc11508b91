//! The two connections of a client: its own, and the one upstream. Each passes on what it receives.
//!
//! ```text
//!              received ──tell──► send         the `Flow` of each direction says when
//!     client                            upstream   the receiving side pauses
//!              send ◄──tell── received         and resumes
//! ```

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tripoll::Context;
use tripoll::net::{Address, CloseReason, Closed, Connection, Protocol, Stream, Wire};
use tripoll::reactor::Id;

use super::flow::Flow;
use super::header::{self, Ends, Version};
use super::upstream::{UnderWay, Upstream};

/// What all clients share.
pub struct Proxy {
    pub upstream: Upstream,
    /// Whether clients begin with a header.
    pub header_in: bool,
    /// The header that is sent upstream.
    pub header_out: Option<Version>,
    /// How long a client may take for its header.
    pub patience: Duration,
    /// How long no byte may pass.
    pub idle: Duration,
    /// When a failed connect was last logged.
    pub warned: Option<Instant>,
}

type SideId = Id<Connection<Side>>;

/// One of the two connections.
#[derive(Default)]
pub struct Side {
    /// The other one. The connect of a client leaves it here.
    other: Rc<Cell<Option<SideId>>>,
    /// The connect of a client, until it has succeeded.
    connecting: UnderWay,
    /// What this side receives, for the other one.
    input: Rc<RefCell<Flow>>,
    /// What the other side receives, for this one.
    output: Rc<RefCell<Flow>>,
    /// What is sent first.
    header: Option<Vec<u8>>,
    /// Whether its peer has finished sending.
    has_ended: bool,
}

impl Side {
    /// Serves one side.
    pub fn serve(self, stream: Stream, cx: &mut Context<Proxy>) -> io::Result<SideId> {
        let idle = cx.state.idle;
        Connection::new(self)
            // What this side still has to send pauses the other side, and not this one.
            .read_above_mark(true)
            .idle_timeout(idle)
            .write_timeout(idle)
            .serve(stream, cx)
    }

    /// Connects a client upstream. Nothing is read from it meanwhile.
    fn connect(
        &mut self,
        wire: &mut Wire,
        told: Option<Ends>,
        cx: &mut Context<Proxy>,
    ) -> io::Result<()> {
        wire.pause();
        wire.set_deadline(None);
        let ends = if cx.state.header_in { told } else { ends(wire.stream()) };
        let header = cx.state.header_out.map(|version| header::write(version, ends));
        let (client, other) = (cx.id(wire.token())?, Rc::clone(&self.other));
        let (input, output) = (Rc::clone(&self.output), Rc::clone(&self.input));
        cx.state.upstream.clone().connect(&self.connecting, cx, move |result, cx| {
            let joined = result.and_then(|stream| {
                let client = Rc::new(Cell::new(Some(client)));
                let side = Side { other: client, input, output, header, ..Side::default() };
                side.serve(stream, cx)
            });
            match joined {
                Ok(upstream) => other.set(Some(upstream)),
                Err(ref error) => warn(error, cx),
            }
            // The client may have left. Then its `closed` ends the other side.
            let _ = cx.tell(client, move |_: &mut Side, wire, _| {
                match joined {
                    Ok(_) => wire.resume(),
                    Err(_) => wire.abort(),
                }
                Ok(())
            });
        });
        Ok(())
    }

    fn resume_other(&self, resumes: bool, cx: &mut Context<Proxy>) {
        if resumes {
            self.tell_other(cx, |_, wire, _| wire.resume());
        }
    }

    /// Tells the other side something. Does nothing if there is none.
    fn tell_other(
        &self,
        cx: &mut Context<Proxy>,
        message: impl FnOnce(&mut Side, &mut Wire, &mut Context<Proxy>) + 'static,
    ) {
        if let Some(other) = self.other.get() {
            // One that is closed has told this side so, or is about to.
            let _ = cx.tell(other, |side, wire, cx| {
                message(side, wire, cx);
                Ok(())
            });
        }
    }
}

/// Returns the addresses of a TCP client.
fn ends(client: &Stream) -> Option<Ends> {
    match (client.peer(), client.local_address().ok()?) {
        (&Address::Inet(source), Address::Inet(destination)) => Some(Ends { source, destination }),
        _ => None,
    }
}

/// Logs why a client was not connected, once a second at most.
fn warn(error: &io::Error, cx: &mut Context<Proxy>) {
    let now = cx.now();
    let is_quiet = cx.state.warned.is_none_or(|at| now > at + Duration::from_secs(1));
    // The client may have left, which is no failure.
    if is_quiet && error.kind() != io::ErrorKind::ConnectionAborted {
        cx.state.warned = Some(now);
        log::warn!("a client was not connected: {error}");
    }
}

impl Protocol<Proxy> for Side {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Proxy>) -> io::Result<()> {
        if self.other.get().is_some() {
            wire.send(self.header.take().unwrap_or_default());
        } else if cx.state.header_in {
            wire.set_deadline(Some(cx.state.patience));
        } else {
            self.connect(wire, None, cx)?;
        }
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Proxy>,
    ) -> io::Result<usize> {
        if self.other.get().is_none() {
            let header = header::parse(data).map_err(io::Error::other)?;
            let Some((length, ends)) = header else { return Ok(0) };
            self.connect(wire, ends, cx)?;
            return Ok(length);
        }
        if self.input.borrow_mut().receive(data.len()) {
            wire.pause();
        }
        let bytes = data.to_vec();
        self.tell_other(cx, move |other, wire, cx| {
            let (count, has_room) = (bytes.len(), wire.send(bytes));
            let resumes = other.output.borrow_mut().write(count, has_room);
            other.resume_other(resumes, cx);
        });
        Ok(data.len())
    }

    fn below_low_mark(&mut self, _: &mut Wire, cx: &mut Context<Proxy>) -> io::Result<()> {
        let resumes = self.output.borrow_mut().unblock();
        self.resume_other(resumes, cx);
        Ok(())
    }

    /// The end is passed on, and the other direction goes on.
    fn ended(&mut self, wire: &mut Wire, _: &[u8], cx: &mut Context<Proxy>) -> io::Result<()> {
        self.has_ended = true;
        if self.other.get().is_none() {
            wire.close(); // in its header
        }
        self.tell_other(cx, |_, wire, _| wire.finish());
        Ok(())
    }

    /// What this side has received is still sent, before the other side closes.
    fn shutting_down(&mut self, wire: &mut Wire, cx: &mut Context<Proxy>) -> io::Result<()> {
        if self.other.get().is_none() {
            wire.close();
        }
        self.tell_other(cx, |_, wire, _| wire.close());
        Ok(())
    }

    /// A side that has finished leaves the rest to the other one. A failure is passed on as a reset,
    /// unless all that the other side is to receive came before it.
    fn closed(&mut self, closed: &Closed, cx: &mut Context<Proxy>) {
        if let Some(connecting) = self.connecting.take() {
            connecting.cancel(cx);
        }
        let is_whole = self.has_ended || matches!(closed.reason, CloseReason::IdleTimedOut);
        if !matches!(closed.reason, CloseReason::Finished) {
            self.tell_other(
                cx,
                move |_, wire, _| if is_whole { wire.close() } else { wire.abort() },
            );
        }
    }
}
