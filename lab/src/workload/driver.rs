//! The two loops, and the trait that a layer implements to be driven by them.

use std::io;

use super::helper::Sender;
use super::pipes::Link;
use super::raw::byte::read_byte;
use super::xorshift::Xorshift;

/// Runs the workloads with one way of waiting.
pub(super) trait Driver {
    /// Registers all pipes.
    fn register(&mut self) -> io::Result<()>;
    /// Runs [`Workload::Ring`](super::Workload::Ring).
    ///
    /// In each event, the interest of its descriptor changes `changes` times.
    fn ring(&mut self, writes: u64, changes: u8) -> io::Result<()>;
    /// Runs [`Workload::Watch`](super::Workload::Watch) or [`Workload::Sleep`](super::Workload::Sleep).
    fn watch(&mut self, operations: u64, sender: &Sender) -> io::Result<()>;
}

/// A way of waiting, which [`WaiterDriver`] drives through the workloads.
pub(super) trait Waiter {
    /// Registers `link.from`, whose events are reported by `index`.
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()>;

    /// Changes the interest of `link.from`: in input alone, or in urgent data as well. None comes, so
    /// that a change has no other effect.
    fn change(&mut self, index: usize, link: &Link<'_>, urgent: bool) -> io::Result<()>;

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

    fn ring(&mut self, writes: u64, changes: u8) -> io::Result<()> {
        if changes > 0 {
            return self.changing_ring(writes, changes);
        }
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

    fn watch(&mut self, operations: u64, sender: &Sender) -> io::Result<()> {
        let WaiterDriver { waiter, links } = self;
        let mut random = Xorshift::default();
        let mut left = operations;
        while left > 0 {
            let index = random.below(links.len());
            sender.send(index, links[index].to)?;
            let after = left - 1;
            while left > after {
                waiter.turn(|index| {
                    left -= 1;
                    read_byte(links[index].from)
                })?;
            }
        }
        Ok(())
    }
}

impl<W: Waiter> WaiterDriver<'_, W> {
    /// Runs the ring, and changes the interest of each ready descriptor.
    fn changing_ring(&mut self, writes: u64, changes: u8) -> io::Result<()> {
        let WaiterDriver { waiter, links } = self;
        let mut urgent = vec![false; links.len()];
        let mut ready = Vec::with_capacity(links.len());
        let mut left = writes;
        while left > 0 {
            waiter.turn(|index| {
                ready.push(index);
                Ok(())
            })?;
            for index in ready.drain(..) {
                if left == 0 {
                    break; // the last wait can report more events than are left
                }
                left -= 1;
                links[index].pass()?;
                for _ in 0..changes {
                    urgent[index] = !urgent[index];
                    waiter.change(index, &links[index], urgent[index])?;
                }
            }
        }
        Ok(())
    }
}
