//! How many may be inside, and who waits at the door.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts those inside. Whoever is inside holds a [`Permit`], and leaves by dropping it, on
/// whichever thread that happens.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    most: usize,
    count: usize,
    /// How to call those who were turned back: all of them, for any may not want to come in any more.
    waiting: Vec<Box<dyn FnOnce() + Send>>,
}

/// The right to be inside.
#[derive(Debug)]
pub struct Permit(Gate);

impl Gate {
    pub(crate) fn new(most: usize) -> Self {
        Gate { inside: Arc::new(Mutex::new(Inside { most, count: 0, waiting: Vec::new() })) }
    }

    /// Whether one more may enter. When it is full, `call` is called when somebody has left.
    pub(crate) fn has_room(&self, call: impl FnOnce() + Send + 'static) -> bool {
        let mut inside = self.lock();
        let has_room = inside.count < inside.most;
        if !has_room {
            inside.waiting.push(Box::new(call));
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
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        inside.count -= 1;
        let waiting = std::mem::take(&mut inside.waiting);
        drop(inside);
        waiting.into_iter().for_each(|call| call());
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.count, self.most)
    }
}
