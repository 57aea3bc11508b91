//! A Redis server, as far as small programs and `redis-benchmark` need it.
//!
//! Run: `cargo run --release --example redis -- --listen 127.0.0.1:6379`, then
//! `redis-cli set name bob ex 60`, or `redis-benchmark -t ping_inline,ping_mbulk,set,get -P 16`.
//!
//! The protocol knows no socket. In `protocol/`, `request.rs` parses, `command.rs` answers from the
//! values of `store.rs`, `reply.rs` writes, and `session.rs` joins them. This file is all that the
//! library needs.
//!
//! All requests of one packet are answered by one system call, because a [`Wire`] gathers what a
//! callback writes. A client that does not read its replies is not read from.
//!
//! # Commands
//!
//! PING, ECHO, QUIT, COMMAND, CONFIG GET, DBSIZE; GET, SET (EX, PX, NX, XX, KEEPTTL), MGET, MSET, INCR,
//! DECR; DEL, EXISTS, EXPIRE, PEXPIRE, PERSIST, TTL, PTTL; LPUSH, RPUSH, LLEN, LRANGE.
//!
//! # Limits
//!
//! | what | most | beyond |
//! |---|---|---|
//! | one string | 1 MiB | an error that names the limit, and the connection is closed |
//! | the strings of a request | 1,024, and 4 MiB together | the same |
//! | a request that is a line | 64 KiB | the same |
//! | one reply | 16 MiB | an error that names the limit |
//! | all values | `--max-memory`, by default 256 MiB | an error; nothing is evicted |
//! | silence of a client | `--idle`, by default 300 s | it is closed |
//! | clients | `--max-clients`, by default 10,000 | they wait in the kernel |

mod protocol;

use std::io;
use std::time::{Duration, Instant};

use clap::Parser;
use common::Options;
use protocol::{Session, Store};
use tripoll::Context;
use tripoll::net::{Connection, Listener, Protocol, Wire};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The most bytes of all keys and values
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    max_memory: usize,
    /// How many seconds a client may be silent
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = common::seconds)]
    idle: Duration,
    /// The most clients at once
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    max_clients: usize,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, max_memory, idle, max_clients } =
        common::read("Stores strings and lists, and talks RESP2 as Redis does", common::ANYWHERE);
    options.begin()?;
    let server = Server {
        store: Store::new(max_memory, Instant::now()),
        out: Vec::new(),
        is_sweeping: false,
    };
    let mut reactor = options.reactor().build_with(server)?;

    let listener = Listener::builder().max_connections(max_clients).bind(&options.listen)?;
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), move |stream, cx| {
        Connection::new(Client(Session::default())).idle_timeout(idle).serve(stream, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// What all clients share.
struct Server {
    store: Store,
    /// The replies of one call.
    out: Vec<u8>,
    /// Whether a timer is set that frees expired values.
    is_sweeping: bool,
}

/// How often expired values are freed, as long as there are any, and how many at once.
const SWEEP: (Duration, usize) = (Duration::from_millis(100), 1_000);

fn sweep(cx: &mut Context<Server>) {
    let now = cx.now();
    cx.state.store.set_now(now);
    cx.state.is_sweeping = cx.state.store.sweep(SWEEP.1);
    if cx.state.is_sweeping {
        cx.set_timer(now + SWEEP.0, sweep);
    }
}

struct Client(Session);

impl Protocol<Server> for Client {
    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Server>,
    ) -> io::Result<usize> {
        let now = cx.now();
        let Server { store, out, is_sweeping } = cx.state;
        store.set_now(now);
        out.clear();
        let used = self.0.receive(data, store, out);
        wire.write(out);
        if self.0.is_over() {
            wire.close(); // after the replies
        }
        if store.has_expiring() && !*is_sweeping {
            *is_sweeping = true;
            cx.set_timer(now + SWEEP.0, sweep);
        }
        Ok(used)
    }
}
