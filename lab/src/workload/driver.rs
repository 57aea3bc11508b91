//! The two loops, and what a layer has to bring to be driven by them.

use std::io;

use super::pipes::{Link, read_byte, write_byte};
use super::xorshift::Xorshift;

/// Somebody with a way of waiting, ready to be driven through a workload.
pub(super) trait Driver {
    /// Watches all pipes.
    fn register(&mut self) -> io::Result<()>;
    /// See [`Workload::Ring`].
    fn ring(&mut self, writes: u64) -> io::Result<()>;
    /// See [`Workload::Watch`].
    fn watch(&mut self, operations: u64) -> io::Result<()>;
}

/// A way of waiting: all that a layer has to bring to be driven by [`WaiterDriver`].
pub(super) trait Waiter {
    /// Watches `links[index].from`, whose events are to be told by `index`.
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()>;

    /// Waits once, and tells the index of each that is ready.
    fn turn(&mut self, on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()>;
}

/// The two loops, compiled anew for each waiter, so that nothing stands between them.
pub(super) struct WaiterDriver<'a, W> {
    pub(super) waiter: W,
    pub(super) links: &'a [Link<'a>],
}

impl<W: Waiter> Driver for WaiterDriver<'_, W> {
    fn register(&mut self) -> io::Result<()> {
        let WaiterDriver { waiter, links } = self;
        links.iter().enumerate().try_for_each(|(index, link)| waiter.add(index, link))
    }

    fn ring(&mut self, writes: u64) -> io::Result<()> {
        let WaiterDriver { waiter, links } = self;
        let mut left = writes;
        while left > 0 {
            waiter.turn(|index| {
                if left == 0 {
                    return Ok(()); // the last batch has more than were asked for
                }
                left -= 1;
                links[index].pass()
            })?;
        }
        Ok(())
    }

    fn watch(&mut self, operations: u64) -> io::Result<()> {
        let WaiterDriver { waiter, links } = self;
        let mut random = Xorshift::default();
        let mut left = operations;
        while left > 0 {
            write_byte(links[random.below(links.len())].to)?;
            waiter.turn(|index| {
                left -= 1;
                read_byte(links[index].from)
            })?;
        }
        Ok(())
    }
}
