//! What the threads of the lab know of each other's sockets: the names of the lab's clients, and the
//! subject's ends of their connections.

use std::collections::HashMap;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tripoll::net::Stream;

use super::record::Client;

/// The names of clients and the sockets of a subject.
#[derive(Debug, Default)]
pub(super) struct Directory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The names of clients, by their addresses.
    names: HashMap<String, String>,
    /// The sockets of the subject, by the addresses of their peers.
    sockets: HashMap<String, Weak<Stream>>,
    /// The lab's clients.
    clients: Vec<Client>,
}

impl Directory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the lab's clients.
    pub(super) fn clients(&self) -> Vec<Client> {
        self.state().clients.clone()
    }

    /// Sets the lab's clients.
    pub(super) fn set_clients(&self, clients: Vec<Client>) {
        self.state().clients = clients;
    }

    /// Names the client at `address`.
    pub(super) fn name(&self, address: String, name: String) {
        self.state().names.insert(address, name);
    }

    /// Forgets the name of the client at `address`.
    pub(super) fn forget(&self, address: &str) {
        self.state().names.remove(address);
    }

    /// Notes a socket that the subject has accepted. Returns the name of its peer.
    pub(super) fn accepted(&self, peer: &str, socket: &Arc<Stream>) -> String {
        let mut state = self.state();
        state.sockets.retain(|_, socket| socket.strong_count() > 0);
        state.sockets.insert(peer.to_string(), Arc::downgrade(socket));
        state.names.get(peer).cloned().unwrap_or_else(|| format!("peer {peer}"))
    }

    /// Returns the subject's end of the connection of the client at `address`.
    pub(super) fn socket(&self, address: &str) -> Option<Arc<Stream>> {
        self.state().sockets.get(address)?.upgrade()
    }

    /// Shuts all sockets of the subject down, so that no call blocks on them.
    pub(super) fn shut_down(&self) {
        for socket in self.state().sockets.drain().filter_map(|(_, socket)| socket.upgrade()) {
            let _ = socket.set_nonblocking(true);
            let _ = socket.shutdown(Shutdown::Both); // it may be closed already
        }
    }
}
