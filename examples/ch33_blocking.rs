//! Chapter 33, the first model: blocking.
//!
//! Question: what does each of the five I/O models wait for?
//!
//! Run: `cargo run --example ch33_blocking`
//!
//! Try: let bob connect before ann (in `examples/common/models.rs`).

use std::io;

use common::models::{answer, two_clients};

fn main() -> io::Result<()> {
    let (clients, conversation) = two_clients()?;
    for client in &clients {
        answer(client)?; // the read sleeps until this client sends
    }
    conversation.print(0)
}
