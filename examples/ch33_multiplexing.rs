//! Chapter 33, the third model: multiplexing.
//!
//! Question: what does each of the five I/O models wait for?
//!
//! Run: `cargo run --example ch33_multiplexing`
//!
//! Try: `poll` and `Epoll` in the place of `select`. Which lines change?

use std::io;
use std::os::fd::AsRawFd;

use common::models::{try_to_answer, two_clients};
use tripoll::sys::select;

fn main() -> io::Result<()> {
    let (clients, conversation) = two_clients()?;
    for client in &clients {
        client.set_nonblocking(true)?;
    }
    let mut waiting: Vec<_> = clients.iter().map(AsRawFd::as_raw_fd).collect();
    let mut in_vain = 0;
    while !waiting.is_empty() {
        let (ready, _, _) = select(&waiting, &[], &[], None)?; // sleeps for all of them
        for client in clients.iter().filter(|client| ready.contains(&client.as_raw_fd())) {
            match try_to_answer(client)? {
                true => waiting.retain(|&fd| fd != client.as_raw_fd()),
                false => in_vain += 1,
            }
        }
    }
    conversation.print(in_vain)
}
