//! Sources that wait aside, because the kernel reports a condition that their handlers cannot end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use crate::selector::{Interest, Token};
use crate::sys::{Epoll, EpollEvent, EpollFlags};

/// The parked sources: an edge-triggered epoll of their own.
///
/// A level-triggered selector reports an error that is pending, in the error queue of a socket for
/// example, in each wait. A handler that looks only for data finds `WouldBlock` each time, and the
/// loop would spin. Such a source is *parked*: the selector no longer watches it, and this epoll
/// reports the next change. Then the selector watches it again.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// Created when the first source is parked.
    epoll: Option<Epoll>,
    events: Vec<EpollEvent>,
}

impl Parking {
    /// Returns the descriptor that is readable when a parked source has changed, after creating it if
    /// there is none yet. The flag tells whether it is new.
    pub(super) fn open(&mut self) -> io::Result<(BorrowedFd<'_>, bool)> {
        let is_new = self.epoll.is_none();
        if is_new {
            self.epoll = Some(Epoll::new()?);
            self.events.reserve(64);
        }
        let epoll = self.epoll.as_ref().expect("it was just created");
        Ok((epoll.as_fd(), is_new))
    }

    /// Parks a source that waits for `interest`.
    pub(super) fn add(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let mut flags = EpollFlags::ET;
        flags.set(EpollFlags::IN | EpollFlags::RDHUP, interest.contains(Interest::READ));
        flags.set(EpollFlags::OUT, interest.contains(Interest::WRITE));
        flags.set(EpollFlags::PRI, interest.contains(Interest::PRIORITY));
        match &self.epoll {
            Some(epoll) => epoll.add(fd, flags, token.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Ends the parking of a source.
    pub(super) fn remove(&self, fd: RawFd) {
        if let Some(epoll) = &self.epoll {
            let _ = epoll.delete(fd); // closed behind our back, it has left by itself
        }
    }

    /// Appends the sources that have changed, with what is the case. It does not block.
    pub(super) fn take_changed(&mut self, changed: &mut Vec<(Token, EpollFlags)>) {
        let Parking { epoll: Some(epoll), events } = self else { return };
        // A failure is no loss: the descriptor stays readable.
        if epoll.wait(events, Some(std::time::Duration::ZERO)).is_ok() {
            changed.extend(events.iter().map(|event| (Token::from(event.data()), event.flags())));
        }
    }
}
