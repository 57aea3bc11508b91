//! `login`: each command, and hostile clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::hostile::Subject;
use crate::requests;
use chrono::{Local, NaiveDate};
use rustix::process::Signal;
use support::LONG;
use support::example::{Server, example};

const LOGIN: Subject = Subject { name: "login", arguments: &[], assert_served };

fn assert_served(client: &mut TcpStream) {
    assert_eq!(ask(client, "Now client connect to Server", 13), "OK,I am ready");
}

fn start() -> Server {
    Server::start_with(example("login").args(["--listen", "127.0.0.1:0"]))
}

/// Sends one command, and returns an answer of `len` bytes.
fn ask(client: &mut TcpStream, command: &str, len: usize) -> String {
    client.write_all(command.as_bytes()).unwrap();
    let mut answer = vec![0; len];
    client.read_exact(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[track_caller]
fn assert_valid(client: &mut TcpStream, command: &str) {
    assert_eq!(ask(client, command, 5), "valid", "{command}");
}

#[track_caller]
fn assert_invalid(client: &mut TcpStream, command: &str) {
    assert_eq!(ask(client, command, 7), "invalid", "{command}");
}

/// Reads the goodbye to its end.
fn goodbye(client: &mut TcpStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    rest
}

/// Asserts that it is the tutorial's, with the `5Y` where a year was meant.
#[track_caller]
fn assert_is_goodbye(goodbye: &str) {
    let rest = goodbye.strip_prefix("5Y-").and_then(|rest| rest.split_once(' ')).unwrap();
    let (day, rest) = rest;
    let (date, rest) = rest.split_once(' ').unwrap();
    assert_eq!(rest, "broken connect with server ");
    let date = NaiveDate::parse_from_str(date, "%m/%d/%y").unwrap();
    assert_eq!(date.format("%m-%d").to_string(), day);
    let age = Local::now().date_naive() - date;
    assert!((0..=1).contains(&age.num_days()), "{goodbye}");
    assert_eq!(goodbye.len(), "5Y-11-21 11/21/26 broken connect with server ".len());
}

#[test]
fn each_user_is_let_in_and_gets_the_goodbye() {
    let mut server = start();
    for (name, password) in [("fan", "123"), ("te", "234"), ("fei", "345")] {
        let mut client = server.connect();
        assert_served(&mut client);
        assert_valid(&mut client, &format!("username:{name}"));
        let start = Instant::now();
        assert_valid(&mut client, &format!("userpasswd:{password}"));
        assert_is_goodbye(&goodbye(&mut client));
        assert!(start.elapsed() >= Duration::from_millis(500));
        assert_eq!(server.next_line(), "Now connect from  127.0.0.1\n");
        assert_eq!(server.next_line(), "broken connect with 127.0.0.1\n");
    }
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn wrong_names_and_passwords_are_invalid_each_time() {
    let server = start();
    let client = &mut server.connect();
    assert_invalid(client, "userpasswd:123"); // before any name
    assert_invalid(client, "userpasswd:");
    for name in ["username:", "username:FAN", "username:fan ", "username", "username:fan\n"] {
        assert_invalid(client, name);
        assert_invalid(client, "userpasswd:123"); // of an unknown user
    }
    assert_valid(client, "username:a:b:fan"); // the text after the last colon counts
    for password in ["234", "12", "1234", "123\n", ""] {
        assert_invalid(client, &format!("userpasswd:{password}"));
    }
    assert_valid(client, "usernamete:te"); // the last name counts
    assert_invalid(client, "userpasswd:123");
    assert_invalid(client, "username:fanuserpasswd:123"); // one command, with the name 123
    assert_invalid(client, "userpasswd:234");
    assert_valid(client, "username:te");
    assert_valid(client, "userpasswdanything:234");
    assert_is_goodbye(&goodbye(client));
}

#[test]
fn anything_else_is_not_answered() {
    let server = start();
    let client = &mut server.connect();
    client.write_all(b"hello?").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    client.read(&mut [0]).unwrap_err();
    client.set_read_timeout(Some(LONG)).unwrap();
    assert_served(client);
}

#[test]
fn hostile_clients_harm_no_other() {
    requests::hostile_clients_harm_no_other(&[LOGIN]);
}

#[test]
fn a_login_blocks_no_other_client_and_gets_its_goodbye_after_the_signal() {
    let mut server = start();
    let mut client = server.connect();
    assert_valid(&mut client, "username:fan");
    assert_valid(&mut client, "userpasswd:123");
    let mut other = server.connect();
    assert_served(&mut other); // meanwhile
    server.stop(Signal::TERM).assert_graceful();
    assert_is_goodbye(&goodbye(&mut client));
}

#[test]
fn the_client_asks_until_it_is_let_in() {
    let mut server = start();
    server.let_it_talk();
    let mut client = example("client");
    client.args(["login", "--connect", &server.address]);
    let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"nobody\nfan\nwrong\n123\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (dialogue, last) = said.rsplit_once("-->userpasswd: ").unwrap();
    assert_eq!(
        dialogue,
        "OK,I am ready\n-->username: username Error,try again\n-->username: \
         -->userpasswd: userpasswd Error,try again\n"
    );
    assert_is_goodbye(last.strip_suffix('\n').unwrap());
}
