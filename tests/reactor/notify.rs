//! Handing something to another source: `notify`, from a handler and from another thread.

use std::os::unix::net::UnixStream;
use std::{io, thread};

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Handler, Interest, Next, Source, Token};

/// Who was notified, in order, and whom each notifies in turn.
#[derive(Default)]
struct Post {
    delivered: Vec<Token>,
    forward: Option<Token>,
}

struct Mailbox;

impl Handler<UnixStream, Post> for Mailbox {
    fn ready(
        &mut self,
        _: &mut Source<'_, UnixStream>,
        _: &mut Context<'_, Post>,
    ) -> io::Result<Next> {
        unreachable!("nothing is ever sent")
    }

    fn notified(
        &mut self,
        source: &mut Source<'_, UnixStream>,
        cx: &mut Context<'_, Post>,
    ) -> io::Result<Next> {
        cx.state.delivered.push(source.token());
        if let Some(next) = cx.state.forward {
            cx.notify(next)?;
        }
        Ok(Next::Keep)
    }
}

#[test]
fn a_notified_source_is_called_once_from_any_thread() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Post::default());
        let (one, _peer) = unix_pair();
        let (other, _other_peer) = unix_pair();
        let one = reactor.context().add(one, Interest::READ, Mailbox).unwrap();
        let other = reactor.context().add(other, Interest::READ, Mailbox).unwrap();
        reactor.context().notify(other).unwrap();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_eq!(reactor.state().delivered, [other], "without waiting");

        let handle = reactor.handle();
        thread::spawn(move || handle.notify(one).unwrap()).join().unwrap();
        reactor.turn(Deadline::after(LONG)).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(reactor.state().delivered, [other, one]);
        assert_quiet(&mut reactor);

        reactor.context().remove(one).unwrap();
        assert_eq!(reactor.context().notify(one).unwrap_err().kind(), io::ErrorKind::NotFound);
        reactor.handle().notify(one).unwrap(); // gone by then: nothing happens
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(reactor.state().delivered.len(), 2);
    });
}

#[test]
fn two_sources_that_notify_each_other_delay_no_other() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Post::default());
        let (echo, _peer) = unix_pair();
        let echo = reactor.context().add(echo, Interest::READ, Mailbox).unwrap();
        reactor.state_mut().forward = Some(echo);
        reactor.context().notify(echo).unwrap();
        for turn in 1..=5 {
            reactor.turn(Deadline::after(LONG)).unwrap();
            assert_eq!(reactor.state().delivered.len(), turn, "once a turn");
        }
    });
}

#[test]
fn the_reactor_is_used_while_the_state_is_borrowed() {
    #[derive(Default)]
    struct Group {
        members: Vec<Token>,
        notified: Vec<Token>,
    }
    struct Member;
    impl Handler<UnixStream, Group> for Member {
        fn ready(
            &mut self,
            _: &mut Source<UnixStream>,
            cx: &mut Context<Group>,
        ) -> io::Result<Next> {
            let (group, mut cx) = cx.split();
            for member in &group.members {
                cx.notify(*member)?;
                cx.set_interest(*member, Interest::NONE)?;
            }
            group.notified.clear();
            Ok(Next::Done)
        }

        fn notified(
            &mut self,
            source: &mut Source<UnixStream>,
            cx: &mut Context<Group>,
        ) -> io::Result<Next> {
            cx.state.notified.push(source.token());
            Ok(Next::Keep)
        }
    }
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Group::default());
        let (mine, theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| unix_pair()).unzip();
        for stream in mine {
            let token = reactor.context().add(stream, Interest::READ, Member).unwrap();
            reactor.state_mut().members.push(token);
        }
        io::Write::write_all(&mut &theirs[1], b"x").unwrap();
        drive(&mut reactor, 3, |group| {
            group.notified == group.members && !group.notified.is_empty()
        });
    });
}
