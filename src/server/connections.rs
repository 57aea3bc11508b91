//! Who is connected now.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::net::Address;
use crate::server::transport::Request;
use crate::sync::lock;

/// The connections that are being handled. They are known here, and not held: a request that is
/// dropped is closed, whatever a hook has or has not done.
#[derive(Debug)]
pub(super) struct LiveConnections<R: Request> {
    connections: Mutex<ConnectionTable<R>>,
    /// A child has no list, and must not wait for a lock that another thread held when it was made.
    is_child: AtomicBool,
}

#[derive(Debug)]
struct ConnectionTable<R: Request> {
    entry: HashMap<usize, ConnectionEntry<R>>,
    /// How many there may be before those who left without a word are forgotten.
    prune_at: usize,
}

#[derive(Debug)]
struct ConnectionEntry<R: Request> {
    request: R::Weak,
    address: Address,
    /// For a client that is kept in the loop.
    mailbox: Option<Arc<Mailbox>>,
}

impl<R: Request> LiveConnections<R> {
    pub(super) fn new() -> Self {
        let connections = ConnectionTable { entry: HashMap::new(), prune_at: 64 };
        LiveConnections { connections: Mutex::new(connections), is_child: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable<R>> {
        lock(&self.connections)
    }

    fn is_child(&self) -> bool {
        self.is_child.load(Ordering::Relaxed)
    }

    pub(super) fn enter_child(&self) {
        self.is_child.store(true, Ordering::Relaxed);
    }

    pub(super) fn enter(&self, request: &R, address: &Address) {
        let Some((key, weak)) = request.downgrade() else { return };
        let mut connections = self.lock();
        if connections.entry.len() >= connections.prune_at {
            connections.entry.retain(|_, entry| R::upgrade(&entry.request).is_some());
            connections.prune_at = 64.max(2 * connections.entry.len());
        }
        let entry = ConnectionEntry { request: weak, address: address.clone(), mailbox: None };
        connections.entry.insert(key, entry);
    }

    pub(super) fn set_mailbox(&self, request: &R, mailbox: Arc<Mailbox>) {
        let Some((key, _)) = request.downgrade() else { return };
        if let Some(entry) = self.lock().entry.get_mut(&key) {
            entry.mailbox = Some(mailbox);
        }
    }

    pub(super) fn mailbox(&self, request: &R) -> Option<Arc<Mailbox>> {
        if self.is_child() {
            return None;
        }
        let (key, _) = request.downgrade()?;
        self.lock().entry.get(&key)?.mailbox.clone()
    }

    /// The mailboxes of those who are kept in the loop.
    pub(super) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        self.lock().entry.values().filter_map(|entry| entry.mailbox.clone()).collect()
    }

    pub(super) fn leave(&self, request: &R) {
        if self.is_child() {
            return;
        }
        if let Some((key, _)) = request.downgrade() {
            self.lock().entry.remove(&key);
        }
    }

    pub(super) fn list(&self) -> Vec<(R, Address)> {
        if self.is_child() {
            return Vec::new();
        }
        let connections = self.lock();
        let entry = connections.entry.values();
        entry
            .filter_map(|entry| Some((R::upgrade(&entry.request)?, entry.address.clone())))
            .collect()
    }
}

// How others reach a client that is kept in the loop.

/// What others have for a client in the loop. Only the loop writes to its socket: whoever else did
/// would write into the middle of what waits for room.
#[derive(Default)]
pub(super) struct Mailbox {
    mail: Mutex<Mail>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What is in a mailbox.
#[derive(Default)]
pub(super) struct Mail {
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
        self.change(|mail| mail.unsent.extend_from_slice(data));
    }

    /// The conversation is to end.
    pub(super) fn finish(&self) {
        self.change(|mail| mail.is_last = true);
    }

    /// Puts something in, and tells the loop if it does not know yet that something is there.
    fn change(&self, change: impl FnOnce(&mut Mail)) {
        let mut mail = self.mail();
        if mail.is_closed {
            return;
        }
        let was_empty = mail.unsent.is_empty() && !mail.is_last;
        change(&mut mail);
        drop(mail);
        if let (true, Some(wake)) = (was_empty, self.wake.get()) {
            wake();
        }
    }

    /// Takes what is there, and takes nothing in any more.
    pub(super) fn close(&self) -> Mail {
        let closed = Mail { is_closed: true, ..Mail::default() };
        std::mem::replace(&mut *self.mail(), closed)
    }

    pub(super) fn take(&self) -> Mail {
        let mut mail = self.mail();
        let empty = Mail { is_closed: mail.is_closed, ..Mail::default() };
        std::mem::replace(&mut *mail, empty)
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        lock(&self.mail)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}
