//! How the reactor uses a selector: its trigger, and what its caps imply.

use std::any::TypeId;
use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use super::io_state::Flags;
use crate::selector::{Interest, Readiness, Selector, Trigger};
use crate::sys;

/// How the reactor uses its current selector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    pub(super) trigger: Trigger,
    /// Whether the selector reports urgent data apart from other data.
    urgent_apart: bool,
    /// Whether a change of interest is a system call.
    pub(super) change_is_a_system_call: bool,
    /// Whether the selector reports errors apart from data.
    reports_errors: bool,
}

bitflags::bitflags! {
    /// What the reactor must know of a source to register it.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct SourceKind: u8 {
        /// Its reads are plain reads of the kernel, without a buffer of its own.
        const READS_RAW = 1;
        /// It is a TCP socket. Only determined where it matters: edge-triggered.
        const TCP = 2;
    }
}

/// What the owner of a source knows of it, so that the kernel need not be asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// Its reads are plain reads of the kernel: see [`SourceKind`].
    pub(crate) reads_raw: bool,
    /// It is non-blocking already.
    pub(crate) is_nonblocking: bool,
    /// Whether it is a TCP socket. `None`: it is not known.
    pub(crate) is_tcp: Option<bool>,
}

impl Mode {
    /// Returns the mode for `selector`, with the trigger nearest to the requested one.
    pub(super) fn of(selector: &dyn Selector, requested: Trigger) -> io::Result<Self> {
        let caps = selector.caps();
        // The reactor implements one-shot by itself: see `Next::Disarm`.
        let level_first = [Trigger::Level, Trigger::Edge];
        let edge_first = [Trigger::Edge, Trigger::Level];
        let order = if requested == Trigger::Edge { edge_first } else { level_first };
        let Some(trigger) = order.into_iter().find(|trigger| caps.triggers.contains(trigger))
        else {
            let message = format!("selector {} supports neither level nor edge", selector.name());
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        };
        Ok(Mode {
            trigger,
            urgent_apart: caps.urgent_apart,
            change_is_a_system_call: caps.change_is_a_system_call,
            reports_errors: caps.reports.contains(Readiness::ERROR),
        })
    }

    /// Returns the kind of the source `fd`.
    pub(super) fn kind(self, fd: RawFd, known: Known) -> SourceKind {
        let is_tcp = || known.is_tcp.unwrap_or_else(|| sys::is_tcp(fd));
        let mut kind = SourceKind::empty();
        kind.set(SourceKind::READS_RAW, known.reads_raw);
        kind.set(SourceKind::TCP, self.trigger == Trigger::Edge && is_tcp());
        kind
    }

    /// Returns whether the kernel may report this readiness in each wait, although a handler has found
    /// that there is nothing to read or write.
    pub(super) fn is_persistent(self, readiness: Readiness) -> bool {
        let conditions = match self.reports_errors {
            true => Readiness::ERROR | Readiness::HANGUP,
            false => Readiness::READ | Readiness::WRITE, // `select` reports an error like this
        };
        self.trigger == Trigger::Level && readiness.intersects(conditions)
    }

    /// Returns the interest to register for a source with this effective interest.
    ///
    /// Level-triggered, they are the same. Edge-triggered, a TCP socket is registered once for all
    /// directions: an edge outside the effective interest is rare and costs nothing, while a change
    /// of interest is a system call. On other sockets each message sent would cause such an edge.
    /// Urgent data is registered because it cuts reads short.
    pub(super) fn registered(self, effective: Interest, kind: SourceKind) -> Interest {
        if effective.is_empty() || self.trigger != Trigger::Edge || !kind.contains(SourceKind::TCP)
        {
            effective
        } else if self.urgent_apart {
            Interest::all()
        } else {
            effective | Interest::READ | Interest::WRITE
        }
    }

    /// Returns the flags with which each call for such a source begins: whether a short read means
    /// the same as `WouldBlock`. Level-triggered it does, for the rest would be reported again.
    /// Edge-triggered it does only where nothing but the end of the data cuts a read short without
    /// a further edge: on TCP, as long as only plain data is reported.
    pub(super) fn flags(self, kind: SourceKind) -> Flags {
        let is_certain =
            self.trigger == Trigger::Level || kind.contains(SourceKind::TCP) && self.urgent_apart;
        if kind.contains(SourceKind::READS_RAW) && is_certain {
            Flags::SHORT_READS_DRAIN
        } else {
            Flags::empty()
        }
    }
}

/// Returns whether reads of an `F` are plain reads of the kernel. A type with a buffer of its own (a
/// decoder, TLS) may return less than it holds, and the kernel would not report the rest.
pub(super) fn reads_raw<F: 'static>() -> bool {
    [
        TypeId::of::<TcpStream>(),
        TypeId::of::<UnixStream>(),
        TypeId::of::<File>(),
        TypeId::of::<io::PipeReader>(),
        TypeId::of::<socket2::Socket>(),
    ]
    .contains(&TypeId::of::<F>())
}
