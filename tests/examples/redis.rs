//! `redis`: its commands, its limits, pipelines and hostile clients, on every backend and trigger, and
//! `redis-benchmark` where it is installed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::example::{Server, arguments, example, on_every_backend, run, run_command};
use support::protocols::redis::reply::MAX_REPLY;
use support::protocols::redis::request::{MAX_ARGUMENTS, MAX_BULK, MAX_INLINE, MAX_REQUEST};
use support::protocols::redis::{Session, Store};

use crate::hostile::{self, Subject};

const REDIS: Subject = Subject { name: "redis", arguments: &[], assert_served };

fn assert_served(client: &mut TcpStream) {
    assert_eq!(ask(client, b"PING\r\n", 7), b"+PONG\r\n");
}

/// Sends requests, and reads so many bytes of replies.
fn ask(client: &mut TcpStream, requests: &[u8], length: usize) -> Vec<u8> {
    client.write_all(requests).unwrap();
    let mut replies = vec![0; length];
    client.read_exact(&mut replies).unwrap();
    replies
}

/// The requests of one client after another, without a socket.
struct Peer {
    store: Store,
    session: Session,
    start: Instant,
}

impl Peer {
    fn new(max_memory: usize) -> Self {
        let start = Instant::now();
        Peer { store: Store::new(max_memory, start), session: Session::default(), start }
    }

    /// Sets how many seconds have passed.
    fn at(&mut self, seconds: f64) {
        self.store.set_now(self.start + Duration::from_secs_f64(seconds));
    }

    fn ask(&mut self, requests: &[u8]) -> String {
        let (mut out, mut used) = (Vec::new(), 0);
        while used < requests.len() && !self.session.is_over() {
            let mut more = Vec::new();
            used += self.session.receive(&requests[used..], &mut self.store, &mut more);
            out.append(&mut more);
        }
        String::from_utf8(out).unwrap()
    }

    /// Asks with a line, and returns the reply with blanks for the ends of lines.
    fn line(&mut self, line: &str) -> String {
        self.ask(format!("{line}\r\n").as_bytes()).trim_end().replace("\r\n", " ")
    }
}

// Without sockets.

#[test]
fn each_command_has_the_reply_of_redis() {
    let mut peer = Peer::new(1 << 20);
    for (line, reply) in [
        ("ping", "+PONG"),
        ("PING hello", "$5 hello"),
        ("echo \"a b\"", "$3 a b"),
        ("get k", "$-1"),
        ("set k v", "+OK"),
        ("get k", "$1 v"),
        ("set k w nx", "$-1"),
        ("set k w xx", "+OK"),
        ("set l w xx", "$-1"),
        ("set k v nx xx", "-ERR syntax error"),
        ("set k v ex 0", "-ERR invalid expire time in 'set' command"),
        ("set k v ex 1.5", "-ERR value is not an integer or out of range"),
        ("mset a 1 b 2", "+OK"),
        ("mset a 1 b", "-ERR wrong number of arguments for 'mset' command"),
        ("mget a nothing b", "*3 $1 1 $-1 $1 2"),
        ("incr a", ":2"),
        ("decr new", ":-1"),
        ("incr k", "-ERR value is not an integer or out of range"),
        ("exists a a nothing", ":2"),
        ("del a nothing b", ":2"),
        ("rpush list b c", ":2"),
        ("lpush list a", ":3"),
        ("lrange list 0 -1", "*3 $1 a $1 b $1 c"),
        ("lrange list -2 9", "*2 $1 b $1 c"),
        ("lrange list 2 1", "*0"),
        ("lrange list 0 -9", "*0"),
        ("llen list", ":3"),
        ("mget list", "*1 $-1"),
        ("get list", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("lpush k x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("dbsize", ":3"),
        ("config get save", "*2 $4 save $0"),
        ("command docs", "*0"),
        ("get", "-ERR wrong number of arguments for 'get' command"),
        ("flushall", "-ERR unknown command 'flushall'"),
        ("quit", "+OK"),
    ] {
        assert_eq!(peer.line(line).trim_end(), reply, "{line}");
    }
    assert!(peer.session.is_over());
}

#[test]
fn values_expire_in_time_and_take_no_memory_then() {
    let mut peer = Peer::new(1 << 20);
    assert_eq!(peer.line("set k v px 1500"), "+OK");
    assert_eq!(peer.line("ttl k"), ":2");
    assert_eq!(peer.line("pttl k"), ":1500");
    assert_eq!(peer.line("incr k"), "-ERR value is not an integer or out of range");
    peer.at(1.4);
    assert_eq!(peer.line("get k"), "$1 v");
    assert_eq!(peer.line("set k w keepttl"), "+OK");
    peer.at(1.5);
    assert_eq!(peer.line("get k"), "$-1");
    assert_eq!(peer.line("ttl k"), ":-2");
    assert_eq!(peer.line("expire k 1"), ":0");

    assert_eq!(peer.line("set k v"), "+OK");
    assert_eq!(peer.line("ttl k"), ":-1");
    assert_eq!(peer.line("expire k 1"), ":1");
    assert_eq!(peer.line("expire k 10"), ":1");
    assert_eq!(
        peer.line("expire k 9223372036854775807"),
        "-ERR invalid expire time in 'expire' command"
    );
    assert_eq!(peer.line("persist k"), ":1");
    assert_eq!(peer.line("persist k"), ":0");
    peer.at(100.0);
    assert_eq!(peer.line("get k"), "$1 v");
    assert_eq!(peer.line("expire k 0"), ":1");
    assert_eq!(peer.line("exists k"), ":0");

    assert_eq!(peer.line("mset a 1 b 2"), "+OK");
    assert_eq!(peer.line("pexpire a 1"), ":1");
    assert_eq!(peer.line("pexpire b 1"), ":1");
    peer.at(200.0);
    assert!(peer.store.sweep(1), "one is freed, the other is not");
    assert!(!peer.store.sweep(1));
    assert_eq!(peer.line("dbsize"), ":0");
}

#[test]
fn what_is_above_a_limit_is_refused_with_the_limit() {
    for (request, limit) in [
        (format!("*1\r\n${}\r\n", MAX_BULK + 1), MAX_BULK),
        ("*1\r\n$-1\r\n".into(), MAX_BULK),
        ("*1\r\n$99999999999999999999\r\n".into(), MAX_BULK),
        (format!("*{}\r\n", MAX_ARGUMENTS + 1), MAX_ARGUMENTS),
        ("x ".repeat(MAX_ARGUMENTS + 1) + "\r\n", MAX_ARGUMENTS),
        ("x".repeat(MAX_INLINE + 1), MAX_INLINE),
        (format!("*{}", "1".repeat(40)), 32),
        (format!("*1\r\n${}", "1".repeat(40)), 32),
    ] {
        let mut peer = Peer::new(1 << 20);
        let reply = peer.ask(request.as_bytes());
        assert!(reply.starts_with("-ERR Protocol error: "), "{reply}");
        assert!(reply.contains(&format!("the limit is {limit}")), "{reply}");
        assert!(peer.session.is_over());
    }

    let mut peer = Peer::new(1 << 20);
    let string = format!("${MAX_BULK}\r\n{}\r\n", "x".repeat(MAX_BULK));
    let reply = peer.ask(("*9\r\n$4\r\nMGET\r\n".to_owned() + &string.repeat(4)).as_bytes());
    assert!(reply.contains(&format!("too big request, the limit is {MAX_REQUEST}")), "{reply}");
}

#[test]
fn a_store_that_is_full_and_a_reply_that_is_too_long_are_errors() {
    let mut peer = Peer::new(2 * MAX_BULK);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${MAX_BULK}\r\n{}\r\n", "x".repeat(MAX_BULK));
    assert_eq!(peer.ask(set.as_bytes()), "+OK\r\n");
    let keys = MAX_REPLY / MAX_BULK + 1;
    let reply = peer.line(&format!("mget{}", " k".repeat(keys)));
    assert_eq!(reply, format!("-ERR the reply is above the limit of {MAX_REPLY} bytes"));
    let other = set.replace("$1\r\nk", "$1\r\nl");
    assert!(peer.ask(other.as_bytes()).starts_with("-OOM "));
    assert_eq!(peer.line("del k"), ":1");
    assert_eq!(peer.ask(other.as_bytes()), "+OK\r\n");
}

// With sockets.

#[test]
fn what_one_client_sets_another_one_gets() {
    on_every_backend(|backend, trigger| {
        let mut server = REDIS.start(backend, trigger);
        let (mut one, mut other) = (server.connect(), server.connect());
        let value = vec![b'x'; MAX_BULK];
        let header = format!("${MAX_BULK}\r\n");
        let set = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n", header.as_bytes(), &value, b"\r\n"].concat();
        assert_eq!(ask(&mut one, &set, 5), b"+OK\r\n");
        let reply = ask(&mut other, b"GET k\r\n", header.len() + MAX_BULK + 2);
        assert!(reply == [header.as_bytes(), &value, b"\r\n"].concat());
        assert_eq!(ask(&mut other, b"EXPIRE k 1\r\nINCR n\r\n", 8), b":1\r\n:1\r\n");
        assert_eq!(ask(&mut one, b"INCR n\r\n", 4), b":2\r\n");
        one.write_all(b"QUIT\r\nPING\r\n").unwrap();
        let mut last = String::new();
        one.read_to_string(&mut last).unwrap();
        assert_eq!(last, "+OK\r\n");
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn the_requests_of_one_packet_are_answered_by_one_system_call() {
    on_every_backend(|backend, trigger| {
        let mut command = example("redis");
        command.args(arguments("127.0.0.1:0", backend, trigger)).arg("--trace");
        let mut server = Server::start_with(&mut command);
        let mut client = server.connect();
        assert_eq!(ask(&mut client, &b"PING\r\n".repeat(100), 700), b"+PONG\r\n".repeat(100));
        let stopped = server.stop(Signal::TERM);
        let calls = stopped.log.iter().filter(|line| line.ends_with("in 600 out 700")).count();
        assert_eq!(calls, 1, "{:#?}", stopped.log);
    });
}

#[test]
fn a_client_that_sends_all_before_it_reads_gets_all_replies_in_order() {
    const COUNT: usize = 100_000;
    on_every_backend(|backend, trigger| {
        let mut server = REDIS.start(backend, trigger);
        let mut client = server.connect();
        let mut replies = String::new();
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(&b"INCR n\r\n".repeat(COUNT)).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            client.read_to_string(&mut replies).unwrap();
        });
        let numbers = replies.split_terminator("\r\n").map(|line| line[1..].parse::<usize>());
        assert!(numbers.map(Result::unwrap).eq(1..=COUNT));
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_long_reply_waits_for_a_client_that_does_not_read_in_bounded_memory() {
    on_every_backend(|backend, trigger| {
        let mut server = REDIS.start(backend, trigger);
        let mut client = server.connect();
        let set =
            format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n{}\r\n", "x".repeat(1_000_000));
        assert_eq!(ask(&mut client, set.as_bytes(), 5), b"+OK\r\n");
        let before = server.memory();
        client.write_all(&b"GET k\r\n".repeat(2_000)).unwrap(); // two gigabytes
        assert_served(&mut server.connect());
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 16 << 10, "{grown} KiB more");
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_client_that_is_silent_for_too_long_is_closed() {
    on_every_backend(|backend, trigger| {
        let impatient = Subject { arguments: &["--idle", "0.2"], ..REDIS };
        let mut server = impatient.start(backend, trigger);
        let mut client = server.connect();
        assert_served(&mut client);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn redis_benchmark_and_redis_cli_are_served() {
    if Command::new("redis-benchmark").arg("--version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "redis: redis-benchmark is not installed; skipped");
        return;
    }
    on_every_backend(|backend, trigger| {
        let mut server = REDIS.start(backend, trigger);
        let (_, port) = server.address.rsplit_once(':').unwrap();
        for pipeline in ["1", "16"] {
            let mut command = Command::new("redis-benchmark");
            command.args(["-p", port, "-P", pipeline, "-n", "1000", "-q"]);
            command.args(["-t", "ping_inline,ping_mbulk,set,get,incr,lpush,lrange_100,mset"]);
            let output = run_command(&mut command);
            assert!(output.status.success(), "{output:?}");
            let said = String::from_utf8_lossy(&output.stdout);
            for test in
                ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "LRANGE", "MSET"]
            {
                assert!(said.contains(test), "{test} in {said}");
            }
            assert!(!said.contains("ERR") && output.stderr.is_empty(), "{said} {output:?}");
        }
        let mut command = Command::new("redis-cli");
        let output = run_command(command.args(["-p", port, "set", "name", "bob", "ex", "60"]));
        assert_eq!(output.stdout, b"OK\n", "{output:?}");
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_number_that_is_none_is_refused() {
    for option in ["--max-memory", "--idle", "--max-clients"] {
        let output = run("redis", &["--listen", "127.0.0.1:0", option, "many"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    }
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(REDIS);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(REDIS);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(REDIS);
}
