//! A chat room: what one client sends, all the others receive.
//!
//! Run: `cargo run --example broadcast -- --listen 127.0.0.1:7001`, then, in two terminals or more,
//! `cargo run --example client -- chat --connect 127.0.0.1:7001`.
//!
//! The connections share the reactor's state, a plain `&mut Room`. It needs no `Rc` and no
//! `RefCell`, because one callback runs at a time. A connection that has lines for another one puts
//! them into the state and notifies the other.

use std::collections::HashMap;
use std::io;

use common::Options;
use tripoll::net::{CloseReason, Closed, Connection, Listener, Protocol, Wire};
use tripoll::{Context, Token};

/// The lines that each connection still has to write.
type Room = HashMap<Token, Vec<u8>>;

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Sends each client's lines, up to 1 MiB each, to all the others",
        common::ANYWHERE,
    )?;
    let mut reactor = options.reactor().build_with(Room::new())?;
    let listener = Listener::bind(&options.listen)?;
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), |stream, cx| {
        Connection::new(Member).serve(stream, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;
    common::announce(&address);
    reactor.run()?;
    Ok(())
}

struct Member;

impl Protocol<Room> for Member {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Room>) -> io::Result<()> {
        cx.state.insert(wire.token(), Vec::new());
        Ok(())
    }

    /// Passes on whole lines. The rest is not used up, and is offered again with more behind it.
    /// A client with more than 1 MiB of it, which is the default of `Connection::max_unused`, is reset.
    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Room>,
    ) -> io::Result<usize> {
        let Some(end) = data.iter().rposition(|&byte| byte == b'\n') else { return Ok(0) };
        let others: Vec<_> = cx.state.keys().copied().filter(|&it| it != wire.token()).collect();
        for other in others {
            if let Some(unsent) = cx.state.get_mut(&other) {
                unsent.extend_from_slice(&data[..=end]);
                cx.notify(other)?;
            }
        }
        Ok(end + 1)
    }

    fn notified(&mut self, wire: &mut Wire, cx: &mut Context<Room>) -> io::Result<()> {
        if let Some(unsent) = cx.state.get_mut(&wire.token()) {
            wire.write(&std::mem::take(unsent));
        }
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<Room>) {
        if let CloseReason::InputOverflow = &closed.reason {
            log::warn!("a line is too long: {closed}");
        }
        if let Some(token) = closed.token {
            cx.state.remove(&token);
        }
    }
}
