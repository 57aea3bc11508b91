//! The memory of a client that is kept in the loop. The test counts what the whole process allocates,
//! so it has a process of its own.

use std::alloc::System;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::server::*;
use support::*;
use tripoll::server::{HandlerResult, LoopExchange, ReactorTcpServer, RequestHandler};

/// The system's allocator. It counts what it allocates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Returns the number of bytes that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// So many that what all clients share, such as the buffer of events, hardly counts; and so many that
/// the tables, which double, are nearly full.
const CLIENTS: usize = 1_750;

/// Half of a request.
const PART: usize = 1_000;

/// In bytes, with the client's share of all tables. The idle timeout, which a client has by
/// default, is part of it.
const MAX_IDLE: usize = 520;
const MAX_HALF_READ: usize = 1_530;

/// How many clients have got how far.
#[derive(Default)]
struct Counts {
    opened: AtomicUsize,
    half_read: AtomicUsize,
    lines: AtomicUsize,
}

/// Uses up whole lines.
struct Lines(Arc<Counts>);

impl RequestHandler<LoopExchange> for Lines {
    fn setup(&mut self, _: &mut LoopExchange) -> HandlerResult {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        if exchange.input().ends_with(b"\n") {
            exchange.recv(usize::MAX);
            exchange.sendall(b"an answer\n");
            self.0.lines.fetch_add(1, Ordering::Relaxed);
        } else if exchange.input().len() == PART {
            self.0.half_read.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn an_idle_client_and_a_half_read_one_are_small() {
    tripoll::sys::raise_descriptor_limit(2 * CLIENTS as u64 + 100).unwrap();
    let counts = Arc::<Counts>::default();
    let shared = Arc::clone(&counts);
    let server = ReactorTcpServer::builder(ANY).build(move || Lines(Arc::clone(&shared))).unwrap();
    while_serving(&server, || {
        let address = server.server_address();
        // The first client pays for what all clients share.
        let mut first = connect(&address);
        first.write_all(b"a request\n").unwrap();
        let mut clients = Vec::with_capacity(CLIENTS);
        await_that("the first line", || counts.lines.load(Ordering::Relaxed) == 1);
        let before = allocated();
        let share = || allocated().saturating_sub(before) / CLIENTS;

        clients.extend((0..CLIENTS).map(|_| connect(&address)));
        await_that("all clients", || counts.opened.load(Ordering::Relaxed) == CLIENTS + 1);
        // A turn that is under way holds more for a moment.
        await_that("idle clients within the limit", || share() <= MAX_IDLE);
        println!("an idle client: {} bytes", share());

        clients.iter().for_each(|mut client| client.write_all(&[b'x'; PART]).unwrap());
        await_that("all parts", || counts.half_read.load(Ordering::Relaxed) == CLIENTS);
        await_that("half-read clients within the limit", || share() <= MAX_HALF_READ);
        println!("a half-read client: {} bytes", share());

        // Afterwards they are idle clients again.
        clients.iter().for_each(|mut client| client.write_all(b"\n").unwrap());
        await_that("all lines", || counts.lines.load(Ordering::Relaxed) == CLIENTS + 1);
        await_that("idle clients again", || share() <= MAX_IDLE);
        // A client that closed with unread input would reset its connection.
        for client in clients.iter_mut().chain([&mut first]) {
            client.read_exact(&mut [0; b"an answer\n".len()]).unwrap();
        }
    });
}
