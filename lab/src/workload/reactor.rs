//! `tripoll::reactor`, used as its documentation says: a handler for each pipe, called in turns.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Trigger};

use super::driver::Driver;
use super::helper::Sender;
use super::raw::byte::{read_byte, write_byte};
use super::xorshift::Xorshift;

/// Drives a reactor. Its sources share the ends of the pipes with the other layers.
pub(super) struct ReactorDriver {
    reactor: Reactor<State>,
    readers: Vec<Arc<OwnedFd>>,
    writers: Vec<Arc<OwnedFd>>,
    step: usize,
}

/// The state that the handlers share.
struct State {
    /// The number of events that are left.
    left: u64,
    /// Whether an event passes its byte on, and does nothing else.
    only_passes: bool,
    /// How often each event changes the interest of its source. `None`: it only reads its byte.
    changes: Option<u8>,
    /// The first error of a handler. The reactor would survive it; the workload must fail.
    error: Option<io::Error>,
}

impl State {
    fn new(left: u64, changes: Option<u8>) -> Self {
        State { left, only_passes: changes == Some(0), changes, error: None }
    }

    #[cold]
    fn fail(&mut self, error: io::Error) {
        (self.error, self.left) = (Some(error), 0);
    }
}

impl ReactorDriver {
    pub(super) fn new(
        backend: Backend,
        trigger: Trigger,
        (readers, writers): (&[Arc<OwnedFd>], &[Arc<OwnedFd>]),
        step: usize,
        active: usize,
    ) -> io::Result<Self> {
        let builder = Reactor::builder().backend(backend).trigger(trigger).events_capacity(active);
        let reactor = builder.build_with(State::new(0, None))?;
        Ok(ReactorDriver { reactor, readers: readers.to_vec(), writers: writers.to_vec(), step })
    }
}

/// Handles one event: reads a byte, and in the ring writes it to `to`. Where no interest changes, this
/// costs an event nothing, as with the other layers.
///
/// The handler returns [`Next::Done`] without a second read, as the other layers do: a pipe never
/// holds more than its byte.
fn handler(
    to: Arc<OwnedFd>,
) -> impl FnMut(&mut Source<'_, Arc<OwnedFd>>, &mut Context<'_, State>) -> io::Result<Next> {
    move |from, cx| {
        if cx.state.left == 0 {
            return Ok(Next::Done); // the last wait can report more events than are left
        }
        cx.state.left -= 1;
        let result = match from.try_io(Interest::READ, |from| read_byte(from.as_fd())) {
            Ok(()) if cx.state.only_passes => write_byte(to.as_fd()),
            Ok(()) => cx.state.changes.map_or(Ok(()), |changes| {
                (0..changes).for_each(|_| from.set_interest(from.interest() ^ Interest::PRIORITY));
                write_byte(to.as_fd())
            }),
            error => error,
        };
        result.unwrap_or_else(|error| cx.state.fail(error));
        Ok(Next::Done)
    }
}

impl Driver for ReactorDriver {
    fn register(&mut self) -> io::Result<()> {
        let ReactorDriver { reactor, readers, writers, step } = self;
        for (index, reader) in readers.iter().enumerate() {
            let to = &writers[(index + *step) % writers.len()];
            reactor.context().add(Arc::clone(reader), Interest::READ, handler(Arc::clone(to)))?;
        }
        Ok(())
    }

    fn ring(&mut self, writes: u64, changes: u8) -> io::Result<()> {
        *self.reactor.state_mut() = State::new(writes, Some(changes));
        while self.reactor.state().left > 0 {
            self.reactor.turn(Deadline::Never)?;
        }
        self.reactor.state_mut().error.take().map_or(Ok(()), Err)
    }

    fn watch(&mut self, operations: u64, sender: &Sender) -> io::Result<()> {
        *self.reactor.state_mut() = State::new(operations, None);
        let mut random = Xorshift::default();
        while self.reactor.state().left > 0 {
            let index = random.below(self.writers.len());
            sender.send(index, self.writers[index].as_fd())?;
            let after = self.reactor.state().left - 1;
            // A turn may return without an event.
            while self.reactor.state().left > after {
                self.reactor.turn(Deadline::Never)?;
            }
        }
        self.reactor.state_mut().error.take().map_or(Ok(()), Err)
    }
}
