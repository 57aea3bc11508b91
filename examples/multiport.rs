//! Three ports, one loop: each client of any of them gets `hello`.
//!
//! Run: `cargo run --example multiport -- --listen 127.0.0.1:8001` listens on 8001, 8002 and 8003;
//! then `cargo run --example client -- chat --connect 127.0.0.1:8003`.
//!
//! To the loop a listening socket is a source like any other: it is readable when a client waits in
//! its queue. So one loop watches any number of ports.
//!
//! The tutorial closes at once after its `hello`. If the client has sent data that is unread by
//! then, the kernel sends a reset, which may overtake the `hello`. `Wire::close` flushes the write
//! buffer, finishes its own side, and reads until the client has finished too.

use std::io;
use std::process::exit;

use common::Options;
use tripoll::Context;
use tripoll::net::{Address, Connection, Listener, Protocol, Wire};

fn main() -> Result<(), common::Failure> {
    let options = Options::read("Listens at PORT, PORT+1 and PORT+2, and says hello", common::TCP)?;
    let Some(ports) = three_ports(&options.listen) else {
        eprintln!(
            "--listen {}: three ports are needed, HOST:PORT up to PORT 65533",
            options.listen
        );
        exit(2);
    };
    let mut reactor = options.reactor().build()?;

    let mut addresses = Vec::new();
    for address in ports {
        let sk = Listener::bind(&address)?;
        addresses.push(sk.local_address().clone());
        sk.serve(&mut reactor.context(), |conn, cx| {
            Connection::new(Hello).serve(conn, cx)?;
            Ok(())
        })?;
    }
    common::shut_down_on_signals(&mut reactor)?;

    addresses.iter().for_each(common::announce);
    reactor.run()?;
    Ok(())
}

/// Returns PORT, PORT+1 and PORT+2, or three free ports for port 0. `None` if there are no such
/// ports.
fn three_ports(address: &Address) -> Option<[Address; 3]> {
    let &Address::Inet(first) = address else { return None };
    let [mut second, mut third] = [first; 2];
    if first.port() != 0 {
        second.set_port(first.port().checked_add(1)?);
        third.set_port(first.port().checked_add(2)?);
    }
    Some([first, second, third].map(Address::Inet))
}

/// Says hello, and closes.
struct Hello;

impl Protocol for Hello {
    fn opened(&mut self, conn: &mut Wire, _: &mut Context) -> io::Result<()> {
        conn.write(b"hello");
        conn.close();
        Ok(())
    }

    /// Never called: input after `close` is discarded.
    fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        Ok(data.len())
    }
}
