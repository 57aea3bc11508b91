//! A server whose socket can no longer accept ends with one line of reason.

use std::{fs, process};

use rustix::fd::OwnedFd;
use rustix::net::{Shutdown, shutdown, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use support::{Context, on_every_pair_at_once};

use crate::help::{help, servers};
use support::example::{Server, arguments, example};

/// Returns the listening sockets of a process.
fn listeners(process: Pid) -> Vec<OwnedFd> {
    let pidfd = pidfd_open(process, PidfdFlags::empty()).unwrap();
    let folder = fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero())).unwrap();
    let numbers = folder.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let copies =
        numbers.filter_map(|number| pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).ok());
    copies.filter(|fd| sockopt::socket_acceptconn(fd) == Ok(true)).collect()
}

#[test]
fn each_server_whose_listener_ends_exits_with_1_and_one_line() {
    let address = |name: &String| -> String {
        let is_inet = help(name).contains("HOST:PORT");
        if is_inet { "127.0.0.1:0".into() } else { format!("@socket-end-{}", process::id()) }
    };
    // The tutorial's own program, with its mistakes, has one backend, and completion has none.
    let have_none = ["message_dict_literal", "completion_echo"];
    let others = servers().into_iter().filter(|name| !have_none.contains(&&**name));
    let servers: Vec<(String, String)> = others.map(|name| (address(&name), name)).collect();
    on_every_pair_at_once(|pair| {
        for (address, name) in &servers {
            let _context = Context(format!("in {name} on {pair}"));
            let is_abstract = address.starts_with('@');
            let address = if is_abstract { format!("{address}-{pair}") } else { address.clone() };
            let arguments = arguments(&address, pair.backend, pair.trigger);
            let mut server = Server::start_with(example(name).args(arguments));
            let listeners = listeners(server.pid());
            let Some(listener) = listeners.first() else {
                assert!(
                    ["line_udp", "line_unixgram", "udp_sink"].contains(&&**name),
                    "no listener"
                );
                continue;
            };
            shutdown(listener, Shutdown::Both).unwrap();
            let end = server.end();
            assert_eq!(end.status.code(), Some(1), "{name} on {pair}: {end:?}");
            let [line] = &end.log[..] else { panic!("{name} on {pair}: {end:?}") };
            let says_why = line.contains("os error 22") || line.contains("shut down");
            assert!(says_why, "{name} on {pair}: {line}");
            assert!(line.contains(&server.address), "{name} on {pair}: {line}");
        }
    });
}
