//! Tests of the accept loop.

use std::cell::Cell;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;

use super::*;
use crate::net::accept_class::Class;
use crate::net::accept_class::tests::{all_errnos, meaning};
use crate::reactor::Reactor;
use crate::selector::{Backend, Deadline, Trigger};

/// At most one slot; what `accept` returns is scripted, the last one first.
struct Scripted {
    /// The test has a clone of it.
    slot: Rc<()>,
    results: Vec<io::Result<u32>>,
}

/// What has been delivered, with its slot.
#[derive(Default)]
struct Delivered {
    accepted: Vec<(u32, Rc<()>)>,
}

impl Incoming<UnixStream, Delivered> for Scripted {
    type Accepted = u32;
    type Slot = Rc<()>;

    fn reserve(&mut self, waker: &Waker) -> Option<Rc<()>> {
        if Rc::strong_count(&self.slot) > 2 {
            waker.wake_by_ref(); // arms the listener after it has been disarmed
            return None;
        }
        Some(Rc::clone(&self.slot))
    }

    fn accept(&mut self, _: &UnixStream) -> io::Result<Attempt<u32>> {
        assert_eq!(Rc::strong_count(&self.slot), 3, "reserved before accepting");
        let result = self.results.pop();
        result.unwrap_or(Err(io::ErrorKind::WouldBlock.into())).map(Attempt::Accepted)
    }

    fn deliver(
        &mut self,
        accepted: u32,
        slot: Rc<()>,
        _: Option<RawFd>,
        cx: &mut Context<'_, Delivered>,
    ) -> Next {
        cx.state.accepted.push((accepted, slot));
        Next::Keep
    }

    fn backlog(&self, _: &UnixStream) -> u32 {
        unreachable!("nothing shuts down")
    }

    fn reject_pending(&mut self, _: &UnixStream) -> (usize, Option<io::Error>) {
        unreachable!("there is no shortage")
    }
}

#[test]
fn a_slot_is_dropped_when_accept_fails_and_its_waker_arms_the_listener() {
    let slot = Rc::new(());
    let lost = || Err(io::Error::from_raw_os_error(libc::ECONNABORTED));
    let scripted = Scripted { slot: Rc::clone(&slot), results: vec![Ok(2), Ok(1), lost()] };
    let (listener, mut client) = UnixStream::pair().unwrap();
    client.write_all(b"ready").unwrap();
    let mut reactor = Reactor::builder().build_with(Delivered::default()).unwrap();
    let acceptor = Acceptor::new("scripted".into(), 10, scripted);
    reactor.context().add(listener, Interest::READ, acceptor).unwrap();

    // The lost connection has given its slot back, so the first one has it.
    reactor.turn(Deadline::Never).unwrap();
    let (number, held) = reactor.state_mut().accepted.pop().unwrap();
    assert_eq!((number, Rc::strong_count(&slot)), (1, 3));
    assert!(reactor.state().accepted.is_empty(), "accepted without a slot");

    drop(held);
    let give_up = Instant::now() + LONG;
    while reactor.state().accepted.is_empty() {
        reactor.turn(Deadline::At(give_up)).unwrap();
        assert!(Instant::now() < give_up, "the listener is not armed again");
    }
    assert_eq!(reactor.state_mut().accepted.pop().unwrap().0, 2);
}

const LONG: Duration = Duration::from_secs(30);

/// Accepts from a real listener, and fails with injected errors.
struct Injected<E> {
    /// Returns the error of the next call, if it must fail.
    error: E,
    calls: Rc<Cell<u64>>,
}

impl<E: FnMut() -> Option<i32>> Injected<E> {
    fn call(&mut self, listener: &TcpListener) -> io::Result<TcpStream> {
        self.calls.set(self.calls.get() + 1);
        match (self.error)() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => listener.accept().map(|(client, _)| client),
        }
    }
}

impl<E: FnMut() -> Option<i32>> Incoming<TcpListener, Vec<TcpStream>> for Injected<E> {
    type Accepted = TcpStream;
    type Slot = ();

    fn reserve(&mut self, _: &Waker) -> Option<()> {
        Some(())
    }

    fn accept(&mut self, listener: &TcpListener) -> io::Result<Attempt<TcpStream>> {
        self.call(listener).map(Attempt::Accepted)
    }

    fn deliver(
        &mut self,
        client: TcpStream,
        (): (),
        _: Option<RawFd>,
        cx: &mut Context<'_, Vec<TcpStream>>,
    ) -> Next {
        cx.state.push(client);
        Next::Keep
    }

    fn backlog(&self, _: &TcpListener) -> u32 {
        unreachable!("nothing shuts down")
    }

    fn reject_pending(&mut self, listener: &TcpListener) -> (usize, Option<io::Error>) {
        (0, self.call(listener).err())
    }
}

/// A reactor with a listener whose calls fail as `error` says, and a client in its queue.
struct Server {
    reactor: Reactor<Vec<TcpStream>>,
    address: std::net::SocketAddr,
    calls: Rc<Cell<u64>>,
    listener: Token,
    _client: TcpStream,
}

impl Server {
    fn new(pair: (Backend, Trigger), error: impl FnMut() -> Option<i32> + 'static) -> Self {
        Server::with(pair, 32, error)
    }

    fn with(
        (backend, trigger): (Backend, Trigger),
        accepts_per_turn: u32,
        error: impl FnMut() -> Option<i32> + 'static,
    ) -> Self {
        let builder = Reactor::builder().backend(backend).trigger(trigger);
        let mut reactor = builder.build_with(Vec::new()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Rc::<Cell<u64>>::default();
        let injected = Injected { error, calls: Rc::clone(&calls) };
        let acceptor = Acceptor::new(address.to_string(), accepts_per_turn, injected);
        let listener = reactor.context().add(listener, Interest::READ, acceptor).unwrap();
        let _client = TcpStream::connect(address).unwrap();
        Server { reactor, address, calls, listener, _client }
    }

    /// Turns until `until` holds, and returns the number of turns.
    fn turn_until(&mut self, until: impl Fn(&mut Reactor<Vec<TcpStream>>) -> bool) -> u64 {
        let give_up = Instant::now() + LONG;
        let before = self.reactor.context().counters().turns;
        while !until(&mut self.reactor) {
            let failure = self.reactor.turn(Deadline::At(give_up)).err();
            assert_eq!(failure.is_some(), self.reactor.context().is_empty(), "{failure:?}");
            assert!(Instant::now() < give_up, "it never came");
        }
        self.reactor.context().counters().turns - before
    }
}

/// Runs `body` on every backend and trigger at the same time.
fn on_every_pair(body: impl Fn((Backend, Trigger)) + Sync) {
    thread::scope(|scope| {
        for &backend in Backend::ALL {
            for &trigger in Trigger::ALL {
                let body = &body;
                let name = format!("{backend}, {trigger}");
                let builder = thread::Builder::new().name(name);
                builder.spawn_scoped(scope, move || body((backend, trigger))).unwrap();
            }
        }
    });
}

#[test]
fn an_error_of_the_programs_own_has_the_number_of_the_kernels() {
    assert_eq!(errno(&io::ErrorKind::WouldBlock.into()), Some(libc::EAGAIN));
    assert_eq!(errno(&io::ErrorKind::Interrupted.into()), Some(libc::EINTR));
    assert_eq!(errno(&io::Error::from_raw_os_error(libc::EMFILE)), Some(libc::EMFILE));
    assert_eq!(errno(&io::Error::other("of the program")), None);
}

#[test]
fn a_client_that_waits_during_a_long_shortage_is_served_afterwards_and_nothing_spins() {
    on_every_pair(|pair| {
        let mut servers = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].map(|errno| {
            let end = Instant::now() + Duration::from_millis(1_500);
            (Server::new(pair, move || (Instant::now() < end).then_some(errno)), errno)
        });
        for (server, errno) in &mut servers {
            let turns = server.turn_until(|reactor| !reactor.state().is_empty());
            // Eight pauses, and shedding after the last two.
            assert!(server.calls.get() <= 12 && turns <= 40, "{errno} {turns}");
        }
    });
}

#[test]
fn a_pause_ends_whatever_deadline_the_program_sets() {
    on_every_pair(|pair| {
        let mut error = Some(libc::ENOMEM);
        let mut server = Server::new(pair, move || error.take());
        server.turn_until(|reactor| reactor.context().timers() == 1);
        let later = Some(Instant::now() + LONG);
        for at in [later, None, later] {
            server.reactor.context().set_deadline(server.listener, at).unwrap();
        }
        server.turn_until(|reactor| reactor.state().len() == 1);
    });
}

#[test]
fn one_error_of_any_number_costs_no_client_and_only_the_listeners_own_ends_it() {
    on_every_pair(|pair| {
        for errno in all_errnos() {
            let mut error = Some(errno);
            let mut server = Server::new(pair, move || error.take());
            if meaning(errno) == Class::Listener {
                server.turn_until(|reactor| reactor.context().is_empty());
                assert_eq!(server.calls.get(), 1, "{errno}");
                continue;
            }
            server.turn_until(|reactor| reactor.state().len() == 1);
        }
    });
}

#[test]
fn lost_connections_among_others_do_not_pause_the_loop() {
    on_every_pair(|pair| {
        for accepts_per_turn in [1, 100] {
            let mut count = 0;
            let lose = move || {
                count += 1;
                (count % 32 != 0 && count < 100).then_some(libc::ECONNABORTED)
            };
            let mut server = Server::with(pair, accepts_per_turn, lose);
            let _others = [(); 5].map(|()| TcpStream::connect(server.address).unwrap());
            server.turn_until(|reactor| {
                assert_eq!(reactor.context().timers(), 0, "a pause");
                reactor.state().len() == 6
            });
        }
    });
}

#[test]
fn errors_without_end_do_not_spin_and_unknown_ones_end_the_listener() {
    on_every_pair(|pair| {
        for errno in [libc::EINTR, libc::ECONNABORTED, libc::EPERM, libc::EPROTO] {
            let mut server = Server::new(pair, move || Some(errno));
            let began = Instant::now();
            server.turn_until(|_| began.elapsed() >= Duration::from_millis(100));
            let most = 32 * (1 + began.elapsed().as_millis() as u64 / 10);
            assert!(server.calls.get() <= most, "{errno}: {}", server.calls.get());
        }
        // Seven pauses take more than a second.
        let mut server = Server::new(pair, || Some(libc::EAGAIN));
        let began = Instant::now();
        server.turn_until(|_| began.elapsed() >= Duration::from_secs(1));
        assert!(server.calls.get() <= 9, "{}", server.calls.get());
        for errno in [libc::EOPNOTSUPP, libc::ENOSYS] {
            let mut server = Server::new(pair, move || Some(errno));
            let turns = server.turn_until(|reactor| reactor.context().is_empty());
            assert!(server.calls.get() <= 9 && turns <= 30, "{errno} {turns}");
        }
    });
}
