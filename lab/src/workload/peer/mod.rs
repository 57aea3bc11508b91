//! The other libraries that wait for descriptors, each used as its own documentation says.
//!
//! Crates are behind the feature `peers`, so that the usual build stays quick. Libraries of C are
//! loaded when they are needed. CPython runs in a process of its own, which measures itself.

#[cfg(feature = "peers")]
pub(super) mod calloop;
pub(super) mod python;
pub(super) mod steps;

use tripoll::{Backend, Trigger};

use super::raw::library::Library;

/// Another library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The crate `polling`, in its level mode.
    Polling,
    /// The crate `calloop`, in its level mode.
    Calloop,
    /// The crate `tokio`: a task and an `AsyncFd` for each descriptor, on one thread.
    Tokio,
    /// The library libevent: persistent events.
    Libevent,
    /// The library libuv: poll handles.
    Libuv,
    /// The module `selectors` of CPython.
    Python,
}

impl Peer {
    /// All of them.
    pub const ALL: [Peer; 6] =
        [Peer::Polling, Peer::Calloop, Peer::Tokio, Peer::Libevent, Peer::Libuv, Peer::Python];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Peer::Polling => "polling",
            Peer::Calloop => "calloop",
            Peer::Tokio => "tokio",
            Peer::Libevent => "libevent",
            Peer::Libuv => "libuv",
            Peer::Python => "python",
        }
    }

    /// Returns the system calls that it has, of those that are compared.
    pub const fn backends(self) -> &'static [Backend] {
        match self {
            Peer::Libevent | Peer::Python => &[Backend::Epoll, Backend::Poll, Backend::Select],
            Peer::Polling | Peer::Calloop | Peer::Tokio | Peer::Libuv => &[Backend::Epoll],
        }
    }

    /// Returns the trigger by which it asks the kernel.
    pub const fn trigger(self) -> Trigger {
        match self {
            Peer::Tokio => Trigger::Edge,
            _ => Trigger::Level,
        }
    }

    /// Returns whether it calls a handler for each event, as the reactor does. The others return
    /// events, as the selector does.
    pub const fn has_handlers(self) -> bool {
        match self {
            Peer::Calloop | Peer::Tokio | Peer::Libevent | Peer::Libuv => true,
            Peer::Polling | Peer::Python => false,
        }
    }

    /// Returns why it cannot be measured here, and what brings it. `None` if it can.
    pub fn missing(self) -> Option<String> {
        match self {
            Peer::Polling | Peer::Calloop | Peer::Tokio => (!cfg!(feature = "peers"))
                .then(|| "build tripoll-lab with `--features peers`".to_string()),
            Peer::Libevent => Library::LIBEVENT.missing(),
            Peer::Libuv => Library::LIBUV.missing(),
            Peer::Python => python::missing(),
        }
    }
}
