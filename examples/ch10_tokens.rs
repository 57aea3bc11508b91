//! Chapter 10, tokens and generations.
//!
//! Question: how do I know that an event is for *this* connection?
//!
//! Run: `cargo run --example ch10_tokens`
//!
//! Try: let bob come before ann in `main`. Which handlers are called then?

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Token};

fn main() -> io::Result<()> {
    println!("ann removes cy, and bob lets dora in, while cy's event is on its way:\n");
    println!("dora has his  number  place  token  event     stale events");
    for &backend in Backend::ALL {
        let mut reactor = Reactor::builder().backend(backend).build_with(Table::default())?;
        let pairs = [UnixStream::pair()?, UnixStream::pair()?, UnixStream::pair()?];
        let [(ann, mut to_ann), (bob, mut to_bob), (cy, mut to_cy)] = pairs;

        reactor.context().add(ann, Interest::READ, remove_cy)?;
        reactor.context().add(bob, Interest::READ, let_dora_in)?;
        let number = cy.as_raw_fd();
        let cy = reactor.context().add(cy, Interest::READ, called_by_mistake)?;
        reactor.state_mut().cy = Some((cy, number));
        for friend in [&mut to_ann, &mut to_bob, &mut to_cy] {
            friend.write_all(b"hello")?;
        }
        reactor.turn(Deadline::Now)?; // all three are in one answer of the kernel's

        let Some((dora, her_number)) = reactor.state().dora else { unreachable!() };
        let [number, place] = [her_number == number, dora.index() == cy.index()].map(yes);
        let [token, event] = [dora == cy, reactor.state().mistakes > 0].map(yes);
        let stale = reactor.context().counters().stale;
        println!("{backend:12}  {number:6}  {place:5}  {token:5}  {event:5}     {stale}");
    }
    Ok(())
}

/// What the handlers share.
#[derive(Default)]
struct Table {
    cy: Option<(Token, RawFd)>,
    dora: Option<(Token, RawFd)>,
    /// Kept open: otherwise dora's socket would be ready with a hang-up.
    to_dora: Option<UnixStream>,
    mistakes: u32,
}

fn remove_cy(ann: &mut Source<UnixStream>, cx: &mut Context<Table>) -> io::Result<Next> {
    let _greeting = ann.read(&mut [0; 64])?;
    if let Some((cy, _)) = cx.state.cy {
        cx.remove(cy)?;
    }
    Ok(Next::Keep)
}

fn let_dora_in(bob: &mut Source<UnixStream>, cx: &mut Context<Table>) -> io::Result<Next> {
    let _greeting = bob.read(&mut [0; 64])?;
    let (dora, to_dora) = UnixStream::pair()?; // the lowest free number: the one that was cy's
    let number = dora.as_raw_fd();
    let dora = cx.add(dora, Interest::READ, called_by_mistake)?;
    cx.state.dora = Some((dora, number));
    cx.state.to_dora = Some(to_dora);
    Ok(Next::Keep)
}

fn called_by_mistake(_: &mut Source<UnixStream>, cx: &mut Context<Table>) -> io::Result<Next> {
    cx.state.mistakes += 1;
    Ok(Next::Remove)
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
