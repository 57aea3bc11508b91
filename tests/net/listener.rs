//! Binding listeners: addresses, options, and the files of Unix sockets. Without a reactor.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use socket2::{Domain, SockAddr, Socket, Type};
use support::await_that;
use tripoll::net::{Address, Listener};

fn parse(text: &str) -> Address {
    text.parse().unwrap()
}

fn inet(listener: &Listener) -> SocketAddr {
    match *listener.local_address() {
        Address::Inet(address) => address,
        ref other => panic!("{other}"),
    }
}

/// A directory that is removed at the end of the test.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tripoll-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn unix(path: &Path) -> Address {
    Address::Unix(path.into())
}

/// Leaves the file of a socket that no process listens on. A child that another test starts has a copy
/// of the socket until it executes its program.
pub fn leave_stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    await_that("the end of a listener", || UnixStream::connect(path).is_err());
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("succeeded").kind()
}

#[test]
fn port_0_is_a_free_port_which_the_local_address_has() {
    let listener = Listener::bind(parse("127.0.0.1:0")).unwrap();
    let address = inet(&listener);
    assert_ne!(address.port(), 0);
    let client = TcpStream::connect(address).unwrap();
    let accepted = listener.accept().unwrap();
    assert_eq!(*accepted.peer(), Address::Inet(client.local_addr().unwrap()));
    assert_eq!(kind(listener.accept()), io::ErrorKind::WouldBlock);
}

#[test]
fn an_accepted_socket_is_nonblocking_without_delay_and_close_on_exec() {
    let listener = Listener::bind(parse("127.0.0.1:0")).unwrap();
    let _client = TcpStream::connect(inet(&listener)).unwrap();
    let mut accepted = listener.accept().unwrap();
    assert_eq!(kind(accepted.read(&mut [0])), io::ErrorKind::WouldBlock);
    let socket = socket2::SockRef::from(&accepted);
    assert!(socket.tcp_nodelay().unwrap());
    let flags = rustix::io::fcntl_getfd(&accepted).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn an_ipv6_listener_accepts_ipv4_clients_only_on_request() {
    for v6_only in [None, Some(true), Some(false)] {
        let builder = Listener::builder();
        let builder = match v6_only {
            None => builder,
            Some(yes) => builder.v6_only(yes),
        };
        let listener = builder.bind(parse("[::]:0")).unwrap();
        let port = inet(&listener).port();
        let v4 = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        assert_eq!(v4.is_ok(), v6_only == Some(false), "{v6_only:?}");
        drop(v4);
        TcpStream::connect(("::1", port)).unwrap();
    }
}

#[test]
fn an_address_can_be_bound_again_while_old_connections_are_in_time_wait() {
    let listener = Listener::bind(parse("127.0.0.1:0")).unwrap();
    let address = inet(&listener);
    let mut client = TcpStream::connect(address).unwrap();
    drop(listener.accept().unwrap()); // the server's side finishes first
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop((client, listener));
    let refused = Listener::builder().reuse_address(false).bind(address);
    assert_eq!(kind(refused), io::ErrorKind::AddrInUse);
    Listener::bind(address).unwrap();
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listener::bind(address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_port_is_shared_by_listeners_that_all_set_reuse_port() {
    let shared = Listener::builder().reuse_port(true);
    let first = shared.clone().bind(parse("127.0.0.1:0")).unwrap();
    let address = inet(&first);
    let second = shared.clone().bind(address).unwrap();
    assert_eq!(kind(Listener::bind(address)), io::ErrorKind::AddrInUse);
    // The kernel chooses a listener for each connection at random: connect until both had one.
    let (mut clients, mut got) = (Vec::new(), [false; 2]);
    while got != [true; 2] {
        clients.push(TcpStream::connect(address).unwrap());
        for (listener, got) in [&first, &second].into_iter().zip(&mut got) {
            *got |= listener.accept().is_ok();
        }
        assert!(clients.len() < 1_000, "all to one");
    }
}

#[test]
fn the_backlog_is_what_the_system_allows() {
    let limit = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let limit: u32 = limit.trim().parse().unwrap();
    let bind = |backlog| Listener::builder().backlog(backlog).bind(parse("127.0.0.1:0")).unwrap();
    assert_eq!(bind(5.min(limit)).backlog(), 5.min(limit));
    assert_eq!(bind(limit).backlog(), limit);
    assert_eq!(bind(u32::MAX).backlog(), limit);
}

#[test]
fn parsing_an_address_resolves_no_name_and_names_what_is_wrong() {
    let error = "localhost:80".parse::<Address>().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("ToAddress"), "{error}");
    for text in ["", "localhost", "127.0.0.1", "127.0.0.1:99999", ":::", "[::1]"] {
        let error = text.parse::<Address>().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
    }
    let abstract_name = |bytes: &[u8]| Address::Abstract(bytes.into());
    let nowhere = [
        Address::Unnamed,
        Address::Unix("".into()),
        Address::Unix("a\0b".into()),
        Address::Unix("\0a".into()),
        abstract_name(b""),
        abstract_name(&[b'x'; 108]),
    ];
    for nowhere in nowhere {
        assert_eq!(kind(Listener::bind(&nowhere)), io::ErrorKind::InvalidInput, "{nowhere:?}");
    }
}

#[test]
fn the_file_of_a_unix_socket_is_removed_with_its_listener() {
    let directory = Directory::new("file");
    let path = directory.at("socket");
    let listener = Listener::bind(unix(&path)).unwrap();
    assert_eq!(*listener.local_address(), unix(&path));
    let mut client = UnixStream::connect(&path).unwrap();
    let mut accepted = listener.accept().unwrap();
    assert_eq!(*accepted.peer(), Address::Unnamed);
    accepted.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_stale_file_is_replaced_only_on_request() {
    let directory = Directory::new("stale");
    let path = directory.at("socket");
    leave_stale(&path);
    let error = Listener::bind(unix(&path)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket(), "it was removed");

    let listener = Listener::builder().replace_stale(true).bind(unix(&path)).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_live_socket_or_another_kind_of_file_is_never_replaced() {
    let directory = Directory::new("live");
    let replacing = Listener::builder().replace_stale(true);

    let live = directory.at("live");
    let listener = UnixListener::bind(&live).unwrap();
    assert_eq!(kind(replacing.clone().bind(unix(&live))), io::ErrorKind::AddrInUse);
    listener.accept().unwrap(); // the connection that tested whether it is alive
    UnixStream::connect(&live).unwrap();

    let plain = directory.at("plain");
    File::create(&plain).unwrap().write_all(b"precious").unwrap();
    assert_eq!(kind(replacing.clone().bind(unix(&plain))), io::ErrorKind::AddrInUse);
    assert_eq!(fs::read(&plain).unwrap(), b"precious");

    // A link is not followed to something that could be removed.
    let (gone, link) = (directory.at("gone"), directory.at("link"));
    leave_stale(&gone);
    std::os::unix::fs::symlink(&gone, &link).unwrap();
    assert_eq!(kind(replacing.clone().bind(unix(&link))), io::ErrorKind::AddrInUse);
    assert!(gone.exists() && fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn testing_a_listener_with_a_full_queue_does_not_block() {
    let directory = Directory::new("full");
    let path = directory.at("socket");
    let _busy = Listener::builder().backlog(0).bind(unix(&path)).unwrap();
    let address = SockAddr::unix(&path).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
        match client.connect(&address) {
            Ok(()) => waiting.push(client),
            Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let second = unix(&path);
    std::thread::spawn(move || {
        sender.send(kind(Listener::builder().replace_stale(true).bind(&second))).unwrap();
    });
    let long = std::time::Duration::from_secs(10);
    assert_eq!(receiver.recv_timeout(long).expect("it blocks"), io::ErrorKind::AddrInUse);
    assert!(path.exists());
}

#[test]
fn the_file_of_a_later_listener_is_not_removed() {
    let directory = Directory::new("successor");
    let path = directory.at("socket");
    let old = Listener::bind(unix(&path)).unwrap();
    let moved = directory.at("moved");
    fs::rename(&path, &moved).unwrap(); // keeps its inode in use, so that `new` gets another one
    let new = Listener::bind(unix(&path)).unwrap();
    drop(old);
    UnixStream::connect(&path).unwrap();
    drop(new);
    assert!(!path.exists());
}

#[test]
fn the_error_of_a_too_long_path_names_it() {
    let directory = Directory::new("long");
    let path = directory.at(&"x".repeat(108));
    let error = Listener::bind(unix(&path)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
}

#[test]
fn a_listener_blocks_if_it_is_told_so() {
    let listener = Listener::bind(parse("127.0.0.1:0")).unwrap();
    let never_blocks = || rustix::fs::fcntl_getfl(&listener).unwrap().contains(OFlags::NONBLOCK);
    assert!(never_blocks());
    for yes in [false, true] {
        listener.set_nonblocking(yes).unwrap();
        assert_eq!(never_blocks(), yes);
    }
    assert_eq!(kind(listener.accept()), io::ErrorKind::WouldBlock);
}
