//! Chapter 33, the fifth model: asynchronous.
//!
//! Question: what does each of the five I/O models wait for?
//!
//! Run: `cargo run --example ch33_asynchronous`
//!
//! Try: close a client before its message has come. What does its completion say?

use std::io::{self, Write};
use std::os::fd::AsFd;

use common::models::two_clients;
use compio_buf::{BufResult, IntoInner};
use compio_driver::{Proactor, PushEntry, op::Recv};
use rustix::net::RecvFlags;

fn main() -> io::Result<()> {
    let (clients, conversation) = two_clients()?;
    let Ok(mut proactor) = Proactor::new() else {
        println!("this kernel refuses io_uring");
        return Ok(());
    };
    // Each receive is begun now. Its buffer belongs to the kernel until it is complete.
    let mut begun = Vec::new();
    for client in &clients {
        let fd = client.as_fd().try_clone_to_owned()?;
        let receive = Recv::new(fd, vec![0; 64], RecvFlags::empty());
        begun.push((client, proactor.push(receive)));
    }
    while !begun.is_empty() {
        proactor.poll(None)?; // sleeps until one is complete
        for (mut client, receive) in std::mem::take(&mut begun) {
            let PushEntry::Pending(key) = receive else { continue };
            match proactor.pop(key) {
                PushEntry::Ready(BufResult(count, receive)) => {
                    let data = &receive.into_inner()[..count?]; // it is here already
                    client.write_all(&data.to_ascii_uppercase())?;
                }
                pending => begun.push((client, pending)),
            }
        }
    }
    conversation.print(0)
}
