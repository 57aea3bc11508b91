//! Handlers that are chosen at run time, and closures that need no annotation.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Handler, Interest, Next, Source, Token};

type Calls = Vec<&'static str>;

/// Notes each call.
struct Notes;

impl Handler<UnixStream, Calls> for Notes {
    fn ready(
        &mut self,
        stream: &mut Source<UnixStream>,
        cx: &mut Context<Calls>,
    ) -> io::Result<Next> {
        assert_eq!(stream.read(&mut [0; 8])?, 1);
        cx.state.push("ready");
        cx.notify(stream.token())?;
        Ok(Next::Keep)
    }

    fn added(&mut self, _: &mut Source<UnixStream>, cx: &mut Context<Calls>) -> io::Result<Next> {
        cx.state.push("added");
        Ok(Next::Keep)
    }

    fn timed_out(
        &mut self,
        _: &mut Source<UnixStream>,
        cx: &mut Context<Calls>,
    ) -> io::Result<Next> {
        cx.state.push("timed_out");
        cx.shutdown(LONG);
        Ok(Next::Keep)
    }

    fn notified(
        &mut self,
        stream: &mut Source<UnixStream>,
        cx: &mut Context<Calls>,
    ) -> io::Result<Next> {
        cx.state.push("notified");
        cx.set_deadline(stream.token(), Some(cx.now()))?;
        Ok(Next::Keep)
    }

    fn shutting_down(
        &mut self,
        _: &mut Source<UnixStream>,
        cx: &mut Context<Calls>,
    ) -> io::Result<Next> {
        cx.state.push("shutting_down");
        Ok(Next::Remove)
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Calls>) {
        assert!(error.is_none());
        cx.state.push("removed");
    }
}

/// A handler of another type.
struct Once;

impl Handler<UnixStream, Calls> for Once {
    fn ready(&mut self, _: &mut Source<UnixStream>, cx: &mut Context<Calls>) -> io::Result<Next> {
        cx.state.push("once");
        Ok(Next::Remove)
    }
}

fn choose(notes: bool) -> Box<dyn Handler<UnixStream, Calls>> {
    if notes { Box::new(Notes) } else { Box::new(Once) }
}

#[test]
fn a_handler_in_a_box_gets_every_call() {
    on_every_pair_and_noise(|pair| {
        for (notes, calls) in [
            (true, &["added", "ready", "notified", "timed_out", "shutting_down", "removed"][..]),
            (false, &["once"]),
        ] {
            let mut reactor = pair.reactor(Calls::new());
            let (mine, mut theirs) = unix_pair();
            reactor.context().add(mine, Interest::READ, choose(notes)).unwrap();
            theirs.write_all(b"x").unwrap();
            drive(&mut reactor, 6, |seen| seen.len() == calls.len());
            assert_eq!(reactor.state(), calls);
            assert!(reactor.context().is_empty());
        }
    });
}

#[test]
fn a_closure_needs_no_annotation() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(String::new());
        let (mine, mut theirs) = unix_pair();
        let add = reactor.context().add_fn(mine, Interest::READ, |stream, cx| {
            stream.read_to_string(cx.state)?;
            Ok(Next::Remove)
        });
        let token = add.unwrap();
        assert_eq!(reactor.context().interest(token), Some(Interest::READ));
        theirs.write_all(b"hello").unwrap();
        drop(theirs);
        drive(&mut reactor, 4, |text| text == "hello");
    });
}
