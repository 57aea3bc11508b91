//! The three telephone menus, which have the same answers, and hostile clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::hostile::Subject;
use crate::requests::{self, Belongings};
use rustix::process::{Resource, Signal};
use support::await_that;
use support::example::{Server, example, run};

const MENUS: [Subject; 4] = [
    Subject { name: "menu_threading", arguments: &[], assert_served },
    Subject { name: "menu_forking", arguments: &[], assert_served },
    Subject { name: "menu_select_threads", arguments: &[], assert_served },
    Subject { name: "menu_select_threads", arguments: &["--pool", "6"], assert_served },
];

const GREETING: &str = "欢迎致电 10086,请输入1xxx,0转人工服务.";
const RECORDED: &str = "通过可能会被录音.balabala一大推";
const AGAIN: &str = "请重新输入.";

fn assert_served(client: &mut TcpStream) {
    assert_said(client, GREETING);
    client.write_all(b"0").unwrap();
    assert_said(client, RECORDED);
}

#[track_caller]
fn assert_said(client: &mut TcpStream, text: &str) {
    let mut said = vec![0; text.len()];
    client.read_exact(&mut said).unwrap();
    assert_eq!(str::from_utf8(&said), Ok(text));
}

#[test]
fn the_whole_menu() {
    assert_eq!([GREETING, RECORDED, AGAIN].map(str::len), [50, 42, 16]);
    requests::on_each(&MENUS, |subject, mut server| {
        let start = Belongings::when_idle(&server, subject);
        let mut client = server.connect();
        assert_said(&mut client, GREETING);
        for wrong in ["00", " 0", "0\n", "EXIT", "exit\n", "exi", "1xxx", "你好", &"0".repeat(1024)]
        {
            client.write_all(wrong.as_bytes()).unwrap();
            assert_said(&mut client, AGAIN);
        }
        for _ in 0..3 {
            client.write_all(b"0").unwrap();
            assert_said(&mut client, RECORDED);
        }
        client.write_all(b"exit").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0); // at once, without a next client
        start.await_in(&server);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn hostile_clients_harm_no_other() {
    requests::hostile_clients_harm_no_other(&MENUS);
}

#[test]
fn each_client_has_a_thread_or_a_process() {
    let more = |subject: Subject| {
        let server = start(subject);
        let threads = server.threads();
        let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(assert_served);
        (server.threads() - threads, server.children())
    };
    assert_eq!(MENUS.map(more), [(5, 0), (0, 5), (5, 0), (0, 0)]);
}

fn start(subject: Subject) -> Server {
    let mut command = example(subject.name);
    Server::start_with(command.args(["--listen", "127.0.0.1:0"]).args(subject.arguments))
}

/// The whole files differ in one word: the name of the server type.
#[test]
fn two_of_them_differ_in_one_word() {
    let programs = [
        include_str!("../../examples/menu_threading.rs"),
        include_str!("../../examples/menu_forking.rs"),
    ];
    let [threading, forking] = programs
        .map(|text| text.split_inclusive(|c: char| !c.is_alphanumeric()).collect::<Vec<_>>());
    assert_eq!(threading.len(), forking.len());
    let differences: Vec<_> =
        threading.into_iter().zip(forking).filter(|(one, other)| one != other).collect();
    assert_eq!(differences, [("ThreadingTcpServer:", "ForkingTcpServer:")]);

    // The course shows what `diff` says of it.
    let [threading, forking] = programs.map(str::lines);
    let lines = (1..).zip(threading.zip(forking));
    let (number, (one, other)) = lines.clone().find(|(_, (one, other))| one != other).unwrap();
    let shown = format!("{number}c{number}\n< {one}\n---\n> {other}\n");
    assert!(include_str!("../../book/en/src/ch17-processes.md").contains(&shown), "{shown}");
}

#[test]
fn the_select_loop_says_what_it_does() {
    let mut server = start(MENUS[2]);
    let mut client = server.connect();
    assert_served(&mut client);
    let mut lines = vec![server.next_line()];
    while lines.last().unwrap() != "get request\n" {
        lines.push(server.next_line());
    }
    assert!(lines.len() > 1 && lines[..lines.len() - 1].iter().all(|line| line == "looping\n"));
    // Without clients it turns once a second.
    assert_eq!(server.next_line(), "looping\n");
    assert_eq!(server.next_line(), "looping\n");
}

/// Without free threads or descriptors a client may be lost, but the server goes on.
#[test]
fn the_select_loop_outlives_a_shortage() {
    for short_of in [Resource::As, Resource::Nofile] {
        let mut server = start(MENUS[2]);
        server.let_it_talk();
        let most = match short_of {
            Resource::As => server.memory_mapped() + (24 << 20), // for some ten threads' stacks
            _ => 32,
        };
        server.limit(short_of, most);
        let clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
        await_that("it complains", || !server.log().is_empty());
        thread::sleep(Duration::from_millis(300)); // time to log again, if it does
        assert_eq!(server.log().len(), 1, "{:?}", server.log());
        drop(clients);
        await_that("the threads end", || server.threads() == 1);
        await_that("a client is served", || {
            let mut client = server.connect();
            client.read_exact(&mut [0; GREETING.len()]).is_ok()
        });
        requests::assert_in_order(&server.stop(Signal::TERM));
    }
}

#[test]
fn without_a_free_worker_a_client_waits_and_is_served_then() {
    let mut command = example("menu_select_threads");
    let mut server = Server::start_with(command.args(["--listen", "127.0.0.1:0", "--pool", "2"]));
    let threads = server.threads();
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    // More clients than the pool and its queue have room for. They leave one after the other, and
    // the next is served each time.
    while !clients.is_empty() {
        for client in clients.iter_mut().take(2) {
            client.peek(&mut [0]).unwrap();
        }
        let mut client = clients.remove(0);
        assert_served(&mut client);
        client.write_all(b"exit").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(server.threads(), threads);
    await_that("the server closes", || server.fds() == server.fds_at_start);
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn a_pool_is_of_one_to_1024() {
    for threads in ["0", "1025", "1000000", "-1", "some"] {
        let pool = format!("--pool={threads}");
        let output = run("menu_select_threads", &["--listen", "127.0.0.1:0", &pool]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(str::from_utf8(&output.stderr).unwrap().lines().count(), 1, "{output:?}");
    }
}

#[test]
fn the_client_talks_until_exit() {
    for subject in MENUS {
        let mut server = start(subject);
        server.let_it_talk();
        let mut client = example("client");
        client.args(["menu", "--connect", &server.address]);
        let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"0\n\n1xxx\nexit\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let ask = "please input:";
        assert_eq!(
            said,
            format!(
                "receive: {GREETING}\n{ask}receive: {RECORDED}\n{ask}{ask}receive: {AGAIN}\n{ask}"
            )
        );
        server.stop(Signal::TERM).assert_graceful();
    }
}
