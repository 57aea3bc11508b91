//! How many may be inside, and who waits at the door.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::sync::{Call, Calls, lock};

/// Counts those inside. Whoever is inside holds a [`Permit`], and leaves by dropping it, on
/// whichever thread that happens.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    most: usize,
    count: usize,
    /// Those who were turned back.
    waiting: Calls,
}

/// The right to be inside.
#[derive(Debug)]
pub struct Permit(Gate);

impl Gate {
    pub(crate) fn new(most: usize) -> Self {
        Gate { inside: Arc::new(Mutex::new(Inside { most, count: 0, waiting: Calls::default() })) }
    }

    /// Whether one more may enter. When it is full, `call` is made when somebody has left.
    pub(crate) fn has_room(&self, call: Option<&Call>) -> bool {
        let mut inside = self.lock();
        let has_room = inside.count < inside.most;
        if let (false, Some(call)) = (has_room, call) {
            inside.waiting.add(call);
        }
        has_room
    }

    /// Enters. Who respects the limit has [asked](Self::has_room) before; only the loop lets in, so
    /// that there is room still.
    pub(crate) fn enter(&self) -> Permit {
        self.lock().count += 1;
        Permit(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        lock(&self.inside)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        inside.count -= 1;
        let waiting = std::mem::take(&mut inside.waiting);
        drop(inside);
        waiting.make();
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.count, self.most)
    }
}
