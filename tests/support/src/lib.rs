//! The harness of tripoll's tests: one body for every backend and trigger, sockets, scripted
//! servers, programs in processes of their own.
//!
//! It is a crate, so that it is built once and not once a test target.

pub mod alone;
pub mod caught;
pub mod example;
pub mod faulty;
pub mod faulty_stream;
pub mod fuzz;
pub mod log_lines;
pub mod net;
pub mod noise;
pub mod one;
pub mod outside;
pub mod program;
pub mod protocols;
pub mod reactor;
pub mod refuse;
pub mod selector;
pub mod server;
pub mod signals;
pub mod sleep;
pub mod sockets;

mod bytes;
mod pair;
mod pem;
mod wait;

pub use bytes::{Dice, known_bytes, pattern};
pub use caught::expect_panic;
pub use pair::{Context, Pair, on_every_pair, on_every_pair_and_noise, on_every_pair_at_once};
pub use pem::pem;
pub use wait::{LONG, MINUTE, await_that};
