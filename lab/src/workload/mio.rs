//! The mio crate itself, used as its documentation says.

use std::io;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::driver::Waiter;
use super::pipes::Link;

pub(super) struct MioWaiter {
    poll: Poll,
    events: Events,
}

impl MioWaiter {
    pub(super) fn new(active: usize) -> io::Result<Self> {
        Ok(MioWaiter { poll: Poll::new()?, events: Events::with_capacity(active) })
    }
}

impl Waiter for MioWaiter {
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()> {
        let fd = link.from.as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE)
    }

    fn change(&mut self, index: usize, link: &Link<'_>, urgent: bool) -> io::Result<()> {
        let fd = link.from.as_raw_fd();
        let interest = Interest::READABLE;
        let interest = if urgent { interest | Interest::PRIORITY } else { interest };
        self.poll.registry().reregister(&mut SourceFd(&fd), Token(index), interest)
    }

    #[inline]
    fn turn(&mut self, mut on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            on_ready(event.token().0)?;
        }
        Ok(())
    }
}
