//! A listener that can no longer accept: the program is told, and what was accepted lives on. On every
//! backend and trigger.

use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::Instant;
use std::{io, thread};

use socket2::SockRef;
use support::net::{Scripted, echo};
use support::sockets::exchange;
use support::{LONG, expect_panic, on_every_pair_and_noise};
use tripoll::net::{Address, Connection, Listener};
use tripoll::pool::{Pool, WhenFull};
use tripoll::{Deadline, Reactor};

/// A listener that another holder of its socket can break.
struct Breakable {
    listener: Listener,
    address: Address,
    socket: OwnedFd,
}

fn breakable() -> Breakable {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let socket = listener.as_fd().try_clone_to_owned().unwrap();
    Breakable { address: listener.local_address().clone(), listener, socket }
}

/// Makes `accept(2)` fail with EINVAL from now on.
fn break_it(socket: &OwnedFd) {
    SockRef::from(socket).shutdown(Shutdown::Both).unwrap();
}

fn connect(address: &Address) -> TcpStream {
    let Address::Inet(address) = address else { panic!("{address}") };
    TcpStream::connect(address).unwrap()
}

fn serve_echo(listener: Listener, reactor: &mut Reactor) {
    let (calls, _) = mpsc::channel();
    let accepted = move |stream, cx: &mut tripoll::Context| {
        Connection::new(Scripted::new(echo, calls.clone())).serve(stream, cx)?;
        Ok(())
    };
    listener.serve(&mut reactor.context(), accepted).unwrap();
}

#[test]
fn run_returns_the_error_of_a_listener_that_has_ended_and_can_run_again() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let Breakable { listener, address, socket } = breakable();
        serve_echo(listener, &mut reactor);
        let (send_error, error) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let handle = reactor.handle();
        let client = {
            let address = address.clone();
            thread::spawn(move || {
                let client = connect(&address);
                assert_eq!(exchange(&client, b"before"), b"before");
                break_it(&socket);
                let error: io::Error = error.recv_timeout(LONG).expect("run goes on");
                let text = error.to_string();
                assert!(text.contains(&address.to_string()), "{text}");
                assert!(text.contains("os error 22"), "{text}");
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                go_on.send(()).unwrap();
                assert_eq!(exchange(&client, b"after"), b"after");
                handle.stop();
            })
        };
        send_error.send(reactor.run().unwrap_err()).unwrap();
        wait.recv().unwrap();
        reactor.run().unwrap();
        client.join().unwrap();
        // The listener is closed, so its port is free.
        Listener::bind(address).unwrap();
    });
}

#[test]
fn a_program_can_be_told_by_a_callback_and_the_loop_goes_on() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (broken, other) = (breakable(), breakable());
        let handle = reactor.handle();
        let (send, ended) = mpsc::channel();
        let listener = broken.listener.on_end(move |error| {
            send.send(error.to_string()).unwrap();
        });
        serve_echo(listener, &mut reactor);
        serve_echo(other.listener, &mut reactor);
        let client = thread::spawn(move || {
            break_it(&broken.socket);
            let text = ended.recv_timeout(LONG).expect("nothing was told");
            assert!(text.contains(&broken.address.to_string()), "{text}");
            assert_eq!(exchange(connect(&other.address), b"hello"), b"hello");
            handle.stop();
        });
        reactor.run().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn a_program_whose_callback_panics_is_told_as_without_one() {
    on_every_pair_and_noise(|pair| {
        expect_panic("on purpose");
        let mut reactor = pair.reactor(());
        let Breakable { listener, address, socket } = breakable();
        let listener = listener.on_end(|_| panic!("on purpose"));
        listener.serve(&mut reactor.context(), |_, _| Ok(())).unwrap();
        break_it(&socket);
        reactor.context().set_timer(Instant::now() + LONG, |cx| cx.stop());
        let error = reactor.run().expect_err("it was not told");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(reactor.context().counters().panics, 1);
    });
}

#[test]
fn a_listener_of_a_pool_tells_its_end_too() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let Breakable { listener, socket, .. } = breakable();
        let pool = Arc::new(Pool::new(1, 1).unwrap());
        let serve = |_| Ok(());
        listener.serve_in_pool(&pool, WhenFull::Pause, &mut reactor.context(), serve).unwrap();
        break_it(&socket);
        assert!(reactor.run().is_err());
    });
}

#[test]
fn a_listener_that_the_program_removes_is_no_failure() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let listener = listener.on_end(|error| panic!("{error}"));
        let token = listener.serve(&mut reactor.context(), |_, _| Ok(())).unwrap();
        reactor.context().remove(token).unwrap();
        reactor.turn(Deadline::Now).unwrap();

        let listener = Listener::bind("127.0.0.1:0").unwrap();
        listener.serve(&mut reactor.context(), |_, _| Ok(())).unwrap();
        reactor.context().shutdown(LONG);
        let began = Instant::now();
        reactor.run().unwrap();
        assert!(began.elapsed() < LONG);
        let counters = reactor.context().counters();
        assert_eq!((counters.panics, counters.errors), (0, 0), "{counters:?}");
    });
}
