//! Names that a pool resolves while the loop goes on. On every backend and trigger.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use support::reactor::{drive, grown};
use support::{LONG, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{self, Address, Connect, Listener};
use tripoll::pool::Pool;
use tripoll::{Context, Deadline, Reactor};

type Answers = Vec<io::Result<Vec<Address>>>;

fn ask(reactor: &mut Reactor<Answers>, pool: &Pool, name: &str) -> tripoll::Token {
    let done = |answer, cx: &mut Context<Answers>| cx.state.push(answer);
    let token = net::resolve(pool, name, &mut reactor.context(), done).unwrap();
    assert!(reactor.state().is_empty(), "the callback was called from inside");
    token
}

fn answer(reactor: &mut Reactor<Answers>) -> io::Result<Vec<Address>> {
    drive(reactor, 1_000, |answers| !answers.is_empty());
    assert_eq!(reactor.context().len(), 0);
    reactor.state_mut().pop().unwrap()
}

/// A pool whose only worker is busy until the sender is dropped.
fn busy(queue: usize) -> (Arc<Pool>, Sender<()>) {
    let pool = Arc::new(Pool::new(1, queue).unwrap());
    let (end, wait) = mpsc::channel::<()>();
    let begun = Arc::new(Barrier::new(2));
    let begins = Arc::clone(&begun);
    pool.submit(move || {
        begins.wait();
        let _ = wait.recv();
    })
    .unwrap();
    begun.wait();
    (pool, end)
}

#[test]
fn a_name_is_resolved_by_the_pool_and_has_its_port() {
    on_every_pair_and_noise(|pair| {
        let pool = Pool::new(1, 4).unwrap();
        let mut reactor = pair.reactor(Answers::new());
        ask(&mut reactor, &pool, "localhost:443");
        let addresses = answer(&mut reactor).unwrap();
        assert!(!addresses.is_empty());
        for address in addresses {
            let Address::Inet(address) = address else { panic!("{address}") };
            assert!(address.ip().is_loopback() && address.port() == 443, "{address}");
        }
    });
}

#[test]
fn a_text_that_needs_no_resolving_costs_no_job_and_one_that_is_no_address_is_an_error() {
    on_every_pair(|pair| {
        let (pool, _end) = busy(0);
        let mut reactor = pair.reactor(Answers::new());
        for text in ["127.0.0.1:80", "[::1]:80", "/run/echo", "@echo"] {
            ask(&mut reactor, &pool, text);
            assert_eq!(answer(&mut reactor).unwrap(), [text.parse::<Address>().unwrap()]);
        }
        ask(&mut reactor, &pool, "localhost");
        let error = answer(&mut reactor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("it has no port"), "{error}");
    });
}

#[test]
fn a_pool_that_does_not_resolve_it_is_an_error() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Answers::new());
        let (pool, end) = busy(0);
        ask(&mut reactor, &pool, "localhost:80");
        let error = answer(&mut reactor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        drop(end);
        pool.drain(LONG).unwrap();
        ask(&mut reactor, &pool, "localhost:80");
        let error = answer(&mut reactor).unwrap_err();
        assert!(error.to_string().contains("is being drained"), "{error}");

        // It was queued, and then dropped.
        let (pool, _end) = busy(1);
        ask(&mut reactor, &pool, "localhost:80");
        pool.drain(Duration::ZERO).unwrap_err();
        let error = answer(&mut reactor).unwrap_err();
        assert!(error.to_string().contains("has dropped the job"), "{error}");
    });
}

#[test]
fn the_loop_goes_on_while_a_name_is_resolved_and_a_request_can_be_taken_back() {
    on_every_pair_and_noise(|pair| {
        let (pool, end) = busy(4);
        let mut reactor = pair.reactor(Answers::new());
        let token = ask(&mut reactor, &pool, "localhost:80");
        let before = reactor.context().counters();
        let timer = |cx: &mut Context<Answers>| cx.stop();
        reactor.context().set_timer(Instant::now() + Duration::from_millis(5), timer);
        reactor.run().unwrap();
        assert!(reactor.state().is_empty());
        assert_eq!(grown(reactor.context().counters(), before, |it| it.idle), 0);

        reactor.context().remove(token).unwrap();
        let error = answer(&mut reactor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        // The worker's answer comes too late, and disturbs nothing.
        drop(end);
        pool.drain(LONG).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        assert!(reactor.state().is_empty());
    });
}

#[test]
fn a_deadline_and_a_shutdown_end_a_request() {
    on_every_pair_and_noise(|pair| {
        let (pool, _end) = busy(4);
        let mut reactor = pair.reactor(Answers::new());
        let token = ask(&mut reactor, &pool, "localhost:80");
        reactor.context().set_deadline(token, Some(Instant::now())).unwrap();
        let error = answer(&mut reactor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("\"localhost:80\" was not resolved"), "{error}");

        ask(&mut reactor, &pool, "localhost:80");
        reactor.context().shutdown(LONG);
        reactor.run().unwrap();
        let error = reactor.state_mut().pop().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn a_name_is_connected_and_stands_in_the_error() {
    on_every_pair_and_noise(|pair| {
        let pool = Arc::new(Pool::new(1, 4).unwrap());
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let Address::Inet(address) = *listener.local_address() else { unreachable!() };
        let name = format!("localhost:{}", address.port());
        let mut reactor = pair.reactor(Vec::new());
        let mut connect = |name: &str| {
            let done = |stream, cx: &mut Context<Vec<_>>| cx.state.push(stream);
            Connect::to_name(name, &pool).start(&mut reactor.context(), done);
            drive(&mut reactor, 1_000, |streams| !streams.is_empty());
            reactor.state_mut().pop().unwrap()
        };
        // `localhost` may have an IPv6 address, too, which refuses.
        assert_eq!(*connect(&name).unwrap().peer(), Address::Inet(address));
        drop(listener);
        let error = connect(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(text.starts_with(&format!("{name}: cannot connect to ")), "{text}");
        assert!(text.contains(&format!("to {address}: Connection refused")), "{text}");
        assert_eq!(connect("localhost:http").unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_time_limit_of_a_connect_includes_resolving_and_it_can_be_cancelled_meanwhile() {
    on_every_pair(|pair| {
        let (pool, _end) = busy(4);
        let mut reactor = pair.reactor(Vec::new());
        let connect = Connect::to_name("localhost:1", &pool).timeout(Duration::from_millis(5));
        let done = |stream: io::Result<_>, cx: &mut Context<Vec<_>>| cx.state.push(stream.err());
        connect.start(&mut reactor.context(), done);
        drive(&mut reactor, 1_000, |errors| !errors.is_empty());
        let error = reactor.state_mut().pop().unwrap().unwrap();
        assert_eq!(error.to_string(), "\"localhost:1\" was not resolved within 5ms");
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        let connecting = Connect::to_name("localhost:1", &pool).start(&mut reactor.context(), done);
        assert!(connecting.cancel(&mut reactor.context()));
        drive(&mut reactor, 1_000, |errors| !errors.is_empty());
        let error = reactor.state_mut().pop().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        assert_eq!(reactor.context().len(), 0);
    });
}
