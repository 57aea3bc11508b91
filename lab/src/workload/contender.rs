//! The contenders: a kernel call, its trigger, and the layer through which it is called.

use std::{fmt, io};

use tripoll::{Backend, Trigger};

use super::driver::{Driver, Waiter, WaiterDriver};
use super::mio::MioWaiter;
use super::peer::Peer;
#[cfg(feature = "peers")]
use super::peer::calloop::CalloopDriver;
use super::pipes::{Link, Pipes};
use super::raw::calls::{RawEpoll, RawPoll, RawSelect};
use super::raw::libevent::LibeventDriver;
use super::raw::libuv::LibuvDriver;
#[cfg(feature = "peers")]
use super::raw::{polling::PollingWaiter, tokio::TokioDriver};
use super::reactor::ReactorDriver;
use super::selector::SelectorWaiter;

/// The code between the workload and the system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The C library's functions in a loop, as an expert would write it. For mio, the mio crate
    /// itself.
    Raw,
    /// The same for select and poll, called with a zero timeout before each wait that blocks.
    RawZero,
    /// `tripoll::selector`.
    Selector,
    /// `tripoll::reactor`.
    Reactor,
    /// Another library.
    Peer(Peer),
}

impl Layer {
    /// All layers, without the other libraries.
    pub const ALL: [Layer; 4] = [Layer::Raw, Layer::RawZero, Layer::Selector, Layer::Reactor];

    /// The layers of this crate.
    pub const TRIPOLL: [Layer; 2] = [Layer::Selector, Layer::Reactor];

    /// Returns its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Raw => "raw",
            Layer::RawZero => "raw-zero",
            Layer::Selector => "selector",
            Layer::Reactor => "reactor",
            Layer::Peer(peer) => peer.name(),
        }
    }
}

/// A combination of layer, backend and trigger that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contender {
    /// The layer.
    pub layer: Layer,
    /// The system call.
    pub backend: Backend,
    /// The trigger.
    pub trigger: Trigger,
}

impl fmt::Display for Contender {
    /// `selector/epoll/edge`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.layer.name(), self.backend, self.trigger)
    }
}

/// A combination of layer, backend and trigger that does not exist. The message names the option
/// to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(String);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

impl Contender {
    /// Returns all contenders that differ in their system calls. Those that differ only in the
    /// layer are neighbours.
    pub fn all() -> Vec<Contender> {
        let mut all = Vec::new();
        for &backend in Backend::ALL {
            for &trigger in Trigger::ALL {
                let contenders = Layer::ALL.map(|layer| Contender { layer, backend, trigger });
                let is_one =
                    |one: &Contender| one.check().is_ok() && one.effective_trigger() == trigger;
                all.extend(contenders.into_iter().filter(is_one));
            }
        }
        all
    }

    /// Returns the contenders of the other libraries that can be measured here: those of the crate
    /// mio first.
    pub fn peers() -> Vec<Contender> {
        let mio = Contender { layer: Layer::Raw, backend: Backend::Mio, trigger: Trigger::Edge };
        let of_peer = |peer: Peer| {
            peer.backends().iter().map(move |&backend| Contender {
                layer: Layer::Peer(peer),
                backend,
                trigger: peer.trigger(),
            })
        };
        let peers = Peer::ALL.into_iter().flat_map(of_peer);
        std::iter::once(mio).chain(peers).filter(|one| one.check().is_ok()).collect()
    }

    /// Returns what in this crate does the same by the same system call: the reactor for a library
    /// that calls handlers, and the selector for others and for the bare loops. `None` for what is of
    /// this crate.
    pub fn counterpart(&self) -> Option<Contender> {
        let (layer, backend) = match (self.layer, self.backend) {
            (Layer::Peer(peer), backend) if peer.has_handlers() => (Layer::Reactor, backend),
            (Layer::Peer(_), backend) => (Layer::Selector, backend),
            (Layer::Raw, Backend::Mio) => (Layer::Selector, Backend::Epoll),
            (Layer::Raw | Layer::RawZero, backend) => (Layer::Selector, backend),
            _ => return None,
        };
        Some(Contender { layer, backend, trigger: self.trigger })
    }

    /// Checks that this combination exists.
    ///
    /// # Errors
    ///
    /// [`Unsupported`], with the reason, if it does not.
    pub fn check(&self) -> Result<(), Unsupported> {
        let Contender { layer, backend, trigger } = *self;
        if let Layer::Peer(peer) = layer {
            return match peer.missing() {
                Some(reason) => Err(Unsupported(format!("{}: {reason}", peer.name()))),
                None if peer.backends().contains(&backend) && peer.trigger() == trigger => Ok(()),
                None => Err(Unsupported(format!("{} has no {backend} {trigger}", peer.name()))),
            };
        }
        let triggers = triggers_of(backend);
        if layer != Layer::Reactor && !triggers.contains(&trigger) {
            let known: Vec<_> = triggers.iter().map(Trigger::to_string).collect();
            let known = known.join(", ");
            return Err(Unsupported(match trigger {
                Trigger::OneShot => format!(
                    "--trigger oneshot: only --layer reactor re-arms a descriptor, {} does not",
                    layer.name()
                ),
                _ => format!("--trigger {trigger}: {backend} does not have it; it has: {known}"),
            }));
        }
        if layer == Layer::RawZero && !matches!(backend, Backend::Select | Backend::Poll) {
            return Err(Unsupported(format!(
                "--layer raw-zero: only select and poll gain from a call with a zero timeout \
                 first, {backend} does not"
            )));
        }
        Ok(())
    }

    /// Returns the trigger that the kernel is asked for: the contender's own, or the default of a
    /// backend that does not have it. (Only the reactor takes every trigger on every backend.)
    pub fn effective_trigger(&self) -> Trigger {
        match triggers_of(self.backend).contains(&self.trigger) {
            true => self.trigger,
            false => default_trigger(self.backend),
        }
    }

    /// Creates the driver for `links`, of which at most `active` are ready at a time. They link
    /// each of `pipes` to the one `step` places further.
    pub(super) fn driver<'a>(
        &self,
        links: &'a [Link<'a>],
        (pipes, step): (&Pipes, usize),
        active: usize,
    ) -> io::Result<Box<dyn Driver + 'a>> {
        let edge = self.trigger == Trigger::Edge;
        Ok(match (self.layer, self.backend) {
            (Layer::Selector, backend) => {
                let selector = backend.selector()?;
                waiter_driver(SelectorWaiter::new(selector, self.trigger, active), links)
            }
            (Layer::Reactor, backend) => {
                let ends = pipes.ends(links.len());
                Box::new(ReactorDriver::new(backend, self.trigger, ends, step, active)?)
            }
            #[cfg(feature = "peers")]
            (Layer::Peer(Peer::Calloop), _) => {
                Box::new(CalloopDriver::new(links, pipes.ends(links.len()).0)?)
            }
            #[cfg(feature = "peers")]
            (Layer::Peer(Peer::Tokio), _) => {
                Box::new(TokioDriver::new(pipes.ends(links.len()), step)?)
            }
            (Layer::Peer(peer), backend) => return peer_driver(peer, backend, links),
            (layer, Backend::Select) => {
                waiter_driver(RawSelect::new(layer == Layer::RawZero), links)
            }
            (layer, Backend::Poll) => waiter_driver(RawPoll::new(layer == Layer::RawZero), links),
            (_, Backend::Epoll) => waiter_driver(RawEpoll::new(edge, active)?, links),
            (_, Backend::Mio) => waiter_driver(MioWaiter::new(active)?, links),
            (_, unknown) => {
                let message = format!("--backend {unknown}: there is no raw loop for it");
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
        })
    }
}

/// Creates the driver of another library.
fn peer_driver<'a>(
    peer: Peer,
    backend: Backend,
    links: &'a [Link<'a>],
) -> io::Result<Box<dyn Driver + 'a>> {
    Ok(match peer {
        #[cfg(feature = "peers")]
        Peer::Polling => waiter_driver(PollingWaiter::new()?, links),
        Peer::Libevent => Box::new(LibeventDriver::new(backend, links)?),
        Peer::Libuv => Box::new(LibuvDriver::new(links)?),
        // Python runs in a process of its own, and the crates may not be compiled in.
        _ => return Err(io::ErrorKind::Unsupported.into()),
    })
}

fn waiter_driver<'a>(waiter: impl Waiter + 'a, links: &'a [Link<'a>]) -> Box<dyn Driver + 'a> {
    Box::new(WaiterDriver { waiter, links })
}

/// Returns the triggers with which the workloads can use a backend.
fn triggers_of(backend: Backend) -> &'static [Trigger] {
    match backend {
        Backend::Select | Backend::Poll | Backend::Auto => &[Trigger::Level],
        Backend::Mio => &[Trigger::Edge],
        _ => &[Trigger::Level, Trigger::Edge],
    }
}

/// Returns the trigger of a backend if none is given.
pub fn default_trigger(backend: Backend) -> Trigger {
    triggers_of(backend)[0]
}
