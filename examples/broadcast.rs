//! What one says, all the others hear: connections that reach each other.
//!
//! Run: `cargo run --example broadcast -- --listen 127.0.0.1:7001`, then, in two terminals or more,
//! `cargo run --example client -- chat --connect 127.0.0.1:7001`.
//!
//! What the connections share is the reactor's state, a plain `&mut Room`: no `Rc`, no `RefCell`,
//! because one callback runs at a time. Whoever has something for another connection leaves it
//! there, and has it notified.

use std::collections::HashMap;
use std::io;

use common::Options;
use tripoll::net::{CloseReason, Connection, Listener, Protocol, Wire};
use tripoll::{Context, Token};

/// Who is here, and what each has not yet been told.
type Room = HashMap<Token, Vec<u8>>;

fn main() -> Result<(), common::Failure> {
    let options = Options::read("What one client says, all the others hear", common::ANYWHERE)?;
    let mut reactor = options.reactor().build_with(Room::new())?;
    let listener = Listener::bind(&options.listen)?;
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), |stream, cx| {
        Connection::new(Guest::default()).serve(stream, cx)?;
        Ok(())
    })?;
    common::wind_down_on_signals(&mut reactor)?;
    common::announce(&address);
    reactor.run()?;
    Ok(())
}

#[derive(Default)]
struct Guest {
    token: Option<Token>,
}

impl Protocol<Room> for Guest {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Room>) -> io::Result<()> {
        self.token = Some(wire.token());
        cx.state.insert(wire.token(), Vec::new());
        Ok(())
    }

    /// Whole lines are passed on; what is not yet a line is kept, and offered again.
    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Room>,
    ) -> io::Result<usize> {
        let Some(end) = data.iter().rposition(|&byte| byte == b'\n') else { return Ok(0) };
        let others: Vec<_> = cx.state.keys().copied().filter(|&it| it != wire.token()).collect();
        for other in others {
            if let Some(unheard) = cx.state.get_mut(&other) {
                unheard.extend_from_slice(&data[..=end]);
                cx.notify(other)?;
            }
        }
        Ok(end + 1)
    }

    fn notified(&mut self, wire: &mut Wire, cx: &mut Context<Room>) -> io::Result<()> {
        if let Some(unheard) = cx.state.get_mut(&wire.token()) {
            wire.write(&std::mem::take(unheard));
        }
        Ok(())
    }

    fn closed(&mut self, _: &CloseReason, cx: &mut Context<Room>) {
        if let Some(token) = self.token {
            cx.state.remove(&token);
        }
    }
}
