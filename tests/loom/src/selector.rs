//! A selector whose only events are those of the reactor's waker.

use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex};

use tripoll::selector::{Caps, Events, Readiness};
use tripoll::sys::{is_event_fd_readable, wait_for_event_fd};
use tripoll::{Deadline, Event, Interest, Selector, Token, Trigger};

/// Waits for the reactor's event counter. A deadline has come as soon as the wait begins, and no timer
/// fires. A copy watches the same counter.
#[derive(Debug, Clone, Default)]
pub struct ModelSelector {
    waker: Arc<Mutex<Option<(RawFd, Token)>>>,
}

impl ModelSelector {
    fn waker(&self) -> (RawFd, Token) {
        self.waker.lock().unwrap().expect("the reactor has added its waker")
    }

    /// Blocks until the waker is readable, as another loop does that polls the reactor.
    pub fn poll(&self) {
        let (fd, _) = self.waker();
        while is_event_fd_readable(fd) == Some(false) {
            wait_for_event_fd(fd);
        }
    }
}

impl Selector for ModelSelector {
    fn name(&self) -> &'static str {
        "model"
    }

    fn caps(&self) -> Caps {
        Caps::new(&[Trigger::Level], Readiness::READ)
    }

    fn add(&mut self, fd: RawFd, token: Token, _: Interest, _: Trigger) -> io::Result<()> {
        if is_event_fd_readable(fd).is_some() {
            *self.waker.lock().unwrap() = Some((fd, token));
        }
        Ok(())
    }

    fn set(&mut self, _: RawFd, _: Interest) -> io::Result<()> {
        unreachable!("there are no sources")
    }

    fn remove(&mut self, _: RawFd) -> io::Result<()> {
        unreachable!("there are no sources")
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        events.clear();
        let (fd, token) = self.waker();
        if deadline == Deadline::Never {
            self.poll();
        }
        if is_event_fd_readable(fd) == Some(true) {
            events.push(Event::new(token, Readiness::READ));
        }
        Ok(())
    }
}
