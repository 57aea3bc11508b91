//! Ten thousand connections on two loops, by counts and not by time.
//!
//! One test alone: it has two thousand descriptors open.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use support::alone::in_own_process;
use support::{Dice, LONG, Pair, await_that, on_every_pair};
use tripoll::net::loops::Distribution;
use tripoll::net::{Address, Connection, Loops, Protocol, Wire};
use tripoll::{Context, sys};

/// Sends one byte back, and closes if it is a full stop.
struct Answer;

impl Protocol for Answer {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> std::io::Result<usize> {
        wire.write(data);
        if data.contains(&b'.') {
            wire.close();
        }
        Ok(data.len())
    }
}

fn two_loops(pair: Pair, distribution: Distribution) -> (Loops, SocketAddr) {
    let loops = Loops::builder()
        .threads(2)
        .distribution(distribution)
        .serve_in(
            "127.0.0.1:0",
            move |_, _| Ok(pair.build(pair.builder(), ())),
            |stream, cx| {
                Connection::new(Answer).linger(Duration::ZERO).serve(stream, cx)?;
                Ok(())
            },
        )
        .unwrap();
    let Address::Inet(address) = *loops.local_address() else { unreachable!() };
    (loops, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

fn ask(client: &mut TcpStream, byte: u8) {
    client.write_all(&[byte]).unwrap();
}

/// How many short connections are open at once.
const SHORT_AT_ONCE: usize = 16;

/// Every tenth connection stays, on average. With the least connections the load of long ones differs
/// by as many as there are short ones at once, at most.
#[test]
fn ten_thousand_long_and_short_connections_load_both_loops_equally() {
    in_own_process("ten_thousand_long_and_short_connections_load_both_loops_equally", || {
        sys::raise_descriptor_limit(4_000).unwrap();
        on_every_pair(|pair| {
            let (loops, address) = two_loops(pair, Distribution::LeastConnections);
            let (mut dice, mut long, mut short) = (Dice(7), Vec::new(), VecDeque::new());
            let finish = |mut client: TcpStream| {
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b".");
            };
            for number in 1..=10_000 {
                let mut client = connect(address);
                if dice.below(10) == 0 {
                    ask(&mut client, b'x');
                    long.push(client);
                } else {
                    ask(&mut client, b'.');
                    short.push_back(client);
                }
                if short.len() > SHORT_AT_ONCE {
                    // Any of them, so that the loops lose theirs in another order than they got them.
                    short.swap(0, dice.below(SHORT_AT_ONCE));
                    short.pop_front().into_iter().for_each(finish);
                }
                if number % 5_000 == 0 {
                    short.drain(..).for_each(finish);
                    await_that("the end of all that were short", || {
                        loops.counters().alive() == long.len()
                    });
                    let counters = loops.counters();
                    let loads = counters.loops.iter().map(|one| one.alive);
                    let (most, least) = (loads.clone().max().unwrap(), loads.min().unwrap());
                    let ratio = most as f64 / least as f64;
                    assert!(ratio <= 1.10, "after {number}: {most} to {least}");
                    assert_eq!(counters.accepted(), number);
                }
            }
            for client in &mut long {
                client.read_exact(&mut [0]).unwrap();
            }
            let counters = loops.counters();
            assert_eq!((counters.refused_per_peer(), counters.paused_at_limit()), (0, 0));
            assert_eq!(counters.closed_unserved, 0);
            drop(long);
            await_that("the end of all", || loops.counters().alive() == 0);
            loops.shutdown(LONG);
            loops.join().unwrap();
        });
    });
}
