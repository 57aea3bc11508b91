//! Who is connected now.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::transport::Request;
use crate::net::Address;

/// The connections that are being handled.
#[derive(Debug)]
pub(super) struct Live<R> {
    connections: Mutex<HashMap<usize, (R, Address)>>,
    /// A child has no list, and must not wait for a lock that another thread held when it was made.
    is_child: AtomicBool,
}

impl<R: Request> Live<R> {
    pub(super) fn new() -> Self {
        Live { connections: Mutex::default(), is_child: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, (R, Address)>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, request: &R, address: &Address) {
        if let Some(key) = request.key() {
            self.lock().insert(key, (request.clone(), address.clone()));
        }
    }

    pub(super) fn enter_child(&self) {
        self.is_child.store(true, Ordering::Relaxed);
    }

    pub(super) fn leave(&self, request: &R) {
        if self.is_child.load(Ordering::Relaxed) {
            return;
        }
        if let Some(key) = request.key() {
            let left = self.lock().remove(&key);
            drop(left); // outside the lock: it may be the last
        }
    }

    pub(super) fn list(&self) -> Vec<(R, Address)> {
        if self.is_child.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.lock().values().cloned().collect()
    }
}
