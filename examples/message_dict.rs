//! The tutorials' third server, 2b: reading and writing apart.
//!
//! Run: `cargo run --example message_dict -- --listen 127.0.0.1:8001`, then
//! `cargo run --example client -- chat --connect 127.0.0.1:8001`.
//!
//! Each message is answered with itself and 好, as in `select_rw`. But the code that reads does not
//! write. A reply waits in `message_dict` until its client's socket is writable:
//!
//! | the tutorial | here |
//! |---|---|
//! | `inputs`: the sockets of which `r_list` is asked | the sources with READ in their interest |
//! | `outputs`: the sockets of which `w_list` is asked | the sources with WRITE in their interest |
//! | `message_dict`: the replies that are not sent yet | the same |
//! | the loop over `r_list` | [`Conn::receive`] |
//! | the loop over `w_list` | [`Conn::send`] |
//! | `select(inputs, outputs, inputs, 1)` | the reactor, on any backend |
//!
//! The tutorial's program ends when any client leaves, and each error leaves its three structures
//! inconsistent. (`message_dict_literal` is that program.) Here they are consistent:
//!
//! * A client is in `outputs` **exactly while** it has unsent replies.
//! * A client is in `inputs` until it has finished, except while it has too many unsent replies.
//!   Then it must read before the server reads from it again: the server's memory is bounded.
//! * A client that is in neither is done, and is removed from all three at once. So is a client
//!   whose connection fails.
//!
//! Try: `--trace` to see reads and writes alternate, and `RUST_LOG=debug` for the line that the
//! tutorial prints in each turn.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use common::Options;
use tripoll::net::{Listener, Stream, Utf8Decoder};
use tripoll::{Context, Handler, Interest, Next, Source, Token};

/// How much is read at once: `recv(1024)`.
const BUFSIZ: usize = 1024;
/// The number of unsent replies at which a client is read from no more, until all are sent.
const MOST_UNSENT: usize = 64;

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Sends each message back with 好 behind it: reading and writing apart",
        common::ANYWHERE,
    )?;
    let mut reactor = options.reactor().build_with(Server::default())?;

    let sk1 = Listener::bind(&options.listen)?;
    let address = sk1.local_address().clone();
    let sk1 = sk1.serve(&mut reactor.context(), |conn, cx| {
        let conn = cx.add(conn, Interest::READ, Conn::default())?;
        cx.state.inputs.insert(conn);
        cx.state.message_dict.insert(conn, VecDeque::new());
        Ok(())
    })?;
    reactor.state_mut().inputs.insert(sk1);
    reactor.before_wait(|cx| log::debug!("正在监听的socket对象{}", cx.state.inputs.len()));
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// What the handlers share.
#[derive(Default)]
struct Server {
    /// The sources that are read from: the listener, and clients.
    inputs: HashSet<Token>,
    /// The clients with unsent replies.
    outputs: HashSet<Token>,
    /// The unsent replies of each client, of which the first may be partly sent.
    message_dict: HashMap<Token, VecDeque<Vec<u8>>>,
}

impl Server {
    /// Queues a reply for `conn`.
    fn reply(&mut self, conn: Token, reply: String) {
        self.message_dict.entry(conn).or_default().push_back(reply.into());
        self.outputs.insert(conn);
    }

    fn unsent(&self, conn: Token) -> usize {
        self.message_dict.get(&conn).map_or(0, VecDeque::len)
    }

    /// Returns the interest in `conn` that the two sets make.
    fn interest(&self, conn: Token) -> Interest {
        let mut interest = Interest::NONE;
        interest.set(Interest::READ, self.inputs.contains(&conn));
        interest.set(Interest::WRITE, self.outputs.contains(&conn));
        interest
    }

    fn forget(&mut self, conn: Token) {
        self.inputs.remove(&conn);
        self.outputs.remove(&conn);
        self.message_dict.remove(&conn);
    }
}

/// A client's handler.
#[derive(Default)]
struct Conn {
    /// A `recv` may end in the middle of a character. The other half comes with the next.
    decoder: Utf8Decoder,
    has_ended: bool,
}

impl Conn {
    /// `for sk1_or_conn in r_list`: reads, and writes nothing.
    fn receive(&mut self, conn: &mut Source<Stream>, server: &mut Server) -> io::Result<()> {
        let token = conn.token();
        let mut buffer = [0; BUFSIZ];
        while server.unsent(token) < MOST_UNSENT {
            match conn.read(&mut buffer)? {
                0 => {
                    // The end is not a message, and gets no 好.
                    let data_str = self.decoder.finish();
                    if !data_str.is_empty() {
                        server.reply(token, data_str.into());
                    }
                    self.has_ended = true;
                    break;
                }
                count => {
                    let data_str = self.decoder.decode(&buffer[..count]);
                    server.reply(token, data_str + "好");
                }
            }
        }
        server.inputs.remove(&token);
        Ok(())
    }

    /// `for conn in w_list`: writes, and reads nothing. "Can be written" means that some bytes fit,
    /// not that all do.
    fn send(&mut self, conn: &mut Source<Stream>, server: &mut Server) -> io::Result<()> {
        let token = conn.token();
        let messages = server.message_dict.entry(token).or_default();
        while let Some(reply) = messages.front_mut() {
            let sent = conn.write(reply)?;
            reply.drain(..sent);
            if reply.is_empty() {
                messages.pop_front();
            }
        }
        server.outputs.remove(&token);
        if !self.has_ended {
            server.inputs.insert(token);
        }
        Ok(())
    }
}

impl Handler<Stream, Server> for Conn {
    fn ready(&mut self, conn: &mut Source<Stream>, cx: &mut Context<Server>) -> io::Result<Next> {
        let token = conn.token();
        if cx.state.inputs.contains(&token) && conn.is_readable() {
            or_later(self.receive(conn, cx.state))?;
        }
        if cx.state.outputs.contains(&token) && conn.is_writable() {
            or_later(self.send(conn, cx.state))?;
        }
        let interest = cx.state.interest(token);
        if interest.is_empty() {
            return Ok(Next::Remove);
        }
        conn.set_interest(interest);
        Ok(Next::Keep)
    }

    /// The server shuts down. What this client has sent is still answered, and no more is read.
    fn shutting_down(
        &mut self,
        conn: &mut Source<Stream>,
        _: &mut Context<Server>,
    ) -> io::Result<Next> {
        conn.get_ref().shutdown(Shutdown::Read)?;
        Ok(Next::Keep)
    }

    /// Removes the client from all three at once. After a reset its unsent replies are dropped.
    fn removed(&mut self, conn: Token, error: Option<&io::Error>, cx: &mut Context<Server>) {
        if let Some(error) = error {
            log::debug!("{error}");
        }
        cx.state.forget(conn);
    }
}

/// `WouldBlock` ends a loop, and is not an error.
fn or_later(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| match error.kind() {
        ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    })
}
