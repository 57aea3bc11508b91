//! A forking server on a background thread: each client gets a process, and the main thread is free
//! for something else.
//!
//! Run: `cargo run --example fork_echo_bg -- --listen 127.0.0.1:4424`, then
//! `cargo run --example client -- chat --connect 127.0.0.1:4424`.
//!
//! The tutorial does this without a word of warning, and it is the one thing here that wants a
//! promise. A child is a copy of the process in which only the thread that forked goes on. A lock
//! that another thread held at that moment is held for ever in the child. So a server that forks
//! refuses to serve where there are other threads, until somebody answers for them: look for
//! `unsafe`, and for what is said above it.

use std::sync::Arc;
use std::thread;

use common::Options;
use common::echo::MyRequestHandler;
use rustix::process::{Signal, getpid, kill_process};
use tripoll::server::{Forking, ForkingTcpServer, POLL_INTERVAL, ServerConfig};
use tripoll::sys::DespiteThreads;

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Sends back what it is sent: a process for each client, from a background thread",
        common::TCP,
    )?;
    let signals = common::signals()?;
    // SAFETY: there is one other thread, the main one. While this one serves, it waits: in `poll`, a
    // bare system call, and then in `shutdown`, which holds nothing that a child could want.
    #[allow(unsafe_code)]
    let promise = unsafe { DespiteThreads::promise() };
    let server = ForkingTcpServer::builder(&options.listen)
        .config(ServerConfig {
            backend: options.backend,
            trigger: options.trigger,
            ..ServerConfig::default()
        })
        .concurrency(Forking { despite_threads: Some(promise), ..Forking::default() })
        .build(|| MyRequestHandler)?;
    let server = Arc::new(server);
    common::announce(&server.server_address());

    let background = Arc::clone(&server);
    let server_thread = thread::spawn(move || {
        // If it cannot serve, there is nothing more to wait for.
        background.serve_forever(POLL_INTERVAL).inspect_err(|_| {
            let _ = kill_process(getpid(), Signal::TERM); // (a `raise` would be for this thread)
        })
    });
    common::wait_for(&signals)?;
    server.shutdown()?;
    if let Err(error) = server.server_close_within(common::GRACE) {
        log::warn!("{error}");
    }
    server_thread
        .join()
        .map_err(|_| std::io::Error::other("the server's thread has panicked"))??;
    Ok(())
}
