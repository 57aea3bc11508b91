//! Signals while a handler reads: what a read returns may be short, and is never the rest.

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::reactor::*;
use support::signals::SignalTarget;
use support::sockets::*;
use support::*;
use tripoll::Interest;

const LENGTH: usize = 1 << 20;

/// Sends the bytes through one end, while signals come to the thread that reads the other.
fn carry(pair: Pair, mine: impl std::io::Read + AsFd + 'static, send: impl FnOnce() + Send) {
    let (reader, is_over) = (SignalTarget::this_thread(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(send);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                reader.interrupt();
                thread::yield_now();
            }
        });
        let mut reactor = pair.reactor(Vec::new());
        add(&mut reactor, mine, Interest::READ, collect);
        drive(&mut reactor, 1_000_000, |got| got.len() == LENGTH);
        is_over.store(true, Ordering::Relaxed);
        assert!(*reactor.state() == known_bytes(12, LENGTH), "not what was sent");
    });
}

#[test]
fn signals_in_the_middle_of_reads_stall_nothing() {
    signal_hook::flag::register(libc::SIGUSR1, Arc::default()).unwrap();
    let sent = known_bytes(12, LENGTH);
    on_every_pair(|pair| {
        let (mine, mut theirs) = tcp_pair();
        theirs.set_nonblocking(false).unwrap();
        carry(pair, mine, || {
            theirs.write_all(&sent).unwrap();
            theirs.shutdown(Shutdown::Write).unwrap();
        });
        let (mine, mut theirs) = unix_pair();
        theirs.set_nonblocking(false).unwrap();
        carry(pair, mine, || theirs.write_all(&sent).unwrap());
    });
}
