//! What `handle_error` writes to standard error, seen by another process. Each test starts this very
//! program anew.

use std::process::ChildStderr;

use rustix::pipe::fcntl_setpipe_size;
use support::program::{self, *};
use support::server::*;
use tripoll::server::{HandlerResult, LoopExchange, ReactorTcpServer};

const ROLES: &[(&str, fn())] = &[("failing", serve_failures)];

const TESTS: &[(&str, fn())] = &[
    ("errors_that_no_process_reads_stop_nothing", errors_that_no_process_reads_stop_nothing),
    ("a_flood_of_errors_is_bounded", a_flood_of_errors_is_bounded),
];

fn main() {
    program::main(ROLES, TESTS);
}

/// A server in the loop, whose handler fails where the client says so. The message is long.
fn serve_failures() {
    let handle = |exchange: &mut LoopExchange| -> HandlerResult {
        let data = exchange.recv(usize::MAX);
        if data.starts_with(b"fail") {
            return Err("no luck ".repeat(400).into());
        }
        exchange.sendall(&data);
        Ok(())
    };
    let server = ReactorTcpServer::builder(ANY)
        .config(config())
        .hooks(UntilStdinEnds)
        .build_fn(handle)
        .unwrap();
    println!("listening on {}", server.server_address());
    server.serve_forever(LOOK).unwrap();
    server.server_close();
    println!("ended");
}

fn stderr(server: &Program) -> &ChildStderr {
    server.child.stderr.as_ref().unwrap()
}

fn errors_that_no_process_reads_stop_nothing() {
    on_every_backend("failing", |mut server| {
        fcntl_setpipe_size(stderr(&server), 4_096).unwrap();
        let address = server.address();
        for _ in 0..30 {
            ask(&address, b"fail");
        }
        assert_eq!(ask(&address, b"hello"), b"hello");
        let told = server.end();
        assert!(told.contains("no luck") && told.len() <= 2 * 4_096, "{}", told.len());
    });
}

fn a_flood_of_errors_is_bounded() {
    on_every_backend("failing", |mut server| {
        let address = server.address();
        let started = std::time::Instant::now();
        for _ in 0..100 {
            ask(&address, b"fail");
        }
        let seconds = started.elapsed().as_secs() as usize;
        let told = server.end();
        let count = told.matches("Exception occurred").count();
        assert!((10..=10 * (seconds + 2)).contains(&count), "{count} in {seconds} s");
    });
}
