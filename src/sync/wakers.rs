//! Those who wait for room.

use std::fmt;
use std::sync::{Arc, Weak};

use super::panic::guard;

/// How somebody is called who waits for room. Whoever drops it is not called any more.
#[derive(Clone)]
pub struct Call(Arc<dyn Fn() + Send + Sync>);

impl Call {
    /// A call is made by whoever makes room, often on a worker: it should do no more than wake
    /// somebody.
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Call(Arc::new(call))
    }

    pub(crate) fn make(&self) {
        if let Err(panic) = guard(|| (self.0)()) {
            log::error!(target: "tripoll", "whoever was called because there is room {panic}");
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// Those who are to be called: each of them once, and all of them, for any may not want the room any
/// more.
#[derive(Default)]
pub(crate) struct Calls(Vec<Weak<dyn Fn() + Send + Sync>>);

impl Calls {
    pub(crate) fn add(&mut self, call: &Call) {
        let call = Arc::downgrade(&call.0);
        self.0.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&call));
        self.0.push(call);
    }

    /// Outside all locks: whoever is called may ask at once.
    pub(crate) fn make(self) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|call| Call(call).make());
    }
}
