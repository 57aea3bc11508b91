//! What can be seen of a source from outside.

use std::os::fd::RawFd;
use std::time::Instant;

use super::source_entry::{SourceEntry, Status, Types};
use crate::selector::{Interest, Token};

/// What a reactor knows of one of its [sources](super::Context::sources).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceInfo {
    /// Its token.
    pub token: Token,
    /// Its descriptor.
    pub descriptor: RawFd,
    /// The name of its type, as [`type_name`](std::any::type_name) writes it.
    pub source: &'static str,
    /// The name of the type of its handler. That of a closure has the function in which it stands.
    pub handler: &'static str,
    /// The interest that is set.
    pub interest: Interest,
    /// The directions in which it is ready, and its handler has not met `WouldBlock` yet.
    pub ready: Interest,
    /// Whether it is [disarmed](super::Next::Disarm).
    pub is_disarmed: bool,
    /// Its [deadline](super::Context::set_deadline).
    pub deadline: Option<Instant>,
}

impl SourceInfo {
    /// Returns the info of a source, without its deadline.
    pub(super) fn of(token: Token, entry: &SourceEntry, types: Types) -> Self {
        SourceInfo {
            token,
            descriptor: entry.fd,
            source: types.source_name,
            handler: types.handler_name,
            interest: entry.settings.interest,
            ready: entry.ready,
            is_disarmed: entry.status.contains(Status::DISARMED),
            deadline: None,
        }
    }
}
