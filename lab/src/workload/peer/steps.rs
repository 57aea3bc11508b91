//! What a handler does for an event, for the libraries that call handlers.

use std::io;

use crate::workload::pipes::Link;
use crate::workload::raw::byte::{read_byte, write_byte};
use crate::workload::xorshift::Xorshift;

/// The events that are left, and what is done for each.
pub(crate) struct Steps<'a> {
    links: &'a [Link<'a>],
    /// Whether a byte is written to the next pipe, or to a random one.
    ring: bool,
    left: u64,
    random: Xorshift,
    error: Option<io::Error>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(links: &'a [Link<'a>]) -> Self {
        Steps { links, ring: true, left: 0, random: Xorshift::default(), error: None }
    }

    /// Begins a ring of so many events.
    pub(crate) fn begin_ring(&mut self, events: u64) {
        *self = Steps { ring: true, left: events, ..Steps::new(self.links) };
    }

    /// Begins a watch of so many events, and makes the first descriptor ready.
    pub(crate) fn begin_watch(&mut self, events: u64) -> io::Result<()> {
        *self = Steps { ring: false, left: events, ..Steps::new(self.links) };
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        write_byte(self.links[self.random.below(self.links.len())].to)
    }

    /// Handles an event. Returns whether more are wanted.
    #[inline]
    pub(crate) fn ready(&mut self, index: usize) -> bool {
        if self.left == 0 {
            return false; // the last wait can report more events than are left
        }
        self.left -= 1;
        let link = &self.links[index];
        let result = match self.ring {
            true => link.pass(),
            false => read_byte(link.from).and_then(|()| match self.left {
                0 => Ok(()),
                _ => self.send(),
            }),
        };
        if let Err(error) = result {
            (self.error, self.left) = (Some(error), 0);
        }
        self.left > 0
    }

    /// Returns whether more events are wanted. libevent and libuv are stopped by their callbacks.
    #[cfg(feature = "peers")]
    pub(crate) fn are_left(&self) -> bool {
        self.left > 0
    }

    /// Returns the first error of a handler.
    ///
    /// # Errors
    ///
    /// That error, or `Other` if the loop ended before the last event.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None if self.left > 0 => Err(io::Error::other("the loop ended before the last event")),
            None => Ok(()),
        }
    }
}
