//! The handler between a datagram socket and a [`DatagramProtocol`].
//!
//! On UDP the socket itself has no room, and `poll(2)` reports when it has: WRITE is wanted exactly while
//! datagrams wait. On a Unix socket each *receiver* has room or not, and no call reports when: those
//! datagrams are tried again after growing pauses, and one receiver delays no other.

use std::borrow::Borrow;
use std::io;
use std::time::{Duration, Instant};

use super::accept_class::{Class, is_of_network};
use super::datagram::DatagramSocket;
use super::datagram_batch::ReceivedDatagram;
use super::datagram_protocol::DatagramProtocol;
use super::datagram_queue::DatagramQueue;
use super::datagram_wire::{DatagramLink, DatagramWire};
use super::watermarks::Watermarks;
use crate::reactor::{Context, Handler, Id, Next, SCRATCH, Source};
use crate::selector::{Interest, Token};

/// The handler of a datagram socket: drives a [`DatagramProtocol`] on a [`DatagramSocket`].
///
/// See [datagrams](crate::guide::datagrams) in the guide.
///
/// ```
/// use std::io;
/// use tripoll::net::{
///     DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire, ReceivedDatagram,
/// };
/// use tripoll::{Context, Reactor};
///
/// struct Upper;
///
/// impl DatagramProtocol for Upper {
///     fn received(
///         &mut self,
///         wire: &mut DatagramWire,
///         datagram: ReceivedDatagram,
///         cx: &mut Context,
///     ) -> io::Result<()> {
///         wire.send_to(&datagram.data.to_ascii_uppercase(), &datagram.from);
///         cx.stop();
///         Ok(())
///     }
/// }
///
/// let mut reactor = Reactor::new()?;
/// let socket = DatagramSocket::bind("127.0.0.1:0")?;
/// let address = socket.local_address().clone();
/// DatagramEndpoint::new(Upper).serve(socket, &mut reactor.context())?;
///
/// let client = DatagramSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", &address)?;
/// reactor.run()?;
/// let mut answer = [0; 8];
/// let info = client.recv_from(&mut answer)?;
/// assert_eq!(&answer[..info.size], b"HELLO");
/// # io::Result::Ok(())
/// ```
#[doc(alias = "DatagramTransport")]
#[derive(Debug)]
pub struct DatagramEndpoint<P> {
    protocol: P,
    link: DatagramLink,
}

/// No datagram is longer.
const LONGEST: usize = 16 << 20;

/// How long it does not receive after a receive that failed for no peer's reason.
const REST: Duration = Duration::from_millis(100);

/// The pauses after which a receiver that had no room is tried again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

impl<P> DatagramEndpoint<P> {
    /// Returns an endpoint for `protocol`, with the default options.
    pub fn new(protocol: P) -> Self {
        let link = DatagramLink {
            queue: DatagramQueue::default(),
            marks: Watermarks::default(),
            send_timeout: Duration::from_secs(1),
            max_size: 1 << 16,
            large_buffer: Box::default(),
            failures: Vec::new(),
            failed: None,
            is_paused: false,
            is_closing: false,
            is_removed: false,
            is_over_high_mark: false,
            rests_until: None,
            attempt_at: None,
            pause: Duration::ZERO,
            deadline: None,
        };
        DatagramEndpoint { protocol, link }
    }

    /// Sets the watermarks of the queue of datagrams that the kernel has not taken. Default:
    /// [`Watermarks::default`].
    ///
    /// Above the high mark a UDP socket stops receiving, until the queue has fallen to the low mark. A
    /// Unix socket does not, because one receiver that reads nothing would silence it for all. Above the
    /// limit a datagram is dropped. On a Unix socket one receiver may hold no more of the queue than what
    /// is free below the limit.
    pub fn watermarks(mut self, marks: Watermarks) -> Self {
        self.link.marks = marks;
        self
    }

    /// Sets how long a datagram may wait in the queue. Then it is dropped, and
    /// [`error_received`](DatagramProtocol::error_received) is called with `TimedOut`. `Duration::MAX` is
    /// no limit. Default: 1 s.
    pub fn send_timeout(mut self, time: Duration) -> Self {
        self.link.send_timeout = time;
        self
    }

    /// Sets the size of the receive buffer, at least one byte and at most 16 MiB, which is more than any
    /// datagram has. A longer datagram is [truncated](ReceivedDatagram::truncated). All sockets of a reactor
    /// share the buffer, but a larger one than the default belongs to its socket alone. In bytes. Default:
    /// 65,536, which is more than any datagram of UDP has.
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.link.max_size = bytes.clamp(1, LONGEST);
        self
    }

    /// Adds the socket to the reactor, with this handler. Returns its [`Id`], through which others
    /// [tell](Context::tell) its protocol something.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the socket.
    pub fn serve<S: 'static>(
        self,
        socket: DatagramSocket,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Id<Self>>
    where
        P: DatagramProtocol<S> + 'static,
    {
        Ok(Id::new(cx.add(socket, Interest::READ, self)?))
    }

    /// Calls the protocol, unless it must not be called any more.
    fn call<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
        call: impl FnOnce(&mut P, &mut DatagramWire<'_>, &mut Context<'_, S>) -> io::Result<()>,
    ) {
        if self.link.may_call() {
            let (file, io) = source.split();
            io.requested_deadline = None; // of a protocol that panicked
            let mut wire = DatagramWire { socket: file.borrow(), io, link: &mut self.link };
            let result = call(&mut self.protocol, &mut wire, cx);
            self.link.failed = result.err();
            self.link.is_removed = cx.has_removed(source.token());
            if let Some(after) = source.split().1.requested_deadline.take() {
                let at = after.and_then(|after| cx.now().checked_add(after));
                let _ = cx.set_deadline(source.token(), at); // it may have been removed
            }
        }
    }

    /// Delivers a message, unless the socket is closing.
    pub(super) fn deliver<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
        message: impl FnOnce(&mut P, &mut DatagramWire<'_>, &mut Context<'_, S>) -> io::Result<()>,
    ) -> io::Result<Next>
    where
        P: DatagramProtocol<S>,
    {
        if !self.link.is_closing {
            self.call(source, cx, message);
        }
        self.advance(source, cx)
    }

    /// Reports the datagrams that were not sent.
    fn report<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) where
        P: DatagramProtocol<S>,
    {
        if self.link.failures.is_empty() {
            return;
        }
        for (error, to) in std::mem::take(&mut self.link.failures) {
            self.call(source, cx, |protocol, wire, cx| {
                protocol.error_received(wire, &error, to.as_ref(), cx)
            });
        }
        // What the protocol has sent to answer an error may have failed for the same reason.
        self.link.failures.clear();
    }

    /// Receives as long as there is something and the endpoint receives.
    fn receive<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) where
        P: DatagramProtocol<S>,
    {
        while self.wants_to_receive(source) {
            let mut buffer = self.take_buffer(cx);
            let room = &mut buffer[..self.link.max_size];
            let received = source.try_io(Interest::READ, |file| (*file).borrow().recv_from(room));
            let error = match received {
                Ok(info) => {
                    source.split().1.note_datagram(info.size);
                    let data = &buffer[..info.size];
                    let datagram =
                        ReceivedDatagram { data, from: info.from, truncated: info.truncated };
                    self.call(source, cx, |protocol, wire, cx| {
                        protocol.received(wire, datagram, cx)
                    });
                    None
                }
                Err(error) => Some(error),
            };
            self.return_buffer(buffer, cx);
            match error {
                None => {}
                Some(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Some(error) => self.note_receive_error(error, cx.now()),
            }
            self.report(source, cx);
        }
    }

    /// Takes the receive buffer: the shared one, if that is large enough.
    fn take_buffer<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> Box<[u8]> {
        let size = self.link.max_size;
        if size <= SCRATCH {
            return cx.take_scratch();
        }
        let buffer = std::mem::take(&mut self.link.large_buffer);
        if buffer.is_empty() { vec![0; size].into() } else { buffer }
    }

    fn return_buffer<S: 'static>(&mut self, buffer: Box<[u8]>, cx: &mut Context<'_, S>) {
        if self.link.max_size <= SCRATCH {
            cx.return_scratch(buffer);
        } else {
            self.link.large_buffer = buffer;
        }
    }

    /// An error of the network concerns an earlier datagram. A broken socket ends. After any other error
    /// the endpoint rests, because it may be the same again.
    fn note_receive_error(&mut self, error: io::Error, now: Instant) {
        match Class::of(error.raw_os_error()) {
            Class::Interrupted => return,
            Class::Listener => {
                self.link.failed = Some(error);
                return;
            }
            _ if is_of_network(&error) => {}
            _ => self.link.rests_until = Some(now + REST),
        }
        self.link.failures.push((error, None));
    }

    fn wants_to_receive<F: Borrow<DatagramSocket>>(&self, source: &Source<'_, F>) -> bool {
        let is_unix = source.get_ref().borrow().is_unix();
        let link = &self.link;
        let is_stopped = link.is_closing || link.is_paused || link.rests_until.is_some();
        link.may_call() && !is_stopped && (is_unix || !link.is_over_high_mark)
    }

    /// Sends what there is room for, and tells the protocol of the low mark.
    fn flush<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) where
        P: DatagramProtocol<S>,
    {
        let (file, io) = source.split();
        DatagramWire { socket: file.borrow(), io, link: &mut self.link }.flush();
        self.note_low_mark(source, cx);
    }

    fn note_low_mark<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) where
        P: DatagramProtocol<S>,
    {
        if self.link.is_over_high_mark && self.link.queue.size() <= self.link.marks.low {
            self.link.is_over_high_mark = false;
            if !self.link.is_closing {
                self.call(source, cx, |protocol, wire, cx| protocol.below_low_mark(wire, cx));
            }
        }
    }

    /// Handles the endpoint's own deadline.
    fn own_deadline_passed<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) where
        P: DatagramProtocol<S>,
    {
        let now = cx.now();
        self.link.deadline = None;
        self.link.rests_until = self.link.rests_until.filter(|&until| until > now);
        if self.link.attempt_at.is_some_and(|at| at <= now) {
            self.link.attempt_at = None;
            self.flush(source, cx);
        }
        let expired = self.link.queue.expire(now);
        self.link.failures.extend(expired);
        self.note_low_mark(source, cx);
    }

    /// Called after each event: receives, and sets the interest and the deadline.
    fn advance<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        P: DatagramProtocol<S>,
    {
        self.report(source, cx);
        self.receive(source, cx);
        if !self.link.may_call() || self.link.is_closing && self.link.queue.is_empty() {
            return Ok(Next::Remove);
        }
        let waits_for_room = self.waits_for_room();
        let mut interest = Interest::NONE;
        interest.set(Interest::READ, self.wants_to_receive(source));
        interest.set(Interest::WRITE, waits_for_room);
        source.set_interest(interest);
        if !self.link.queue.is_empty() || self.link.rests_until.is_some() {
            self.set_deadline(source, cx);
        }
        Ok(Next::Keep)
    }

    /// Returns whether a datagram waits for room in the socket itself.
    fn waits_for_room(&self) -> bool {
        self.link.queue.holds(&None)
    }

    /// Sets the deadline of what comes first: the end of a rest, the next attempt, the end of the time of
    /// a datagram.
    fn set_deadline<S: 'static, F: Borrow<DatagramSocket>>(
        &mut self,
        source: &Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) {
        let now = cx.now();
        let link = &mut self.link;
        link.queue.set_deadline(now.checked_add(link.send_timeout));
        if !source.get_ref().borrow().is_unix() || link.queue.is_empty() {
            link.attempt_at = None;
        } else if link.attempt_at.is_none() {
            link.pause = (link.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            link.attempt_at = Some(now + link.pause);
        }
        let ends = [link.attempt_at, link.rests_until, link.queue.next_deadline()];
        let first = ends.into_iter().flatten().min();
        if first.is_some() && first != link.deadline {
            link.deadline = first;
            cx.set_handlers_deadline(source.token(), first);
        }
    }
}

impl<F, S, P> Handler<F, S> for DatagramEndpoint<P>
where
    F: Borrow<DatagramSocket>,
    S: 'static,
    P: DatagramProtocol<S>,
{
    fn added(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        self.call(source, cx, |protocol, wire, cx| protocol.opened(wire, cx));
        self.advance(source, cx)
    }

    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        if self.waits_for_room() && source.is_writable() {
            self.flush(source, cx);
        }
        self.advance(source, cx)
    }

    fn timed_out(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        if source.split().1.is_handlers_deadline() {
            self.own_deadline_passed(source, cx);
        } else if !self.link.is_closing {
            self.call(source, cx, |protocol, wire, cx| protocol.timed_out(wire, cx));
        }
        self.advance(source, cx)
    }

    fn notified(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.deliver(source, cx, |protocol, wire, cx| protocol.notified(wire, cx))
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.deliver(source, cx, |protocol, wire, cx| protocol.shutting_down(wire, cx))
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let failed = self.link.failed.take();
        self.protocol.closed(error.or(failed.as_ref()), cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::Address;
    use crate::reactor::{ManualClock, Reactor};
    use crate::selector::Deadline;

    /// Counts the datagrams, and the errors.
    struct Counts;

    impl DatagramProtocol<(u32, u32)> for Counts {
        fn received(
            &mut self,
            _: &mut DatagramWire<'_>,
            _: ReceivedDatagram<'_>,
            cx: &mut Context<'_, (u32, u32)>,
        ) -> io::Result<()> {
            cx.state.0 += 1;
            Ok(())
        }

        fn error_received(
            &mut self,
            _: &mut DatagramWire<'_>,
            _: &io::Error,
            _: Option<&Address>,
            cx: &mut Context<'_, (u32, u32)>,
        ) -> io::Result<()> {
            cx.state.1 += 1;
            Ok(())
        }
    }

    #[test]
    fn what_follows_from_an_error_of_a_receive() {
        let now = Instant::now();
        let after = |errno| {
            let mut endpoint = DatagramEndpoint::new(Counts);
            endpoint.note_receive_error(io::Error::from_raw_os_error(errno), now);
            let link = endpoint.link;
            (link.failures.len(), link.failed.is_some(), link.rests_until)
        };
        assert_eq!(after(libc::EINTR), (0, false, None));
        assert_eq!(after(libc::ECONNREFUSED), (1, false, None));
        assert_eq!(after(libc::ENOMEM), (1, false, Some(now + REST)));
        assert_eq!(after(libc::EBADF), (0, true, None));
    }

    #[test]
    fn an_endpoint_rests_until_its_time_is_over_and_no_longer() {
        for late in [0, 5] {
            let clock = ManualClock::new();
            let builder = Reactor::<()>::builder().clock(clock.clone());
            let mut reactor = builder.build_with((0, 0)).unwrap();
            let mut endpoint = DatagramEndpoint::new(Counts);
            endpoint.note_receive_error(io::Error::from_raw_os_error(libc::ENOMEM), clock.now());
            let socket = DatagramSocket::bind("127.0.0.1:0").unwrap();
            let address = socket.local_address().clone();
            endpoint.serve(socket, &mut reactor.context()).unwrap();
            let client = DatagramSocket::bind("127.0.0.1:0").unwrap();
            client.send_to(b"hello", &address).unwrap();
            let mut counts_after = |time| {
                clock.advance(time);
                for _ in 0..3 {
                    reactor.turn(Deadline::Now).unwrap();
                }
                *reactor.state()
            };
            assert_eq!(counts_after(Duration::ZERO), (0, 1));
            assert_eq!(counts_after(REST - Duration::from_millis(1)), (0, 1));
            assert_eq!(counts_after(Duration::from_millis(1 + late)), (1, 1));
        }
    }
}
