//! The two loops, and the trait that a layer implements to be driven by them.

use std::io;

use super::pipes::{Link, read_byte, write_byte};
use super::xorshift::Xorshift;

/// Runs the workloads with one way of waiting.
pub(super) trait Driver {
    /// Registers all pipes.
    fn register(&mut self) -> io::Result<()>;
    /// Runs [`Workload::Ring`](super::Workload::Ring).
    fn ring(&mut self, writes: u64) -> io::Result<()>;
    /// Runs [`Workload::Watch`](super::Workload::Watch).
    fn watch(&mut self, operations: u64) -> io::Result<()>;
}

/// A way of waiting, which [`WaiterDriver`] drives through the workloads.
pub(super) trait Waiter {
    /// Registers `link.from`, whose events are reported by `index`.
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()>;

    /// Waits once, and calls `on_ready` with the index of each ready descriptor.
    fn turn(&mut self, on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()>;
}

/// The two loops, compiled for each waiter, so that a wait is not a virtual call.
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
                    return Ok(()); // the last wait can report more events than are left
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
