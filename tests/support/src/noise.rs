//! Faults at random, the same ones in each run.

use std::cell::Cell;
use std::env;

use crate::Dice;

/// A kind of fault of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A signal ends the wait.
    Interrupted,
    /// Some events of a wait are held back, and reported by a later wait.
    Late,
    /// A wait reports one event, and the next ones the others, as if the kernel had no more room.
    Short,
    /// Events are reported in another order.
    Reordered,
    /// An event is reported twice by one wait, and again by the next.
    Repeated,
    /// An event of a source that was removed.
    Stale,
    /// An event of a source that is not ready, or has no such interest.
    Spurious,
    /// The kernel refuses to add a descriptor: ENOMEM, ENOSPC.
    RefusedAdd,
    /// The kernel refuses to change an interest: ENOMEM, ENOSPC.
    RefusedSet,
    /// The wait fails: ENOMEM, ENOSPC.
    FailedWait,
}

const KINDS: usize = Kind::FailedWait as usize + 1;

/// The faults of events. What they cost is time.
pub const EVENTS: &[Kind] = &[
    Kind::Interrupted,
    Kind::Late,
    Kind::Short,
    Kind::Reordered,
    Kind::Repeated,
    Kind::Stale,
    Kind::Spurious,
];

/// The faults of events, and of a kernel that has no memory now and then for what is there already.
pub const SHORTAGES: &[Kind] = &[
    Kind::Interrupted,
    Kind::Late,
    Kind::Short,
    Kind::Reordered,
    Kind::Repeated,
    Kind::Stale,
    Kind::Spurious,
    Kind::RefusedSet,
    Kind::FailedWait,
];

/// Which faults are made at random, from which seed.
#[derive(Debug, Clone)]
pub struct Noise {
    kinds: [bool; KINDS],
    dice: Dice,
    made: [u64; KINDS],
}

impl Default for Noise {
    /// Returns no noise.
    fn default() -> Self {
        Noise::new(0, &[])
    }
}

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// Returns how many faults were made on this thread. Each may cost a turn.
pub fn made_on_this_thread() -> u64 {
    MADE.get()
}

impl Noise {
    pub fn new(seed: u64, kinds: &[Kind]) -> Self {
        let mut noise = Noise { kinds: [false; KINDS], dice: Dice(seed), made: [0; KINDS] };
        kinds.iter().for_each(|&kind| noise.kinds[kind as usize] = true);
        noise
    }

    /// Whether faults of any kind are made.
    pub fn is_any(&self) -> bool {
        self.kinds.contains(&true)
    }

    /// Decides whether a fault of this kind is made now: once in four times.
    pub fn makes(&mut self, kind: Kind) -> bool {
        let makes = self.kinds[kind as usize] && self.dice.below(4) == 0;
        if makes {
            self.made[kind as usize] += 1;
            MADE.set(MADE.get() + 1);
        }
        makes
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.dice.below(limit)
    }

    /// Returns how many faults of this kind were made.
    pub fn made(&self, kind: Kind) -> u64 {
        self.made[kind as usize]
    }
}

/// Returns the seeds to try: that of `TRIPOLL_SEED`, or one that is always the same.
pub fn seeds() -> Vec<u64> {
    match env::var("TRIPOLL_SEED") {
        Ok(seed) => vec![seed.parse().expect("TRIPOLL_SEED is a number")],
        Err(_) => vec![11],
    }
}
