//! The connections that are being handled, and mail for those that are kept in the loop.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::net::Address;
use crate::selector::Token;
use crate::server::lifecycle::RunState;
use crate::server::transport::Request;
use crate::sync::lock;

/// The connections that are being handled. The table holds none of them: a request that is dropped
/// is closed, even if a hook has not called `close_request`.
#[derive(Debug)]
pub(super) struct Connections<R: Request> {
    table: Mutex<Table<R>>,
    /// A child has no table, and must not wait for a lock that another thread of its parent held.
    is_child: AtomicBool,
}

#[derive(Debug)]
struct Table<R: Request> {
    entries: HashMap<usize, ConnectionEntry<R>>,
    /// The number of entries at which those of dropped requests are removed.
    prune_at: usize,
}

/// A connection. There may be very many, so an entry is small.
#[derive(Debug)]
struct ConnectionEntry<R: Request> {
    request: R::Weak,
    /// `None`: data for the client is written to its socket.
    route: Option<Route>,
    /// `None` while it is empty.
    extra: Option<Box<Extra>>,
}

/// Where mail for a client in the loop is announced. Only the loop writes to the client's socket:
/// another writer would write into the middle of what is in the write buffer.
#[derive(Debug, Clone)]
struct Route {
    run_state: Arc<RunState>,
    token: Token,
}

/// The rare parts of an entry.
#[derive(Debug, Default)]
struct Extra {
    /// The client's address, if a hook has returned another than that of the peer.
    address: Option<Address>,
    mail: Option<Mail>,
}

/// Mail for a client in the loop: output that other threads and other handlers send.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) unsent: Vec<u8>,
    /// Whether there was too much of it. Then none is kept.
    pub(super) is_lost: bool,
    /// Whether the conversation must end after it.
    pub(super) is_last: bool,
    /// Whether the loop has taken the last mail. What comes later is dropped.
    is_closed: bool,
}

/// How much mail the loop may leave, in bytes, before more of it is too much: as much as a connection
/// keeps in its write buffer.
const MAX_MAIL: usize = 16 << 20;

impl Mail {
    fn add(&mut self, data: &[u8]) {
        if self.unsent.len() > MAX_MAIL {
            (self.unsent, self.is_lost) = (Vec::new(), true);
        }
        if !self.is_lost {
            self.unsent.extend_from_slice(data);
        }
    }
}

/// The smallest [`prune_at`](Table::prune_at).
const PRUNE_AT: usize = 64;

impl<R: Request> Connections<R> {
    pub(super) fn new() -> Self {
        let table = Table { entries: HashMap::new(), prune_at: PRUNE_AT };
        Connections { table: Mutex::new(table), is_child: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Table<R>> {
        lock(&self.table)
    }

    fn is_child(&self) -> bool {
        self.is_child.load(Ordering::Relaxed)
    }

    pub(super) fn enter_child(&self) {
        self.is_child.store(true, Ordering::Relaxed);
    }

    /// Adds a connection.
    pub(super) fn add(&self, request: &R, address: &Address) {
        let Some((key, weak)) = request.downgrade() else { return };
        let is_peer = request.peer() == Some(address);
        let extra = || Box::new(Extra { address: Some(address.clone()), mail: None });
        let extra = (!is_peer).then(extra);
        let mut table = self.lock();
        if table.entries.len() >= table.prune_at {
            table.entries.retain(|_, entry| R::upgrade(&entry.request).is_some());
            table.prune_at = PRUNE_AT.max(2 * table.entries.len());
        }
        let entry = ConnectionEntry { request: weak, route: None, extra };
        table.entries.insert(key, entry);
    }

    pub(super) fn remove(&self, request: &R) {
        if self.is_child() {
            return;
        }
        if let Some((key, _)) = request.downgrade() {
            self.lock().entries.remove(&key);
        }
    }

    pub(super) fn list(&self) -> Vec<(R, Address)> {
        if self.is_child() {
            return Vec::new();
        }
        let table = self.lock();
        let entries = table.entries.values();
        entries
            .filter_map(|entry| {
                let request = R::upgrade(&entry.request)?;
                let address = entry.extra.as_ref().and_then(|extra| extra.address.as_ref());
                let address = address.or(request.peer())?.clone();
                Some((request, address))
            })
            .collect()
    }
}

/// Mail.
impl<R: Request> Connections<R> {
    /// Returns the clients that are in the loop of that run.
    pub(super) fn in_loop(&self, run_state: &Arc<RunState>) -> Vec<R> {
        let table = self.lock();
        let is_there = |route: &Route| Arc::ptr_eq(&route.run_state, run_state);
        let there =
            table.entries.values().filter(|entry| entry.route.as_ref().is_some_and(is_there));
        there.filter_map(|entry| R::upgrade(&entry.request)).collect()
    }

    /// Calls `body` with the entry of a client in the loop.
    fn with_entry<T>(
        &self,
        request: &R,
        body: impl FnOnce(&mut ConnectionEntry<R>) -> T,
    ) -> Option<T> {
        if self.is_child() {
            return None;
        }
        let (key, _) = request.downgrade()?;
        self.lock().entries.get_mut(&key).filter(|entry| entry.route.is_some()).map(body)
    }

    /// Leaves mail for a client from now on, and notifies its source in the loop.
    pub(super) fn route_to_loop(&self, request: &R, run_state: Arc<RunState>, token: Token) {
        let Some((key, _)) = request.downgrade() else { return };
        if let Some(entry) = self.lock().entries.get_mut(&key) {
            entry.route = Some(Route { run_state, token });
        }
    }

    /// Leaves mail for a client. Returns false if the client is not in the loop.
    pub(super) fn put_mail(&self, request: &R, data: &[u8]) -> bool {
        let notification =
            self.with_entry(request, |entry| entry.change_mail(|mail| mail.add(data)));
        let is_in_loop = notification.is_some();
        if let Some(Some(route)) = notification {
            route.notify(); // the table is unlocked by now
        }
        is_in_loop
    }

    /// Ends the conversations of all clients in the loop. Returns whether there are any.
    pub(super) fn end_all(&self) -> bool {
        let mut has_clients = false;
        let mut notifications = Vec::new();
        for entry in self.lock().entries.values_mut().filter(|entry| entry.route.is_some()) {
            has_clients = true;
            notifications.extend(entry.change_mail(|mail| mail.is_last = true));
        }
        notifications.iter().for_each(Route::notify);
        has_clients
    }

    pub(super) fn take_mail(&self, request: &R) -> Mail {
        let mail = self.with_entry(request, |entry| entry.extra.as_mut()?.mail.take());
        mail.flatten().unwrap_or_default()
    }

    /// Takes the last mail. What comes later is dropped.
    pub(super) fn close_mail(&self, request: &R) -> Mail {
        let closed = Mail { is_closed: true, ..Mail::default() };
        let mail = self.with_entry(request, |entry| entry.extra_mut().mail.replace(closed));
        mail.flatten().unwrap_or_default()
    }
}

impl<R: Request> ConnectionEntry<R> {
    fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Changes the mail. If there was none, the loop must be notified by the route that is returned.
    fn change_mail(&mut self, change: impl FnOnce(&mut Mail)) -> Option<Route> {
        let mail = &mut self.extra_mut().mail;
        let is_first = mail.is_none();
        let mail = mail.get_or_insert_default();
        if !mail.is_closed {
            change(mail);
        }
        if is_first { self.route.clone() } else { None }
    }
}

impl Route {
    /// Tells the loop that the client has mail.
    fn notify(&self) {
        self.run_state.notify(self.token);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc;

    use super::*;
    use crate::net::Stream;
    use crate::server::lifecycle::{Lifecycle, Limits};

    #[test]
    fn mail_is_announced_once_and_what_comes_after_the_last_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = Arc::new(Stream::from(TcpStream::connect(address).unwrap()));
        let connections = Connections::new();
        connections.add(&client, &Address::Inet(address));
        assert!(!connections.put_mail(&client, b"it is not in the loop"));

        let (notify, notified) = mpsc::channel();
        let notify = move |token| notify.send(token).unwrap();
        let run = Lifecycle::new(Limits::default()).begin(|| (), notify).unwrap().unwrap();
        let token = Token::new(7, 3);
        connections.route_to_loop(&client, Arc::clone(&run.run_state), token);
        for word in [&b"one, "[..], b"two"] {
            assert!(connections.put_mail(&client, word));
        }
        assert_eq!(notified.try_iter().collect::<Vec<_>>(), [token]);
        assert_eq!(connections.take_mail(&client).unsent, b"one, two");
        assert!(connections.put_mail(&client, b"three"));
        assert_eq!(notified.try_iter().collect::<Vec<_>>(), [token]);
        assert_eq!(connections.close_mail(&client).unsent, b"three");
        assert!(connections.put_mail(&client, b"late"));
        assert!(connections.end_all());
        let mail = connections.take_mail(&client);
        assert_eq!((&mail.unsent[..], mail.is_last), (&b""[..], false));
        assert!(notified.try_recv().is_err());
    }
}
