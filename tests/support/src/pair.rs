//! The pairs of backend and trigger, and what to expect of each.

use std::{fmt, thread};

use tripoll::reactor::ReactorBuilder;
use tripoll::selector::Caps;
use tripoll::server::ServerConfig;
use tripoll::{Backend, Reactor, Trigger};

use crate::caught::assert_no_caught_panic;
use crate::faulty::Faults;
use crate::noise::{self, Kind, Noise};

/// A backend and a trigger, and whether the selector makes faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub backend: Backend,
    pub trigger: Trigger,
    /// The seed of the noise that the selector of [`builder`](Pair::builder) makes.
    pub noise: Option<u64>,
    /// The faults of which this noise is made.
    pub kinds: &'static [Kind],
}

/// Runs `body` once for every backend and trigger. A panic shows for which.
pub fn on_every_pair(body: impl Fn(Pair)) {
    for pair in Pair::all() {
        let _context = Context(format!("on {pair}"));
        checked(|| body(pair));
    }
}

/// Runs `body`, and fails if the library has caught a panic.
fn checked(body: impl FnOnce()) {
    assert_no_caught_panic(); // records from now on
    body();
    assert_no_caught_panic();
}

/// As [`on_every_pair`], and again over selectors that make [faults of events](noise::EVENTS). For
/// what holds whatever a kernel reports. What counts calls and turns needs a quiet selector.
///
/// A panic shows the seed. `TRIPOLL_SEED=11 cargo test ...` makes its faults again.
pub fn on_every_pair_and_noise(body: impl Fn(Pair)) {
    on_every_pair(&body);
    for seed in noise::seeds() {
        for pair in Pair::all() {
            let pair = Pair { noise: Some(seed), ..pair };
            let _context = Context(format!("on {pair}"));
            checked(|| body(pair));
        }
    }
}

/// Runs `body` once for every backend and trigger, all at the same time, each on a thread with the
/// pair's name.
pub fn on_every_pair_at_once(body: impl Fn(Pair) + Sync) {
    thread::scope(|scope| {
        for pair in Pair::all() {
            let body = &body;
            thread::Builder::new()
                .name(pair.to_string())
                .spawn_scoped(scope, move || checked(|| body(pair)))
                .unwrap();
        }
    });
}

impl Pair {
    pub fn new(backend: Backend, trigger: Trigger) -> Self {
        Pair { backend, trigger, noise: None, kinds: noise::EVENTS }
    }

    /// Every pair of this build.
    pub fn all() -> impl Iterator<Item = Pair> {
        let triggers =
            |&backend| Trigger::ALL.iter().map(move |&trigger| Pair::new(backend, trigger));
        Backend::ALL.iter().flat_map(triggers)
    }

    pub fn caps(self) -> Caps {
        self.backend.selector().unwrap().caps()
    }

    pub fn builder(self) -> ReactorBuilder {
        let builder = Reactor::builder().trigger(self.trigger);
        match self.noise {
            None => builder.backend(self.backend),
            Some(seed) => {
                let faults = Faults::noisy(Noise::new(seed, self.kinds));
                builder.selector(faults.of(self.backend))
            }
        }
    }

    pub fn reactor<S: 'static>(self, state: S) -> Reactor<S> {
        self.build(self.builder(), state)
    }

    /// Builds a reactor, and checks that it has this backend and trigger.
    pub fn build<S: 'static>(self, builder: ReactorBuilder, state: S) -> Reactor<S> {
        let mut reactor = builder.build_with(state).unwrap();
        self.check(&mut reactor);
        reactor
    }

    pub fn check<S: 'static>(self, reactor: &mut Reactor<S>) {
        let cx = reactor.context();
        assert_eq!(cx.backend(), self.backend.name());
        assert_eq!(cx.trigger(), self.trigger);
        assert_eq!(cx.effective_trigger(), self.effective_trigger());
    }

    pub fn config(self) -> ServerConfig {
        ServerConfig::default().backend(self.backend).trigger(self.trigger)
    }

    /// Returns the trigger that the selector is asked for: edge if it is wanted and the selector
    /// has it, otherwise level if the selector has it. (The reactor itself makes one-shot of
    /// level.)
    pub fn effective_trigger(self) -> Trigger {
        let triggers = self.caps().triggers;
        let nearest = if self.trigger == Trigger::Edge { Trigger::Edge } else { Trigger::Level };
        if triggers.contains(&nearest) { nearest } else { triggers[0] }
    }

    /// Whether a change of interest is a system call.
    pub fn changes_cost(self) -> bool {
        self.caps().change_is_a_system_call
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}-triggered", self.backend, self.trigger)?;
        match self.noise {
            None => Ok(()),
            Some(seed) => write!(f, ", with noise: TRIPOLL_SEED={seed}"),
        }
    }
}

/// Prints the case in which a panic happened, after the panic's own message.
#[derive(Debug)]
pub struct Context(pub String);

impl Drop for Context {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this happened {}", self.0);
        }
    }
}
