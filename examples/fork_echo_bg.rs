//! A forking server on a background thread: each client gets a process, and the main thread is free
//! for other work.
//!
//! Run: `cargo run --example fork_echo_bg -- --listen 127.0.0.1:4424`, then
//! `cargo run --example client -- chat --connect 127.0.0.1:4424`.
//!
//! The tutorial does this without a warning, and it is the one example that needs `unsafe`. A child
//! is a copy of the process with one thread, the one that forked. A lock that another thread held
//! at that moment is held for ever in the child. A server that forks therefore refuses to serve in
//! a process with other threads, unless the program promises that they hold no such lock. The
//! promise is the `unsafe` block, with its reason above it.

use std::sync::{Arc, mpsc};

use common::Options;
use common::echo::MyRequestHandler;
use rustix::process::{Signal, getpid, kill_process};
use tripoll::server::{Forking, ForkingTcpServer, POLL_INTERVAL};
use tripoll::sys::DespiteThreads;

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Sends back what it receives: a process for each client, from a background thread",
        common::TCP,
    )?;
    let signals = common::signals()?;
    // SAFETY: the only other thread is the main one. While the server serves, that thread waits in
    // `poll`, a bare system call, and then in `shutdown`, which holds no lock that a child takes.
    #[allow(unsafe_code)]
    let promise = unsafe { DespiteThreads::promise() };
    let server = ForkingTcpServer::builder(&options.listen)
        .config(common::patient().backend(options.backend).trigger(options.trigger))
        .concurrency(Forking::default().despite_threads(Some(promise)))
        .build(|| MyRequestHandler)?;
    let server = Arc::new(server);
    let (announced, is_announced) = mpsc::channel::<()>();

    let background = Arc::clone(&server);
    let server_thread = common::start_thread(move || {
        let _ = is_announced.recv(); // until it is disconnected: there is a thread that will serve
        // A server that cannot serve ends the program.
        background.serve_forever(POLL_INTERVAL).inspect_err(|_| {
            let _ = kill_process(getpid(), Signal::TERM); // `raise` would signal this thread alone
        })
    })?;
    common::announce(&server.server_address());
    drop(announced);
    common::wait_for(&signals);
    server.shutdown()?;
    if let Err(error) = server.server_close_within(common::GRACE) {
        log::warn!("{error}");
    }
    server_thread
        .join()
        .map_err(|_| std::io::Error::other("the server's thread has panicked"))??;
    Ok(())
}
