//! Loom runs each of these tests once for every order in which its threads can take their steps, with
//! at most three preemptions. A lost wake is a deadlock, which loom reports.
//!
//! What runs is the reactor, its handle and the pool themselves, built with `--cfg loom`: see
//! `src/sync/primitives.rs`. Only the kernel is a model: [`selector::ModelSelector`], and the event
//! counter in `src/sys/event_fd_model.rs`. `mutants.sh` in this directory proves that the tests find
//! faults.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom -Aunused" cargo test -p tripoll-loom --target-dir target/loom
//! ```

#![cfg(all(loom, test))]

mod parker;
mod ping;
mod pool;
mod selector;
mod wake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `body` in every interleaving of its threads.
fn in_every_interleaving(body: impl Fn() + Sync + Send + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        body();
    });
    println!("{} interleavings", count.load(Ordering::Relaxed));
}
