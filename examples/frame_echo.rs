//! An echo server of messages: it sends back each message that a client sends.
//!
//! Run: `cargo run --example frame_echo -- --listen 127.0.0.1:4425`, then
//! `printf '\0\0\0\005hello' | nc 127.0.0.1 4425`.
//!
//! A message is four bytes with its length, the most significant first, and then so many bytes. TCP
//! knows nothing of messages, so `LengthPrefixed` finds them. A message of more than a mebibyte ends
//! its connection.

use std::io;

use common::Options;
use tripoll::Context;
use tripoll::net::framing::{FrameProtocol, FrameWire, LengthPrefixed};
use tripoll::net::{Connection, Listener};

struct FrameEcho;

impl FrameProtocol for FrameEcho {
    fn frame(&mut self, wire: &mut FrameWire, frame: &[u8], _: &mut Context) -> io::Result<()> {
        wire.send_frame(frame)
    }
}

fn main() -> Result<(), common::Failure> {
    let options = Options::read("Sends back each message that it is sent", common::ANYWHERE)?;
    let mut reactor = options.reactor().build()?;

    let listener = Listener::bind(&options.listen)?;
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), |client, cx| {
        Connection::new(LengthPrefixed::new(FrameEcho).max_frame(1 << 20)).serve(client, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}
