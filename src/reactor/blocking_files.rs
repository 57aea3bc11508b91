//! The files that were blocking before the reactor made them non-blocking.

use std::collections::HashMap;
use std::os::fd::RawFd;

use crate::selector::Token;
use crate::sys::{self, FileId};

/// The terminals, pipes and other files that must be made blocking again when they leave the reactor.
///
/// `O_NONBLOCK` belongs to the open file, which other processes may share: the shell whose terminal
/// this is, or the next command that reads the same pipe. So it is as it was before when the last of
/// the sources that share the open file has left.
///
/// Sockets are left out. Of several processes that share a listener, the first to end would make it
/// block the others.
#[derive(Debug, Default)]
pub(super) struct BlockingFiles {
    files: HashMap<Token, BlockingFile>,
    /// The sources of each file. They may be different open files of it.
    by_id: HashMap<FileId, Vec<Token>>,
}

#[derive(Debug)]
struct BlockingFile {
    fd: RawFd,
    id: FileId,
    /// Whether it must be made blocking.
    was_blocking: bool,
}

impl BlockingFiles {
    /// Notes a source that was added, and made non-blocking if it `was_blocking`.
    #[inline]
    pub(super) fn added(&mut self, token: Token, fd: RawFd, was_blocking: bool) {
        if was_blocking || !self.files.is_empty() {
            self.note(token, fd, was_blocking);
        }
    }

    fn note(&mut self, token: Token, fd: RawFd, was_blocking: bool) {
        let Some(id) = sys::shared_file(fd) else { return };
        if was_blocking || self.by_id.contains_key(&id) {
            self.files.insert(token, BlockingFile { fd, id, was_blocking });
            self.by_id.entry(id).or_default().push(token);
        }
    }

    /// Makes the file of a source blocking again, if it was and no other source shares it. It must be
    /// open still, and no handler may use it any more.
    #[inline]
    pub(super) fn release(&mut self, token: Token) {
        if !self.files.is_empty() {
            self.release_noted(token);
        }
    }

    fn release_noted(&mut self, token: Token) {
        let Some(BlockingFile { fd, id, was_blocking }) = self.files.remove(&token) else { return };
        let Some(others) = self.by_id.get_mut(&id) else { return };
        others.retain(|other| *other != token);
        if was_blocking {
            make_blocking(fd);
            // Another source has the same open file if it has become blocking, too.
            let files = &mut self.files;
            let sharer = others
                .iter()
                .find(|other| files.get(other).is_some_and(|other| sys::is_blocking(other.fd)));
            if let Some(sharer) = sharer.and_then(|sharer| files.get_mut(sharer)) {
                let _ = sys::set_nonblocking(sharer.fd, true); // it was, a moment ago
                sharer.was_blocking = true;
            }
        }
        if others.is_empty() {
            self.by_id.remove(&id);
        }
    }

    /// Makes all files blocking again that were. They must be open still.
    pub(super) fn release_all(&mut self) {
        for (_, file) in self.files.drain() {
            if file.was_blocking {
                make_blocking(file.fd);
            }
        }
        self.by_id.clear();
    }

    /// Forgets all files: in a forked child, where they are its parent's concern.
    pub(super) fn forget(&mut self) {
        *self = BlockingFiles::default();
    }
}

/// A file that cannot be made blocking is as good as gone: its owner has closed it.
fn make_blocking(fd: RawFd) {
    let _ = sys::set_nonblocking(fd, false);
}
