//! Servers whose log no process reads. A write that blocked would stop all their clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;
use support::await_that;
use support::sockets::reset;
use tripoll::{Backend, Trigger};

use support::example::{Server, arguments, example, in_shell, on_every_backend};

/// With a line each, these are more than the pipe has room for.
const RESETS: usize = 150;

fn command(arguments_of_its_own: &[&str], backend: Backend, trigger: Trigger) -> Command {
    let mut command = example("echo");
    command.args(arguments("127.0.0.1:0", backend, trigger)).args(arguments_of_its_own);
    command
}

#[track_caller]
fn assert_served(mut client: &TcpStream) {
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
}

/// A client that leaves by a reset, which the server notices when it reads or writes.
fn leave_by_a_reset(server: &Server) {
    let mut client = server.connect();
    client.write_all(&[b'x'; 1_000]).unwrap();
    reset(client);
}

#[test]
fn a_log_that_no_process_reads_stops_nothing() {
    on_every_backend(|backend, trigger| {
        for concurrency in [&[][..], &["--concurrency", "reactor"]] {
            // As many lines as there can be.
            let mut command = command(concurrency, backend, trigger);
            let mut server = Server::start_unheard(command.env("RUST_LOG", "tripoll=trace"));
            let old = server.connect();
            assert_served(&old);
            for _ in 0..RESETS {
                leave_by_a_reset(&server);
            }
            assert_served(&old);
            assert_served(&server.connect());
            // The log goes on when there is a reader, and says what it has lost.
            server.listen_to_its_log();
            let is_told = |server: &Server| {
                server.log().iter().any(|line| line.ends_with("lines of this log were dropped"))
            };
            await_that("the log goes on", || {
                assert_served(&old);
                is_told(&server)
            });
            let stopped = server.stop(Signal::TERM);
            assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
        }
    });
}

#[test]
fn a_server_ends_on_a_signal_while_no_process_reads_its_log() {
    on_every_backend(|backend, trigger| {
        let mut command = command(&["--concurrency", "reactor"], backend, trigger);
        let mut server = Server::start_unheard(command.env("RUST_LOG", "tripoll=trace"));
        for _ in 0..RESETS {
            leave_by_a_reset(&server);
        }
        assert_served(&server.connect());
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_reset_by_a_client_is_no_line_of_the_log() {
    on_every_backend(|backend, trigger| {
        for concurrency in ["reactor", "threading", "pooled"] {
            let concurrency = ["--concurrency", concurrency];
            let mut server = Server::start_with(&mut command(&concurrency, backend, trigger));
            for _ in 0..50 {
                leave_by_a_reset(&server);
            }
            assert_served(&server.connect());
            server.stop(Signal::TERM).assert_graceful();
        }
    });
}

/// Standard error is a descriptor like any other: it may be closed, or a file on a full disk, or one
/// that has reached its limit of size.
#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let file = std::env::temp_dir().join(format!("tripoll-log-{}", std::process::id()));
    let limited = format!("exec 2>{}; ulimit -f 1", file.display());
    for redirection in ["exec 2>&-", "exec 2>/dev/full", &limited] {
        let served = command(&["--concurrency", "reactor"], Backend::default(), Trigger::Level);
        let mut served = in_shell(&served, &format!("{redirection}; exec \"$0\" \"$@\""));
        let mut server = Server::start_with(served.env("RUST_LOG", "tripoll=trace"));
        for _ in 0..20 {
            leave_by_a_reset(&server);
        }
        assert_served(&server.connect());
        server.stop(Signal::TERM).assert_graceful();
    }
    std::fs::remove_file(&file).unwrap();
}
