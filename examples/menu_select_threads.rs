//! The tutorials' telephone menu by hand: `select` waits for clients, and a thread talks with each.
//!
//! Run: `cargo run --example menu_select_threads -- --listen 127.0.0.1:8002`, then
//! `cargo run --example client -- menu --connect 127.0.0.1:8002`.
//!
//! Type `0` for a human being, or `exit`; `common/menu.rs` says what the Chinese lines mean.
//!
//! [`a_thread_each`] is the tutorial's program, and what a `ThreadingTcpServer` is inside. The loop
//! only accepts; it says `looping` each time that `select` returns, and that is at least once a
//! second. [`a_pool`] is what becomes of it when threads are dear: `--pool 8` is a reactor and eight
//! threads, however many clients come. Those for whom there is no room wait in the kernel's queue.
//!
//! What the tutorial's loop keeps in a variable, it keeps open until the next client comes. Here the
//! thread that talks with a client owns it.
//!
//! Try: `--pool 1`, and two clients at once. (The second gets its greeting when the first has left.)

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, value_parser};
use common::{GRACE, Options, say};
use tripoll::net::{Listener, Stream};
use tripoll::pool::{Pool, WhenFull};
use tripoll::sys::select;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Have so many threads for all clients, 1 to 1024, and a reactor. --backend, --trigger and
    /// --trace are about that: without --pool they are accepted, and it is select all the same
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pool: Option<u16>,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, pool } = common::read(
        "The telephone menu by hand: select, and a thread for each client",
        common::ANYWHERE,
    );
    options.begin()?;
    match pool {
        None => a_thread_each(&options)?,
        Some(workers) => a_pool(&options, workers.into())?,
    }
    Ok(())
}

// The tutorial's server.

fn a_thread_each(options: &Options) -> io::Result<()> {
    let sk = Listener::bind(&options.listen)?;
    let signals = common::signals()?;
    let inputs = [sk.as_fd().as_raw_fd(), signals.as_raw_fd()];
    let clients = Clients::default();
    let mut has_complained = false;
    common::announce(sk.local_address());

    loop {
        let (r_list, _, _) = select(&inputs, &[], &[], Some(Duration::from_secs(1)))?;
        say("looping");
        if r_list.contains(&signals.as_raw_fd()) {
            break;
        }
        if r_list.is_empty() {
            continue;
        }
        let client = match sk.accept().and_then(blocking) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue, // it has left again
            client => client,
        };
        let begun = client.and_then(|client| {
            let request = clients.enter(client);
            say("get request");
            thread::Builder::new().spawn(move || process(&request))
        });
        match begun {
            Ok(_) => has_complained = false,
            // There are no more descriptors, say, or threads. It would fail again at once.
            Err(error) => {
                if !has_complained {
                    log::warn!("cannot serve a client: {error}");
                    has_complained = true;
                }
                thread::sleep(Duration::from_millis(100));
            }
        }
    }

    drop(sk);
    clients.hear_no_more();
    let end = Instant::now() + GRACE;
    while clients.are_here() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A thread may wait for its client.
fn blocking(client: Stream) -> io::Result<Stream> {
    client.set_nonblocking(false)?;
    Ok(client)
}

/// What a thread does.
fn process(request: &Stream) {
    if let Err(error) = common::menu::talk(request) {
        log::debug!("{}: {error}", request.peer());
    }
}

// The server with a pool.

fn a_pool(options: &Options, workers: usize) -> io::Result<()> {
    let pool = Arc::new(Pool::new(workers, 64)?);
    let clients = Arc::new(Clients::default());
    let mut reactor = options.reactor().build()?;
    let listener = Listener::bind(&options.listen)?;
    let address = listener.local_address().clone();
    let guests = Arc::clone(&clients);
    listener.serve_in_pool(&pool, WhenFull::Pause, &mut reactor.context(), move |client| {
        process(&guests.enter(client));
        Ok(())
    })?;
    common::wind_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    clients.hear_no_more();
    // Who still is not done is cut off: the program ends.
    let _ = pool.drain(GRACE);
    Ok(())
}

/// Who is connected: those who are talked with own them, this only knows them.
#[derive(Default)]
struct Clients(Mutex<Known>);

#[derive(Default)]
struct Known {
    clients: Vec<Weak<Stream>>,
    /// Nobody is heard any more, whoever comes.
    is_over: bool,
}

impl Clients {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, client: Stream) -> Arc<Stream> {
        let client = Arc::new(client);
        let mut known = self.known();
        known.clients.retain(|client| client.strong_count() > 0);
        known.clients.push(Arc::downgrade(&client));
        if known.is_over {
            hear_no_more(&client);
        }
        client
    }

    fn here(&self) -> Vec<Arc<Stream>> {
        self.known().clients.iter().filter_map(Weak::upgrade).collect()
    }

    fn are_here(&self) -> bool {
        !self.here().is_empty()
    }

    /// What they have said is answered, and then they are let go.
    fn hear_no_more(&self) {
        self.known().is_over = true;
        self.here().iter().for_each(|client| hear_no_more(client));
    }
}

fn hear_no_more(client: &Stream) {
    let _ = client.shutdown(Shutdown::Read); // it may be gone
}
