//! Thousands of clients that are kept by eight threads.
//!
//! One test alone: it counts the threads and descriptors of the whole process, and its time.

use std::io::{BufRead, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use support::server::*;
use support::*;
use tripoll::reactor::Counters;
use tripoll::selector::Cost;
use tripoll::server::{Parked, ParkedTcpServer, StreamExchange};
use tripoll::{Deadline, ReactorHandle};

const CLIENTS: usize = 10_000;

/// For select and poll, whose waits cost time for each client.
const FEWER: usize = 1_000;

/// How long nothing happens. It would do for many thousand turns.
const IDLE: Duration = Duration::from_millis(100);

#[test]
fn ten_thousand_clients_are_served_by_eight_threads_and_cost_nothing_while_they_are_silent() {
    // Both ends of each connection are in this process.
    let limit = tripoll::sys::raise_descriptor_limit(2 * CLIENTS as u64 + 200).unwrap();
    let most = usize::try_from(limit.soft).map_or(CLIENTS, |soft| CLIENTS.min((soft - 200) / 2));
    on_every_pair(|pair| {
        // A pair that is another one in fact takes less time, too.
        let is_own = pair.trigger == pair.effective_trigger();
        let is_cheap = pair.caps().wait_cost == Cost::PerReady;
        are_served(pair, if is_own && is_cheap { most } else { FEWER.min(most) });
    });
}

fn are_served(pair: Pair, count: usize) {
    let before = (threads(), descriptors());
    let server = ParkedTcpServer::builder(ANY)
        .config(pair.config().requests_per_turn(1_000))
        .concurrency(Parked::default().workers(8))
        .build_fn(|exchange: &mut StreamExchange| {
            let mut line = String::new();
            exchange.rfile.by_ref().take(100).read_line(&mut line)?;
            exchange.wfile.write_all(line.as_bytes())?;
            exchange.close_connection = line == "bye\n";
            Ok(())
        })
        .unwrap();
    thread::scope(|scope| {
        let (tell, handle) = mpsc::channel();
        let there = &server;
        let serving = scope.spawn(move || {
            let mut reactor = pair.reactor(());
            there.serve_in(MINUTE, &mut reactor.context()).unwrap();
            tell.send(reactor.handle()).unwrap();
            while !reactor.context().is_empty() {
                reactor.turn(Deadline::after(LONG)).unwrap();
            }
        });
        let _guard = ShutDown(&server);
        let handle: ReactorHandle = handle.recv().unwrap();

        let address = server.server_address();
        let clients: Vec<_> = (0..count).map(|_| connect(&address)).collect();
        ask_all(&clients, "one\n");
        ask_all(&clients, "two\n");
        assert!(threads() <= before.0 + 9, "{} threads, before {}", threads(), before.0);

        // The last clients return to the loop after their answers, in a turn each.
        let idle: Vec<_> = (0..3).map(|_| idle(&handle)).collect();
        let is_quiet = |&(turns, time): &(u64, f64)| turns <= 2 && time < 0.05; // we have asked
        assert!(idle.iter().any(is_quiet), "(turns, seconds) in {IDLE:?}: {idle:?}, on {pair}");

        ask_all(&clients, "bye\n");
        clients.iter().for_each(await_end);
        drop(clients);
        server.shutdown().unwrap();
        serving.join().unwrap();
    });
    server.server_close();
    drop(server);
    await_that("threads and descriptors as before", || (threads(), descriptors()) == before);
}

/// Returns how many turns the loop makes while nothing happens, and how many seconds this process computes.
fn idle(handle: &ReactorHandle) -> (u64, f64) {
    let (turns, time) = (counters(handle).turns, processor_time());
    thread::sleep(IDLE);
    let time = processor_time() - time;
    (counters(handle).turns - turns, time)
}

/// All clients ask at once, and each gets its answer.
fn ask_all(clients: &[std::net::TcpStream], question: &str) {
    for mut client in clients {
        client.write_all(question.as_bytes()).unwrap();
    }
    let mut answer = vec![0; question.len()];
    for mut client in clients {
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, question.as_bytes());
    }
}

fn counters(handle: &ReactorHandle) -> Counters {
    let (tell, told) = mpsc::channel();
    handle.post(move |cx| tell.send(cx.counters()).unwrap()).unwrap();
    told.recv_timeout(LONG).unwrap()
}

/// Returns how many seconds this process has computed.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
