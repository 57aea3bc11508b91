//! What a descriptor is, with its address.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use socket2::{SockAddr, SockRef};
use tripoll::net::Address;

/// The addresses at which this program listens.
static LISTENERS: Mutex<Vec<Address>> = Mutex::new(Vec::new());

/// Notes an address at which this program listens.
pub(crate) fn note_listener(address: &Address) {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner).push(address.clone());
}

/// Returns the name of a source.
pub(super) fn of_source(source: BorrowedFd<'_>) -> String {
    let socket = SockRef::from(&source);
    let Ok(local) = socket.local_addr().map(|local| address(&local)) else {
        return of_number(source.as_raw_fd()); // it is no socket
    };
    if socket.is_listener().unwrap_or(false) {
        return format!("listener {local}");
    }
    let name = if is_accepted(&local) { "client" } else { "server" };
    match socket.peer_addr().map(|peer| address(&peer)) {
        Ok(Address::Unnamed) => name.to_string(),
        Ok(peer) => format!("{name} {peer}"),
        Err(_) => format!("socket {local}"), // not connected
    }
}

/// Returns the name of what is no socket. A selector knows numbers only.
pub(super) fn of_number(fd: RawFd) -> String {
    let link = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    let link = link.to_string_lossy();
    let of_kernel = link.strip_prefix("anon_inode:[").and_then(|name| name.strip_suffix(']'));
    let name = match of_kernel {
        Some("eventfd") => "waker",
        Some("timerfd") => "timer",
        Some("signalfd") => "signal",
        Some("pidfd") => "child",
        Some(other) => other,
        None if link.starts_with("pidfd:") => "child",
        None if link.starts_with("pipe:") => "pipe",
        None if link.is_empty() => "?",
        None => &link,
    };
    name.to_string()
}

/// Returns whether a listener of this program has accepted the connection with this own address.
fn is_accepted(local: &Address) -> bool {
    let listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.iter().any(|listener| match (listener.as_inet(), local.as_inet()) {
        (Some(listener), Some(local)) => listener.port() == local.port(), // it may listen at any host
        _ => listener == local,
    })
}

fn address(address: &SockAddr) -> Address {
    if let Some(address) = address.as_socket() {
        Address::Inet(address)
    } else if let Some(path) = address.as_pathname() {
        Address::Unix(path.into())
    } else if let Some(name) = address.as_abstract_namespace() {
        Address::Abstract(name.into())
    } else {
        Address::Unnamed
    }
}
