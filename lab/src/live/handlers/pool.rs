//! An echo of lines whose work is done by a pool of threads. The loop goes on meanwhile.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use tripoll::reactor::Handler;
use tripoll::{Context, Interest, Next, Source, Token};

use crate::live::accepting;
use crate::live::mark::mark;
use crate::live::on_reactor::{OnReactor, State};
use crate::live::program::{Beginning, Subject};
use crate::live::recorder;
use crate::live::socket::{Acceptor, Socket};

pub(super) fn begin(beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    let mut server = OnReactor::new(beginning, |reactor, deadline| {
        mark!(25);
        reactor.turn(deadline)
    })?;
    server.with_pool(2, 64)?;
    server.listen(accept)?;
    Ok(Box::new(server))
}

fn accept(listener: &mut Source<Acceptor>, cx: &mut Context<State>) -> io::Result<Next> {
    for _ in 0..cx.state.settings.budget {
        mark!(31);
        let limit = cx.state.settings.limit;
        let socket = match listener.try_io(Interest::READ, |listener| listener.accept(limit)) {
            Ok(socket) => socket,
            Err(error) => return accepting::failed(listener, cx, error),
        };
        // A client that cannot be added is closed. The listener goes on.
        if let Ok(token) = cx.add(socket, Interest::READ, Client::default()) {
            cx.state.messages.insert(token, Vec::new());
        }
    }
    Ok(Next::Keep)
}

/// A client: what it has sent and is no line yet. Its answers are in the state.
#[derive(Default)]
struct Client {
    line: Vec<u8>,
    has_ended: bool,
}

impl Handler<Socket, State> for Client {
    fn ready(&mut self, socket: &mut Source<Socket>, cx: &mut Context<State>) -> io::Result<Next> {
        let mut buffer = [0; 4096];
        for _ in 0..cx.state.settings.budget {
            if self.has_ended || !socket.is_readable() {
                break;
            }
            mark!(40);
            match socket.read(&mut buffer) {
                Ok(0) => self.has_ended = true,
                Ok(count) => self.line.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.send(socket, cx)?;
        if let Some(end) = self.line.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            mark!(47);
            submit(socket.token(), line, cx)?;
            return Ok(Next::Disarm); // until its answer is there
        }
        self.next(socket, cx)
    }

    /// The answer is there.
    fn notified(
        &mut self,
        socket: &mut Source<Socket>,
        cx: &mut Context<State>,
    ) -> io::Result<Next> {
        mark!(52);
        self.send(socket, cx)?;
        cx.arm(socket.token())?;
        if self.line.contains(&b'\n') {
            return self.ready(socket, cx); // another line has come with the last one
        }
        self.next(socket, cx)
    }

    fn removed(&mut self, token: Token, _: Option<&io::Error>, cx: &mut Context<State>) {
        cx.state.messages.remove(&token);
    }
}

/// Gives a line to the pool. A worker makes the answer; the loop gets it back, and sends it.
fn submit(token: Token, line: Vec<u8>, cx: &mut Context<State>) -> io::Result<()> {
    let (handle, slow) = (cx.handle(), Duration::from_millis(cx.state.settings.slow));
    let Some(pool) = &cx.state.pool else { return Ok(()) };
    let work = move || {
        std::thread::sleep(slow);
        line
    };
    pool.submit_for(&handle, work, move |answer, cx| {
        if let (Some(message), Ok(answer)) = (cx.state.messages.get_mut(&token), answer) {
            message.extend(answer);
            let _ = cx.notify(token); // it was found, so it is there
        }
    })
    .map_err(io::Error::other)
}

impl Client {
    fn send(&self, socket: &mut Source<Socket>, cx: &mut Context<State>) -> io::Result<()> {
        let Some(message) = cx.state.messages.get_mut(&socket.token()) else { return Ok(()) };
        while !message.is_empty() {
            mark!(55);
            match socket.write(message) {
                Ok(count) => drop(message.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        recorder::with(|recorder| recorder.buffered(socket.get_ref().as_raw_fd(), message.len()));
        Ok(())
    }

    fn next(&self, socket: &mut Source<Socket>, cx: &mut Context<State>) -> io::Result<Next> {
        let is_empty = cx.state.messages.get(&socket.token()).is_none_or(Vec::is_empty);
        if self.has_ended && is_empty {
            return Ok(Next::Remove);
        }
        let mut interest = Interest::NONE;
        interest.set(Interest::READ, !self.has_ended);
        interest.set(Interest::WRITE, !is_empty);
        socket.set_interest(interest);
        Ok(Next::Keep)
    }
}
