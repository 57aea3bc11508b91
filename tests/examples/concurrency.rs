//! The echo server with each `--concurrency`, and the forking one on a background thread: hostile
//! clients, and a thousand clients.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use crate::hostile::{self, Subject};
use crate::requests::{self, Belongings, each};
use rustix::process::{Signal, kill_process};
use support::example::{example, limited, on_every_backend, run, run_command};
use support::{LONG, await_that, pattern};
use tripoll::sys::raise_descriptor_limit;
use tripoll::{Backend, Trigger};

const IN_BACKGROUND: Subject = Subject { name: "fork_echo_bg", arguments: &[], assert_served };

fn echoes() -> Vec<Subject> {
    each("echo", assert_served).into_iter().chain([IN_BACKGROUND]).collect()
}

fn assert_served(client: &mut TcpStream) {
    let mut answer = [0; 5];
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
fn a_mebibyte_comes_back_and_then_the_end() {
    requests::on_each(&echoes(), |subject, mut server| {
        let start = Belongings::when_idle(&server, subject);
        let sent = pattern(1 << 20);
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
        start.await_in(&server);
        server.stop(Signal::INT).assert_graceful();
    });
}

#[test]
fn hostile_clients_harm_no_other() {
    requests::hostile_clients_harm_no_other(&echoes());
}

/// (Inline serves only one at a time. The one on a background thread forks as the other does.)
#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    each("echo", assert_served)[1..]
        .iter()
        .copied()
        .for_each(hostile::without_descriptors_it_waits_and_goes_on_later);
}

/// One thread waits for signals, and another one forks.
#[test]
fn in_the_background_each_client_has_a_child_too() {
    on_every_backend(|backend, trigger| {
        let mut server = IN_BACKGROUND.start(backend, trigger);
        IN_BACKGROUND.assert_serves(&server);
        await_that("the first is collected", || server.children() == 0);
        let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(assert_served);
        assert_eq!((server.threads(), server.children()), (2, 3));
        drop(clients);
        await_that("all are collected", || server.children() == 0);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn in_the_background_it_says_so_when_it_cannot_serve() {
    // Enough descriptors to listen, and too few for a loop.
    let mut command = limited(example("fork_echo_bg").args(["--listen", "127.0.0.1:0"]), 7);
    let output = run_command(&mut command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(str::from_utf8(&output.stderr).unwrap().lines().count(), 1, "{output:?}");
}

/// A signal to a child is not reported to its parent, and the child goes on.
#[test]
fn a_signal_to_one_child_is_its_own() {
    let menu = Subject { name: "menu_forking", arguments: &[], assert_served: assert_greeted };
    requests::on_each(
        &[each("echo", assert_served)[2], IN_BACKGROUND, menu],
        |subject, mut server| {
            let mut first = server.connect();
            (subject.assert_served)(&mut first);
            let [child] = server.child_ids()[..] else { panic!("there is one client") };
            kill_process(child, Signal::TERM).unwrap();
            kill_process(child, Signal::INT).unwrap();
            for _ in 0..3 {
                subject.assert_serves(&server);
            }
            assert!(server.child_ids().contains(&child));
            first.shutdown(Shutdown::Write).unwrap();
            first.read_to_end(&mut Vec::new()).unwrap(); // the child itself has closed
            await_that("all are collected", || server.children() == 0);
            server.stop(Signal::TERM).assert_graceful();
        },
    );
}

fn assert_greeted(client: &mut TcpStream) {
    client.read_exact(&mut [0; "欢迎致电 10086,请输入1xxx,0转人工服务.".len()]).unwrap();
}

/// Each concurrency is seen from outside, while three clients are connected.
#[test]
fn threads_and_children_are_there_with_their_clients() {
    for subject in each("echo", assert_served) {
        let server = subject.start(Backend::Epoll, Trigger::Level);
        let threads = server.threads();
        let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
        let concurrency = subject.arguments[1];
        let more = match concurrency {
            "threading" => (3, 0),
            "forking" => (0, 3),
            _ => (0, 0),
        };
        if concurrency == "inline" {
            assert_served(&mut clients[0]);
        } else {
            clients.iter_mut().for_each(assert_served);
        }
        assert_eq!((server.threads() - threads, server.children()), more, "{concurrency}");
        if concurrency == "pooled" {
            assert!(threads > 8, "{threads} threads");
        }
    }
}

#[test]
fn inline_the_next_is_served_when_the_first_has_left() {
    let server = each("echo", assert_served)[0].start(Backend::Epoll, Trigger::Level);
    let (mut first, mut next) = (server.connect(), server.connect());
    assert_served(&mut first);
    next.write_all(b"me too").unwrap();
    next.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    next.read(&mut [0]).unwrap_err();
    assert_served(&mut first);
    drop(first);
    next.set_read_timeout(Some(LONG)).unwrap();
    let mut answer = [0; 6];
    next.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"me too");
}

// A thousand clients.

/// All are answered, no SYN is sent twice, and nothing of them is left.
fn burst(concurrency: usize) {
    const CLIENTS: usize = 1_000;
    let limit = raise_descriptor_limit(4 * CLIENTS as u64).unwrap().soft;
    assert!(limit >= 2 * CLIENTS as u64, "the limit of descriptors is too low for this: {limit}");
    let subject = each("echo", assert_served)[concurrency];
    let mut server = subject.start(Backend::Epoll, Trigger::Level);
    let start = Belongings::when_idle(&server, subject);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number: usize| {
            let mut client = server.connect();
            // The kernel connects a client at once. If the accept queue is full, it sends the SYN
            // again after a second.
            assert_eq!(segments_sent_again(&client), 0, "client {number} has knocked twice");
            client.write_all(&number.to_ne_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            client
        })
        .collect();
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, number.to_ne_bytes());
    }
    start.await_in(&server);
    server.stop(Signal::TERM).assert_graceful();
}

/// The kernel's count of the segments that it sent again, the first SYN included (`tcp(7)`).
fn segments_sent_again(client: &TcpStream) -> u32 {
    #[allow(unsafe_code)]
    // SAFETY: the structure has numbers only, for which zero is valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = size_of_val(&info) as libc::socklen_t;
    let (level, option) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    #[allow(unsafe_code)]
    // SAFETY: the kernel fills at most `size` bytes of `info`.
    let answer = unsafe {
        let info = (&raw mut info).cast();
        libc::getsockopt(client.as_raw_fd(), level, option, info, &raw mut size)
    };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    info.tcpi_total_retrans
}

#[test]
fn a_thousand_at_once_with_a_thread_each() {
    burst(1);
}

#[test]
fn a_thousand_at_once_with_forty_children() {
    burst(2);
}

#[test]
fn a_thousand_at_once_with_eight_threads() {
    burst(3);
}

#[test]
fn there_are_never_more_than_forty_children() {
    let server = each("echo", assert_served)[2].start(Backend::Epoll, Trigger::Level);
    let mut clients: Vec<_> = (0..45).map(|_| server.connect()).collect();
    clients[..40].iter_mut().for_each(assert_served);
    assert_eq!(server.children(), 40);
    for client in &mut clients[40..] {
        client.write_all(b"hello").unwrap(); // it waits in the queue
    }
    drop(clients.drain(..5));
    let mut answer = [0; 5];
    for client in &mut clients[35..] {
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }
    await_that("those who have left are collected", || server.children() == 40);
}

#[test]
fn an_unknown_concurrency_ends_it_with_2_and_one_line() {
    for name in ["echo", "line_tcp", "line_udp", "line_unix", "line_unixgram"] {
        let output = run(name, &["--listen", "127.0.0.1:0", "--concurrency", "magic"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(str::from_utf8(&output.stderr).unwrap().lines().count(), 1, "{output:?}");
    }
}
