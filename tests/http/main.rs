//! The example `http`, in memory and as a program.
//!
//! `tests/http_cases.toml` says what an HTTP/1.1 server must answer. Each case runs over the protocol
//! without sockets, split at each byte, and over the program on every backend and trigger.

mod cases;
mod clients;
mod files;
mod in_memory;
mod mutations;
#[path = "../../examples/http/protocol/mod.rs"]
mod protocol;
mod slow;
#[cfg(feature = "tls")]
mod tls;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
