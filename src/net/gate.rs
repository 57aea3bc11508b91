//! How many may be inside, and who waits at the door.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts those inside. Whoever is inside holds a [`Permit`], and leaves by dropping it, on
/// whichever thread that happens.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    most: usize,
    count: usize,
    /// How to call whoever was turned back.
    waiting: Option<Box<dyn FnOnce() + Send>>,
}

/// The right to be inside.
#[derive(Debug)]
pub(super) struct Permit(Gate);

impl Gate {
    pub(super) fn new(most: usize) -> Self {
        Gate { inside: Arc::new(Mutex::new(Inside { most, count: 0, waiting: None })) }
    }

    /// Enters. When it is full, `call` is what calls when somebody has left: one caller at a time.
    pub(super) fn enter(&self, call: impl FnOnce() + Send + 'static) -> Option<Permit> {
        let mut inside = self.lock();
        if inside.count == inside.most {
            inside.waiting = Some(Box::new(call));
            return None;
        }
        inside.count += 1;
        Some(Permit(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        inside.count -= 1;
        let waiting = inside.waiting.take();
        drop(inside);
        if let Some(call) = waiting {
            call();
        }
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.count, self.most)
    }
}
