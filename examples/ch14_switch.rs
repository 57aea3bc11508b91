//! Chapter 14, the live switch.
//!
//! Question: what does a connection notice when the system call under it is changed?
//!
//! Run: `cargo run --example ch14_switch`
//!
//! Try: `Trigger::Edge`. Or a handler that reads until `WouldBlock`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Trigger};

fn main() -> io::Result<()> {
    let mut reactor = Reactor::builder().trigger(Trigger::Level).build_with(String::new())?;
    let (mine, mut theirs) = UnixStream::pair()?;
    reactor.context().add(mine, Interest::READ, one_byte)?;

    theirs.write_all(b"it is all one")?;
    for &backend in Backend::ALL.iter().cycle().take(13) {
        reactor.context().switch_to(backend)?; // in the middle of the message
        reactor.turn(Deadline::Never)?;
        let (backend, asked) = (reactor.context().backend(), reactor.context().effective_trigger());
        println!("{backend:7} {asked:7} {:?}", reactor.state());
    }
    let counters = reactor.context().counters();
    println!(
        "{} switches, {} connection, {} errors",
        counters.switches,
        reactor.context().len(),
        counters.errors
    );
    Ok(())
}

fn one_byte(source: &mut Source<UnixStream>, cx: &mut Context<String>) -> io::Result<Next> {
    let mut buffer = [0; 1];
    let count = source.read(&mut buffer)?;
    cx.state.push_str(&String::from_utf8_lossy(&buffer[..count]));
    Ok(Next::Keep)
}
