//! Chapter 11, the one contract.
//!
//! Question: must a handler know how the kernel is asked?
//!
//! Run: `cargo run --example ch11_contract`
//!
//! Try: a buffer of two bytes. Then let the handler answer `Next::Done`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Trigger};

fn main() -> io::Result<()> {
    println!("{:31}turn  1 2 3 4 5 6 7 8 9 10", "");
    for &backend in Backend::ALL {
        for &trigger in Trigger::ALL {
            let mut reactor =
                Reactor::builder().backend(backend).trigger(trigger).build_with(String::new())?;
            let asked = reactor.context().effective_trigger();
            let (mine, mut theirs) = UnixStream::pair()?;
            reactor.context().add(mine, Interest::READ, one_byte)?;

            let mut turns = Vec::new();
            for turn in 1..=10 {
                match turn {
                    1 => theirs.write_all(b"hello")?,
                    8 => theirs.write_all(b"!")?,
                    _ => {}
                }
                reactor.state_mut().clear();
                let calls = reactor.turn(Deadline::Now)?;
                turns.push(match reactor.state().as_str() {
                    "" if calls == 0 => ".".into(),
                    "" => "-".into(),
                    read => read.to_string(),
                });
            }
            let wish = format!("{backend}, {trigger}");
            println!("{wish:16} asked by {asked:10}{}", turns.join(" "));
        }
    }
    Ok(())
}

/// The handler of chapter 4's first server: one read, whatever happens.
fn one_byte(source: &mut Source<UnixStream>, cx: &mut Context<String>) -> io::Result<Next> {
    let mut buffer = [0; 1];
    let count = source.read(&mut buffer)?; // the reactor takes `WouldBlock` for no failure
    cx.state.push_str(&String::from_utf8_lossy(&buffer[..count]));
    Ok(Next::Keep)
}
