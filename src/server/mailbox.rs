//! How others reach a client that is kept in the loop.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::pool::lock;

/// What others have for a client in the loop. Only the loop writes to its socket: whoever else did
/// would write into the middle of what waits for room.
#[derive(Default)]
pub(super) struct Mailbox {
    post: Mutex<Post>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What is in a mailbox.
#[derive(Default)]
pub(super) struct Post {
    pub(super) unsent: Vec<u8>,
    /// Whether the conversation is to end after that.
    pub(super) is_last: bool,
    /// Whether it has ended: nobody will look again, and nothing is kept.
    is_closed: bool,
}

impl Mailbox {
    /// From now on, `wake` tells the loop.
    pub(super) fn open(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.wake.set(Box::new(wake));
    }

    pub(super) fn put(&self, data: &[u8]) {
        self.change(|post| post.unsent.extend_from_slice(data));
    }

    /// The conversation is to end.
    pub(super) fn finish(&self) {
        self.change(|post| post.is_last = true);
    }

    /// Puts something in, and tells the loop if it does not know yet that something is there.
    fn change(&self, change: impl FnOnce(&mut Post)) {
        let mut post = self.post();
        if post.is_closed {
            return;
        }
        let was_empty = post.unsent.is_empty() && !post.is_last;
        change(&mut post);
        drop(post);
        if let (true, Some(wake)) = (was_empty, self.wake.get()) {
            wake();
        }
    }

    /// Takes what is there, and takes nothing in any more.
    pub(super) fn close(&self) -> Post {
        let closed = Post { is_closed: true, ..Post::default() };
        std::mem::replace(&mut *self.post(), closed)
    }

    pub(super) fn take(&self) -> Post {
        let mut post = self.post();
        let empty = Post { is_closed: post.is_closed, ..Post::default() };
        std::mem::replace(&mut *post, empty)
    }

    fn post(&self) -> MutexGuard<'_, Post> {
        lock(&self.post)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}
