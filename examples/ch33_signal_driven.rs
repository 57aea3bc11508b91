//! Chapter 33, the fourth model: signal-driven.
//!
//! Question: what does each of the five I/O models wait for?
//!
//! Run: `cargo run --example ch33_signal_driven`
//!
//! Try: leave out `thread_block`. How does the program end?

use std::io;

use common::models::{try_to_answer, two_clients};
use nix::sys::signal::{SigSet, Signal};
use tripoll::sys::signal_when_ready;

fn main() -> io::Result<()> {
    let signals = SigSet::from(Signal::SIGIO);
    signals.thread_block()?; // in all threads: they are started later
    let (clients, conversation) = two_clients()?;
    for client in &clients {
        client.set_nonblocking(true)?;
        signal_when_ready(client)?;
    }
    let mut waiting: Vec<_> = clients.iter().collect();
    let mut in_vain = 0;
    loop {
        // The signal does not say which client has sent data: all are asked.
        for client in std::mem::take(&mut waiting) {
            if !try_to_answer(client)? {
                in_vain += 1;
                waiting.push(client);
            }
        }
        if waiting.is_empty() {
            return conversation.print(in_vain);
        }
        signals.wait()?;
    }
}
