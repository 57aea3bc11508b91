//! Sources that leave the reactor whole, and ends that are not final.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::stat::Mode;
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source, Token};

#[derive(Debug, Default)]
struct Seen {
    bytes: Vec<u8>,
    ends: usize,
    taken: Vec<UnixStream>,
    removed: Vec<Token>,
}

struct Reader;

impl Handler<UnixStream, Seen> for Reader {
    fn ready(
        &mut self,
        source: &mut Source<UnixStream>,
        cx: &mut Context<Seen>,
    ) -> io::Result<Next> {
        let mut buffer = [0; 1];
        let count = source.read(&mut buffer)?;
        cx.state.bytes.extend_from_slice(&buffer[..count]);
        if buffer == *b"!" {
            // From its own handler, which goes on undisturbed.
            cx.take(source.token(), |stream, cx| cx.state.taken.push(stream))?;
            assert_eq!(cx.interest(source.token()), None);
            assert!(source.write(b"ok").is_ok());
        }
        Ok(Next::Keep)
    }

    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<Seen>) {
        assert!(error.is_none());
        assert!(cx.state.taken.is_empty(), "the handler is told before the source is passed on");
        cx.state.removed.push(token);
    }
}

#[test]
fn a_source_is_taken_with_what_it_has_not_read_and_can_be_added_again() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let (mine, mut theirs) = unix_pair();
        let token = reactor.context().add(mine, Interest::READ, Reader).unwrap();
        theirs.write_all(b"a!rest").unwrap();
        drive(&mut reactor, 10, |seen| !seen.taken.is_empty());
        let seen = reactor.state();
        assert_eq!((&*seen.bytes, seen.removed.len()), (&b"a!"[..], 1));
        assert_eq!((reactor.context().len(), reactor.context().counters().errors), (0, 0));
        assert_eq!(reactor.context().remove(token).unwrap_err().kind(), ErrorKind::NotFound);
        assert_quiet(&mut reactor);
        let mut reply = [0; 2];
        theirs.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"ok");

        let stream = reactor.state_mut().taken.pop().unwrap();
        let again = reactor.context().add(stream, Interest::READ, Reader).unwrap();
        assert_ne!(again, token);
        drive(&mut reactor, 10, |seen| seen.bytes == b"a!rest");
    });
}

#[test]
fn a_source_is_taken_at_any_time() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        // Before its handler was ever called, and with a deadline and a notification on their way.
        let (mine, mut theirs) = unix_pair();
        let token = reactor.context().add(mine, Interest::READ, Reader).unwrap();
        reactor.context().set_deadline(token, Some(std::time::Instant::now() + MINUTE)).unwrap();
        reactor.context().notify(token).unwrap();
        theirs.write_all(b"x").unwrap();
        let take = |reactor: &mut Reactor<Seen>| {
            reactor.context().take(token, |stream, cx| cx.state.taken.push(stream))
        };
        take(&mut reactor).unwrap();
        assert_eq!(take(&mut reactor).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(reactor.context().timers(), 0);
        reactor.turn(Deadline::Now).unwrap();
        let seen = reactor.state();
        assert_eq!((seen.taken.len(), seen.bytes.len(), seen.removed.len()), (1, 0, 1));
        assert_quiet(&mut reactor);

        // Another type is an error, and changes nothing.
        let stream = reactor.state_mut().taken.pop().unwrap();
        reactor.state_mut().removed.clear();
        let token = reactor.context().add(stream, Interest::READ, Reader).unwrap();
        let error = reactor.context().take(token, |_: File, _| panic!("not a file")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("File"), "{error}");
        drive(&mut reactor, 5, |seen| seen.bytes == b"x");
    });
}

/// Panics when it is told that its source has left.
struct PanicsAtLast;

impl Handler<UnixStream, Seen> for PanicsAtLast {
    fn ready(&mut self, _: &mut Source<UnixStream>, _: &mut Context<Seen>) -> io::Result<Next> {
        Ok(Next::Done)
    }

    fn removed(&mut self, _: Token, _: Option<&io::Error>, _: &mut Context<Seen>) {
        panic!("on purpose");
    }
}

#[test]
fn a_source_whose_handler_panics_is_taken_all_the_same() {
    on_every_pair_and_noise(|pair| {
        expect_panic("on purpose");
        let mut reactor = pair.reactor(Seen::default());
        let (mine, mut theirs) = unix_pair();
        let token = reactor.context().add(mine, Interest::READ, PanicsAtLast).unwrap();
        reactor.context().take(token, |mine, cx| cx.state.taken.push(mine)).unwrap();
        drive(&mut reactor, 5, |seen| !seen.taken.is_empty());
        theirs.write_all(b"x").unwrap();
        assert_eq!(reactor.state_mut().taken[0].read(&mut [0]).unwrap(), 1);
        assert_eq!(reactor.context().counters().panics, 1);
    });
}

/// Reads, and reads on after each end.
fn read_on<F: Read>(source: &mut Source<F>, cx: &mut Context<Seen>) -> io::Result<Next> {
    let mut buffer = [0; 64];
    loop {
        match source.read(&mut buffer)? {
            0 => {
                cx.state.ends += 1;
                source.read_on();
                return Ok(Next::Keep);
            }
            count => cx.state.bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn assert_few_calls(reactor: &mut Reactor<Seen>, round: usize) {
    reactor.turn(Deadline::after(Duration::from_millis(2))).unwrap();
    let_settle(reactor);
    assert_quiet(reactor);
    let calls = reactor.context().counters().dispatches;
    assert!(calls <= 4 * (round as u64 + 1), "{calls} calls in round {round}");
}

#[test]
fn a_fifo_is_read_by_one_writer_after_another() {
    on_every_pair(|pair| {
        let (reader, path) = fifo(pair);
        let mut reactor = pair.reactor(Seen::default());
        add(&mut reactor, reader, Interest::READ, read_on);
        for round in 1..=5 {
            let mut writer = File::options().write(true).open(&path).unwrap();
            writer.write_all(b"x").unwrap();
            drive(&mut reactor, 5, |seen| seen.bytes.len() == round);
            drop(writer);
            let ends = reactor.state().ends;
            if ends < round {
                drive(&mut reactor, 5, |seen| seen.ends >= round);
            }
            assert_few_calls(&mut reactor, round);
        }
    });
}

/// Returns the reading end of a FIFO, and a path to the FIFO that is valid as long as it is open.
fn fifo(pair: Pair) -> (File, PathBuf) {
    let path = std::env::temp_dir().join(format!("tripoll-fifo-{}-{pair}", std::process::id()));
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    (reader, path.into())
}

#[test]
fn a_terminal_is_read_after_its_user_has_typed_the_end() {
    on_every_pair(|pair| {
        let pty = openpty(None, None).unwrap();
        let (mut user, terminal): (File, OwnedFd) = (pty.master.into(), pty.slave);
        let mut reactor = pair.reactor(Seen::default());
        add(&mut reactor, File::from(terminal), Interest::READ, read_on);
        for round in 1..=5 {
            user.write_all(b"a line\n").unwrap();
            drive(&mut reactor, 5, |seen| seen.bytes.len() == round * b"a line\n".len());
            user.write_all(b"\x04").unwrap(); // Ctrl-D
            drive(&mut reactor, 5, |seen| seen.ends == round);
            assert_few_calls(&mut reactor, round);
        }
    });
}

#[test]
fn an_end_is_final_unless_the_handler_reads_on() {
    on_every_pair(|pair| {
        let pty = openpty(None, None).unwrap();
        let (mut user, terminal): (File, OwnedFd) = (pty.master.into(), pty.slave);
        let mut reactor = pair.reactor(Seen::default());
        /// Reads on when it is notified.
        struct Later;
        impl Handler<File, Seen> for Later {
            fn ready(
                &mut self,
                source: &mut Source<File>,
                cx: &mut Context<Seen>,
            ) -> io::Result<Next> {
                let mut buffer = [0; 64];
                let count = source.read(&mut buffer)?;
                cx.state.ends += usize::from(count == 0);
                cx.state.bytes.extend_from_slice(&buffer[..count]);
                Ok(Next::Keep)
            }

            fn notified(
                &mut self,
                source: &mut Source<File>,
                _: &mut Context<Seen>,
            ) -> io::Result<Next> {
                source.read_on();
                Ok(Next::Keep)
            }
        }
        let token = reactor.context().add(File::from(terminal), Interest::READ, Later).unwrap();
        user.write_all(b"\x04").unwrap();
        drive(&mut reactor, 5, |seen| seen.ends == 1);
        user.write_all(b"late\n").unwrap();
        let_settle(&mut reactor);
        assert_quiet(&mut reactor);
        reactor.context().notify(token).unwrap();
        drive(&mut reactor, 5, |seen| seen.bytes == b"late\n");
    });
}
