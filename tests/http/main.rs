//! The example `http`, in memory and as a program.
//!
//! `tests/http_cases.toml` says what an HTTP/1.1 server must answer. Each case runs over the protocol
//! without sockets, split at each byte; over the program on every backend and trigger, with the feature
//! `tls` over TLS, too; and over its connections with selectors that make faults.

mod cases;
mod clients;
#[path = "../../examples/http/connection.rs"]
mod connection;
#[path = "../../examples/http/files.rs"]
mod files;
mod folder;
mod in_memory;
mod mutations;
mod noise;
#[path = "../../examples/http/protocol/mod.rs"]
mod protocol;
mod slow;
#[cfg(feature = "tls")]
mod tls;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
