//! A room: each line that a client sends goes to all clients.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use tripoll::reactor::Handler;
use tripoll::{Context, Interest, Next, Source, Token};

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

fn accept(listener: &mut Source<Acceptor>, cx: &mut Context<State>) -> io::Result<Next> {
    for _ in 0..cx.state.settings.budget {
        mark!(21);
        let limit = cx.state.settings.limit;
        let socket = match listener.try_io(Interest::READ, |listener| listener.accept(limit)) {
            Ok(socket) => socket,
            Err(error) => return accepting::failed(listener, cx, error),
        };
        // A client that cannot be added is closed. The listener goes on.
        if let Ok(token) = cx.add(socket, Interest::READ, Guest::default()) {
            cx.state.messages.insert(token, Vec::new());
        }
    }
    Ok(Next::Keep)
}

/// A client in the room: what it has sent and is no line yet. What it is to be sent is in the state.
#[derive(Default)]
struct Guest {
    line: Vec<u8>,
}

impl Handler<Socket, State> for Guest {
    fn ready(&mut self, socket: &mut Source<Socket>, cx: &mut Context<State>) -> io::Result<Next> {
        let mut buffer = [0; 4096];
        for _ in 0..cx.state.settings.budget {
            if !socket.is_readable() {
                break;
            }
            mark!(31);
            match socket.read(&mut buffer) {
                Ok(0) => return Ok(Next::Remove),
                Ok(count) => self.line.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(end) = self.line.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            work(&cx.state.settings);
            mark!(42);
            tell_all(&line, cx)?;
        }
        send(socket, cx)
    }

    /// Another guest has left something in the state.
    fn notified(
        &mut self,
        socket: &mut Source<Socket>,
        cx: &mut Context<State>,
    ) -> io::Result<Next> {
        send(socket, cx)
    }

    fn removed(&mut self, token: Token, _: Option<&io::Error>, cx: &mut Context<State>) {
        mark!(38);
        cx.state.messages.remove(&token);
    }
}

/// Gives a line to all guests. Each is notified, and sends it itself.
fn tell_all(line: &[u8], cx: &mut Context<State>) -> io::Result<()> {
    let (state, mut cx) = cx.split();
    for (token, message) in &mut state.messages {
        mark!(44);
        message.extend_from_slice(line);
        cx.notify(*token)?;
    }
    Ok(())
}

/// Sends what the kernel takes. The rest stays.
fn send(socket: &mut Source<Socket>, cx: &mut Context<State>) -> io::Result<Next> {
    let Some(message) = cx.state.messages.get_mut(&socket.token()) else { return Ok(Next::Keep) };
    while !message.is_empty() {
        mark!(49);
        match socket.write(message) {
            Ok(count) => drop(message.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    let interest =
        if message.is_empty() { Interest::READ } else { Interest::READ | Interest::WRITE };
    socket.set_interest(interest);
    recorder::with(|recorder| recorder.buffered(socket.get_ref().as_raw_fd(), message.len()));
    Ok(Next::Keep)
}
