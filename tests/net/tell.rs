//! Messages to the protocol of another connection.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use support::*;
use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
use tripoll::pool::Pool;
use tripoll::reactor::Id;
use tripoll::{Context, Deadline, Reactor, Token};

struct Chat {
    guests: Vec<Id<Connection<Guest>>>,
    closed: Vec<String>,
    pool: Pool,
}

/// Tells all guests what it receives, and has its number squared by the pool.
struct Guest {
    heard: usize,
}

impl Protocol<Chat> for Guest {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Chat>) -> io::Result<()> {
        let id = cx.id(wire.token())?;
        cx.state.guests.push(id);
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Chat>,
    ) -> io::Result<usize> {
        let (chat, mut cx) = cx.split();
        if let Ok(number) = str::from_utf8(data).unwrap().parse::<u32>() {
            let me = cx.id::<Connection<Guest>>(wire.token())?;
            let submitted = chat.pool.submit_to(
                &cx.handle(),
                me,
                move || number * number,
                |_, wire, square, _| {
                    wire.write(square.unwrap().to_string().as_bytes());
                    Ok(())
                },
            );
            submitted.map_err(io::Error::other)?;
            return Ok(data.len());
        }
        for guest in &chat.guests {
            let data = data.to_vec();
            let _ = cx.tell(*guest, move |guest, wire, cx| {
                guest.heard += 1;
                wire.write(&data);
                if data == b"!" {
                    return Err(io::Error::other("shouting"));
                }
                assert!(cx.state.guests.contains(&cx.id(wire.token())?));
                Ok(())
            });
        }
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<Chat>) {
        cx.state.closed.push(format!("{:?} after {}", closed.reason, self.heard));
        if cx.state.closed.len() == cx.state.guests.len() {
            cx.stop();
        }
    }
}

fn add_guest(reactor: &mut Reactor<Chat>) -> (Token, UnixStream) {
    let (mine, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(LONG)).unwrap();
    let connection = Connection::new(Guest { heard: 0 });
    (connection.serve(Stream::from(mine), &mut reactor.context()).unwrap().token(), theirs)
}

fn read(stream: &mut UnixStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn protocols_tell_each_other_and_are_told_by_the_pool_and_by_threads() {
    on_every_pair_and_noise(|pair| {
        let chat = Chat { guests: Vec::new(), closed: Vec::new(), pool: Pool::new(1, 10).unwrap() };
        let mut reactor = pair.reactor(chat);
        let (_, mut ann) = add_guest(&mut reactor);
        let (bobs, mut bob) = add_guest(&mut reactor);
        let handle = reactor.handle();
        let bobs = reactor.context().id::<Connection<Guest>>(bobs).unwrap();
        let clients = thread::spawn(move || {
            let _stop = StopOnPanic(&handle);
            ann.write_all(b"hello").unwrap();
            assert_eq!((read(&mut ann, 5), read(&mut bob, 5)), ("hello".into(), "hello".into()));
            bob.write_all(b"12").unwrap();
            assert_eq!(read(&mut bob, 3), "144");
            handle
                .tell(bobs, |bob, wire, _| {
                    wire.write(&[bob.heard as u8]);
                    Ok(())
                })
                .unwrap();
            assert_eq!(read(&mut bob, 1), "\u{1}");
            ann.write_all(b"!").unwrap();
            assert_eq!((read(&mut ann, 1), read(&mut bob, 1)), ("!".into(), "!".into()));
        });
        reactor.run().unwrap();
        clients.join().unwrap();
        for closed in &reactor.state().closed {
            assert!(closed.contains("shouting") && closed.ends_with("after 2"), "{closed}");
        }
        assert_eq!(reactor.state().closed.len(), 2);
        // They have gone.
        let gone = reactor.context().tell(bobs, |_, _, _| unreachable!()).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    });
}

/// Stops the loop if its thread panics, which would wait for ever.
struct StopOnPanic<'a>(&'a tripoll::ReactorHandle<Chat>);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

#[test]
fn what_a_closing_connection_is_told_is_dropped() {
    on_every_pair_and_noise(|pair| {
        let chat = Chat { guests: Vec::new(), closed: Vec::new(), pool: Pool::new(1, 1).unwrap() };
        let mut reactor = pair.reactor(chat);
        let (token, _peer) = add_guest(&mut reactor);
        let cx = &mut reactor.context();
        let id: Id<Connection<Guest>> = cx.id(token).unwrap();
        cx.tell(id, |_, wire, _| {
            wire.close();
            Ok(())
        })
        .unwrap();
        cx.tell(id, |_, _, _| unreachable!()).unwrap();
        for _ in 0..3 {
            reactor.turn(Deadline::Now).unwrap();
        }
    });
}

/// Another protocol.
struct Silent;

impl Protocol<Chat> for Silent {
    fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context<Chat>) -> io::Result<usize> {
        Ok(data.len())
    }
}

#[test]
fn no_id_is_that_of_another_type() {
    let chat = Chat { guests: Vec::new(), closed: Vec::new(), pool: Pool::new(1, 10).unwrap() };
    let mut reactor = Reactor::builder().build_with(chat).unwrap();
    let (token, _peer) = add_guest(&mut reactor);
    let cx = reactor.context();
    cx.id::<Connection<Guest>>(token).unwrap();
    let refused = cx.id::<Connection<Silent>>(token).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("Guest"), "{refused}");
}

#[test]
fn a_message_to_a_connection_that_is_closing_is_dropped() {
    on_every_pair(|pair| {
        let chat = Chat { guests: Vec::new(), closed: Vec::new(), pool: Pool::new(1, 10).unwrap() };
        let mut reactor = pair.reactor(chat);
        let (token, mut peer) = add_guest(&mut reactor);
        let guest = reactor.context().id::<Connection<Guest>>(token).unwrap();
        let much = vec![b'.'; 1 << 20];
        let close = move |_: &mut Guest, wire: &mut Wire, _: &mut Context<Chat>| {
            wire.write(&much);
            wire.close();
            Ok(())
        };
        reactor.context().tell(guest, close).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        let again = |_: &mut Guest, _: &mut Wire, _: &mut Context<Chat>| unreachable!("it closes");
        reactor.context().tell(guest, again).unwrap(); // it still sends its output
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(reactor.context().counters().panics, 0);
        let reader = thread::spawn(move || io::copy(&mut peer, &mut io::sink()).unwrap());
        while reactor.state().closed.is_empty() {
            reactor.turn(Deadline::after(LONG)).unwrap();
        }
        assert_eq!(reactor.state().closed, ["Finished after 0"]);
        drop(reactor);
        assert_eq!(reader.join().unwrap(), 1 << 20);
    });
}
