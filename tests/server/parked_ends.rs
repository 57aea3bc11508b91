//! The ends of servers that park their clients: what they wait for, and for how long.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use support::server::*;
use support::*;
use tripoll::reactor::ManualClock;
use tripoll::server::{HandlerResult, Parked, ParkedTcpServer, ServerConfig, StreamExchange};
use tripoll::{Deadline, Interest, Reactor};

/// Sends back each line.
fn echo(exchange: &mut StreamExchange) -> HandlerResult {
    let mut line = Vec::new();
    exchange.close_connection = exchange.rfile.read_until(b'\n', &mut line)? == 0;
    Ok(exchange.wfile.write_all(&line)?)
}

fn build(
    config: &ServerConfig,
    workers: usize,
    handle: impl Fn(&mut StreamExchange) -> HandlerResult + Send + Sync + 'static,
) -> ParkedTcpServer {
    ParkedTcpServer::builder(ANY)
        .config(config.clone())
        .concurrency(Parked::default().workers(workers))
        .build_fn(handle)
        .unwrap()
}

/// Says a line, and reads the answer.
fn say(mut client: &TcpStream, line: &str) {
    client.write_all(line.as_bytes()).unwrap();
    let mut answer = vec![0; line.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, line.as_bytes());
}

/// Returns how many sources wait for input: the listener, and the clients that are parked.
fn readers(reactor: &mut Reactor) -> usize {
    reactor.context().sources().filter(|source| source.interest == Interest::READ).count()
}

/// Returns how long a shutdown takes while `client` says nothing more.
fn shutdown_takes(server: &ParkedTcpServer, prepare: impl FnOnce() -> TcpStream) -> Duration {
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let _guard = ShutDown(server);
        let client = prepare();
        let began = Instant::now();
        server.shutdown().unwrap();
        let took = began.elapsed();
        serving.join().unwrap().unwrap();
        drop(client);
        took
    })
}

#[test]
fn a_shutdown_waits_for_the_silence_of_parked_clients_and_no_longer() {
    on_every_config(|config| {
        // A machine that stands still may try again.
        let is_prompt = (0..3).any(|_| {
            let server = build(config, 1, echo);
            let took = shutdown_takes(&server, || {
                let client = connect(&server.server_address());
                say(&client, "hello\n");
                thread::sleep(Duration::from_millis(20)); // by now it is parked
                client
            });
            // Not before it could have said more, nor a second later.
            (45..900).contains(&took.as_millis())
        });
        assert!(is_prompt, "it waits for a second, or not at all");
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_client_that_is_with_a_worker() {
    on_every_config(|config| {
        let is_prompt = (0..3).any(|_| {
            let (begin, begun) = mpsc::channel();
            let (go, wait) = mpsc::channel::<()>();
            let wait = Mutex::new(wait);
            let server = build(config, 1, move |_| {
                begin.send(())?;
                let _ = wait.lock().unwrap().recv();
                Ok(())
            });
            let took = shutdown_takes(&server, || {
                let mut client = connect(&server.server_address());
                client.write_all(b"hello\n").unwrap();
                begun.recv_timeout(LONG).unwrap();
                client
            });
            drop(go);
            server.server_close();
            took < Duration::from_millis(900)
        });
        assert!(is_prompt, "it waits for a second");
    });
}

#[test]
fn a_close_lets_a_worker_answer_all_that_its_client_has_sent() {
    let (begin, begun) = mpsc::channel();
    let server = build(&ServerConfig::default(), 1, move |exchange| {
        echo(exchange)?;
        if begin.send(()).is_ok() {
            await_that("the server is closed", || exchange.server.fileno() == -1);
            thread::sleep(Duration::from_millis(50)); // its workers get no more jobs
        }
        Ok(())
    });
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let mut client = connect(&server.server_address());
        client.write_all(b"one\ntwo\nthree\n").unwrap();
        begun.recv_timeout(LONG).unwrap();
        drop(begun); // the others are quick
        server.server_close();
        serving.join().unwrap().unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        assert_eq!(answers, "one\ntwo\nthree\n");
    });
}

#[test]
fn a_client_is_too_late_at_the_moment_at_which_its_time_is_over() {
    const HOUR: Duration = Duration::from_secs(3_600);
    on_every_pair(|pair| {
        let clock = ManualClock::new();
        let mut reactor = pair.build(pair.builder().clock(clock.clone()), ());
        let config = pair.config().idle_timeout(None).read_timeout(Some(HOUR));
        let server = build(&config, 1, echo);
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let client = connect(&server.server_address());
        client.set_nonblocking(true).unwrap();
        (&client).write_all(b"hello\n").unwrap();
        let mut turn_until = |reads: usize| {
            let give_up = Instant::now() + LONG;
            loop {
                reactor.turn(Deadline::after(Duration::from_millis(1))).unwrap();
                if (&client).read(&mut [0; 6]).is_ok_and(|count| count == reads) {
                    break;
                }
                assert!(Instant::now() < give_up, "nothing came");
            }
            // A worker has written that. Then the client is parked again.
            while reads > 0 && readers(&mut reactor) < 2 {
                reactor.turn(Deadline::after(Duration::from_millis(1))).unwrap();
                assert!(Instant::now() < give_up, "it is not parked");
            }
        };
        turn_until(6);
        clock.advance(HOUR);
        turn_until(0);
        server.server_close();
    });
}

#[test]
fn a_parked_client_of_another_loop_is_cut_off_after_the_grace() {
    const MOMENT: Duration = Duration::from_millis(1);
    on_every_pair(|pair| {
        let clock = ManualClock::new();
        let mut reactor = pair.build(pair.builder().clock(clock.clone()), ());
        let server = build(&pair.config(), 1, echo);
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let mut client = connect(&server.server_address());
        client.set_nonblocking(true).unwrap();
        client.write_all(b"hello\n").unwrap();
        let give_up = Instant::now() + LONG;
        let mut is_answered = false;
        while !is_answered || readers(&mut reactor) < 2 {
            is_answered |= client.read(&mut [0; 6]).is_ok();
            reactor.turn(Deadline::after(MOMENT)).unwrap();
            assert!(Instant::now() < give_up, "it is not parked");
        }
        let mut turn = || {
            reactor.turn(Deadline::after(MOMENT)).unwrap();
        };
        let closed = thread::scope(|scope| {
            let closing = scope.spawn(|| server.server_close_within(20 * MOMENT));
            while !closing.is_finished() {
                turn();
            }
            closing.join().unwrap()
        });
        if closed.is_err() {
            return; // on a busy machine it was cut off already
        }
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        clock.advance(30 * MOMENT); // 50 ms of silence are not over
        let give_up = Instant::now() + LONG;
        while client.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            turn();
            assert!(Instant::now() < give_up, "it is not cut off");
        }
    });
}
