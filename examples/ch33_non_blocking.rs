//! Chapter 33, the second model: non-blocking.
//!
//! Question: what does each of the five I/O models wait for?
//!
//! Run: `cargo run --example ch33_non_blocking`
//!
//! Try: let the loop sleep for a millisecond after each round. Who pays for it?

use std::io;

use common::models::{try_to_answer, two_clients};

fn main() -> io::Result<()> {
    let (clients, conversation) = two_clients()?;
    for client in &clients {
        client.set_nonblocking(true)?;
    }
    let mut waiting: Vec<_> = clients.iter().collect();
    let mut in_vain = 0;
    while let Some(client) = waiting.pop() {
        if !try_to_answer(client)? {
            in_vain += 1; // the read did not wait: `WouldBlock`
            waiting.insert(0, client);
        }
    }
    conversation.print(in_vain)
}
