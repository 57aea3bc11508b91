//! A server of lines in the loop: wherever the bytes of a client are cut, it gets the answers to its own
//! lines.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tripoll::Deadline;
use tripoll::net::Address;
use tripoll::server::{Cause, HandlerResult, LoopExchange, ReactorUnixStreamServer};

use super::Script;
use crate::{LONG, MINUTE};

/// Answers each line with itself backwards, and what comes after the last one, too.
fn answer(exchange: &mut LoopExchange) -> HandlerResult {
    let end = exchange.input().iter().position(|&byte| byte == b'\n').map(|end| end + 1);
    let length = match (end, exchange.cause()) {
        (Some(length), _) => length,
        (None, Cause::Ended) => exchange.input().len(),
        (None, _) => return Ok(()),
    };
    let mut line = exchange.input()[..length].to_vec();
    exchange.consume(length);
    line.reverse();
    exchange.sendall(&line);
    if exchange.cause() == Cause::Ended && !exchange.input().is_empty() {
        return answer(exchange); // there is no other call
    }
    Ok(())
}

fn answers(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines.flat_map(|line| line.iter().rev().copied()).collect()
}

/// The first byte is the pair. The second says how many bytes are the script of cuts. The rest is sent.
pub fn lines(data: &[u8]) {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let [pair, cuts, rest @ ..] = data else { return };
    let (cuts, text) = rest.split_at(usize::from(*cuts).min(rest.len() / 2));
    let pair = super::pair(*pair);
    let name = NAMES.fetch_add(1, Ordering::Relaxed);
    let name = format!("tripoll-fuzz-lines-{}-{name}", std::process::id());
    let server =
        ReactorUnixStreamServer::from_fn(Address::Abstract(name.clone().into()), answer).unwrap();
    let mut reactor = pair.reactor(());
    server.serve_in(MINUTE, &mut reactor.context()).unwrap();
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let mut client = UnixStream::connect_addr(&address).unwrap();
    client.set_nonblocking(true).unwrap();

    let (mut script, mut left) = (Script::new(cuts), text);
    let mut got = Vec::new();
    while !left.is_empty() {
        let count = script.next().map_or(left.len(), |cut| usize::from(cut % 16) + 1);
        let (piece, others) = left.split_at(count.min(left.len()));
        client.write_all(piece).unwrap();
        left = others;
        reactor.turn(Deadline::Now).unwrap();
    }
    client.shutdown(Shutdown::Write).unwrap();
    let give_up = Instant::now() + LONG;
    let mut buffer = [0; 4_096];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                reactor.turn(Deadline::Now).unwrap();
            }
        }
        assert!(Instant::now() < give_up, "no end: {:?}", reactor.context().counters());
    }
    drop(client);
    assert_eq!(got, answers(text));
    server.request_shutdown();
    while !reactor.context().is_empty() {
        reactor.turn(Deadline::At(give_up)).unwrap();
        assert!(Instant::now() < give_up, "it stays");
    }
    server.server_close();
}
