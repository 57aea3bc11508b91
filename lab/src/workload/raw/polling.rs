//! The crate `polling`, used as its documentation says. To register a descriptor is unsafe there.

use std::io;
use std::os::fd::AsRawFd;

use polling::{Event, Events, PollMode, Poller};

use crate::workload::driver::Waiter;
use crate::workload::pipes::Link;

pub(crate) struct PollingWaiter {
    poller: Poller,
    events: Events,
}

impl PollingWaiter {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(PollingWaiter { poller: Poller::new()?, events: Events::new() })
    }
}

impl Waiter for PollingWaiter {
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()> {
        let (fd, event) = (link.from.as_raw_fd(), Event::readable(index));
        // SAFETY: the pipes outlive the driver, and with it the poller.
        unsafe { self.poller.add_with_mode(fd, event, PollMode::Level) }
    }

    fn change(&mut self, _: usize, _: &Link<'_>, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[inline]
    fn turn(&mut self, mut on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
        self.events.clear();
        self.poller.wait(&mut self.events, None)?;
        self.events.iter().try_for_each(|event| on_ready(event.key))
    }
}
