//! Chapter 12, what a handler answers.
//!
//! Question: which handler is called again, and when?
//!
//! Run: `cargo run --example ch12_answers`
//!
//! Try: another budget. Or `Next::Done` in `reads_all`: is it true there?

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use tripoll::reactor::{Budget, Counters};
use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Trigger};

type Answer = fn(&mut Source<UnixStream>, &mut Context) -> io::Result<Next>;

fn main() -> io::Result<()> {
    println!("100 bytes wait, and the loop turns ten times:");
    println!("{:38}called by level  by edge", "");
    let answers: [(&str, Answer); 7] = [
        ("reads all", reads_all),
        ("reads one byte: Keep", reads_one),
        ("reads one byte: Done", says_done),
        ("reads byte by byte, four at a time", reads_bytewise),
        ("does nothing: Keep", |_, _| Ok(Next::Keep)),
        ("does nothing: Disarm", |_, _| Ok(Next::Disarm)),
        ("wants nothing any more", |source, _| {
            source.set_interest(Interest::NONE);
            Ok(Next::Keep)
        }),
    ];
    for (what, answer) in answers {
        show(what, answer, false)?;
    }
    println!("the same 100 bytes, and the peer has gone:");
    show("reads all, and the end: Keep", reads_all, true)
}

fn show(what: &str, answer: Answer, and_the_end: bool) -> io::Result<()> {
    let [level, edge] = [
        ten_turns(Trigger::Level, answer, and_the_end)?,
        ten_turns(Trigger::Edge, answer, and_the_end)?,
    ];
    let mut notes = Vec::new();
    for (count, note) in [(level.idle, "idle"), (level.cut_off, "cut off")] {
        if count > 0 {
            notes.push(format!("{note}: {count}"));
        }
    }
    let line = format!(
        "    {what:40}{:>9}{:>9}   {}",
        level.dispatches,
        edge.dispatches,
        notes.join(", ")
    );
    println!("{}", line.trim_end());
    Ok(())
}

fn ten_turns(trigger: Trigger, answer: Answer, and_the_end: bool) -> io::Result<Counters> {
    let mut reactor = Reactor::builder()
        .backend(Backend::Epoll)
        .trigger(trigger)
        .budget(Budget::new(4, 1 << 20))
        .build()?;
    let (mine, mut theirs) = UnixStream::pair()?;
    theirs.write_all(&[b'x'; 100])?;
    let peer = (!and_the_end).then_some(theirs); // or it is closed here
    reactor.context().add(mine, Interest::READ, answer)?;
    for _ in 0..10 {
        reactor.turn(Deadline::Now)?;
    }
    drop(peer);
    Ok(reactor.context().counters())
}

fn reads_all(source: &mut Source<UnixStream>, _: &mut Context) -> io::Result<Next> {
    while source.read(&mut [0; 1024])? > 0 {}
    Ok(Next::Keep)
}

fn reads_one(source: &mut Source<UnixStream>, _: &mut Context) -> io::Result<Next> {
    let _one_byte = source.read(&mut [0])?;
    Ok(Next::Keep)
}

fn says_done(source: &mut Source<UnixStream>, _: &mut Context) -> io::Result<Next> {
    let _one_byte = source.read(&mut [0])?;
    Ok(Next::Done)
}

/// A loop until `WouldBlock`. It does not know that its budget is four reads a call.
fn reads_bytewise(source: &mut Source<UnixStream>, _: &mut Context) -> io::Result<Next> {
    while source.read(&mut [0])? > 0 {}
    Ok(Next::Keep)
}
