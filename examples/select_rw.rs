//! Rung 2a of the tutorials' ladder: many clients, and one list that both reads and writes.
//!
//! Run: `cargo run --example select_rw -- --listen 127.0.0.1:8001`, then
//! `cargo run --example client -- chat --connect 127.0.0.1:8001`.
//!
//! The tutorial asks `select` for `r_list` alone. Who is in it is read from, and answered in the same
//! breath with `sendall`: what was said, and 好. That is short, and wrong when the client does not
//! read: `sendall` waits for it, and everybody else waits for `sendall`.
//!
//! Here it is as short, and nobody waits. The reply is still written where the message is read. But
//! the connection keeps what the kernel does not take, and sends it later; and while it keeps much,
//! it reads no more from that client. How that is done by hand is the next rung, `message_dict`.
//!
//! Try: `--trace`, and a client that is ended with Ctrl-C.

use std::io;

use common::Options;
use tripoll::Context;
use tripoll::net::{Connection, Listener, Protocol, Utf8Decoder, Wire};

/// How much is read at once: `recv(1024)`.
const BUFSIZ: usize = 1024;

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Sends each message back with 好 behind it: written where it is read",
        common::ANYWHERE,
    )?;
    let mut reactor = options.reactor().build()?;

    let sk1 = Listener::bind(&options.listen)?;
    let address = sk1.local_address().clone();
    sk1.serve(&mut reactor.context(), |conn, cx| {
        Connection::new(SelectRw::default()).serve(conn, cx)?;
        Ok(())
    })?;
    common::wind_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// A conversation with one client.
#[derive(Default)]
struct SelectRw {
    /// A `recv` may end in the middle of a character. The other half comes with the next.
    decoder: Utf8Decoder,
}

impl Protocol for SelectRw {
    fn received(&mut self, conn: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        let data_bytes = &data[..data.len().min(BUFSIZ)];
        let data_str = self.decoder.decode(data_bytes);
        conn.write((data_str + "好").as_bytes());
        Ok(data_bytes.len()) // the rest, if any, is offered at once
    }

    /// The end is no message, and gets no 好.
    fn ended(&mut self, conn: &mut Wire, _: &[u8], _: &mut Context) -> io::Result<()> {
        conn.write(self.decoder.finish().as_bytes());
        conn.close();
        Ok(())
    }
}
