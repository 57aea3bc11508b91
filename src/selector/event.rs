//! Tokens, interests, readiness, triggers and events.

use super::unknown_name::UnknownName;
use std::fmt;

use crate::sys::{EpollEvent, EpollFlags};

/// Identifies an added descriptor in each of its events.
///
/// To a selector it is an opaque number of your choice. A token of an index and the *generation* of
/// that index reveals stale events: the descriptor was closed, and another one has its index now.
///
/// ```
/// use tripoll::selector::Token;
///
/// let token = Token::new(7, 3);
/// assert_eq!((token.index(), token.generation()), (7, 3));
/// assert_ne!(token, Token::new(7, 4)); // the same index, a later generation
/// assert_eq!(u64::from(Token::from(42)), 42); // or a plain number
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

impl Token {
    /// Returns the token of an index and a generation.
    #[inline]
    pub const fn new(index: u32, generation: u32) -> Self {
        Token((generation as u64) << 32 | index as u64)
    }

    /// Returns the index.
    #[inline]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// Returns the generation.
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl From<u64> for Token {
    #[inline]
    fn from(number: u64) -> Self {
        Token(number)
    }
}

impl From<Token> for u64 {
    #[inline]
    fn from(token: Token) -> Self {
        token.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}v{})", self.index(), self.generation())
    }
}

bitflags::bitflags! {
    /// What the user wants reported of a descriptor.
    ///
    /// With [`Interest::NONE`] nothing is reported, not even an error or a hang-up. The bits are
    /// those of the [`Readiness`] that they correspond to.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Interest: u8 {
        /// A read would not block: data, a connection to accept, or the end of the stream.
        const READ = 1;
        /// A write would not block: *some* bytes fit.
        const WRITE = 4;
        /// Urgent ("out-of-band") data has arrived.
        const PRIORITY = 2;
        /// A hang-up or an error, which every other interest includes. Alone it reports nothing else:
        /// for a stream that is not read for a while. [`Caps::reports_hangup_alone`] tells which
        /// selectors can; with the others it is as [`Interest::NONE`].
        ///
        /// [`Caps::reports_hangup_alone`]: super::Caps::reports_hangup_alone
        const HANGUP = 16;
    }
}

impl Interest {
    /// No interest: the descriptor stays added, but the kernel does not watch it.
    pub const NONE: Interest = Interest::empty();
}

bitflags::bitflags! {
    /// The state of a descriptor as the kernel reports it.
    ///
    /// The bits are epoll's. Not every call can report all of them: see
    /// [`Caps::reports`](super::Caps::reports). [`Event::is_readable`] and [`Event::is_writable`]
    /// are the same on every backend.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Readiness: u32 {
        /// Data, or a connection to accept. From `select` also: the end, or an error.
        const READ = EpollFlags::IN.bits();
        /// Some bytes fit. From `select` also: an error.
        const WRITE = EpollFlags::OUT.bits();
        /// Urgent data.
        const PRIORITY = EpollFlags::PRI.bits();
        /// The peer has finished its direction (`RDHUP`); data may still wait to be read.
        const READ_CLOSED = EpollFlags::RDHUP.bits();
        /// Both directions are finished, or the writing end of this pipe is gone (`HUP`); data may
        /// still wait to be read.
        const HANGUP = EpollFlags::HUP.bits();
        /// An error is pending, or the reading end of this pipe is gone (`ERR`).
        const ERROR = EpollFlags::ERR.bits();
        /// The descriptor is not open (`NVAL`).
        const INVALID = crate::sys::PollFlags::NVAL.bits() as u32;
    }
}

/// When a selector reports an event: as long as a descriptor is ready, when it becomes ready, or once.
///
/// [`Caps::triggers`](super::Caps::triggers) lists those that a selector supports.
///
/// ```
/// use tripoll::{Backend, Reactor, Trigger};
///
/// let trigger: Trigger = "edge".parse()?; // from a command line, for example
/// let mut reactor = Reactor::builder().backend(Backend::Epoll).trigger(trigger).build()?;
/// assert_eq!(reactor.context().effective_trigger(), Trigger::Edge);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trigger {
    /// Each wait reports the descriptor as long as it is ready.
    #[default]
    Level,
    /// A wait reports the descriptor when something new has arrived. A reader that stops before
    /// `WouldBlock` may never get a report of the rest.
    Edge,
    /// A wait reports the descriptor once, and not again until [`set`](super::Selector::set) arms it.
    OneShot,
}

impl Trigger {
    /// All triggers.
    pub const ALL: &'static [Trigger] = &[Trigger::Level, Trigger::Edge, Trigger::OneShot];

    /// Returns the name, as it is parsed.
    pub const fn name(self) -> &'static str {
        match self {
            Trigger::Level => "level",
            Trigger::Edge => "edge",
            Trigger::OneShot => "oneshot",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Trigger {
    type Err = UnknownName;

    /// Parses `"level"`, `"edge"` or `"oneshot"`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        UnknownName::find("trigger", name, Trigger::ALL)
    }
}

/// A ready descriptor, with all its readiness.
///
/// It is the kernel's own structure: epoll's events need no copy.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(EpollEvent);

impl Event {
    /// Returns an event: for implementations of a selector.
    #[inline]
    pub const fn new(token: Token, readiness: Readiness) -> Self {
        Event(EpollEvent::new(EpollFlags::from_bits_retain(readiness.bits()), token.0))
    }

    /// Returns the token of the descriptor.
    #[inline]
    pub const fn token(&self) -> Token {
        Token(self.0.data())
    }

    /// Returns the readiness. It may exceed the interest: hang-ups and errors are always reported,
    /// where the call can.
    #[inline]
    pub const fn readiness(&self) -> Readiness {
        Readiness::from_bits_retain(self.0.flags().bits())
    }

    /// Returns whether a read would return at once: with data, with the end, or with an error.
    #[inline]
    pub const fn is_readable(&self) -> bool {
        const READABLE: Readiness = Readiness::READ
            .union(Readiness::READ_CLOSED)
            .union(Readiness::HANGUP)
            .union(Readiness::ERROR)
            .union(Readiness::INVALID);
        self.readiness().intersects(READABLE)
    }

    /// Returns whether a write would return at once: with some bytes taken, or with an error.
    #[inline]
    pub const fn is_writable(&self) -> bool {
        const WRITABLE: Readiness = Readiness::WRITE
            .union(Readiness::HANGUP)
            .union(Readiness::ERROR)
            .union(Readiness::INVALID);
        self.readiness().intersects(WRITABLE)
    }

    /// Returns whether urgent data has arrived.
    #[inline]
    pub const fn is_priority(&self) -> bool {
        self.readiness().contains(Readiness::PRIORITY)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("token", &self.token())
            .field("readiness", &self.readiness())
            .finish()
    }
}

/// The events of one wait, at most one per descriptor. Reuse it for each wait.
#[derive(Debug)]
pub struct Events {
    pub(super) list: Vec<EpollEvent>,
}

impl Events {
    /// The capacity to which [`EpollSelector`](super::EpollSelector) grows a buffer.
    pub(super) const GROWS_TO: usize = 4_096;

    /// The largest initial capacity. It is the kernel's usual limit of descriptors.
    const LARGEST: usize = 1 << 20;

    /// Returns an empty buffer with capacity for 64 events.
    pub fn new() -> Self {
        Events::with_capacity(64)
    }

    /// Returns an empty buffer with capacity for `capacity` events, at least one and at most 1,048,576.
    ///
    /// The capacity is no limit. `select` and `poll` report all ready descriptors. epoll reports as
    /// many as fit, and the others first in the next wait. A buffer that came back full is doubled, up
    /// to 4,096 events. So a small buffer starves no descriptor.
    pub fn with_capacity(capacity: usize) -> Self {
        Events { list: Vec::with_capacity(capacity.clamp(1, Events::LARGEST)) }
    }

    /// Returns the capacity.
    pub fn capacity(&self) -> usize {
        self.list.capacity()
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether there are no events: the deadline of the wait has come.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the event at `index` in two parts, which stay in registers.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> Option<(Token, Readiness)> {
        let event = self.list.get(index)?;
        Some((Token(event.data()), Readiness::from_bits_retain(event.flags().bits())))
    }

    /// Returns the events, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.list.iter().copied().map(Event)
    }

    /// Removes all events.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Doubles the capacity if the buffer is full: more descriptors may be ready.
    #[inline]
    pub(super) fn grow_if_full(&mut self) {
        if self.list.len() == self.list.capacity() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        if self.list.len() < Events::GROWS_TO {
            self.list.reserve(self.list.len());
        }
    }

    /// Adds an event: for implementations of a selector.
    pub fn push(&mut self, event: Event) {
        self.list.push(event.0);
    }
}

impl Default for Events {
    fn default() -> Self {
        Events::new()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = std::iter::Map<
        std::iter::Copied<std::slice::Iter<'a, EpollEvent>>,
        fn(EpollEvent) -> Event,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter().copied().map(Event)
    }
}
