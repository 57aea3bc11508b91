//! The tutorials' server without its bugs: an echo of lines, over the reactor.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use tripoll::reactor::Handler;
use tripoll::{Context, Interest, Next, Source};

use crate::live::accepting;
use crate::live::mark::mark;
use crate::live::on_reactor::{OnReactor, State};
use crate::live::program::{Beginning, Subject};
use crate::live::recorder;
use crate::live::socket::{Acceptor, Socket};
use crate::live::work::work;

pub(super) fn begin(beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    let mut server = OnReactor::new(beginning, |reactor, deadline| {
        mark!(15);
        reactor.turn(deadline)
    })?;
    server.listen(accept)?;
    Ok(Box::new(server))
}

/// The listener is readable: somebody has connected.
fn accept(listener: &mut Source<Acceptor>, cx: &mut Context<State>) -> io::Result<Next> {
    for _ in 0..cx.state.settings.budget {
        mark!(21);
        let limit = cx.state.settings.limit;
        let socket = match listener.try_io(Interest::READ, |listener| listener.accept(limit)) {
            Ok(socket) => socket,
            Err(error) => return accepting::failed(listener, cx, error),
        };
        let _ = cx.add(socket, Interest::READ, Client::default()); // if that fails, it is closed
    }
    Ok(Next::Keep)
}

/// A client: what it has sent and is no line yet, and what it is still to be sent.
#[derive(Default)]
struct Client {
    line: Vec<u8>,
    message: Vec<u8>, // the tutorials' message_dict[conn]
    has_ended: bool,
}

impl Handler<Socket, State> for Client {
    fn ready(&mut self, socket: &mut Source<Socket>, cx: &mut Context<State>) -> io::Result<Next> {
        if socket.is_readable() {
            self.receive(socket, cx)?;
        }
        self.send(socket)?;
        if self.has_ended && self.message.is_empty() {
            mark!(53);
            return Ok(Next::Remove);
        }
        let mut interest = Interest::NONE;
        if !self.has_ended && !cx.state.is_over_watermark(self.message.len()) {
            interest |= Interest::READ; // the tutorials' inputs
        }
        if !self.message.is_empty() {
            mark!(48);
            interest |= Interest::WRITE; // the tutorials' outputs
        }
        socket.set_interest(interest);
        recorder::with(|recorder| {
            recorder.buffered(socket.get_ref().as_raw_fd(), self.message.len())
        });
        Ok(Next::Keep)
    }
}

impl Client {
    /// Receives until there is nothing more, or the budget is used up.
    fn receive(&mut self, socket: &mut Source<Socket>, cx: &mut Context<State>) -> io::Result<()> {
        let mut buffer = [0; 4096];
        for _ in 0..cx.state.settings.budget {
            if cx.state.is_over_watermark(self.message.len()) {
                break;
            }
            mark!(31);
            match socket.read(&mut buffer) {
                Ok(0) => {
                    mark!(37);
                    self.has_ended = true; // no bytes are the end, and not a message
                    break;
                }
                Ok(count) => {
                    mark!(38);
                    self.line.extend_from_slice(&buffer[..count]);
                    self.answer_lines(cx);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error), // a reset: the reactor removes the client
            }
        }
        Ok(())
    }

    /// Answers each whole line. `get 1000` is answered with a thousand bytes.
    fn answer_lines(&mut self, cx: &mut Context<State>) {
        while let Some(end) = self.line.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            work(&cx.state.settings);
            mark!(40);
            match asked_bytes(&line) {
                Some(count) => self.message.resize(self.message.len() + count, b'x'),
                None => self.message.extend_from_slice(&line),
            }
        }
    }

    /// Sends what the kernel takes. The rest stays.
    fn send(&mut self, socket: &mut Source<Socket>) -> io::Result<()> {
        while !self.message.is_empty() {
            mark!(43);
            match socket.write(&self.message) {
                Ok(count) => drop(self.message.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Returns the number of bytes that a line asks for, at most 64 MiB.
fn asked_bytes(line: &[u8]) -> Option<usize> {
    let count = str::from_utf8(line).ok()?.trim().strip_prefix("get ")?;
    count.parse().ok().map(|count: usize| count.min(64 << 20))
}
