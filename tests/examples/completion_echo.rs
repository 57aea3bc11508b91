//! `completion_echo`: an echo server by completion ends as the servers by readiness do.

use std::io::{Read, Write};

use rustix::process::Signal;
use support::example::{Server, example, run};

#[test]
fn it_answers_and_a_signal_ends_it_in_time() {
    if run("ch35_completion", &[]).stdout == b"this kernel refuses io_uring\n" {
        return eprintln!("this kernel refuses io_uring: completion_echo is not tried");
    }
    for signal in [Signal::INT, Signal::TERM] {
        let mut server =
            Server::start_with(example("completion_echo").args(["--listen", "127.0.0.1:0"]));
        let mut client = server.connect();
        let _silent = server.connect();
        client.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        server.stop(signal).assert_graceful();
        assert_eq!(client.read(&mut answer).unwrap(), 0);
    }
}
