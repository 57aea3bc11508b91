//! A datagram socket as its protocol sees it.

use std::time::{Duration, Instant};
use std::{fmt, io};

use super::address::Address;
use super::datagram::DatagramSocket;
use super::datagram_queue::{DatagramQueue, Failure, Waiting};
use super::watermarks::Watermarks;
use crate::reactor::{IoState, Source};
use crate::selector::{Interest, Token};

/// A datagram socket as its protocol sees it, during a callback.
///
/// ```
/// use std::io;
/// use tripoll::Context;
/// use tripoll::net::{DatagramProtocol, DatagramWire, ReceivedDatagram};
///
/// /// Sends each datagram back, unless many answers wait.
/// struct Echo;
///
/// impl DatagramProtocol for Echo {
///     fn received(
///         &mut self,
///         wire: &mut DatagramWire,
///         datagram: ReceivedDatagram,
///         _: &mut Context,
///     ) -> io::Result<()> {
///         if wire.unsent() < 10_000 {
///             wire.send_to(datagram.data, &datagram.from);
///         }
///         Ok(())
///     }
/// }
/// # use tripoll::net::{DatagramEndpoint, DatagramSocket};
/// # let mut reactor = tripoll::Reactor::new()?;
/// # let socket = DatagramSocket::bind("127.0.0.1:0")?;
/// # let address = socket.local_address().clone();
/// # DatagramEndpoint::new(Echo).serve(socket, &mut reactor.context())?;
/// # let client = DatagramSocket::bind("127.0.0.1:0")?;
/// # client.send_to(b"hello", &address)?;
/// # reactor.turn(tripoll::Deadline::Never)?;
/// # assert_eq!(client.recv_from(&mut [0; 8])?.size, 5);
/// # io::Result::Ok(())
/// ```
pub struct DatagramWire<'a> {
    pub(super) socket: &'a DatagramSocket,
    pub(super) io: &'a mut IoState,
    pub(super) link: &'a mut DatagramLink,
}

/// The state of a datagram socket that both its protocol and its driver change.
#[derive(Debug)]
pub(super) struct DatagramLink {
    pub(super) queue: DatagramQueue,
    pub(super) marks: Watermarks,
    pub(super) send_timeout: Duration,
    pub(super) max_size: usize,
    /// The receive buffer, if it is larger than that of the reactor.
    pub(super) large_buffer: Box<[u8]>,
    /// What `error_received` has not been told yet.
    pub(super) failures: Vec<Failure>,
    /// Why the socket must be closed.
    pub(super) failed: Option<io::Error>,
    pub(super) is_paused: bool,
    pub(super) is_closing: bool,
    /// Whether the protocol has removed its own socket.
    pub(super) is_removed: bool,
    /// Between the high mark and the low one.
    pub(super) is_over_high_mark: bool,
    /// Until when it does not receive, because the last receive has failed.
    pub(super) rests_until: Option<Instant>,
    /// When receivers that had no room are tried again, and the pause before it.
    pub(super) attempt_at: Option<Instant>,
    pub(super) pause: Duration,
    /// The deadline that is set.
    pub(super) deadline: Option<Instant>,
}

impl DatagramLink {
    /// Returns whether the protocol may be called: the socket has neither failed nor been removed.
    pub(super) fn may_call(&self) -> bool {
        self.failed.is_none() && !self.is_removed
    }
}

impl DatagramWire<'_> {
    /// Sends a datagram. What the kernel does not take waits in a queue, in its order, for the
    /// [`send_timeout`](super::DatagramEndpoint::send_timeout) at most. Never blocks.
    ///
    /// An error of the datagram is given to
    /// [`error_received`](super::DatagramProtocol::error_received), after this callback has returned.
    /// After [`close`](Self::close) nothing is sent.
    pub fn send_to(&mut self, data: &[u8], to: &Address) {
        self.send_or_queue(data, Some(to));
    }

    /// As [`send_to`](Self::send_to), to the peer to which the socket is
    /// [connected](DatagramSocket::connect).
    pub fn send(&mut self, data: &[u8]) {
        self.send_or_queue(data, None);
    }

    fn send_or_queue(&mut self, data: &[u8], to: Option<&Address>) {
        if self.link.is_closing {
            return;
        }
        let to = to.cloned();
        let has_own_room = self.socket.is_unix() && to.is_some();
        let must_wait = match self.socket.is_unix() {
            true => self.link.queue.holds(&to),
            false => !self.link.queue.is_empty(),
        };
        if !must_wait {
            match send(self.socket, self.io, data, to.as_ref()) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.link.failures.push((error, to)),
            }
        }
        let marks = &self.link.marks;
        if self.link.queue.push(data, to.clone(), marks.limit, has_own_room) {
            self.link.is_over_high_mark |= self.link.queue.size() > marks.high;
        } else {
            let size = self.link.queue.size();
            let message = format!("there is no room in the queue, which holds {size} bytes");
            let error = io::Error::new(io::ErrorKind::StorageFull, message);
            self.link.failures.push((error, to));
        }
    }

    /// Sends what there is room for.
    pub(super) fn flush(&mut self) {
        let send =
            |waiting: &Waiting| send(self.socket, self.io, &waiting.data, waiting.to.as_ref());
        let (failures, has_sent) = self.link.queue.flush(send);
        self.link.failures.extend(failures);
        if has_sent {
            self.link.pause = Duration::ZERO;
        }
    }

    /// Returns the size of the queue, in bytes. Each datagram counts 128 bytes beside its own.
    pub fn unsent(&self) -> usize {
        self.link.queue.size()
    }

    /// Closes the socket after its queue was flushed. Receives nothing more.
    pub fn close(&mut self) {
        self.link.is_closing = true;
    }

    /// Stops receiving until [`resume`](Self::resume). The kernel keeps what arrives meanwhile, as far
    /// as the receive buffer of the socket has room for it.
    pub fn pause(&mut self) {
        self.link.is_paused = true;
    }

    /// Receives again after [`pause`](Self::pause).
    pub fn resume(&mut self) {
        self.link.is_paused = false;
    }

    /// Sets the deadline of the socket, measured from the end of this callback.
    /// [`timed_out`](super::DatagramProtocol::timed_out) is called when it has come. `None` removes it. It is
    /// the deadline of [`Context::set_deadline`](crate::Context::set_deadline), of which a socket has one.
    ///
    /// ```
    /// use std::io;
    /// use std::time::Duration;
    /// use tripoll::net::{
    ///     DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire, ReceivedDatagram,
    /// };
    /// use tripoll::{Context, Reactor};
    ///
    /// /// Waits for an answer, but not for ever.
    /// struct Patient;
    ///
    /// impl DatagramProtocol for Patient {
    ///     fn opened(&mut self, wire: &mut DatagramWire, _: &mut Context) -> io::Result<()> {
    ///         wire.set_deadline(Some(Duration::from_millis(5)));
    ///         Ok(())
    ///     }
    ///
    ///     fn timed_out(&mut self, _: &mut DatagramWire, cx: &mut Context) -> io::Result<()> {
    ///         cx.stop();
    ///         Ok(())
    ///     }
    ///
    ///     fn received(
    ///         &mut self,
    ///         _: &mut DatagramWire,
    ///         _: ReceivedDatagram,
    ///         _: &mut Context,
    ///     ) -> io::Result<()> {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut reactor = Reactor::new()?;
    /// let socket = DatagramSocket::bind("127.0.0.1:0")?;
    /// DatagramEndpoint::new(Patient).serve(socket, &mut reactor.context())?;
    /// reactor.run()?;
    /// # io::Result::Ok(())
    /// ```
    #[doc(alias = "timeout")]
    pub fn set_deadline(&mut self, after: Option<Duration>) {
        self.io.requested_deadline = Some(after);
    }

    /// Returns the socket itself, for its options and addresses. What is sent through it directly
    /// overtakes the queue.
    pub fn socket(&self) -> &DatagramSocket {
        self.socket
    }

    /// Returns the token of the socket in the reactor.
    pub fn token(&self) -> Token {
        self.io.token
    }
}

/// Sends one datagram now.
fn send(
    socket: &DatagramSocket,
    io: &mut IoState,
    data: &[u8],
    to: Option<&Address>,
) -> io::Result<()> {
    let send = || match to {
        Some(to) => socket.send_to(data, to).map(drop),
        None => socket.send(data).map(drop),
    };
    if socket.is_unix() && to.is_some() {
        return send(); // that one receiver has no room says nothing of the next
    }
    Source::new(&mut &*socket, io).try_io(Interest::WRITE, |_| send())?;
    io.note_datagram(data.len());
    Ok(())
}

impl fmt::Debug for DatagramWire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramWire")
            .field("token", &self.token())
            .field("link", &self.link)
            .finish()
    }
}
