//! How a selector is asked.

use std::any::TypeId;
use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use super::io_state::Flags;
use crate::selector::{Interest, Selector, Trigger};
use crate::sys;

/// How the present selector is asked, and what may be concluded from its silence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    pub(super) trigger: Trigger,
    /// Whether it can tell urgent data from plain.
    urgent_apart: bool,
    /// Whether to ask it for something else is a system call.
    pub(super) change_is_a_system_call: bool,
}

/// What has to be known of a source to ask for it in the right mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceKind {
    /// Whether its reads are the kernel's, no more and no less.
    pub(super) reads_raw: bool,
    /// Whether it is a TCP socket. Found out where it matters.
    pub(super) is_tcp: bool,
}

impl Mode {
    /// The nearest to what is wished that a selector has.
    pub(super) fn of(selector: &dyn Selector, wished: Trigger) -> io::Result<Self> {
        let caps = selector.caps();
        // One-shot is the reactor's own doing: see `Next::Disarm`.
        let level_first = [Trigger::Level, Trigger::Edge];
        let edge_first = [Trigger::Edge, Trigger::Level];
        let order = if wished == Trigger::Edge { edge_first } else { level_first };
        let Some(trigger) = order.into_iter().find(|trigger| caps.triggers.contains(trigger))
        else {
            let message = format!("{} has neither level nor edge", selector.name());
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        };
        Ok(Mode {
            trigger,
            urgent_apart: caps.urgent_apart,
            change_is_a_system_call: caps.change_is_a_system_call,
        })
    }

    /// What there is to know of a source whose reads are raw, or not.
    pub(super) fn kind(self, fd: RawFd, reads_raw: bool) -> SourceKind {
        SourceKind { reads_raw, is_tcp: self.trigger == Trigger::Edge && sys::is_tcp(fd) }
    }

    /// What the kernel is asked of a source.
    ///
    /// By level, what is wanted. On edge a TCP socket is asked for everything once and for all: an
    /// unwanted edge is rare and costs nothing, a change of interest is a system call. (On other
    /// sockets each message sent would bring an edge of its own.) Urgent data is asked for because
    /// it cuts reads short.
    pub(super) fn registered(self, wanted: Interest, kind: SourceKind) -> Interest {
        if wanted.is_empty() || self.trigger != Trigger::Edge || !kind.is_tcp {
            wanted
        } else if self.urgent_apart {
            Interest::all()
        } else {
            wanted | Interest::READ | Interest::WRITE
        }
    }

    /// What is true of each call: whether a short read says as much as `WouldBlock`. By level it
    /// does: what is left is told again. On edge only where nothing else than the end of the data
    /// can cut it short without an edge of its own: on TCP, as long as nothing but plain data is
    /// told.
    pub(super) fn flags(self, kind: SourceKind) -> Flags {
        let is_certain = self.trigger == Trigger::Level || kind.is_tcp && self.urgent_apart;
        if kind.reads_raw && is_certain { Flags::SHORT_READS_DRAIN } else { Flags::empty() }
    }
}

/// Whether reads of an `F` are the kernel's. A type with a buffer of its own (a decoder, TLS) may
/// return less than it has, and the kernel, which has nothing any more, would not tell of the rest.
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
