//! A buffered connection, and a peer that writes, reads and waits as a script says: every byte comes back,
//! once and in order.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Instant;

use tripoll::net::{Closed, Connection, Protocol, Stream, Watermarks, Wire};
use tripoll::reactor::Budget;
use tripoll::{Context, Deadline};

use super::{Script, size};
use crate::sockets::unix_pair;
use crate::{LONG, known_bytes};

/// Sends back what it receives, in as many calls and with as many pauses as its script says.
struct Echo {
    script: Script,
    ends: Rc<RefCell<Vec<String>>>,
}

impl Echo {
    fn pause(wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        wire.pause();
        cx.set_deadline(wire.token(), Some(Instant::now()))
    }
}

impl Protocol for Echo {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_>,
    ) -> io::Result<usize> {
        let Some(decision) = self.script.next() else {
            wire.write(data);
            return Ok(data.len());
        };
        let used = match decision % 4 {
            0 => 0,
            1 => 1 + usize::from(decision / 4) % data.len(),
            _ => data.len(),
        };
        for piece in data[..used].chunks(size(decision / 4) + 1) {
            wire.write(piece);
        }
        if used == 0 || decision % 4 == 3 {
            Echo::pause(wire, cx)?;
        }
        Ok(used)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<()> {
        wire.resume();
        Ok(())
    }

    fn ended(&mut self, wire: &mut Wire<'_>, rest: &[u8], _: &mut Context<'_>) -> io::Result<()> {
        wire.write(rest);
        wire.close();
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, _: &mut Context<'_>) {
        self.ends.borrow_mut().push(format!("{:?}", closed.reason));
    }
}

/// The first bytes are the pair, the budget and the marks. Of the rest, every other one is the
/// protocol's.
pub fn connection(data: &[u8]) {
    let [pair, budget, marks, rest @ ..] = data else { return };
    let pair = super::pair(*pair);
    let budget = Budget::new(1 + u32::from(budget % 8), 1 + u32::from(*budget) * 100);
    let mut reactor = pair.build(pair.builder().budget(budget), ());
    let (mine, mut theirs) = unix_pair();
    let every_other =
        |odd: usize| -> Vec<u8> { rest.iter().skip(odd).step_by(2).copied().collect() };
    let (mut script, for_echo) = (Script::new(&every_other(0)), Script::new(&every_other(1)));
    let ends = Rc::new(RefCell::new(Vec::new()));
    let high = size(*marks);
    Connection::new(Echo { script: for_echo, ends: Rc::clone(&ends) })
        .watermarks(Watermarks::new(high / 2, high, usize::MAX))
        .serve(Stream::from(mine), &mut reactor.context())
        .unwrap();

    let (mut sent, mut got) = (Vec::new(), Vec::new());
    let mut read = |peer: &mut std::os::unix::net::UnixStream, most: usize| {
        let mut buffer = vec![0; most];
        match peer.read(&mut buffer) {
            Ok(count) => {
                got.extend_from_slice(&buffer[..count]);
                count == 0
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                false
            }
        }
    };
    while let Some(decision) = script.next() {
        match decision % 4 {
            0 => {
                let bytes = known_bytes(u64::from(decision), size(decision / 4));
                let count = theirs.write(&bytes).unwrap_or(0);
                sent.extend_from_slice(&bytes[..count]);
            }
            1 => assert!(!read(&mut theirs, size(decision / 4)), "the end is early"),
            _ => _ = reactor.turn(Deadline::Now).unwrap(),
        }
    }
    theirs.shutdown(Shutdown::Write).unwrap();
    let give_up = Instant::now() + LONG;
    while !read(&mut theirs, 5_000) {
        reactor.turn(Deadline::Now).unwrap();
        assert!(Instant::now() < give_up, "stalled: {:?}", reactor.context().counters());
    }
    drop(theirs);
    while !reactor.context().is_empty() {
        reactor.turn(Deadline::At(give_up)).unwrap();
        assert!(Instant::now() < give_up, "it stays");
    }
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    assert_eq!(*ends.borrow(), ["Finished"]);
    let counters = reactor.context().counters();
    assert_eq!((counters.errors, counters.panics), (0, 0), "{counters:?}");
}
