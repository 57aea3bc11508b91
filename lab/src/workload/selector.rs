//! `tripoll::selector`, used as its documentation says.

use std::io;
use std::os::fd::AsRawFd;

use tripoll::{Deadline, Events, Interest, Selector, Token, Trigger};

use super::driver::Waiter;
use super::pipes::Link;

pub(super) struct SelectorWaiter {
    selector: Box<dyn Selector>,
    events: Events,
    trigger: Trigger,
}

impl SelectorWaiter {
    pub(super) fn new(selector: Box<dyn Selector>, trigger: Trigger, active: usize) -> Self {
        SelectorWaiter { selector, events: Events::with_capacity(active), trigger }
    }
}

impl Waiter for SelectorWaiter {
    fn add(&mut self, index: usize, link: &Link<'_>) -> io::Result<()> {
        let token = Token::new(index as u32, 0);
        self.selector.add(link.from.as_raw_fd(), token, Interest::READ, self.trigger)
    }

    fn change(&mut self, _: usize, link: &Link<'_>, urgent: bool) -> io::Result<()> {
        let interest = Interest::READ | if urgent { Interest::PRIORITY } else { Interest::empty() };
        self.selector.set(link.from.as_raw_fd(), interest)
    }

    #[inline]
    fn turn(&mut self, mut on_ready: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
        self.selector.wait(&mut self.events, Deadline::Never)?;
        for event in &self.events {
            on_ready(event.token().index() as usize)?;
        }
        Ok(())
    }
}
