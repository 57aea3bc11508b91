//! What is wanted, what is told, and to whom.

use super::unknown_name::UnknownName;
use std::fmt;

use crate::sys::{EpollEvent, EpollFlags};

/// The name under which a descriptor was added, given back with each of its events.
///
/// To a selector it is an opaque number, yours to choose. One that names both a place in a table
/// and the *generation* of that place lets an event which has come too late be recognised: the
/// descriptor it was meant for is closed, and another one sits in its place.
///
/// ```
/// use tripoll::selector::Token;
///
/// let token = Token::new(7, 3);
/// assert_eq!((token.index(), token.generation()), (7, 3));
/// assert_ne!(token, Token::new(7, 4)); // the same place, a later tenant
/// assert_eq!(u64::from(Token::from(42)), 42); // or simply a number
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

impl Token {
    /// The token of the place `index` in its `generation`-th use.
    #[inline]
    pub const fn new(index: u32, generation: u32) -> Self {
        Token((generation as u64) << 32 | index as u64)
    }

    /// The place.
    #[inline]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// Which use of the place this is.
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
    /// What one wants to be told of a descriptor.
    ///
    /// Whoever wants nothing ([`Interest::NONE`]) is told nothing, not even of an error or a
    /// hang-up. The bits are those of the [`Readiness`] that answers.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Interest: u8 {
        /// A read would not block: data, a connection to accept, or the end of the stream.
        const READ = 1;
        /// A write would not block: *some* bytes fit.
        const WRITE = 4;
        /// Urgent ("out-of-band") data has come.
        const PRIORITY = 2;
    }
}

impl Interest {
    /// Nothing: the descriptor stays added, and the kernel is not asked about it.
    pub const NONE: Interest = Interest::empty();
}

bitflags::bitflags! {
    /// What is the case with a descriptor, as raw as the kernel says it.
    ///
    /// These are epoll's own bits. Not every call can say all of them:
    /// [`Caps::reports`](super::Caps::reports) has what a selector can. What all of them agree on is
    /// what [`Event::is_readable`] and [`Event::is_writable`] answer.
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

/// How a selector is asked to tell: for as long as it is so, when it becomes so, or once.
///
/// Which of these a selector can do is in its [`Caps::triggers`](super::Caps::triggers).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trigger {
    /// Told by each wait for as long as the descriptor is ready.
    #[default]
    Level,
    /// Told when something new has come. Whoever stops before `WouldBlock` may never be told of
    /// the rest.
    Edge,
    /// Told once; then nothing until [`set`](super::Selector::set) arms it again.
    OneShot,
}

impl Trigger {
    /// All of them.
    pub const ALL: &'static [Trigger] = &[Trigger::Level, Trigger::Edge, Trigger::OneShot];

    /// Its name, as it is parsed.
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

    /// `"level"`, `"edge"`, `"oneshot"`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        UnknownName::find("trigger", name, Trigger::ALL)
    }
}

/// One descriptor that is ready, with all that is the case with it.
///
/// It is the kernel's own structure in disguise: from epoll it comes without a copy.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(EpollEvent);

impl Event {
    /// An event, for whoever writes a selector.
    #[inline]
    pub const fn new(token: Token, readiness: Readiness) -> Self {
        Event(EpollEvent::new(EpollFlags::from_bits_retain(readiness.bits()), token.0))
    }

    /// Whose it is.
    #[inline]
    pub const fn token(&self) -> Token {
        Token(self.0.data())
    }

    /// What is the case, raw. More than what was asked for: hang-ups and errors come unasked where
    /// the call can say them.
    #[inline]
    pub const fn readiness(&self) -> Readiness {
        Readiness::from_bits_retain(self.0.flags().bits())
    }

    /// Whether a read would return at once: with data, with the end, or with an error.
    #[inline]
    pub const fn is_readable(&self) -> bool {
        const READABLE: Readiness = Readiness::READ
            .union(Readiness::READ_CLOSED)
            .union(Readiness::HANGUP)
            .union(Readiness::ERROR)
            .union(Readiness::INVALID);
        self.readiness().intersects(READABLE)
    }

    /// Whether a write would return at once: with some bytes taken, or with an error.
    #[inline]
    pub const fn is_writable(&self) -> bool {
        const WRITABLE: Readiness = Readiness::WRITE
            .union(Readiness::HANGUP)
            .union(Readiness::ERROR)
            .union(Readiness::INVALID);
        self.readiness().intersects(WRITABLE)
    }

    /// Whether urgent data has come.
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

/// The events of one wait, at most one a descriptor. Made once and filled again and again.
#[derive(Debug)]
pub struct Events {
    pub(super) list: Vec<EpollEvent>,
}

impl Events {
    /// How far [`EpollSelector`](super::EpollSelector) lets a buffer grow.
    pub(super) const GROWS_TO: usize = 4_096;

    /// Room for 64 events to begin with.
    pub fn new() -> Self {
        Events::with_capacity(64)
    }

    /// Room for `capacity` events to begin with, at least one.
    ///
    /// It is a beginning, not a limit. `select` and `poll` tell everything that is ready however
    /// much that is. epoll tells as many as there is room for, the others first next time; a buffer
    /// that came back full is doubled, up to 4,096 events. So a small buffer starves nobody, and a
    /// large one is needed by nobody.
    pub fn with_capacity(capacity: usize) -> Self {
        Events { list: Vec::with_capacity(capacity.max(1)) }
    }

    /// How many events there is room for without growing.
    pub fn capacity(&self) -> usize {
        self.list.capacity()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none: the wait came to its deadline.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The event at `index`, in its two parts: they stay in registers.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> Option<(Token, Readiness)> {
        let event = self.list.get(index)?;
        Some((Token(event.data()), Readiness::from_bits_retain(event.flags().bits())))
    }

    /// The events, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.list.iter().copied().map(Event)
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Doubles the room when it was used up: there may be more.
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

    /// Adds an event, for whoever writes a selector.
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
