//! What the reactor makes non-blocking, and what is blocking again afterwards.

use std::fs::File;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::pty::openpty;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Interest, Next, Reactor, Source, Token};

fn is_blocking(file: impl AsFd) -> bool {
    !fcntl_getfl(file).unwrap().contains(OFlags::NONBLOCK)
}

fn add_idle<F: AsFd + 'static>(reactor: &mut Reactor<Vec<PipeReader>>, source: F) -> Token {
    add(reactor, source, Interest::READ, |_: &mut Source<F>, _: &mut Context<_>| Ok(Next::Done))
}

fn remove(reactor: &mut Reactor<Vec<PipeReader>>, token: Token) {
    reactor.context().remove(token).unwrap();
    reactor.turn(Deadline::Now).unwrap();
}

#[test]
fn a_terminal_and_a_pipe_are_as_they_were_when_they_leave() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let pty = openpty(None, None).unwrap();
        let (terminal, _user): (File, OwnedFd) = (pty.slave.into(), pty.master);
        let (reader, _writer) = pipe().unwrap();
        let shells = terminal.try_clone().unwrap();
        let others = reader.try_clone().unwrap();
        let tokens = [add_idle(&mut reactor, terminal), add_idle(&mut reactor, reader)];
        assert!(!is_blocking(&shells) && !is_blocking(&others));
        tokens.into_iter().for_each(|token| remove(&mut reactor, token));
        assert!(is_blocking(&shells) && is_blocking(&others));

        // With the reactor, too, and what was non-blocking before stays so.
        fcntl_setfl(&shells, fcntl_getfl(&shells).unwrap() | OFlags::NONBLOCK).unwrap();
        add_idle(&mut reactor, shells.try_clone().unwrap());
        add_idle(&mut reactor, others.try_clone().unwrap());
        assert!(!is_blocking(&others));
        drop(reactor);
        assert!(!is_blocking(&shells) && is_blocking(&others));
    });
}

#[test]
fn the_last_of_several_sources_restores_the_open_file_that_they_share() {
    on_every_pair(|pair| {
        for first in [0, 1] {
            let mut reactor = pair.reactor(Vec::new());
            let (reader, writer) = pipe().unwrap();
            let [one, other, mine] = [(); 3].map(|()| reader.try_clone().unwrap());
            let tokens = [add_idle(&mut reactor, one), add_idle(&mut reactor, other)];
            // The other end is the same file, and another open file.
            let writers = writer.try_clone().unwrap();
            let writer =
                add(&mut reactor, writer, Interest::NONE, |_: &mut Source<_>, _| Ok(Next::Keep));
            remove(&mut reactor, tokens[first]);
            assert!(!is_blocking(&mine), "it is in use");
            remove(&mut reactor, writer);
            assert!(!is_blocking(&mine), "it is in use");
            assert!(is_blocking(&writers));
            remove(&mut reactor, tokens[1 - first]);
            assert!(is_blocking(&mine));
        }
    });
}

#[test]
fn another_open_file_of_the_same_pipe_stays_as_it_was() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (reader, _writer) = pipe().unwrap();
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let other = File::open(path).unwrap(); // opened again: it has flags of its own
        fcntl_setfl(&other, fcntl_getfl(&other).unwrap() | OFlags::NONBLOCK).unwrap();
        let [mine, others] =
            [reader.as_fd(), other.as_fd()].map(|fd| fd.try_clone_to_owned().unwrap());
        assert!(is_blocking(&mine) && !is_blocking(&others));
        let tokens = [add_idle(&mut reactor, reader), add_idle(&mut reactor, other)];
        remove(&mut reactor, tokens[0]);
        assert!(is_blocking(&mine) && !is_blocking(&others));
        remove(&mut reactor, tokens[1]);
        assert!(is_blocking(&mine) && !is_blocking(&others), "it was never blocking");
    });
}

#[test]
fn a_handler_that_removes_its_source_does_not_block() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (reader, mut writer) = pipe().unwrap();
        let shared = reader.try_clone().unwrap();
        writer.write_all(b"x").unwrap();
        add(&mut reactor, reader, Interest::READ, |source: &mut Source<PipeReader>, cx| {
            cx.take(source.token(), |reader, cx: &mut Context<Vec<PipeReader>>| {
                assert!(is_blocking(&reader), "the taker has it as it was");
                cx.state.push(reader);
            })?;
            // By its own means, past the reactor.
            let mut buffer = [0; 8];
            assert_eq!(source.get_mut().read(&mut buffer)?, 1);
            let count = source.get_mut().read(&mut buffer)?; // WouldBlock
            panic!("{count} bytes were read, where there was nothing");
        });
        drive(&mut reactor, 3, |taken| taken.len() == 1);
        assert!(is_blocking(&shared));
    });
}

#[test]
fn a_socket_stays_non_blocking() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (socket, _peer) = tcp_pair();
        socket.set_nonblocking(false).unwrap();
        let shared = socket.try_clone().unwrap();
        let token = add_idle(&mut reactor, socket);
        remove(&mut reactor, token);
        assert!(!is_blocking(&shared));
    });
}
