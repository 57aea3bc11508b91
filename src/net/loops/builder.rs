//! The options of several loops, and their start.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use super::distribution::Distribution;
use super::error::LoopError;
use super::handle::Loops;
use super::shared::{OnFailure, Parts, Shared, WhenOneFails};
use super::start::Threads;
use super::threads::{Door, run_acceptor, run_loop};
use crate::net::address::Address;
use crate::net::listener::{Listener, ListenerBuilder};
use crate::net::stream::Stream;
use crate::net::to_address::ToAddress;
use crate::reactor::{Context, Reactor, ReactorBuilder};
use crate::selector::{Backend, EpollSelector, Trigger};
use crate::sync::check_threads;

/// The default of [`LoopsBuilder::max_connections`].
const MAX_CONNECTIONS: usize = 10_000;

/// Builds [`Loops`].
///
/// ```
/// use tripoll::net::loops::{Distribution, WhenOneFails};
/// use tripoll::net::{Listener, Loops};
/// use tripoll::{Backend, Trigger};
///
/// let loops = Loops::builder()
///     .threads(2) // default: as many as processors
///     .name("web") // threads are called "web 0", "web 1", "web acceptor"
///     .backend(Backend::Poll)
///     .trigger(Trigger::Level)
///     .distribution(Distribution::RoundRobin)
///     .listener(Listener::builder().backlog(100))
///     .max_connections(1_000)
///     .max_connections_per_peer(10)
///     .when_one_fails(WhenOneFails::Continue)
///     .on_failure(|error| eprintln!("{error}"))
///     .serve("127.0.0.1:0", |index| vec![index], |_, _| Ok(()))?;
/// loops.stop();
/// loops.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing runs before `serve`"]
pub struct LoopsBuilder {
    threads: Option<usize>,
    name: String,
    backend: Backend,
    trigger: Trigger,
    distribution: Distribution,
    listener: ListenerBuilder,
    max_connections: Option<usize>,
    max_per_peer: Option<usize>,
    when_one_fails: WhenOneFails,
    on_failure: Option<OnFailure>,
}

impl Loops {
    /// Returns a builder, which sets the options and starts the loops.
    pub fn builder() -> LoopsBuilder {
        LoopsBuilder {
            threads: None,
            name: "loop".into(),
            backend: Backend::default(),
            trigger: Trigger::default(),
            distribution: Distribution::default(),
            listener: Listener::builder(),
            max_connections: None,
            max_per_peer: None,
            when_one_fails: WhenOneFails::default(),
            on_failure: None,
        }
    }
}

impl LoopsBuilder {
    /// Sets the number of loops, at least one. Each has a thread. Default: the number of processors
    /// that this process may use ([`available_parallelism`](thread::available_parallelism)).
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count.max(1));
        self
    }

    /// Sets the name of the threads: `NAME 0`, `NAME 1` and so on, and `NAME acceptor`. Linux shows the
    /// first 15 bytes. Default: `loop`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the backend of all loops. Default: [`Backend::default`].
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets the trigger of all loops. Default: level.
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }

    /// Sets how connections come to the loops. Default: [`Distribution::LeastConnections`].
    pub fn distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Sets the options of the listener, or of each listener. Its limits hold for all loops together:
    /// [`max_connections`](ListenerBuilder::max_connections), unless it is [set
    /// here](Self::max_connections), and [`max_buffered`](ListenerBuilder::max_buffered). Default:
    /// those of [`Listener::builder`].
    pub fn listener(mut self, listener: ListenerBuilder) -> Self {
        self.listener = listener;
        self
    }

    /// Sets how many connections all loops together can have at once, at least one. The right to
    /// accept one is reserved before `accept(2)`: further connections wait in the backlog.
    /// `usize::MAX` is no limit, and then what is handed to a loop that hangs has no bound either.
    /// Default: that of the [listener](Self::listener), or else 10,000.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = Some(max.max(1));
        self
    }

    /// Sets how many connections one peer can have at once, at least one. The peer of a connection is
    /// known after `accept(2)`. So a connection that is over the limit is accepted, closed at once and
    /// [counted](super::LoopCounters::refused_per_peer). Default: no limit.
    ///
    /// A peer is an IPv4 address, or the first 64 bits of an IPv6 address, because a host chooses the
    /// other 64 freely (RFC 8981). An IPv4 peer of an IPv6 listener (`::ffff:192.0.2.1`) counts by its
    /// IPv4 address, and a link-local peer by its whole address. Clients of a Unix socket have no
    /// address and are not limited. Behind a proxy or a NAT many clients are one peer.
    pub fn max_connections_per_peer(mut self, max: usize) -> Self {
        self.max_per_peer = Some(max.max(1));
        self
    }

    /// Sets what happens with the other loops when one has failed or panicked. Default:
    /// [`WhenOneFails::Continue`]. When the thread that accepts for all has failed, or the last loop,
    /// no more connections come: the others finish those that they have, and end.
    pub fn when_one_fails(mut self, what: WhenOneFails) -> Self {
        self.when_one_fails = what;
        self
    }

    /// Sets what is called when a thread has failed or panicked, on that thread. Default: nothing. In
    /// any case the failure is logged as an error, and [`Loops::join`] returns the first one.
    pub fn on_failure(mut self, failed: impl Fn(&LoopError) + Send + Sync + 'static) -> Self {
        self.on_failure = Some(Arc::new(failed));
        self
    }

    /// Listens on `address`, and starts the threads. When it returns, all of them run. Each loop has a
    /// state, which `state` makes on the loop's own thread: it gets the number of the loop, and the
    /// state need not be `Send`. `serve` is called in a loop with each of its connections, as
    /// [`Listener::serve`] calls it.
    ///
    /// # Errors
    ///
    /// Those of [`ListenerBuilder::bind`], of starting a thread, and of building a reactor. An error
    /// of kind `Other` if `state` has panicked. `InvalidInput` for a Unix socket with
    /// [`Distribution::ReusePort`], and for more than 4,194,304 threads, the most tasks that Linux has.
    /// Then no thread is left.
    pub fn serve<S: 'static>(
        self,
        address: impl ToAddress,
        state: impl Fn(usize) -> S + Send + Sync + 'static,
        serve: impl Fn(Stream, &mut Context<'_, S>) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Loops<S>> {
        let reactor = move |index, builder: ReactorBuilder| builder.build_with(state(index));
        self.serve_in(address, reactor, serve)
    }

    /// As [`serve`](Self::serve), with reactors that `reactor` makes, each on its own thread: with a
    /// budget, a probe, hooks, timers or other sources. It gets the number of the loop, and a builder
    /// that has the backend and the trigger.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve), and those of `reactor`.
    pub fn serve_in<S: 'static>(
        self,
        address: impl ToAddress,
        reactor: impl Fn(usize, ReactorBuilder) -> io::Result<Reactor<S>> + Send + Sync + 'static,
        serve: impl Fn(Stream, &mut Context<'_, S>) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Loops<S>> {
        let count = match self.threads {
            Some(count) => count,
            None => thread::available_parallelism()?.get(),
        };
        check_threads("a group", count, "loops")?;
        let doors = self.bind(address, count)?;
        let first = doors.first();
        let address = first.local_address().clone();
        let max_connections = self.max_connections.or(first.max_connections());
        let shared = Shared::new(Parts {
            count,
            distribution: self.distribution,
            max_connections: max_connections.unwrap_or(MAX_CONNECTIONS),
            max_per_peer: self.max_per_peer,
            per_turn: first.accepts_per_turn(),
            when_one_fails: self.when_one_fails,
            on_failure: self.on_failure.clone(),
            serve: Box::new(serve),
        });
        let threads = self.start(&shared, doors, reactor)?;
        Ok(Loops::new(shared, address, threads))
    }

    /// Returns one listener, or one for each loop.
    fn bind(&self, address: impl ToAddress, count: usize) -> io::Result<Doors> {
        let address = address.to_address()?;
        match self.distribution {
            Distribution::ReusePort => {}
            Distribution::SharedListener => {
                let listener = self.listener.clone().bind(address)?;
                return Ok(Doors::Shared(Arc::new(listener)));
            }
            _ => return Ok(Doors::ForAll(self.listener.clone().bind(address)?)),
        }
        if !matches!(address, Address::Inet(_)) {
            let message = format!(
                "cannot share {address} with Distribution::ReusePort: only a TCP port can be shared"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let builder = self.listener.clone().reuse_port(true);
        let mut listeners = vec![builder.clone().bind(address)?];
        let address = listeners[0].local_address().clone(); // with its port
        for _ in 1..count {
            let mut listener = builder.clone().bind(&address)?;
            listener.share_buffered_total(&listeners[0]);
            listeners.push(listener);
        }
        Ok(Doors::Each(listeners))
    }

    /// Starts the threads, and waits until all are ready.
    fn start<S: 'static>(
        self,
        shared: &Arc<Shared<S>>,
        doors: Doors,
        make: impl Fn(usize, ReactorBuilder) -> io::Result<Reactor<S>> + Send + Sync + 'static,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let (backend, trigger) = (self.backend, self.trigger);
        let make = Arc::new(make);
        let mut threads = Threads::new();
        let (for_all, doors) = doors.split(shared.slots.len());
        let mut spawned = Ok(());
        for (slot, door) in shared.slots.iter().zip(doors) {
            let (shared, slot, make) = (Arc::clone(shared), Arc::clone(slot), Arc::clone(&make));
            let name = format!("{} {}", self.name, slot.index);
            // Makes the kernel wake one of the loops, and not all, where the backend can.
            let to_share = match (&door, backend) {
                (Some(Door::Shared(listener)), Backend::Epoll) => {
                    Some(listener.as_fd().as_raw_fd())
                }
                _ => None,
            };
            let body = move |name, start| {
                let make = || {
                    let mut builder = Reactor::builder().trigger(trigger).backend(backend);
                    if let Some(listener) = to_share {
                        builder = builder.selector(EpollSelector::new()?.share(listener));
                    }
                    make(slot.index, builder)
                };
                run_loop(name, &shared, &slot, make, door, start);
            };
            spawned = spawned.and_then(|()| threads.spawn(name, body));
        }
        if let Some(listener) = for_all {
            let shared = Arc::clone(shared);
            let make = move || Reactor::builder().trigger(trigger).backend(backend).build();
            let body = move |name, start| run_acceptor(name, &shared, make, listener, start);
            spawned = spawned.and_then(|()| threads.spawn(format!("{} acceptor", self.name), body));
        }
        threads.start(spawned)
    }
}

/// The listeners of several loops.
enum Doors {
    ForAll(Listener),
    Each(Vec<Listener>),
    Shared(Arc<Listener>),
}

impl Doors {
    fn first(&self) -> &Listener {
        match self {
            Doors::ForAll(listener) => listener,
            Doors::Each(listeners) => &listeners[0],
            Doors::Shared(listener) => listener,
        }
    }

    /// Returns the listener for all loops, and those of `count` loops.
    fn split(self, count: usize) -> (Option<Listener>, Vec<Option<Door>>) {
        match self {
            Doors::ForAll(listener) => (Some(listener), (0..count).map(|_| None).collect()),
            Doors::Each(listeners) => {
                (None, listeners.into_iter().map(|one| Some(Door::Own(one))).collect())
            }
            Doors::Shared(listener) => {
                let door = |_| Some(Door::Shared(Arc::clone(&listener)));
                (None, (0..count).map(door).collect())
            }
        }
    }
}

impl fmt::Debug for LoopsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopsBuilder")
            .field("threads", &self.threads)
            .field("name", &self.name)
            .field("backend", &self.backend)
            .field("trigger", &self.trigger)
            .field("distribution", &self.distribution)
            .field("listener", &self.listener)
            .field("max_connections", &self.max_connections)
            .field("max_connections_per_peer", &self.max_per_peer)
            .field("when_one_fails", &self.when_one_fails)
            .finish_non_exhaustive()
    }
}
