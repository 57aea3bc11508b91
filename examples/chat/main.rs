//! A chat with names: all guests read the same lines in the same order.
//!
//! Run: `cargo run --example chat -- --listen 127.0.0.1:7001`, then, in several terminals,
//! `cargo run --example client -- chat --connect 127.0.0.1:7001`, and type `/nick bob`, `/who`, `/quit`.
//!
//! `room.rs` knows the guests and no socket. This file is all that the library needs.
//!
//! What is said in one turn of the loop is one buffer, an `Arc<[u8]>`. Each guest is told to send it, and
//! the connections share it. So the work of a turn grows with the number of guests and with the bytes,
//! and not with their product, even when all guests come, speak or leave in the same turn.
//!
//! # Limits
//!
//! | what | most | beyond |
//! |---|---|---|
//! | a line | 1,024 bytes | the guest is told so, and closed |
//! | a name | 20 letters, digits, `-` and `_` | the guest is told so |
//! | what a guest has not read | `--max-unread`, by default 256 KiB | the guest is dropped, and the others are told |
//! | guests | `--max-guests`, by default 1,000 | they wait in the kernel |

mod room;

use std::io;

use clap::Parser;
use common::Options;
use room::{Leaves, Room};
use tripoll::Context;
use tripoll::net::{CloseReason, Closed, Connection, Listener, Protocol, Watermarks, Wire};
use tripoll::reactor::Id;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The most bytes that wait for a guest
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10)]
    max_unread: usize,
    /// The most guests at once
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    max_guests: usize,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, max_unread, max_guests } =
        common::read("A chat with names, whose lines all guests read", common::ANYWHERE);
    options.begin()?;
    let mut reactor = options.reactor().build_with(Room::new())?;

    let listener = Listener::builder().max_connections(max_guests).bind(&options.listen)?;
    let address = listener.local_address().clone();
    let marks = Watermarks::new(max_unread / 4, max_unread / 2, max_unread);
    listener.serve(&mut reactor.context(), move |stream, cx| {
        Connection::new(Guest::default()).watermarks(marks).serve(stream, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

type GuestId = Id<Connection<Guest>>;
type Chat<'a> = Context<'a, Room<GuestId>>;

#[derive(Default)]
struct Guest {
    id: Option<GuestId>,
}

/// Sends the news at the end of the turn, unless that is on its way already.
fn send_news(had_news: bool, cx: &mut Chat) {
    if had_news || !cx.state.has_news() {
        return;
    }
    cx.defer(|cx| {
        let news = cx.state.take_news();
        let (room, mut cx) = cx.split();
        for guest in room.guests() {
            let news = news.clone();
            // One that is being closed is about to leave the room.
            let _ = cx.tell(guest, move |_, wire, _| {
                wire.send(news);
                Ok(())
            });
        }
    });
}

impl Protocol<Room<GuestId>> for Guest {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Chat) -> io::Result<()> {
        let (id, had_news) = (cx.id(wire.token())?, cx.state.has_news());
        self.id = Some(id);
        wire.write(cx.state.join(id).as_bytes());
        send_news(had_news, cx);
        Ok(())
    }

    fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Chat) -> io::Result<usize> {
        let Some(id) = self.id else { return Ok(data.len()) };
        let (had_news, mut reply) = (cx.state.has_news(), Vec::new());
        let (used, stays) = cx.state.receive(id, data, &mut reply);
        wire.write(&reply);
        if !stays {
            cx.state.leave(id, Leaves::Quits); // and not only when the last byte was read
            wire.close();
        }
        send_news(had_news, cx);
        Ok(used)
    }

    /// What was said before is sent first: it is on its way by a job and a message, and so is this.
    fn shutting_down(&mut self, _: &mut Wire, cx: &mut Chat) -> io::Result<()> {
        if let Some(id) = self.id {
            cx.defer(move |cx| {
                let _ = cx.tell(id, |_, wire: &mut Wire, _| {
                    wire.write(b"* the chat is over\n");
                    wire.close();
                    Ok(())
                });
            });
        }
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Chat) {
        let leaves = match &closed.reason {
            CloseReason::Finished => Leaves::Quits,
            CloseReason::OutputOverflow
            | CloseReason::ListenerOverflow
            | CloseReason::WriteTimedOut
            | CloseReason::CloseTimedOut => Leaves::IsSlow,
            _ => Leaves::IsLost,
        };
        if let Some(id) = self.id {
            let had_news = cx.state.has_news();
            cx.state.leave(id, leaves);
            send_news(had_news, cx);
        }
    }
}
