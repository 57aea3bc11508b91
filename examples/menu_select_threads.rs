//! The tutorials' telephone menu by hand: `select` waits for clients, and a thread serves each.
//!
//! Run: `cargo run --example menu_select_threads -- --listen 127.0.0.1:8002`, then
//! `cargo run --example client -- menu --connect 127.0.0.1:8002`.
//!
//! Type `0` for a human being, or `exit`; `common/menu.rs` says what the Chinese lines mean.
//!
//! [`a_thread_each`] is the tutorial's program, and works as a `ThreadingTcpServer` does inside.
//! The loop only accepts. It prints `looping` each time that `select` returns, which is at least
//! once a second. [`a_pool`] bounds the number of threads: `--pool 8` is a reactor and eight
//! threads, however many clients come. Further clients wait in the kernel's accept queue.
//!
//! The tutorial's loop keeps each connection in a variable, and so open, until the next client
//! comes. Here the thread that serves a client owns its connection.
//!
//! Try: `--pool 1`, and two clients at once. (The second gets its greeting when the first has
//! left.)

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, value_parser};
use common::{GRACE, Options, say_now};
use tripoll::net::{Listener, Stream};
use tripoll::pool::{Pool, WhenFull};
use tripoll::sys::select;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Serve all clients by N threads, 1 to 1024, and a reactor. Only the reactor uses --backend,
    /// --trigger and --trace: without --pool they have no effect
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
    let inputs = [sk.as_fd().as_raw_fd(), signals.as_fd().as_raw_fd()];
    let clients = Clients::default();
    let mut has_logged = false;
    common::announce(sk.local_address());

    loop {
        let (r_list, _, _) = select(&inputs, &[], &[], Some(Duration::from_secs(1)))?;
        say_now("looping");
        if r_list.contains(&signals.as_fd().as_raw_fd()) {
            break;
        }
        if r_list.is_empty() {
            continue;
        }
        let client = match sk.accept().and_then(blocking) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue, // it has left again
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                // The socket does not listen any more.
                let text = format!("cannot accept on {} any more: {error}", sk.local_address());
                return Err(io::Error::new(error.kind(), text));
            }
            client => client,
        };
        let begun = client.and_then(|client| {
            let request = clients.enter(client);
            say_now("get request");
            thread::Builder::new().spawn(move || process(&request))
        });
        match begun {
            Ok(_) => has_logged = false,
            // For instance, there are no more descriptors or threads. A retry at once would fail
            // too.
            Err(error) => {
                if !has_logged {
                    log::warn!("cannot serve a client: {error}");
                    has_logged = true;
                }
                thread::sleep(Duration::from_millis(100));
            }
        }
    }

    drop(sk);
    clients.end_input();
    let end = Instant::now() + GRACE;
    while !clients.is_empty() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Makes the calls on a connection block, as a thread may.
fn blocking(client: Stream) -> io::Result<Stream> {
    client.set_nonblocking(false)?;
    Ok(client)
}

/// Serves one client, in its thread.
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
    let entered = Arc::clone(&clients);
    listener.serve_in_pool(&pool, WhenFull::Pause, &mut reactor.context(), move |client| {
        process(&entered.enter(client));
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    clients.end_input();
    // Threads that still serve a client end with the program.
    let _ = pool.drain(GRACE);
    Ok(())
}

/// The connected clients. The threads that serve them own the connections.
#[derive(Default)]
struct Clients(Mutex<List>);

#[derive(Default)]
struct List {
    clients: Vec<Weak<Stream>>,
    /// Whether new connections are ended too.
    is_over: bool,
}

impl Clients {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, client: Stream) -> Arc<Stream> {
        let client = Arc::new(client);
        let mut list = self.list();
        list.clients.retain(|client| client.strong_count() > 0);
        list.clients.push(Arc::downgrade(&client));
        if list.is_over {
            end_input(&client);
        }
        client
    }

    fn connected(&self) -> Vec<Arc<Stream>> {
        self.list().clients.iter().filter_map(Weak::upgrade).collect()
    }

    fn is_empty(&self) -> bool {
        self.connected().is_empty()
    }

    /// Ends the input of all clients. What they have sent is still answered.
    fn end_input(&self) {
        self.list().is_over = true;
        self.connected().iter().for_each(|client| end_input(client));
    }
}

fn end_input(client: &Stream) {
    let _ = client.shutdown(Shutdown::Read); // the client may have left
}
