//! Rung 2b of the tutorials' ladder: reading and writing apart.
//!
//! Run: `cargo run --example message_dict -- --listen 127.0.0.1:8001`, then
//! `cargo run --example client -- chat --connect 127.0.0.1:8001`.
//!
//! Each message is answered with itself and 好, as on the rung before. But who reads does not write.
//! What is read waits in `message_dict` until its client can take it:
//!
//! | the tutorial | here |
//! |---|---|
//! | `inputs`: who is asked about in `r_list` | whose interest has READ |
//! | `outputs`: who is asked about in `w_list` | whose interest has WRITE |
//! | `message_dict`: what each is owed | the same |
//! | the loop over `r_list` | [`Conn::receive`] |
//! | the loop over `w_list` | [`Conn::send`] |
//! | `select(inputs, outputs, inputs, 1)` | the reactor, on any backend |
//!
//! The tutorial's program dies when any client leaves, and its three structures drift apart with each
//! error (`message_dict_literal` is that program, to be watched dying). Here they are kept in step:
//!
//! * A client is in `outputs` **exactly while** it is owed something.
//! * It is in `inputs` until it has said its last; but not while it is owed so much that it should
//!   read first. Then it waits with its sending, and not we with our memory.
//! * Who is in neither is done, and leaves all three at once. So does whoever fails.
//!
//! Try: `--trace` to see reading and writing take turns; `RUST_LOG=debug` for what the tutorial
//! prints in each of its own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use common::Options;
use tripoll::net::{Listener, Stream, Utf8Decoder};
use tripoll::{Context, Handler, Interest, Next, Source, Token};

/// How much is read at once: `recv(1024)`.
const BUFSIZ: usize = 1024;
/// Who is owed so many replies is not read from until it has taken them all.
const MOST_OWED: usize = 64;

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
    reactor.state().inputs.insert(sk1);
    reactor.before_wait(|cx| log::debug!("正在监听的socket对象{}", cx.state.inputs.len()));
    common::wind_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// What the handlers share.
#[derive(Default)]
struct Server {
    /// Who may speak: the listener, and clients.
    inputs: HashSet<Token>,
    /// Who is owed something.
    outputs: HashSet<Token>,
    /// What each client is owed: whole replies, of which the first may be partly sent.
    message_dict: HashMap<Token, VecDeque<Vec<u8>>>,
}

impl Server {
    /// Owes `conn` a reply.
    fn owe(&mut self, conn: Token, reply: String) {
        self.message_dict.entry(conn).or_default().push_back(reply.into());
        self.outputs.insert(conn);
    }

    fn owed(&self, conn: Token) -> usize {
        self.message_dict.get(&conn).map_or(0, VecDeque::len)
    }

    /// What is wanted of `conn`: what the lists say.
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
        while server.owed(token) < MOST_OWED {
            match conn.read(&mut buffer)? {
                0 => {
                    // The end is no message, and gets no 好.
                    let data_str = self.decoder.finish();
                    if !data_str.is_empty() {
                        server.owe(token, data_str.into());
                    }
                    self.has_ended = true;
                    break;
                }
                count => {
                    let data_str = self.decoder.decode(&buffer[..count]);
                    server.owe(token, data_str + "好");
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

    /// The server stops. What this client has sent is still answered; more it cannot send.
    fn shutting_down(
        &mut self,
        conn: &mut Source<Stream>,
        _: &mut Context<Server>,
    ) -> io::Result<Next> {
        conn.get_ref().shutdown(Shutdown::Read)?;
        Ok(Next::Keep)
    }

    /// It leaves all three at once: in good order, or by a reset, when nobody can have what it was
    /// owed.
    fn removed(&mut self, conn: Token, error: Option<&io::Error>, cx: &mut Context<Server>) {
        if let Some(error) = error {
            log::debug!("{error}");
        }
        cx.state.forget(conn);
    }
}

/// `WouldBlock` ends a loop, but is no error.
fn or_later(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| match error.kind() {
        ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    })
}
