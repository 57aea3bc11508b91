//! Channels: in order, bounded, and with one end.

use std::io::ErrorKind;
use std::sync::mpsc::{self, TrySendError};
use std::thread;
use std::time::Duration;

use support::reactor::*;
use support::*;
use tripoll::reactor::Budget;
use tripoll::reactor::sources::{Receiver, channel};
use tripoll::{Context, Deadline};

/// Records messages, and `None` for the end.
fn record<T: 'static>(message: Option<T>, cx: &mut Context<'_, Vec<Option<T>>>) {
    cx.state.push(message);
}

#[test]
fn messages_of_each_sender_come_in_order_and_the_end_once() {
    const MESSAGES: u32 = 100;
    on_every_pair_and_noise(|pair| {
        for capacity in [1, 7, 10_000] {
            let mut reactor = pair.reactor(Vec::new());
            let (sender, receiver) = channel(capacity).unwrap();
            receiver.on(&mut reactor.context(), record).unwrap();
            thread::scope(|scope| {
                for thread in 0..3 {
                    let sender = sender.clone();
                    let send = move || {
                        (0..MESSAGES).for_each(|number| sender.send((thread, number)).unwrap());
                    };
                    scope.spawn(send);
                }
                drop(sender);
                drive(&mut reactor, 10_000, |got| got.last() == Some(&None));
            });
            let_settle(&mut reactor);
            assert!(reactor.context().is_empty(), "it is removed");
            let mut got = std::mem::take(reactor.state_mut());
            assert_eq!(got.pop(), Some(None));
            for thread in 0..3 {
                let of_it = got.iter().flatten().filter(|(from, _)| *from == thread);
                assert!(of_it.map(|(_, number)| *number).eq(0..MESSAGES));
            }
            assert_eq!(got.len(), 3 * MESSAGES as usize, "no second end");
        }
    });
}

#[test]
fn a_full_channel_refuses_or_blocks_its_sender_until_there_is_room() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (sender, receiver) = channel(2).unwrap();
        receiver.on(&mut reactor.context(), record).unwrap();
        sender.try_send(1).unwrap();
        sender.send(2).unwrap();
        assert!(matches!(sender.try_send(3), Err(TrySendError::Full(3))));
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            sender.send(4).unwrap();
            tell.send(()).unwrap();
            sender
        });
        // It blocks: nothing is received before the loop turns.
        assert!(told.recv_timeout(Duration::from_millis(5)).is_err());
        drive(&mut reactor, 20, |got| *got == [Some(1), Some(2), Some(4)]);
        told.recv_timeout(LONG).unwrap();
        let sender = thread.join().unwrap();
        assert_quiet(&mut reactor);
        sender.try_send(5).unwrap();
        drive(&mut reactor, 5, |got| got.len() == 4);
    });
}

#[test]
fn senders_are_told_that_the_receiver_has_gone() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (sender, receiver) = channel(1).unwrap();
        let token = receiver.on(&mut reactor.context(), record).unwrap();
        sender.send(1).unwrap();
        let blocked = sender.clone();
        let thread = thread::spawn(move || blocked.send(2));
        reactor.context().remove(token).unwrap();
        let_settle(&mut reactor);
        assert_eq!(thread.join().unwrap().unwrap_err().0, 2);
        assert_eq!(sender.send(3).unwrap_err().0, 3);
        assert!(matches!(sender.try_send(4), Err(TrySendError::Disconnected(4))));
        assert_eq!(*reactor.state(), []);
    });
}

#[test]
fn a_shutdown_passes_what_waits_and_ends() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.build(pair.builder().budget(Budget::new(1, 1_000)), Vec::new());
        let (sender, receiver) = channel(10).unwrap();
        receiver.on(&mut reactor.context(), record).unwrap();
        (0..10).for_each(|number| sender.send(number).unwrap());
        reactor.context().shutdown(LONG);
        reactor.run().unwrap();
        assert_eq!(*reactor.state(), (0..10).map(Some).collect::<Vec<_>>());
        assert!(sender.try_send(10).is_err());
    });
}

/// With a budget of one operation, a message is passed in each turn, and a sleep never comes between.
#[test]
fn a_budget_divides_the_messages_and_loses_none() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.build(pair.builder().budget(Budget::new(1, 1_000)), Vec::new());
        let (sender, receiver) = channel(100).unwrap();
        (0..100).for_each(|number| sender.send(number).unwrap());
        receiver.on(&mut reactor.context(), record).unwrap();
        drive(&mut reactor, 110, |got| got.len() == 100);
        reactor.turn(Deadline::Now).unwrap(); // it finds that this was the last
        reactor.turn(Deadline::Now).unwrap();
        assert_quiet(&mut reactor);
    });
}

#[test]
fn a_channel_without_room_is_refused() {
    let error = channel::<()>(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the capacity of a channel is 0: no message could be sent");
}

#[test]
fn a_callback_that_removes_its_receiver_gets_no_further_message() {
    on_every_pair_and_noise(|pair| {
        for shuts_down in [false, true] {
            let mut reactor = pair.reactor((None, 0));
            let (sender, receiver) = channel(10).unwrap();
            (0..10).for_each(|number| sender.send(number).unwrap());
            let mut cx = reactor.context();
            let token = receiver.on(&mut cx, |_, cx: &mut Context<(Option<_>, i32)>| {
                cx.state.1 += 1;
                let token = cx.state.0.expect("it was removed");
                cx.remove(token).unwrap();
            });
            cx.state.0 = Some(token.unwrap());
            if shuts_down {
                cx.shutdown(LONG);
            }
            drive(&mut reactor, 10, |(_, calls)| *calls > 0);
            reactor.turn(Deadline::Now).unwrap();
            assert_eq!(reactor.state().1, 1);
            assert!(sender.try_send(10).is_err());
        }
    });
}

#[test]
fn a_channel_of_any_capacity_takes_memory_for_what_waits_alone() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (sender, receiver) = channel(usize::MAX).unwrap();
        receiver.on(&mut reactor.context(), record).unwrap();
        (0..1_000).for_each(|number| sender.try_send(number).unwrap());
        drop(sender);
        drive(&mut reactor, 1_000, |got| got.last() == Some(&None));
        assert_eq!(reactor.state().len(), 1_001);
    });
}

#[test]
fn a_receiver_can_be_asked_without_a_reactor() {
    let (sender, mut receiver): (_, Receiver<u8>) = channel(1).unwrap();
    assert_eq!(receiver.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    sender.send(1).unwrap();
    assert_eq!(receiver.receive().unwrap(), Some(1));
    drop(sender);
    assert_eq!(receiver.receive().unwrap(), None);
}

#[test]
fn busy_senders_do_not_keep_a_reactor_from_its_end() {
    const CAPACITY: usize = 1_000;
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0);
        let (sender, receiver) = channel(CAPACITY).unwrap();
        let count = |_: Option<()>, cx: &mut Context<'_, usize>| {
            *cx.state += usize::from(cx.is_shutting_down());
        };
        receiver.on(&mut reactor.context(), count).unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                let sender = sender.clone();
                scope.spawn(
                    move || while sender.try_send(()) != Err(TrySendError::Disconnected(())) {},
                );
            }
            while sender.try_send(()).is_ok() {} // until it is full
            reactor.context().shutdown(LONG);
            reactor.run().unwrap();
            let budget = 64; // of the turn in which it is told
            assert!(*reactor.state() <= CAPACITY + budget, "{} messages", reactor.state());
        });
    });
}
