//! The files of Unix sockets: which process removes one, which of several starters replaces a stale one,
//! its permissions, and what the errors say. Without a reactor.

use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::{env, io, process, thread};

use socket2::{Domain, SockAddr, Socket, Type};
use support::alone::in_own_process;
use tripoll::net::{Address, DatagramSocket, Listener, ListenerBuilder};

use crate::listener::{Directory, leave_stale, unix};

#[test]
fn a_listener_that_another_process_takes_over_leaves_its_file() {
    let directory = Directory::new("hand-over");
    let path = directory.at("socket");
    let mut listener = Listener::bind(unix(&path)).unwrap();
    let other = listener.as_fd().try_clone_to_owned().unwrap(); // as it would be sent
    listener.set_unlink_on_drop(false);
    drop(listener);
    UnixStream::connect(&path).unwrap();
    drop(other);
    fs::remove_file(&path).unwrap();

    let mut socket = DatagramSocket::bind(unix(&path)).unwrap();
    socket.set_unlink_on_drop(false);
    drop(socket);
    assert!(path.exists());
    fs::remove_file(&path).unwrap();

    let mut listener = Listener::bind(unix(&path)).unwrap();
    listener.set_unlink_on_drop(false);
    listener.set_unlink_on_drop(true);
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn the_file_of_a_relative_path_is_removed_after_the_working_directory_has_changed() {
    in_own_process(
        "socket_files::the_file_of_a_relative_path_is_removed_after_the_working_directory_has_changed",
        || {
            let home = Directory::new("home");
            fs::create_dir(home.at("other")).unwrap();
            for relative in ["socket", "./socket", "other/../socket", "other/socket"] {
                let directory = env::temp_dir().join(home.at(""));
                env::set_current_dir(&directory).unwrap();
                let listener = Listener::bind(Path::new(relative)).unwrap();
                let datagrams = DatagramSocket::bind(Path::new("datagrams")).unwrap();
                assert_eq!(*listener.local_address(), Address::Unix(relative.into()));
                let file = directory.join(relative);
                env::set_current_dir("/").unwrap();
                assert!(file.exists());
                drop((listener, datagrams));
                assert!(!file.exists(), "{relative}");
                assert!(!home.at("datagrams").exists());
            }
        },
    );
}

/// Starts on an existing path. Returns the address of the socket that listens.
type Start = fn(&Path) -> io::Result<Box<dyn Send>>;

fn listen(path: &Path) -> io::Result<Box<dyn Send>> {
    Ok(Box::new(Listener::builder().replace_stale(true).bind(path)?))
}

fn receive(path: &Path) -> io::Result<Box<dyn Send>> {
    Ok(Box::new(DatagramSocket::builder().replace_stale(true).bind(path)?))
}

#[test]
fn of_several_that_replace_a_stale_file_at_once_exactly_one_has_the_path() {
    let directory = Directory::new("starters");
    let path = directory.at("socket");
    for (start, round) in
        [listen as Start, receive].into_iter().flat_map(|s| (0..60).map(move |r| (s, r)))
    {
        if round % 3 > 0 {
            leave_stale(&path);
        }
        let barrier = Barrier::new(4);
        let started: Vec<_> = thread::scope(|scope| {
            let run = || {
                barrier.wait();
                start(&path)
            };
            let starters: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            starters.into_iter().map(|starter| starter.join().unwrap()).collect()
        });
        let (ready, refused): (Vec<_>, Vec<_>) = started.into_iter().partition(Result::is_ok);
        let refused: Vec<io::Error> = refused.into_iter().filter_map(Result::err).collect();
        assert_eq!(ready.len(), 1, "in round {round}: {refused:?}");
        for refused in refused {
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{refused}");
            assert!(refused.to_string().ends_with("a process uses this socket"), "{refused}");
        }
        // The one that has the path can be reached.
        let is_reached = UnixStream::connect(&path).is_ok()
            || UnixDatagram::unbound().unwrap().connect(&path).is_ok();
        assert!(is_reached, "in round {round}");
        drop(ready);
        assert_eq!(fs::read_dir(directory.at("")).unwrap().count(), 0, "in round {round}");
    }
}

#[test]
fn a_lock_that_a_crash_has_left_does_not_matter() {
    let directory = Directory::new("lock");
    let path = directory.at("socket");
    leave_stale(&path);
    fs::write(directory.at("socket.lock"), "").unwrap();
    drop(Listener::builder().replace_stale(true).bind(unix(&path)).unwrap());
    assert_eq!(fs::read_dir(directory.at("")).unwrap().count(), 0);
}

#[test]
fn the_file_of_a_unix_socket_has_the_mode_that_was_set() {
    let directory = Directory::new("mode");
    let path = directory.at("socket");
    let mode = |path: &PathBuf| path.metadata().unwrap().permissions().mode() & 0o7777;
    for wanted in [0o000, 0o600, 0o660, 0o666, 0o777] {
        for replaces in [false, true] {
            if replaces {
                leave_stale(&path);
            }
            let builder = Listener::builder().mode(wanted).replace_stale(replaces);
            let listener = builder.bind(unix(&path)).unwrap();
            assert_eq!(mode(&path), wanted);
            drop(listener);
        }
        let socket = DatagramSocket::builder().mode(wanted).bind(unix(&path)).unwrap();
        assert_eq!(mode(&path), wanted);
        drop(socket);
    }
    let refused = Listener::builder().mode(0o1777).bind(unix(&path)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("0o1777"), "{refused}");
    assert!(!path.exists());

    let file = directory.at("file");
    OpenOptions::new().write(true).create_new(true).mode(0o777).open(&file).unwrap();
    let _listener = Listener::bind(unix(&path)).unwrap();
    assert_eq!(mode(&path), mode(&file), "the umask decides");
    // What has no file is not harmed by a mode.
    Listener::builder().mode(0o600).bind("127.0.0.1:0").unwrap();
}

#[test]
fn the_error_of_a_path_that_cannot_be_bound_says_why() {
    let directory = Directory::new("why");
    let live = directory.at("live");
    let _live = Listener::bind(unix(&live)).unwrap();
    let stale = directory.at("stale");
    leave_stale(&stale);
    let plain = directory.at("plain");
    fs::write(&plain, "").unwrap();
    let link = directory.at("link");
    std::os::unix::fs::symlink(&stale, &link).unwrap();
    let name = format!("@tripoll-why-{}", process::id());
    let _name = Listener::bind(name.as_str()).unwrap();
    let port = Listener::bind("127.0.0.1:0").unwrap();
    let port = port.local_address();
    let nowhere = directory.at("none");
    let in_use = io::ErrorKind::AddrInUse;
    let cases = [
        (Address::Unix("/tmp".into()), in_use, "this is a directory: add the name of a socket"),
        (unix(&live), in_use, "a process uses this socket"),
        (unix(&stale), in_use, "remove the file or set replace_stale"),
        (unix(&plain), in_use, "this file is not a socket"),
        (unix(&link), in_use, "this is a symbolic link"),
        (name.parse().unwrap(), in_use, "a process uses this name"),
        (unix(&nowhere.join("socket")), io::ErrorKind::NotFound, "there is no directory"),
        (
            Address::Unix("/sys/socket".into()),
            io::ErrorKind::PermissionDenied,
            "the directory /sys",
        ),
        (port.clone(), in_use, "another socket has this port"),
        ("192.0.2.1:0".parse().unwrap(), io::ErrorKind::AddrNotAvailable, "no interface"),
    ];
    for (address, kind, why) in cases {
        for replaces in [false, true] {
            if replaces && address == unix(&stale) {
                continue;
            }
            let builder: ListenerBuilder = Listener::builder().replace_stale(replaces);
            let error = builder.bind(&address).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot listen on {address}: ")), "{text}");
            assert!(text.contains(why), "{text}");
            assert_eq!(error.kind(), kind, "{text}");
        }
    }
    assert!(Path::new("/tmp").is_dir() && plain.exists() && link.is_symlink());
}

/// Returns the path `to` as seen from the working directory.
fn relative(to: &Path) -> PathBuf {
    let here = env::current_dir().unwrap();
    let up = here.components().skip(1).map(|_| "..").collect::<PathBuf>();
    up.join(to.strip_prefix("/").unwrap())
}

#[test]
fn a_socket_from_elsewhere_does_not_remove_what_its_relative_path_names_here() {
    let directory = Directory::new("elsewhere");
    let path = directory.at("socket");
    for (path, stays) in [(relative(&path), true), (path.clone(), false)] {
        let mut listener =
            Listener::try_from(OwnedFd::from(UnixListener::bind(&path).unwrap())).unwrap();
        listener.set_unlink_on_drop(true);
        drop(listener);
        assert_eq!(path.exists(), stays);
        let _ = fs::remove_file(&path);
    }
}

#[test]
fn a_socket_that_does_not_listen_yet_is_not_replaced_whichever_name_it_has() {
    in_own_process(
        "socket_files::a_socket_that_does_not_listen_yet_is_not_replaced_whichever_name_it_has",
        || {
            let directory = Directory::new("not-yet");
            env::set_current_dir(directory.at("")).unwrap();
            let names = [env::current_dir().unwrap().join("socket"), PathBuf::from("socket")];
            for (bound, asked) in [(0, 0), (0, 1), (1, 1)] {
                let other = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
                other.bind(&SockAddr::unix(&names[bound]).unwrap()).unwrap();
                let refused = listen(&names[asked]).err().expect("it is replaced");
                assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{refused}");
                drop(other);
                drop(listen(&names[asked]).unwrap());
                assert!(!names[0].exists());
            }
        },
    );
}

#[test]
fn a_link_in_place_of_the_lock_is_not_followed() {
    let directory = Directory::new("linked-lock");
    let (path, target) = (directory.at("socket"), directory.at("target"));
    leave_stale(&path);
    symlink(&target, directory.at("socket.lock")).unwrap();
    let refused = listen(&path).err().expect("the link is followed");
    assert!(refused.to_string().contains("socket.lock"), "{refused}");
    assert!(!target.exists());
}
