//! A reactor whose selector chooses its call.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::alone::in_own_process;
use support::*;
use tripoll::selector::{AutoSelector, Prices};
use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source};

/// Reads all, and counts it.
fn count(socket: &mut Source<UnixStream>, cx: &mut Context<'_, usize>) -> std::io::Result<Next> {
    let mut buffer = [0; 64];
    *cx.state += socket.read(&mut buffer)?;
    Ok(Next::Keep)
}

/// Adds `number` sources, and returns their peers.
fn add(reactor: &mut Reactor<usize>, number: usize) -> Vec<UnixStream> {
    let mut add = || {
        let (mine, theirs) = UnixStream::pair().unwrap();
        reactor.context().add(mine, Interest::READ, count).unwrap();
        theirs
    };
    (0..number).map(|_| add()).collect()
}

/// Makes the first `active` peers write a byte, turn after turn, and asserts that each is read.
fn turns(reactor: &mut Reactor<usize>, peers: &mut [UnixStream], active: usize, turns: usize) {
    for _ in 0..turns {
        peers[..active].iter_mut().for_each(|peer| peer.write_all(b"x").unwrap());
        let before = *reactor.state();
        while *reactor.state() < before + active {
            assert!(reactor.turn(Deadline::after(LONG)).unwrap() > 0, "a byte was not reported");
        }
    }
}

#[test]
fn few_descriptors_stay_on_poll_and_many_idle_ones_move_to_epoll_and_back() {
    // Not those of this machine, so that the switches are the same on each. The reactor itself
    // watches two descriptors.
    let prices = prices(100.0, 10.0);
    let mut reactor =
        Reactor::builder().selector(AutoSelector::with_prices(prices)).build_with(0).unwrap();
    let switches = |reactor: &mut Reactor<usize>| reactor.context().counters().switches;
    let mut few = add(&mut reactor, 2);
    turns(&mut reactor, &mut few, 1, 500);
    assert_eq!(switches(&mut reactor), 0, "a few descriptors are no reason to switch");
    let mut many = add(&mut reactor, 200);
    turns(&mut reactor, &mut many, 1, 500);
    assert_eq!(switches(&mut reactor), 1, "200 idle ones are");
    turns(&mut reactor, &mut many, 200, 500);
    assert_eq!(switches(&mut reactor), 2, "they are busy");
    turns(&mut reactor, &mut many, 1, 500);
    assert_eq!(switches(&mut reactor), 3, "they are idle again");
    assert_eq!(reactor.context().backend(), "auto");
}

/// Returns prices with which `epoll` pays for what is ready, and `poll` for what is watched.
fn prices(wait: f64, each: f64) -> Prices {
    let mut prices = Prices::ZERO;
    (prices.poll, prices.poll_watched) = (wait, each);
    (prices.epoll, prices.epoll_ready, prices.epoll_change) = (1.5 * wait, 2.0 * each, wait);
    (prices.epoll_add, prices.epoll_new) = (2.0 * wait, 10.0 * wait);
    prices
}

#[test]
fn a_selector_that_switches_at_each_decision_loses_nothing() {
    let selector = AutoSelector::with_prices(Prices::ZERO);
    let mut reactor = Reactor::builder().selector(selector).build_with(0).unwrap();
    let mut peers = add(&mut reactor, 300);
    for active in [1, 300, 7, 150] {
        turns(&mut reactor, &mut peers, active, 50);
    }
    assert!(reactor.context().counters().switches > 20);
}

#[test]
fn without_a_free_descriptor_it_stays_with_poll() {
    in_own_process("auto::without_a_free_descriptor_it_stays_with_poll", || {
        let limit = Rlimit { current: Some(400), maximum: getrlimit(Resource::Nofile).maximum };
        setrlimit(Resource::Nofile, limit).unwrap();
        let selector = AutoSelector::with_prices(prices(100.0, 10.0));
        let mut reactor = Reactor::builder().selector(selector).build_with(0).unwrap();
        let mut peers = add(&mut reactor, 100);
        let all = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect::<Vec<_>>();
        turns(&mut reactor, &mut peers, 1, 500);
        assert_eq!(reactor.context().counters().switches, 0);
        drop(all);
        turns(&mut reactor, &mut peers, 1, 500);
        assert_eq!(reactor.context().counters().switches, 1);
    });
}

#[test]
fn each_trigger_can_be_asked_for() {
    for &trigger in tripoll::Trigger::ALL {
        let builder = Reactor::builder().backend(Backend::Auto).trigger(trigger);
        let mut reactor = builder.build_with(0).unwrap();
        let mut peers = add(&mut reactor, 20);
        turns(&mut reactor, &mut peers, 20, 20);
        assert_eq!(*reactor.state(), 400);
    }
}
