//! Sockets that another process has made: the protocol of systemd's socket units, and the file of a Unix
//! socket that is handed to a program.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::{env, io, thread};

use rustix::io::FdFlags;
use support::net::{Scripted, echo};
use support::on_every_pair;
use support::sockets::exchange;
use tripoll::net::{self, Address, Connection, DatagramSocket, Inherited, Listener, Stream};

use crate::listener::{Directory, unix};

const CASE: &str = "TRIPOLL_TEST_CASE";

/// Runs `body` in a child process in which `test` runs alone, and which has these sockets as its
/// descriptors 3, 4 and 5. In the parent, `make` returns them with the variables of the child.
///
/// The shell gives the descriptors their numbers, and the child its own process id.
fn started_with(
    test: &str,
    make: impl FnOnce() -> ([OwnedFd; 3], Vec<(&'static str, String)>),
    body: impl FnOnce(),
) {
    if env::var_os(CASE).is_some() {
        return body();
    }
    let directory = Directory::new(test.rsplit(':').next().unwrap());
    let output = directory.at("output");
    let (sockets, variables) = make();
    let [first, second, third] = sockets.map(Stdio::from);
    let script = "LISTEN_PID=${LISTEN_PID-$$}; export LISTEN_PID; \
                  exec \"$@\" 3<&0 4<&1 5<&2 0</dev/null >\"$OUTPUT\" 2>&1";
    let status = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env_remove("LISTEN_PID")
        .envs(variables)
        .env("OUTPUT", &output)
        .env(CASE, "1")
        .stdin(first)
        .stdout(second)
        .stderr(third)
        .status()
        .unwrap();
    let output = fs::read_to_string(&output).unwrap_or_default();
    assert!(status.success() && output.contains("1 passed"), "{status}: {output}");
}

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn is_closed_on_exec(fd: impl AsFd) -> bool {
    rustix::io::fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)
}

fn inherited_error() -> io::Error {
    net::inherited().expect_err("it is accepted")
}

#[test]
fn each_inherited_descriptor_has_its_name_and_is_what_it_is() {
    started_with(
        "inherited::each_inherited_descriptor_has_its_name_and_is_what_it_is",
        || {
            let listener = Listener::bind("127.0.0.1:0").unwrap();
            let datagrams = DatagramSocket::bind("127.0.0.1:0").unwrap();
            let names = "web:dns:".to_owned();
            let variables = vec![("LISTEN_FDS", "3".to_owned()), ("LISTEN_FDNAMES", names)];
            ([listener.into(), datagrams.into(), io::pipe().unwrap().0.into()], variables)
        },
        || {
            let sockets = net::inherited().unwrap();
            let names: Vec<&str> = sockets.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["web", "dns", ""]);
            let mut sockets = sockets.into_iter().map(|(_, socket)| socket);
            let Some(Inherited::Listener(listener)) = sockets.next() else { panic!() };
            let Some(Inherited::Datagrams(datagrams)) = sockets.next() else { panic!() };
            let Some(Inherited::Other(pipe)) = sockets.next() else { panic!() };
            let fds = [listener.as_fd(), datagrams.as_fd(), pipe.as_fd()];
            assert_eq!(fds.map(|fd| fd.as_raw_fd()), [3, 4, 5]);
            assert!(fds.into_iter().all(is_closed_on_exec));

            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            let Address::Inet(address) = *datagrams.local_address() else { panic!() };
            client.send_to(b"query", address).unwrap();
            assert_eq!(datagrams.recv_from(&mut [0; 8]).unwrap().size, 5);

            let Address::Inet(address) = *listener.local_address() else { panic!() };
            on_every_pair(|pair| {
                let mut reactor = pair.reactor(());
                let (calls, _told) = std::sync::mpsc::channel();
                let copy = listener.as_fd().try_clone_to_owned().unwrap();
                let accepted = move |stream, cx: &mut tripoll::Context| {
                    Connection::new(Scripted::new(echo, calls.clone())).serve(stream, cx)?;
                    Ok(())
                };
                let copy = Listener::builder().max_connections(10).wrap(copy).unwrap();
                copy.serve(&mut reactor.context(), accepted).unwrap();
                let handle = reactor.handle();
                let client = thread::spawn(move || {
                    let client = TcpStream::connect(address).unwrap();
                    assert_eq!(exchange(&client, b"hello"), b"hello");
                    handle.stop();
                });
                reactor.run().unwrap();
                client.join().unwrap();
            });

            let again = inherited_error();
            assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");
        },
    );
}

#[test]
fn without_names_each_is_unknown_and_a_connection_is_a_stream() {
    started_with(
        "inherited::without_names_each_is_unknown_and_a_connection_is_a_stream",
        || {
            let (served, mut client) = UnixStream::pair().unwrap();
            client.write_all(b"sent before").unwrap();
            let (datagrams, _) = UnixDatagram::pair().unwrap();
            let variables = vec![("LISTEN_FDS", "2".to_owned())];
            ([served.into(), datagrams.into(), null()], variables)
        },
        || {
            let sockets = net::inherited().unwrap();
            let (connection, datagrams) = match <[_; 2]>::try_from(sockets).unwrap() {
                [(one, Inherited::Stream(connection)), (two, Inherited::Datagrams(datagrams))] => {
                    assert_eq!((&*one, &*two), ("unknown", "unknown"));
                    (connection, datagrams)
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(io::read_to_string(connection).unwrap(), "sent before");
            drop(datagrams);
        },
    );
}

#[test]
fn what_is_for_another_process_is_left_alone() {
    started_with(
        "inherited::what_is_for_another_process_is_left_alone",
        || {
            let listener = Listener::bind("127.0.0.1:0").unwrap();
            let other = std::process::id().to_string();
            let variables = vec![("LISTEN_FDS", "1".to_owned()), ("LISTEN_PID", other)];
            ([listener.into(), null(), null()], variables)
        },
        || {
            assert!(net::inherited().unwrap().is_empty());
            assert!(fs::exists("/proc/self/fd/3").unwrap());
        },
    );
}

#[test]
fn a_bad_value_is_an_error_that_names_its_variable_and_takes_nothing() {
    started_with(
        "inherited::a_bad_value_is_an_error_that_names_its_variable_and_takes_nothing",
        || {
            // So many descriptors are not open.
            let variables = vec![("LISTEN_FDS", "2000000000".to_owned())];
            ([null(), null(), null()], variables)
        },
        || {
            for _ in 0..2 {
                let error = inherited_error();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let text = error.to_string();
                assert!(text.starts_with("LISTEN_FDS=2000000000: descriptor "), "{text}");
            }
            assert!(fs::exists("/proc/self/fd/3").unwrap());
        },
    );
}

#[test]
fn a_unix_listener_that_a_program_is_started_with_keeps_its_file_until_that_program_removes_it() {
    const TEST: &str = "inherited::a_unix_listener_that_a_program_is_started_with_keeps_its_file_\
                        until_that_program_removes_it";
    let directory = (env::var_os(CASE).is_none()).then(|| Directory::new("program"));
    let path = directory.as_ref().map(|directory| directory.at("socket"));
    started_with(
        TEST,
        || {
            let path = path.as_ref().unwrap();
            let listener = OwnedFd::from(Listener::bind(unix(path)).unwrap());
            assert!(UnixStream::connect(path).is_ok());
            ([listener, null(), null()], vec![("LISTEN_FDS", "1".to_owned())])
        },
        || {
            // Its old owner has dropped it.
            let (_, socket) = net::inherited().unwrap().pop().unwrap();
            let Inherited::Listener(mut listener) = socket else { panic!("{socket:?}") };
            let Address::Unix(path) = listener.local_address().clone() else { panic!() };
            let _client = UnixStream::connect(&path).unwrap();
            let (one, two): (Stream, Stream) =
                (listener.accept().unwrap(), listener.accept().unwrap());
            drop((one, two));
            listener.set_unlink_on_drop(true);
            drop(listener);
            assert!(!path.exists());
        },
    );
}

#[test]
fn a_process_that_executes_another_program_leaves_the_file_of_its_listener() {
    let directory = env::var_os(CASE).is_none().then(|| Directory::new("exec"));
    let Some(directory) = directory else {
        let _listener = Listener::bind(env::var("LISTEN_ON").unwrap()).unwrap();
        panic!("{}", Command::new("true").exec());
    };
    let path = directory.at("socket");
    let test = "inherited::a_process_that_executes_another_program_leaves_the_file_of_its_listener";
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CASE, "1")
        .env("LISTEN_ON", &path)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert!(path.exists());
    assert!(UnixStream::connect(&path).is_err(), "the socket itself is closed on exec");
}
