//! Chapter 1, `select`.
//!
//! Question: how can one thread wait for many?
//!
//! Run: `cargo run --example ch01_select`
//!
//! Try: take out `read_from(&friends[1])?;`, and see what the line about ann and cy says then.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tripoll::sys::select;

/// Our end of a conversation, with the name of the friend at the other end.
struct Friend {
    name: &'static str,
    socket: UnixStream,
}

fn main() -> io::Result<()> {
    let (mut at_ann, ann) = UnixStream::pair()?;
    let (mut at_bob, bob) = UnixStream::pair()?;
    let (mut at_cy, cy) = UnixStream::pair()?;
    let friends =
        [("ann", ann), ("bob", bob), ("cy", cy)].map(|(name, socket)| Friend { name, socket });

    ask("nobody has written", &friends)?;
    at_bob.write_all(b"hello")?;
    ask("bob wrote", &friends)?;
    ask("bob is not read yet", &friends)?;
    read_from(&friends[1])?;
    at_ann.write_all(b"good morning")?;
    at_cy.write_all(b"bye")?;
    drop(at_cy);
    ask("ann and cy wrote, cy left", &friends)?;
    read_from(&friends[0])?;
    read_from(&friends[2])?;
    ask("cy has nothing more to say", &friends)?;
    read_from(&friends[2])
}

/// Waits for all of them at once, for 10 ms at most, and prints the three lists.
fn ask(what: &str, friends: &[Friend]) -> io::Result<()> {
    let inputs: Vec<RawFd> = friends.iter().map(|friend| friend.socket.as_raw_fd()).collect();
    let answer = select(&inputs, &[], &inputs, Some(Duration::from_millis(10)))?;
    let [r, w, e] = <[Vec<RawFd>; 3]>::from(answer).map(|list| {
        let named = friends.iter().filter(|friend| list.contains(&friend.socket.as_raw_fd()));
        named.map(|friend| friend.name).collect::<Vec<_>>().join(" ")
    });
    println!("{:28} r_list [{r}]  w_list [{w}]  e_list [{e}]", format!("{what}:"));
    Ok(())
}

fn read_from(friend: &Friend) -> io::Result<()> {
    let count = (&friend.socket).read(&mut [0; 1024])?;
    let end = if count == 0 { ": the end" } else { "" };
    println!("    read {count} bytes from {}{end}", friend.name);
    Ok(())
}
