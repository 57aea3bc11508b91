//! The echo server and hostile clients, on every backend and trigger.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::example::{Server, on_every_backend};
use support::sockets::reset;
use support::{LONG, await_that, pattern};
use tripoll::sys::{PollFd, PollFlags, poll, raise_descriptor_limit};
use tripoll::{Backend, Trigger};

fn start(backend: Backend, trigger: Trigger) -> Server {
    Server::start("echo", backend, trigger)
}

/// A friendly client: one question, one answer.
#[track_caller]
fn assert_served(client: &mut (impl Read + Write)) {
    let mut answer = [0; 5];
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

// Bytes.

#[test]
fn a_mebibyte_in_one_go_comes_back_and_then_the_end() {
    let sent = pattern(1 << 20);
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        let mut received = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            client.read_to_end(&mut received).unwrap();
        });
        assert!(received == sent, "{} bytes came back", received.len());
    });
}

#[test]
fn unsent_data_comes_after_a_half_close() {
    // Enough to fill the buffers of both ends, so that the end of the stream waits behind it.
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        let fds = server.fds();
        let mut client = server.connect();
        let sent = fill(&mut client);
        client.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert!(received == pattern(sent), "{} of {sent} bytes came back", received.len());
        await_that("the server closes", || server.fds() == fds);
    });
}

/// Sends the pattern until the server takes no more, and returns how much of it was taken.
fn fill(client: &mut (impl Write + AsFd)) -> usize {
    const MOST: usize = 50 << 20;
    /// Enough for a server that could read more to do so, even on a busy machine.
    const SULKING: Duration = Duration::from_millis(300);
    let bytes = pattern(MOST);
    rustix::io::ioctl_fionbio(&client, true).unwrap();
    let mut sent = 0;
    while sent < MOST {
        match client.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut room = [PollFd::new(client.as_fd().as_raw_fd(), PollFlags::OUT)];
                if poll(&mut room, Some(SULKING)).unwrap() == 0 {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    rustix::io::ioctl_fionbio(&client, false).unwrap();
    sent
}

#[test]
fn a_client_that_never_reads_blocks_in_its_writes() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        assert_served(&mut server.connect());
        let memory = server.memory();
        let mut client = server.connect();
        let sent = fill(&mut client);
        assert!(sent < 50 << 20, "the server takes everything");
        let grown = server.memory().saturating_sub(memory);
        assert!(grown < 4 << 10, "by {grown} KiB, for {sent} bytes");
        // No other client has to wait, and the server does not poll for room.
        assert_served(&mut server.connect());
        assert_idle(&server);
        // When the client reads at last, nothing is lost.
        let mut received = vec![0; sent];
        client.read_exact(&mut received).unwrap();
        assert!(received == pattern(sent));
        assert_served(&mut client);
    });
}

/// Asserts that the server sleeps, and that nothing wakes it.
#[track_caller]
fn assert_idle(server: &Server) {
    // It may still have to handle the last events. An idle server sleeps in the end, and one that
    // polls or spins never does.
    let is_idle = |_| {
        let before = (server.is_asleep(), server.sleeps());
        thread::sleep(Duration::from_millis(300)); // nothing may happen for so long
        // The same sleep: the loop has not turned.
        before.0 && before == (server.is_asleep(), server.sleeps())
    };
    assert!((0..5).any(is_idle), "it turns, or it is busy: {} ticks", server.cpu_ticks());
}

#[test]
fn a_hundred_idle_clients_cost_nothing() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(assert_served);
        assert_idle(&server);
        clients.iter_mut().for_each(assert_served);
    });
}

#[test]
fn twelve_hundred_at_once() {
    const CLIENTS: usize = 1_200;
    let limit = raise_descriptor_limit(3 * CLIENTS as u64).unwrap().soft;
    assert!(limit >= 2 * CLIENTS as u64, "the limit of descriptors is too low for this: {limit}");
    // One pair after the other, which is many enough.
    for &backend in Backend::ALL {
        for &trigger in Trigger::ALL {
            let server = start(backend, trigger);
            let fds = server.fds();
            let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                client.write_all(&number.to_ne_bytes()).unwrap();
            }
            for (number, client) in clients.iter_mut().enumerate() {
                let mut answer = [0; size_of::<usize>()];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(usize::from_ne_bytes(answer), number, "on {backend}, {trigger}");
            }
            assert_eq!(server.fds(), fds + CLIENTS);
            drop(clients);
            await_that("the server closes", || server.fds() == fds);
        }
    }
}

// Clients that leave.

#[test]
fn a_client_that_leaves_in_any_way_leaves_nothing_behind() {
    on_every_backend(|backend, trigger| {
        let mut server = start(backend, trigger);
        let fds = server.fds();
        let mut witness = server.connect();
        assert_served(&mut witness);

        drop(server.connect()); // has sent nothing
        reset(server.connect());
        let mut client = server.connect(); // with an answer unread, which is a reset too
        client.write_all(pattern(10_000)).unwrap();
        client.peek(&mut [0]).unwrap();
        drop(client);
        let mut client = server.connect(); // in the middle of a transfer
        fill(&mut client);
        reset(client);
        let mut client = server.connect(); // shut down in both directions
        fill(&mut client);
        client.shutdown(Shutdown::Both).unwrap();
        drop(client);

        assert_served(&mut witness);
        await_that("the server closes", || server.fds() == fds + 1);
        assert_idle(&server);
        drop(witness);
        await_that("the server closes", || server.fds() == fds);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_client_that_leaves_before_it_is_accepted_harms_no_other() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        let fds = server.fds();
        let mut witness = server.connect();
        assert_served(&mut witness);
        server.signal(Signal::STOP);
        for _ in 0..20 {
            reset(server.connect());
            let mut client = server.connect();
            client.write_all(b"farewell").unwrap();
            reset(client);
            drop(server.connect());
        }
        let mut last = server.connect();
        server.signal(Signal::CONT);
        assert_served(&mut last);
        assert_served(&mut witness);
        drop((last, witness));
        await_that("the server closes", || server.fds() == fds);
    });
}

// The limit of descriptors.

#[test]
fn without_descriptors_it_waits_and_does_not_spin() {
    const LIMIT: u64 = 32;
    on_every_backend(|backend, trigger| {
        let mut server = Server::start_limited("echo", backend, trigger, LIMIT);
        let complaints = |log: &[String]| -> Vec<String> {
            let is_trace =
                |line: &&String| line.starts_with(['#', ' ']) || line.starts_with("turn ");
            log.iter().filter(|line| !is_trace(line)).cloned().collect()
        };
        let fds = server.fds();
        let mut clients: Vec<_> = (0..2 * LIMIT).map(|_| server.connect()).collect();
        await_that("it complains", || !complaints(&server.log()).is_empty());
        let accepted = server.fds() - fds;
        assert!(accepted < LIMIT as usize);
        clients[..accepted].iter_mut().for_each(assert_served);

        let (calls, ticks, start) = (server.traced_calls(), server.cpu_ticks(), Instant::now());
        thread::sleep(Duration::from_millis(500)); // time to spin, if it does
        let (calls, ticks) = (server.traced_calls() - calls, server.cpu_ticks() - ticks);
        // Some lines of the log may have been on their way. A loop that spins makes thousands.
        let most = 50 + start.elapsed().as_millis() as usize / 100 * 2;
        assert!(calls <= most, "{calls} calls of handlers");
        assert!(ticks <= 5, "{ticks} hundredths of a second");

        // There are descriptors again. (Clients that have waited for a second were rejected.)
        drop(clients);
        await_that("the server closes", || server.fds() == fds);
        assert_served(&mut server.connect());

        let stopped = server.stop(Signal::TERM);
        assert_eq!(stopped.status.code(), Some(0));
        let complaints = complaints(&stopped.log);
        assert!(complaints[0].contains("Too many open files"), "{complaints:?}");
        // It pauses, it rejects, it continues.
        let most = 3 * (1 + start.elapsed().as_secs() as usize);
        assert!(complaints.len() <= most, "{complaints:?}");
    });
}

// Stopping.

#[test]
fn a_signal_ends_it_with_silent_clients() {
    on_every_backend(|backend, trigger| {
        for signal in [Signal::TERM, Signal::INT] {
            let mut server = start(backend, trigger);
            let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
            clients[..5].iter_mut().for_each(assert_served);
            assert_served(&mut clients[9]); // all are accepted
            server.stop(signal).assert_graceful();
            for client in &mut clients {
                assert_eq!(client.read(&mut [0]).unwrap(), 0, "a FIN and no reset");
            }
            TcpStream::connect(&server.address).unwrap_err();
        }
    });
}

#[test]
fn a_signal_ends_it_with_a_client_that_does_not_read() {
    on_every_backend(|backend, trigger| {
        let mut server = start(backend, trigger);
        let mut client = server.connect();
        fill(&mut client);
        let _silent = server.connect();
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn what_was_sent_before_the_signal_comes_back() {
    // Through a Unix socket, data that is sent has arrived, and is not still on the way.
    on_every_backend(|backend, trigger| {
        let (mut server, mut client) = start_at_path("owed", backend, trigger);
        let sent = fill(&mut client);
        let mut received = Vec::new();
        thread::scope(|scope| {
            server.signal(Signal::STOP);
            server.signal(Signal::TERM);
            scope.spawn(|| client.read_to_end(&mut received).unwrap());
            server.stop(Signal::CONT).assert_graceful();
        });
        assert!(received == pattern(sent), "{} of {sent} bytes came back", received.len());
    });
}

// The command line.

#[test]
fn wrong_arguments_end_it_with_2_and_one_line() {
    let listen = ["--listen", "127.0.0.1:0"];
    let cases: [&[&str]; 9] = [
        &[],
        &["--listen"],
        &["--listen", "127.0.0.1"],
        &["--listen", "127.0.0.1:65536"],
        &["--listen", "127.0.0.1:x"],
        &[listen[0], listen[1], "--backend", "kqueue"],
        &[listen[0], listen[1], "--trigger", "sometimes"],
        &[listen[0], listen[1], "--nonsense"],
        &[listen[0], listen[1], "two\n\nlines"],
    ];
    for arguments in cases {
        let output = support::example::run("echo", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert_one_line(&output.stderr);
    }
}

#[track_caller]
fn assert_one_line(said: &[u8]) -> &str {
    let said = str::from_utf8(said).unwrap();
    assert!(said.ends_with('\n') && said.lines().count() == 1 && said.len() > 10, "{said:?}");
    said
}

#[test]
fn an_address_that_is_taken_ends_it_with_1_and_its_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = support::example::run("echo", &["--listen", &address]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    assert!(assert_one_line(&output.stderr).contains(&address), "{output:?}");
}

#[test]
fn it_listens_at_a_path_and_takes_it_away() {
    on_every_backend(|backend, trigger| {
        let (mut server, mut client) = start_at_path("path", backend, trigger);
        let sent = pattern(1 << 20);
        let mut writer = client.try_clone().unwrap();
        let mut received = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            client.read_to_end(&mut received).unwrap();
        });
        assert!(received == sent, "{} bytes came back", received.len());

        let taken = support::example::run("echo", &["--listen", &server.address]);
        assert_eq!(taken.status.code(), Some(1), "{taken:?}");
        assert!(assert_one_line(&taken.stderr).contains(&server.address), "{taken:?}");
        server.stop(Signal::TERM).assert_graceful();
        assert!(!Path::new(&server.address).exists());
    });
}

/// Starts a server on a Unix socket of its own, and connects a client.
fn start_at_path(name: &str, backend: Backend, trigger: Trigger) -> (Server, UnixStream) {
    let file = format!("tripoll-echo-{name}-{}-{backend}-{trigger}", std::process::id());
    let path = std::env::temp_dir().join(file);
    let arguments = support::example::arguments(path.to_str().unwrap(), backend, trigger);
    let server = Server::start_with(support::example::example("echo").args(arguments));
    assert_eq!(Path::new(&server.address), path);
    let client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.set_write_timeout(Some(LONG)).unwrap();
    (server, client)
}

#[test]
fn it_listens_on_ipv6() {
    let mut server =
        Server::start_with(support::example::example("echo").args(["--listen", "[::1]:0"]));
    assert!(server.address.starts_with("[::1]:") && !server.address.ends_with(":0"));
    assert_served(&mut server.connect());
    server.stop(Signal::INT).assert_graceful();
}

/// The words of a line of a trace.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_trace_has_a_line_for_each_wait_and_each_source() {
    on_every_backend(|backend, trigger| {
        let arguments = support::example::arguments("127.0.0.1:0", backend, trigger);
        let mut command = support::example::example("echo");
        command.args(arguments).arg("--trace").env("LC_ALL", "C");
        let mut server = Server::start_with(&mut command);
        let mut client = server.connect();
        assert_served(&mut client);
        let (listener, client) = (server.address.clone(), client.local_addr().unwrap());
        let stopped = server.stop(Signal::TERM);
        assert_eq!(stopped.status.code(), Some(0));
        let log: Vec<String> = stopped.log.iter().map(|line| words(line)).collect();

        // What the lines mean stands above them.
        assert!(log[0].starts_with("# turn N the wait: call(arguments)"), "{log:#?}");
        let head = log.iter().position(|line| line.starts_with(&format!("# {backend} ")));
        let lines = &log[head.expect("it says what waits") + 1..];
        let call = match backend {
            Backend::Select => "select(nfds ",
            Backend::Poll => "poll(",
            _ => "epoll_wait(epfd ",
        };
        let (waits, sources): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line.starts_with("turn "));
        assert!(waits.iter().all(|line| line.contains(call)), "{log:#?}");
        assert!(sources.iter().all(|line| line.contains(" reported ")), "{log:#?}");

        let of = |name: &str| sources.iter().filter(|line| line.starts_with(name)).count();
        assert!(of(&format!("listener {listener} fd ")) > 0, "{log:#?}");
        assert!(of("signal fd ") > 0, "{log:#?}");
        let read = if backend == Backend::Select { "r" } else { "IN" };
        let served: Vec<_> = sources
            .iter()
            .filter(|line| line.starts_with(&format!("client {client} fd ")))
            .filter(|line| line.ends_with("calls in 5 out 5"))
            .collect();
        assert_eq!(served.len(), 1, "{log:#?}");
        assert!(served[0].contains(&format!(" wants r reported {read}")), "{log:#?}");
    });
}

#[test]
fn a_trace_has_the_addresses_of_each_family() {
    let path = std::env::temp_dir().join(format!("tripoll trace {}.sock", std::process::id()));
    for address in ["[::1]:0", path.to_str().unwrap()] {
        let mut command = support::example::example("echo");
        let mut server = Server::start_with(command.args(["--listen", address, "--trace"]));
        let (listener, client) = match server.address.parse() {
            Ok(address) => {
                let mut client = TcpStream::connect::<SocketAddr>(address).unwrap();
                assert_served(&mut client);
                (format!("listener {address}"), format!("client {}", client.local_addr().unwrap()))
            }
            Err(_) => {
                let mut client = UnixStream::connect(&path).unwrap();
                assert_served(&mut client);
                (format!("listener {}", path.display()), "client".into())
            }
        };
        let log = server.stop(Signal::TERM).log;
        for name in [listener, client] {
            let is_named = |line: &String| words(line).starts_with(&format!("{name} fd "));
            assert!(log.iter().any(is_named), "{name} in {log:#?}");
        }
    }
}
