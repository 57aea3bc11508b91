//! A thread per core: several loops share one address, and each client is told which one it has.
//!
//! Run: `cargo run --example loops -- --listen 127.0.0.1:7001 --threads 4`, then, in several terminals,
//! `cargo run --example client -- chat --connect 127.0.0.1:7001`.
//!
//! Each loop is a thread with a reactor and a state of its own, a plain number here. It needs no lock
//! and no atomic, because no other thread touches it. `--distribution` says how a connection comes to
//! its loop; `cargo run --release -- balance` compares the ways. After a signal the clients finish,
//! and the program prints what each loop has done.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::Parser;
use common::Options;
use tripoll::Context;
use tripoll::net::loops::{Distribution, WhenOneFails};
use tripoll::net::{Connection, Loops, Protocol, Wire};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The number of loops, each a thread
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// How connections come to the loops: least-connections, round-robin, peer-address, reuse-port or
    /// shared-listener
    #[arg(long, default_value_t)]
    distribution: Distribution,
    /// The most connections of one client's address
    #[arg(long, default_value_t = 1_000)]
    per_peer: usize,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, threads, distribution, per_peer } = common::read(
        "Answers each line with the number of its loop and its number in that loop",
        common::ANYWHERE,
    );
    options.begin()?;
    let signals = common::signals()?; // before there are threads, which would get the signals
    let traced = options.clone();
    let loops = Loops::builder()
        .threads(threads.get())
        .backend(options.backend)
        .trigger(options.trigger)
        .distribution(distribution)
        .max_connections_per_peer(per_peer)
        .when_one_fails(WhenOneFails::ShutDown(common::GRACE))
        .serve_in(
            &options.listen,
            move |index, builder| traced.traced(builder).build_with(State { index, lines: 0 }),
            |stream, cx| {
                Connection::new(Count).serve(stream, cx)?;
                Ok(())
            },
        )?;
    let loops = Arc::new(loops);
    let stopped = Arc::clone(&loops);
    common::start_thread(move || {
        common::wait_for(&signals);
        stopped.shutdown(common::GRACE);
    })?;
    common::announce(loops.local_address());
    if loops.join().is_err() {
        std::process::exit(1); // the log says why
    }
    for (index, counters) in loops.counters().loops.iter().enumerate() {
        common::say(format_args!("loop {index}: {} connections", counters.accepted));
    }
    Ok(())
}

/// What the connections of one loop share.
struct State {
    index: usize,
    lines: u64,
}

struct Count;

impl Protocol<State> for Count {
    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<State>,
    ) -> io::Result<usize> {
        let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
        cx.state.lines += 1;
        wire.write(format!("loop {}, line {}\n", cx.state.index, cx.state.lines).as_bytes());
        Ok(end + 1)
    }
}
