//! The state of a connection that both its protocol and its driver change.

use std::io::Write;
use std::time::{Duration, Instant};

use super::buffered_total::Share;
use super::close_reason::CloseReason;
use super::stream_io::StreamIo;
use super::watermarks::Watermarks;
use super::write_buffer::{self, WriteBuffer};

/// The state of a connection. There may be very many connections, so it is small.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) state: State,
    /// `None` while they are empty.
    buffers: Option<Box<Buffers>>,
    /// `None` while they have their defaults.
    options: Option<Box<Options>>,
    pub(super) is_paused: bool,
    /// Between the high mark and the low one.
    pub(super) is_over_high_mark: bool,
    pub(super) has_peer_ended: bool,
    /// Whether a hang-up was reported while the connection did not read. There may still be data to
    /// read before it.
    pub(super) has_hung_up: bool,
    /// Whether something was kept in the write buffer since `drained` was last called.
    pub(super) has_backlog: bool,
    /// Whether the deadline of `write_timeout` is set.
    pub(super) has_write_deadline: bool,
    /// Number of bytes discarded since the connection was closed.
    discarded: u32,
}

#[derive(Debug)]
pub(super) enum State {
    Open,
    /// `is_timed`: whether the deadline of the close is set.
    Closing {
        is_timed: bool,
    },
    /// `until`: how long output in the kernel may prolong it.
    Lingering {
        until: Option<Instant>,
    },
    /// It must be removed.
    Ended(CloseReason),
}

/// What is kept for later.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The input that the protocol has not used up.
    pub(super) unread: Vec<u8>,
    /// Whether the protocol must be called for `unread` when the connection reads again.
    pub(super) has_deferred_input: bool,
    write_buffer: WriteBuffer,
    /// The size of the kernel's send queue at the last check of the peer's progress. `None` if the
    /// kernel has taken some of the write buffer since: then the peer has read.
    send_queue: Option<usize>,
    /// What is counted toward the total of the listener.
    share: Option<Share>,
}

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) marks: Watermarks,
    pub(super) max_unused: usize,
    pub(super) read_above_mark: bool,
    pub(super) write_timeout: Duration,
    pub(super) close_within: Duration,
    pub(super) linger: Duration,
}

const DEFAULT: Options = Options {
    marks: Watermarks::DEFAULT,
    max_unused: 1 << 20,
    read_above_mark: false,
    write_timeout: Duration::from_secs(60),
    close_within: Duration::from_secs(30),
    linger: Duration::from_secs(1),
};

/// How many bytes a closed connection discards at most.
const MAX_DISCARDED: u32 = 1 << 20;

impl Link {
    pub(super) fn new() -> Self {
        Link {
            state: State::Open,
            buffers: None,
            options: None,
            is_paused: false,
            is_over_high_mark: false,
            has_peer_ended: false,
            has_hung_up: false,
            has_backlog: false,
            has_write_deadline: false,
            discarded: 0,
        }
    }

    pub(super) fn options(&self) -> &Options {
        self.options.as_deref().unwrap_or(&DEFAULT)
    }

    pub(super) fn options_mut(&mut self) -> &mut Options {
        self.options.get_or_insert_with(|| Box::new(DEFAULT))
    }

    pub(super) fn buffers_mut(&mut self) -> &mut Buffers {
        self.buffers.get_or_insert_default()
    }

    pub(super) fn free_buffers(&mut self) {
        if self.unsent() == 0 && !self.has_unread() {
            self.buffers = None;
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    pub(super) fn wants_to_read(&self) -> bool {
        !self.has_peer_ended
            && match self.state {
                State::Open if self.is_paused => false,
                State::Open => !self.is_over_high_mark || self.options().read_above_mark,
                State::Closing { .. } | State::Lingering { .. } => !self.has_discarded_enough(),
                State::Ended(_) => false,
            }
    }

    pub(super) fn has_unread(&self) -> bool {
        self.buffers.as_ref().is_some_and(|buffers| !buffers.unread.is_empty())
    }

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
        self.discarded = self.discarded.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(super) fn has_discarded_enough(&self) -> bool {
        self.discarded > MAX_DISCARDED
    }

    /// Returns the size of the write buffer.
    #[inline]
    pub(super) fn unsent(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.write_buffer.len())
    }

    pub(super) fn write(&mut self, stream: &mut StreamIo<'_>, data: &[u8]) {
        if !self.is_open() || data.is_empty() {
            return;
        }
        let mut data = data;
        // From its first byte on, the peer must not take an end for the end of the output.
        stream.get_ref().note_owed(true);
        if self.unsent() == 0 {
            data = self.write_now(stream, data);
        } else if self.overflow().is_some() {
            // What was written before is too much. This write does not count: however large it is, the
            // peer had no chance to read it. The peer may have read since the last event.
            self.flush_buffer(stream);
            if let Some(reason) = self.overflow() {
                self.fail(reason);
            }
        }
        if !data.is_empty() && self.is_open() {
            self.has_backlog = true;
            stream.get_ref().note_owed(true); // the flush may have emptied the buffer
            self.buffers_mut().write_buffer.push(data);
            self.is_over_high_mark |= self.unsent() > self.options().marks.high;
            self.count_buffered(stream);
        } else if data.is_empty() {
            stream.get_ref().note_owed(false);
        }
    }

    /// Returns why the connection must not hold more output, if it must not.
    fn overflow(&self) -> Option<CloseReason> {
        if self.unsent() > self.options().marks.limit {
            Some(CloseReason::OutputOverflow)
        } else if self.unsent() > 0 && self.is_over_share() {
            Some(CloseReason::ListenerOverflow)
        } else {
            None
        }
    }

    /// Counts what the connection holds toward the total of its listener.
    pub(super) fn count_buffered(&mut self, stream: &StreamIo<'_>) {
        let Some(buffers) = &mut self.buffers else { return };
        let bytes = buffers.unread.len() + buffers.write_buffer.len();
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

    /// Writes until the kernel takes no more. Returns what is left.
    fn write_now<'d>(&mut self, stream: &mut impl Write, data: &'d [u8]) -> &'d [u8] {
        let (count, result) = write_buffer::write(stream, data);
        if let Err(error) = result {
            self.fail(CloseReason::Failed(error));
        }
        &data[count..]
    }

    fn flush_buffer(&mut self, stream: &mut StreamIo<'_>) {
        let buffers = self.buffers_mut();
        let (count, result) = buffers.write_buffer.flush(stream);
        if count > 0 {
            buffers.send_queue = None;
        }
        if buffers.write_buffer.is_empty() {
            stream.get_ref().note_owed(false);
        }
        self.count_buffered(stream);
        if let Err(error) = result {
            self.fail(CloseReason::Failed(error));
        }
    }

    /// Begins to watch whether the peer reads: the kernel's send queue has this size.
    pub(super) fn begin_progress(&mut self, send_queue: usize) {
        self.buffers_mut().send_queue = Some(send_queue);
    }

    /// Returns whether the peer has read since the last check. The write buffer alone does not tell:
    /// the kernel takes more of it only when a third of its own is free, which may be megabytes.
    pub(super) fn has_progressed(&mut self, send_queue: usize) -> bool {
        self.buffers_mut().send_queue.replace(send_queue).is_none_or(|before| send_queue < before)
    }

    pub(super) fn flush(&mut self, stream: &mut StreamIo<'_>) {
        self.flush_buffer(stream);
        self.is_over_high_mark &= self.unsent() > self.options().marks.low;
    }

    pub(super) fn close(&mut self) {
        if self.is_open() {
            self.state = State::Closing { is_timed: false };
        }
    }

    /// A failure that came before an abort stays the reason.
    pub(super) fn abort(&mut self) {
        if !matches!(self.state, State::Ended(_)) {
            self.end(CloseReason::Aborted);
        }
    }

    pub(super) fn fail(&mut self, reason: CloseReason) {
        match self.state {
            State::Ended(_) => {}
            // All output was delivered: a reset by the peer is no failure any more.
            State::Lingering { .. } => self.has_peer_ended = true,
            State::Open | State::Closing { .. } => self.end(reason),
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.buffers = None;
        self.state = State::Ended(reason);
    }
}
