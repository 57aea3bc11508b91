//! Subjects over the reactor.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tripoll::pool::Pool;
use tripoll::reactor::{Budget, Dispatch, DispatchOutcome, Probe};
use tripoll::{Context, Deadline, Interest, Next, Reactor, Source, Token, Trigger};

use super::gate::Gate;
use super::program::{Beginning, Subject};
use super::record::{Dispatched, Text};
use super::recorder;
use super::settings::Settings;
use super::socket::Acceptor;
use super::table::View;
use super::watched::Watched;

/// The state that the handlers of a reactor share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    /// What clients are to be sent that others give them.
    pub(super) messages: HashMap<Token, Vec<u8>>,
    pub(super) pool: Option<Pool>,
}

impl State {
    /// Returns whether a write buffer of this size is above the watermark.
    pub(super) fn is_over_watermark(&self, bytes: usize) -> bool {
        let mark = self.settings.watermark;
        mark > 0 && bytes as u64 > mark
    }
}

/// A subject over the reactor.
pub(super) struct OnReactor {
    reactor: Reactor<State>,
    wait: fn(&mut Reactor<State>, Deadline) -> io::Result<u64>,
    listener: Option<Acceptor>,
    gate: Arc<Gate>,
    nudge: Arc<OwnedFd>,
}

impl OnReactor {
    /// Returns a subject without sources. `wait` makes one turn of its reactor: it stands in the file of
    /// the handler, so that the page can show it.
    pub(super) fn new(
        beginning: Beginning,
        wait: fn(&mut Reactor<State>, Deadline) -> io::Result<u64>,
    ) -> io::Result<Self> {
        let Beginning { listener, gate, nudge, settings } = beginning;
        let selector = Watched::new(
            settings.backend,
            settings.trigger,
            Arc::clone(&gate),
            Arc::clone(&nudge),
        )?;
        let reactor = Reactor::builder()
            .selector(selector)
            .trigger(Trigger::Edge) // the selector offers the one that is wanted
            .budget(Budget::new(u32::MAX, u32::MAX)) // the handlers keep that of the settings, which changes
            .probe(Observer)
            .build_with(State { settings, messages: HashMap::new(), pool: None })?;
        let listener = Some(Acceptor::new(listener)?);
        Ok(OnReactor { reactor, wait, listener, gate, nudge })
    }

    /// Gives its handlers a pool of threads.
    pub(super) fn with_pool(&mut self, workers: usize, queue: usize) -> io::Result<()> {
        self.reactor.state_mut().pool = Some(Pool::new(workers, queue)?);
        Ok(())
    }

    /// Adds the listener.
    pub(super) fn listen(
        &mut self,
        accept: fn(&mut Source<Acceptor>, &mut Context<State>) -> io::Result<Next>,
    ) -> io::Result<()> {
        if let Some(listener) = self.listener.take() {
            self.reactor.context().add(listener, Interest::READ, accept)?;
        }
        Ok(())
    }
}

impl Subject for OnReactor {
    fn turn(&mut self, settings: &Settings) -> io::Result<()> {
        self.reactor.state_mut().settings = *settings;
        recorder::with(|recorder| recorder.set_budget(settings.budget));
        let deadline = Deadline::after(Duration::from_millis(settings.timeout));
        (self.wait)(&mut self.reactor, deadline).map(drop)
    }

    fn views(&mut self) -> Vec<View> {
        let cx = self.reactor.context();
        let now = cx.now();
        cx.sources()
            .map(|source| View {
                fd: source.descriptor,
                interest: source.interest,
                remembered: source.ready,
                is_disarmed: source.is_disarmed,
                deadline: source.deadline.map(|at| at.saturating_duration_since(now)),
            })
            .collect()
    }

    fn switch(&mut self, settings: &Settings) -> io::Result<()> {
        let selector = Watched::new(
            settings.backend,
            settings.trigger,
            Arc::clone(&self.gate),
            Arc::clone(&self.nudge),
        )?;
        self.reactor.context().switch_to_selector(Box::new(selector))
    }

    fn effective(&mut self) -> Text {
        Text::Borrowed(self.reactor.context().effective_trigger().name())
    }
}

/// Tells the recorder of each call of a handler.
struct Observer;

impl Probe for Observer {
    fn measures_calls(&self) -> bool {
        true
    }

    fn dispatched(&mut self, dispatch: &Dispatch) {
        let done = Dispatched {
            fd: -1,
            operations: dispatch.operations,
            read: dispatch.bytes_read as u64,
            written: dispatch.bytes_written as u64,
            took_ns: dispatch.took.unwrap_or_default().as_nanos() as u64,
            spurious: dispatch.spurious,
            cut_off: dispatch.cut_off,
            outcome: Text::Borrowed(match dispatch.outcome {
                DispatchOutcome::Ready => "ready",
                DispatchOutcome::Waiting => "waiting",
                DispatchOutcome::Disarmed => "disarmed",
                DispatchOutcome::Removed => "removed",
                _ => "",
            }),
        };
        let is_again = dispatch.readiness.is_empty();
        recorder::with(|recorder| recorder.dispatched(dispatch.token, is_again, done));
    }
}
