//! The state of a connection that both its protocol and its driver change.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use super::buffered_total::Share;
use super::close_reason::CloseReason;
use super::figures::Measured;
use super::layer::Layer;
use super::moment::Moment;
use super::options::{DEFAULT, Options, share};
use super::stream_io::StreamIo;
use super::write_buffer::WriteBuffer;

/// The state of a connection. There may be very many connections, so it is small.
#[derive(Debug)]
pub(super) struct Link {
    state: State,
    pub(super) facts: Facts,
    /// The size of the kernel's send queue at the last check of the peer's progress. `u32::MAX` if the
    /// kernel has taken some of the write buffer since: then the peer has read.
    pub(super) send_queue: u32,
    /// `None` while they are empty.
    pub(super) buffers: Option<Box<Buffers>>,
    /// `None` while they have their defaults.
    options: Option<Arc<Options>>,
    /// `None` in most connections.
    pub(super) rare: Option<Box<Rare>>,
    /// While it is open and [limited](Facts::LIMITED): when data last passed in either direction. While
    /// it lingers: how long output in the kernel may prolong that.
    pub(super) time: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Closing,
    Lingering,
    /// It must be removed.
    Ended,
}

bitflags::bitflags! {
    /// What is the case beyond the state.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Facts: u16 {
        const PAUSED = 1;
        /// The write buffer is between the high mark and the low one.
        const OVER_HIGH_MARK = 2;
        const PEER_ENDED = 4;
        /// A hang-up was reported while the connection did not read. There may still be data to read
        /// before it.
        const HUNG_UP = 8;
        /// Something was kept in the write buffer since `drained` was last called.
        const BACKLOG = 16;
        /// The last flush has left something: the kernel reports when there is room.
        const BLOCKED = 32;
        /// It is watched whether the peer reads. This stays while nothing is kept, until the next check.
        const WRITE_DEADLINE = 64;
        /// The deadline of the close is set.
        const CLOSE_DEADLINE = 128;
        /// `Wire::finish` was called.
        const FINISHING = 256;
        /// Our side is shut: after all output.
        const SHUT = 512;
        /// There is a filter between the stream and the protocol.
        const LAYERED = 1_024;
        /// Its handshake is not over, and the protocol was not called yet.
        const HANDSHAKING = 2_048;
        /// `Wire::detach` was called.
        const DETACHING = 4_096;
        /// `Connection::measured` was called. No call is ordinary then, so that others pay nothing.
        const MEASURED = 8_192;
        /// It has a time limit for silence.
        const LIMITED = 16_384;
        /// The state is another than open. It is here, too, so that one look at the facts tells whether
        /// the connection is ordinary.
        const NOT_OPEN = 32_768;
    }
}

/// What is kept for later.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The input that the protocol has not used up.
    pub(super) unread: Vec<u8>,
    /// Whether the protocol must be called for `unread` when the connection reads again.
    pub(super) has_deferred_input: bool,
    pub(super) write_buffer: WriteBuffer,
    /// The next check whether the peer reads its output. `None` while nothing is kept.
    pub(super) until: Option<Instant>,
    /// What is called when the connection is detached: see `detach.rs`.
    pub(super) then: Option<Box<dyn Any + Send>>,
    /// What is counted toward the total of the listener.
    share: Option<Share>,
}

/// What few connections have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// The filter.
    pub(super) layer: Option<Box<Layer>>,
    /// What a connection that is measured has done.
    pub(super) measured: Option<Box<Measured>>,
    /// When data was last received, or when the connection began to read. `None` while it does not, and
    /// without a limit.
    pub(super) reading_since: Option<Instant>,
    /// Number of bytes discarded since the connection was closed.
    discarded: u32,
    /// Why it has [ended](State::Ended).
    reason: Option<CloseReason>,
}

/// How many bytes a closed connection discards at most.
const MAX_DISCARDED: u32 = 1 << 20;

impl Link {
    pub(super) fn new() -> Self {
        Link {
            state: State::Open,
            facts: Facts::empty(),
            send_queue: u32::MAX,
            buffers: None,
            options: None,
            rare: None,
            time: None,
        }
    }

    #[inline]
    pub(super) fn options(&self) -> &Options {
        self.options.as_deref().unwrap_or(&DEFAULT)
    }

    pub(super) fn options_mut(&mut self) -> &mut Options {
        Arc::make_mut(self.options.get_or_insert_with(|| Arc::new(DEFAULT.clone())))
    }

    /// Lets connections with the same options keep them once.
    pub(super) fn share_options(&mut self) {
        self.options = self.options.take().map(share);
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Returns the filter, if there is one.
    #[inline]
    pub(super) fn layer(&self) -> Option<&Layer> {
        self.rare.as_ref()?.layer.as_deref()
    }

    pub(super) fn layer_mut(&mut self) -> Option<&mut Layer> {
        self.rare.as_mut()?.layer.as_deref_mut()
    }

    pub(super) fn buffers_mut(&mut self) -> &mut Buffers {
        self.buffers.get_or_insert_default()
    }

    pub(super) fn free_buffers(&mut self) {
        if self.kept() == 0 && !self.has_unread() && !self.is(Facts::DETACHING) {
            self.buffers = None;
        }
    }

    #[inline]
    pub(super) fn is(&self, fact: Facts) -> bool {
        self.facts.contains(fact)
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Moves the state on. It is never opened again.
    pub(super) fn set_state(&mut self, state: State) {
        self.state = state;
        self.facts |= Facts::NOT_OPEN;
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.is(Facts::NOT_OPEN)
    }

    /// Returns whether the protocol may be called. It is not open before the handshake of a filter is
    /// over.
    pub(super) fn has_open_protocol(&self) -> bool {
        self.is_open() && !self.is(Facts::HANDSHAKING)
    }

    /// Returns whether nothing is the case but what concerns deadlines: so it is open, and reads.
    #[inline]
    fn has_no_special_fact(&self) -> bool {
        (Facts::WRITE_DEADLINE | Facts::LIMITED).contains(self.facts)
    }

    /// Returns whether the connection is open and reads, and nothing is kept for it.
    #[inline]
    pub(super) fn is_ordinary(&self) -> bool {
        self.has_no_special_fact() && self.buffers.is_none()
    }

    #[inline]
    pub(super) fn wants_to_read(&self) -> bool {
        self.has_no_special_fact() || self.wants_to_read_even_so()
    }

    fn wants_to_read_even_so(&self) -> bool {
        !self.is(Facts::PEER_ENDED)
            && match self.state {
                State::Open if self.facts.intersects(Facts::PAUSED | Facts::DETACHING) => false,
                State::Open => !self.is(Facts::OVER_HIGH_MARK) || self.options().read_above_mark,
                State::Closing | State::Lingering => !self.has_discarded_enough(),
                State::Ended => false,
            }
    }

    pub(super) fn has_unread(&self) -> bool {
        self.buffers.as_ref().is_some_and(|buffers| !buffers.unread.is_empty())
    }

    #[inline]
    pub(super) fn has_deferred_input(&self) -> bool {
        self.buffers.as_ref().is_some_and(|buffers| buffers.has_deferred_input)
    }

    /// Lets the unread input be offered when the connection reads again.
    pub(super) fn defer_unread(&mut self) {
        if self.has_unread() {
            self.buffers_mut().has_deferred_input = true;
        }
    }

    pub(super) fn take_unread(&mut self) -> Vec<u8> {
        let Some(buffers) = &mut self.buffers else { return Vec::new() };
        buffers.has_deferred_input = false;
        std::mem::take(&mut buffers.unread)
    }

    /// Counts input that is discarded.
    pub(super) fn discard(&mut self, count: usize) {
        let discarded = &mut self.rare_mut().discarded;
        *discarded = discarded.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(super) fn has_discarded_enough(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.discarded > MAX_DISCARDED)
    }

    /// Counts what the connection holds toward the total of its listener.
    pub(super) fn count_buffered(&mut self, stream: &StreamIo<'_>) {
        let layered = self.layer().map_or(0, |layer| layer.output.held());
        let Some(buffers) = &mut self.buffers else { return };
        let bytes = buffers.unread.len() + buffers.write_buffer.held() + layered;
        match (&mut buffers.share, stream.get_ref().buffered_total()) {
            (Some(share), _) => share.set(bytes),
            (None, Some(total)) if bytes > 0 => buffers.share = Some(Share::new(total, bytes)),
            (None, _) => {}
        }
    }

    /// Returns whether all connections of the listener hold too much, and this one more than its
    /// share.
    pub(super) fn is_over_share(&self) -> bool {
        let share = self.buffers.as_ref().and_then(|buffers| buffers.share.as_ref());
        share.is_some_and(Share::is_excessive)
    }

    /// Begins to watch whether the peer reads: the kernel's send queue has this size.
    pub(super) fn begin_progress(&mut self, send_queue: usize) {
        self.send_queue = u32::try_from(send_queue).unwrap_or(u32::MAX);
    }

    /// Notes that the kernel has taken some of the write buffer.
    pub(super) fn note_progress(&mut self) {
        self.send_queue = u32::MAX;
    }

    /// Returns whether the peer has read since the last check. The write buffer alone does not tell:
    /// the kernel takes more of it only when a third of its own is free, which may be megabytes.
    pub(super) fn has_progressed(&mut self, send_queue: usize) -> bool {
        let before = self.send_queue;
        self.begin_progress(send_queue);
        self.send_queue < before
    }

    pub(super) fn close(&mut self) {
        if self.is_open() {
            self.set_state(State::Closing);
        }
    }

    /// A failure that came before an abort stays the reason.
    pub(super) fn abort(&mut self) {
        if self.state != State::Ended {
            self.end(CloseReason::Aborted);
        }
    }

    pub(super) fn fail(&mut self, reason: CloseReason) {
        match self.state {
            State::Ended => {}
            // All output was delivered: a reset by the peer is no failure any more.
            State::Lingering => self.facts |= Facts::PEER_ENDED,
            State::Open | State::Closing => self.end(reason),
        }
    }

    pub(super) fn end(&mut self, reason: CloseReason) {
        self.buffers = None;
        self.set_state(State::Ended);
        let rare = self.rare_mut();
        rare.layer = None;
        rare.reason = Some(reason);
    }

    /// Returns why it has ended.
    pub(super) fn reason(&self) -> Option<&CloseReason> {
        self.rare.as_ref()?.reason.as_ref()
    }

    pub(super) fn take_reason(&mut self) -> Option<CloseReason> {
        self.rare.as_mut()?.reason.take()
    }
}
