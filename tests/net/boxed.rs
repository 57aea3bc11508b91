//! A protocol that is chosen at run time.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use support::*;
use tripoll::Context;
use tripoll::net::{CloseReason, Closed, Connection, Protocol, Stream, Wire};

type Calls = Vec<&'static str>;

/// Answers, and notes each call.
struct Notes;

impl Protocol<Calls> for Notes {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Calls>) -> io::Result<()> {
        cx.state.push("opened");
        cx.notify(wire.token())
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Calls>,
    ) -> io::Result<usize> {
        cx.state.push("received");
        wire.write(data);
        cx.set_deadline(wire.token(), Some(cx.now()))?;
        Ok(data.len())
    }

    fn ended(&mut self, wire: &mut Wire, rest: &[u8], cx: &mut Context<Calls>) -> io::Result<()> {
        assert_eq!(rest, b"");
        cx.state.push("ended");
        wire.close();
        Ok(())
    }

    fn timed_out(&mut self, _: &mut Wire, cx: &mut Context<Calls>) -> io::Result<()> {
        cx.state.push("timed_out");
        Ok(())
    }

    fn notified(&mut self, wire: &mut Wire, cx: &mut Context<Calls>) -> io::Result<()> {
        cx.state.push("notified");
        wire.write(b"hello ");
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<Calls>) {
        assert!(matches!(closed.reason, CloseReason::Finished), "{:?}", closed.reason);
        cx.state.push("closed");
        cx.stop();
    }
}

#[test]
fn a_protocol_in_a_box_gets_every_call() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Calls::new());
        let (mine, mut theirs) = UnixStream::pair().unwrap();
        let protocol: Box<dyn Protocol<Calls>> = Box::new(Notes);
        Connection::new(protocol).serve(Stream::from(mine), &mut reactor.context()).unwrap();
        let client = std::thread::spawn(move || {
            theirs.set_read_timeout(Some(LONG)).unwrap();
            let mut greeting = [0; 6];
            theirs.read_exact(&mut greeting).unwrap();
            theirs.write_all(b"you").unwrap();
            let mut echo = [0; 3];
            theirs.read_exact(&mut echo).unwrap();
            theirs.shutdown(Shutdown::Write).unwrap();
            (greeting, echo)
        });
        reactor.run().unwrap();
        assert_eq!(client.join().unwrap(), (*b"hello ", *b"you"));
        // The deadline may come before the end or after it.
        reactor.state_mut().retain(|call| *call != "timed_out");
        assert_eq!(*reactor.state(), ["opened", "notified", "received", "ended", "closed"]);
    });
}
