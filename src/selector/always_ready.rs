//! Regular files, for the backends whose kernel call refuses them.

use std::os::fd::RawFd;

use super::event::{Event, Events, Interest, Readiness, Token, Trigger};

/// A regular file or directory is always ready, say `select` and `poll`. epoll says EPERM instead,
/// and a program whose standard input is a file works on two backends and fails on the third. So
/// such descriptors are kept here, and told by each wait, which then does not sleep.
///
/// An edge-triggered or one-shot file is told once for each time that it is added or set.
#[derive(Debug, Default)]
pub(super) struct AlwaysReady {
    pending: Vec<AlwaysReadyFile>,
}

#[derive(Debug)]
struct AlwaysReadyFile {
    fd: RawFd,
    token: Token,
    readiness: Readiness,
    trigger: Trigger,
}

impl AlwaysReady {
    /// Enters a file that is not in here.
    pub(super) fn add(&mut self, fd: RawFd, token: Token, interest: Interest, trigger: Trigger) {
        let readiness = readiness(interest);
        if !readiness.is_empty() {
            self.pending.push(AlwaysReadyFile { fd, token, readiness, trigger });
        }
    }

    pub(super) fn remove(&mut self, fd: RawFd) {
        self.pending.retain(|file| file.fd != fd);
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn report(&mut self, events: &mut Events) {
        self.pending.retain(|file| {
            events.push(Event::new(file.token, file.readiness));
            file.trigger == Trigger::Level
        });
    }
}

/// All that was asked, but for urgent data, which a file never has.
fn readiness(interest: Interest) -> Readiness {
    let mut readiness = Readiness::empty();
    readiness.set(Readiness::READ, interest.contains(Interest::READ));
    readiness.set(Readiness::WRITE, interest.contains(Interest::WRITE));
    readiness
}
