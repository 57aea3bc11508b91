//! The tutorials' second server, 2a: many clients, and one list for both reading and writing.
//!
//! Run: `cargo run --example select_rw -- --listen 127.0.0.1:8001`, then
//! `cargo run --example client -- chat --connect 127.0.0.1:8001`.
//!
//! The tutorial asks `select` for `r_list` alone. It reads from each socket in that list, and at
//! once answers with `sendall`: the message, and 好. That is short, and wrong when a client does not
//! read: `sendall` blocks, and with it all other clients.
//!
//! Here the program is as short, and nothing blocks. The reply is still written where the message
//! is read. But the connection keeps in its write buffer what the kernel does not take. While that
//! buffer is over its high watermark, the connection reads no more. `message_dict` does this by
//! hand.
//!
//! Try: `--trace`, and a client that you end with Ctrl-C.

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
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// The protocol of one client's connection.
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

    /// The end is not a message, and gets no 好.
    fn ended(&mut self, conn: &mut Wire, _: &[u8], _: &mut Context) -> io::Result<()> {
        conn.write(self.decoder.finish().as_bytes());
        conn.close();
        Ok(())
    }
}
