//! Regular files, for backends whose kernel call refuses them.

use std::os::fd::RawFd;

use super::event::{Event, Events, Interest, Readiness, Token, Trigger};

/// The descriptors that are always ready.
///
/// `select` and `poll` report a regular file or directory as always ready. epoll returns EPERM
/// instead, so that a program whose standard input is a file would work on two backends and fail on
/// the third. A selector keeps such descriptors here and reports them in each wait, which then does
/// not block.
///
/// An edge-triggered or one-shot file is reported once for each time that it is added or set.
#[derive(Debug, Default)]
pub struct AlwaysReady {
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
    /// Adds a file. It must not be in the list.
    pub fn add(&mut self, fd: RawFd, token: Token, interest: Interest, trigger: Trigger) {
        let readiness = readiness(interest);
        if !readiness.is_empty() {
            self.pending.push(AlwaysReadyFile { fd, token, readiness, trigger });
        }
    }

    /// Removes a file, if it is in the list.
    pub fn remove(&mut self, fd: RawFd) {
        self.pending.retain(|file| file.fd != fd);
    }

    /// Returns whether there is nothing to report.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Reports all files: appends their events.
    pub fn report(&mut self, events: &mut Events) {
        self.pending.retain(|file| {
            events.push(Event::new(file.token, file.readiness));
            file.trigger == Trigger::Level
        });
    }
}

/// Returns the readiness of a file: the interest without urgent data, which a file never has.
fn readiness(interest: Interest) -> Readiness {
    let mut readiness = Readiness::empty();
    readiness.set(Readiness::READ, interest.contains(Interest::READ));
    readiness.set(Readiness::WRITE, interest.contains(Interest::WRITE));
    readiness
}
