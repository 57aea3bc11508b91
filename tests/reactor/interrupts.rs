//! Reads and writes that a signal interrupts.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Interest, Next, Source};

/// A stream of which every second call is interrupted before it moves a byte.
struct Interrupted {
    stream: UnixStream,
    calls: u32,
}

impl Interrupted {
    fn call<T>(&mut self, call: impl FnOnce(&UnixStream) -> io::Result<T>) -> io::Result<T> {
        self.calls += 1;
        match self.calls % 2 {
            1 => Err(io::ErrorKind::Interrupted.into()),
            _ => call(&self.stream),
        }
    }
}

impl Read for Interrupted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(|mut stream| stream.read(buffer))
    }
}

impl Write for Interrupted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.call(|mut stream| stream.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Interrupted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Sends back what it has read, and keeps nothing: what a write fails to take is lost.
fn echo(source: &mut Source<Interrupted>, _: &mut Context) -> io::Result<Next> {
    let mut buffer = [0; 3];
    loop {
        let count = source.read(&mut buffer)?;
        assert_eq!(source.write(&buffer[..count])?, count);
    }
}

#[test]
fn a_read_or_write_that_a_signal_interrupts_is_made_again() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, mut theirs) = unix_pair();
        let mine = Interrupted { stream: mine, calls: 0 };
        reactor.context().add(mine, Interest::READ, echo).unwrap();
        theirs.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        let mut count = 0;
        while count < answer.len() {
            reactor.turn(Deadline::after(LONG)).unwrap();
            count += theirs.read(&mut answer[count..]).unwrap();
        }
        assert_eq!(&answer, b"hello");
    });
}
