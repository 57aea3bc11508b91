//! What the table of sources has registered with the selector: changes, what was refused, what is
//! parked, and the move to another selector.

use std::io;
use std::os::fd::AsRawFd;

use super::Registry;
use crate::reactor::mode::Mode;
use crate::reactor::parking::Parking;
use crate::reactor::source_entry::Status;
use crate::reactor::turn_state::PARKING;
use crate::selector::{Interest, Selector, Token};
use crate::sys::{self, EpollFlags};

impl Registry {
    /// Registers the effective interest of each changed source with the selector: once for each
    /// source, and not at all for a change that was undone. Calls `applied` for each registration,
    /// and `failed` for each that failed. One that failed for a shortage is [refused](Self::retry).
    pub(in crate::reactor) fn apply(
        &mut self,
        mut applied: impl FnMut(Token, Interest),
        mut failed: impl FnMut(Token, io::Error),
    ) {
        for (token, error) in std::mem::take(&mut self.not_parked) {
            if self.put_off(token) {
                failed(token, error);
            }
        }
        while let Some(token) = self.changed.pop() {
            let Some(entry) = self.entries.get_mut(token) else { continue };
            if !entry.status.replace(Status::CHANGED, false) {
                continue;
            }
            if entry.status.replace(Status::PARKED, false) {
                self.parking.remove(entry.fd);
            }
            let registered = self.mode.registered(entry.effective, entry.kind);
            if registered != entry.settings.registered {
                self.applied += 1;
                match self.selector.set(entry.fd, registered) {
                    Ok(()) => {
                        entry.settings.registered = registered;
                        applied(token, registered);
                    }
                    Err(error) => {
                        entry.settings.registered = Interest::NONE; // the contract of `Selector::set`
                        if sys::is_shortage(&error) && !entry.status.replace(Status::REFUSED, true)
                        {
                            self.refused.push(token);
                        }
                        failed(token, error);
                    }
                }
            }
        }
    }

    /// Takes the interest of a source that cannot be parked out of the selector, as if it were refused.
    /// Returns false if the source was removed.
    #[cold]
    fn put_off(&mut self, token: Token) -> bool {
        let Some(entry) = self.get(token) else { return false };
        entry.status.remove(Status::CHANGED);
        entry.settings.registered = Interest::NONE;
        let (fd, was_refused) = (entry.fd, entry.status.replace(Status::REFUSED, true));
        if !was_refused {
            self.refused.push(token);
        }
        let _ = self.selector.set(fd, Interest::NONE); // to take away needs no room
        true
    }

    /// Makes each source whose interest was refused a changed one, so that it is tried again.
    pub(in crate::reactor) fn retry(&mut self) {
        for token in std::mem::take(&mut self.refused) {
            if let Some(entry) = self.get(token) {
                entry.status.remove(Status::REFUSED);
                self.register_again(token);
            }
        }
    }

    /// Makes a source a changed one, although its effective interest is the same.
    fn register_again(&mut self, token: Token) {
        let Some(entry) = self.get(token) else { return };
        if !entry.status.replace(Status::CHANGED, true) {
            self.changed.push(token);
        }
    }

    /// Returns whether the interest of a source was refused, and has not been tried again.
    pub(in crate::reactor) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Parks a source whose handler found nothing to do, unless it is ready again. If the kernel has no
    /// room for that, the source would be reported in each wait. It is put off then, and tried again after
    /// a pause.
    #[cold]
    pub(super) fn park(&mut self, token: Token) {
        let Some(entry) = self.entries.get_mut(token) else { return };
        let wants_nothing = entry.settings.registered.is_empty() || entry.effective.is_empty();
        let is_aside = entry.status.intersects(Status::CHANGED | Status::PARKED);
        if wants_nothing || entry.is_ready() || is_aside {
            return;
        }
        if let Err(error) = self.move_aside(token) {
            if sys::is_shortage(&error) {
                let error =
                    sys::with_context("its error stays, and there is no room to park it", error);
                self.not_parked.push((token, error));
                self.register_again(token);
            }
            return;
        }
        let Some(entry) = self.entries.get_mut(token) else { return };
        entry.status |= Status::PARKED;
        entry.settings.registered = Interest::NONE;
        self.parked += 1;
        if self.selector.set(entry.fd, Interest::NONE).is_err() {
            self.register_again(token);
        }
        // What is the case already is reported first. It is news only if the source is ready: the
        // handler may have been too early.
        self.unpark(|changed, flags| {
            changed != token || flags.intersects(EpollFlags::IN | EpollFlags::OUT | EpollFlags::PRI)
        });
    }

    /// Adds a source to the epoll of the parked ones, which is opened for the first.
    fn move_aside(&mut self, token: Token) -> io::Result<()> {
        let (own, is_new) = self.parking.open()?;
        if is_new {
            let own = own.as_raw_fd();
            if let Err(error) = self.selector.add(own, PARKING, Interest::READ, self.mode.trigger) {
                self.parking = Parking::default();
                return Err(error);
            }
            self.own.push((own, PARKING));
        }
        let entry = self.entries.get(token).ok_or(io::ErrorKind::NotFound)?;
        self.parking.add(entry.fd, token, entry.effective)
    }

    /// Registers the parked sources that have changed with the selector again.
    pub(in crate::reactor) fn unpark_changed(&mut self) {
        self.unpark(|_, _| true);
    }

    fn unpark(&mut self, is_news: impl Fn(Token, EpollFlags) -> bool) {
        let mut changed = Vec::new();
        self.parking.take_changed(&mut changed);
        for (token, flags) in changed {
            if is_news(token, flags) {
                self.register_again(token);
            }
        }
    }

    /// Moves all sources to a new selector in a forked child. What the parent has in the kernel is not
    /// touched.
    pub(in crate::reactor) fn reinit(&mut self, selector: Box<dyn Selector>) -> io::Result<()> {
        self.parking = Parking::default();
        self.own.retain(|&(_, token)| token != PARKING);
        self.switch_to(selector)?;
        self.forks = sys::forks();
        self.blocking_files.forget();
        Ok(())
    }

    /// Moves all sources to another selector. If that fails for one of them, nothing has changed.
    pub(in crate::reactor) fn switch_to(
        &mut self,
        mut selector: Box<dyn Selector>,
    ) -> io::Result<()> {
        let mode = Mode::of(&*selector, self.trigger)?;
        for &(fd, token) in &self.own {
            selector.add(fd, token, Interest::READ, mode.trigger)?;
        }
        for (token, entry) in self.entries.iter() {
            let kind = mode.kind(entry.fd, entry.known());
            let registered = mode.registered(entry.effective, kind);
            selector.add(entry.fd, token, registered, mode.trigger)?;
        }
        for entry in self.entries.iter_mut() {
            entry.kind = mode.kind(entry.fd, entry.known());
            entry.settings.registered = mode.registered(entry.effective, entry.kind);
            entry.settings.flags = mode.flags(entry.kind);
            entry.status.remove(Status::REFUSED);
            if entry.status.replace(Status::PARKED, false) {
                self.parking.remove(entry.fd);
            }
        }
        self.refused.clear();
        self.not_parked.clear();
        self.saved = self.controls_saved();
        (self.changes, self.applied) = (0, 0);
        self.past = self.selector_counters();
        self.selector = selector;
        self.mode = mode;
        Ok(())
    }
}
