//! What each call reports of a descriptor in each state. The kernel's answers are compared with
//! the table in `READINESS.md`.
//!
//! `TRIPOLL_BLESS=1 cargo test --test readiness` writes the file anew.

use std::any::Any;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SendFlags;
use support::selector::*;
use support::sockets::*;
use support::*;
use tripoll::selector::{Backend, Event, Interest, Readiness, Token};
use tripoll::sys::{self, PollFd, PollFlags};

/// A descriptor in some state, and whatever keeps it so.
struct State {
    fd: OwnedFd,
    _keep: Box<dyn Any>,
}

impl State {
    fn new(fd: impl Into<OwnedFd>, keep: impl Any) -> Self {
        State { fd: fd.into(), _keep: Box::new(keep) }
    }

    /// The state in which one of `flags`, or a hang-up or error, has arrived.
    fn settled(self, flags: PollFlags) -> Self {
        settle(&self.fd, flags);
        self
    }
}

/// The states by name, each with what brings a new descriptor into it.
const STATES: &[(&str, Make)] = &[
    ("TCP, nothing has happened", || {
        let (mine, theirs) = tcp_pair();
        State::new(mine, theirs)
    }),
    ("TCP, data has come", || {
        let (mine, mut theirs) = tcp_pair();
        theirs.write_all(b"x").unwrap();
        State::new(mine, theirs).settled(PollFlags::IN)
    }),
    ("TCP, an urgent byte has come", || {
        let (mine, theirs) = tcp_pair();
        rustix::net::send(&theirs, b"!", SendFlags::OOB).unwrap();
        State::new(mine, theirs).settled(PollFlags::PRI)
    }),
    ("TCP, the peer has shut down writing", || {
        let (mine, theirs) = tcp_pair();
        theirs.shutdown(Shutdown::Write).unwrap();
        State::new(mine, theirs).settled(PollFlags::RDHUP)
    }),
    ("TCP, the peer has closed", || {
        let (mine, theirs) = tcp_pair();
        drop(theirs);
        State::new(mine, ()).settled(PollFlags::RDHUP)
    }),
    ("TCP, both have shut down writing", || {
        let (mine, theirs) = tcp_pair();
        mine.shutdown(Shutdown::Write).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        State::new(mine, theirs).settled(PollFlags::empty())
    }),
    ("TCP, the peer has reset", || {
        let (mine, theirs) = tcp_pair();
        rustix::net::sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).unwrap();
        drop(theirs);
        State::new(mine, ()).settled(PollFlags::empty())
    }),
    ("TCP, nothing more can be sent", || {
        let (mine, theirs) = tcp_pair();
        fill(&mine);
        State::new(mine, theirs)
    }),
    ("TCP, never connected", || State::new(unconnected(), ())),
    ("TCP, the connection was refused", || {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = unconnected();
        // In progress, or refused at once.
        let _ = rustix::net::connect(&socket, &unused).unwrap_err();
        State::new(socket, ()).settled(PollFlags::OUT)
    }),
    ("TCP listener, no connection is pending", || {
        State::new(TcpListener::bind("127.0.0.1:0").unwrap(), ())
    }),
    ("TCP listener, a connection is pending", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        State::new(listener, caller).settled(PollFlags::IN)
    }),
    ("Unix stream, nothing has happened", || {
        let (mine, theirs) = unix_pair();
        State::new(mine, theirs)
    }),
    ("Unix stream, data has come", || {
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        State::new(mine, theirs)
    }),
    ("Unix stream, the peer has shut down writing", || {
        let (mine, theirs) = unix_pair();
        theirs.shutdown(Shutdown::Write).unwrap();
        State::new(mine, theirs)
    }),
    ("Unix stream, the peer has closed", || State::new(unix_pair().0, ())),
    ("Unix stream, the peer has closed before reading all", || {
        let (mut mine, theirs) = unix_pair();
        mine.write_all(b"x").unwrap();
        drop(theirs);
        State::new(mine, ())
    }),
    ("Unix stream, nothing more can be sent", || {
        let (mine, theirs) = unix_pair();
        fill(&mine);
        State::new(mine, theirs)
    }),
    ("pipe's reading end, empty", || {
        let (reader, writer) = std::io::pipe().unwrap();
        State::new(reader, writer)
    }),
    ("pipe's reading end, data has come", || {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        State::new(reader, writer)
    }),
    ("pipe's reading end, the writer has closed", || State::new(std::io::pipe().unwrap().0, ())),
    ("pipe's reading end, data, then the writer has closed", || {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        State::new(reader, ())
    }),
    ("pipe's writing end, empty", || {
        let (reader, writer) = std::io::pipe().unwrap();
        State::new(writer, reader)
    }),
    ("pipe's writing end, full", || {
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        fill(&writer);
        State::new(writer, reader)
    }),
    ("pipe's writing end, the reader has closed", || State::new(std::io::pipe().unwrap().1, ())),
    ("UDP, nothing has come", || State::new(UdpSocket::bind("127.0.0.1:0").unwrap(), ())),
    ("UDP, an empty datagram has come", || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&[], socket.local_addr().unwrap()).unwrap();
        State::new(socket, ()).settled(PollFlags::IN)
    }),
    ("regular file", || State::new(File::open(std::env::current_exe().unwrap()).unwrap(), ())),
    ("directory", || State::new(File::open("/").unwrap(), ())),
    ("/dev/null", || State::new(File::open("/dev/null").unwrap(), ())),
];

fn unconnected() -> OwnedFd {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap()
}

/// Writes until nothing fits, and nothing will because the peer does not read.
fn fill(fd: &impl AsFd) {
    let number = fd.as_fd().as_raw_fd();
    let mut writable = [PollFd::new(number, PollFlags::OUT)];
    // What is on its way to the peer's buffer makes room for a moment.
    while sys::poll(&mut writable, Some(Duration::from_millis(20))).unwrap() > 0 {
        match rustix::io::write(fd, &[0; 65_536]) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

type Make = fn() -> State;

const INTERESTS: [(&str, Interest); 3] =
    [("read", Interest::READ), ("write", Interest::WRITE), ("priority", Interest::PRIORITY)];

/// Returns what a new selector reports of `state` with its natural trigger, if anything.
fn ask(backend: Backend, state: &State, interest: Interest) -> Option<Event> {
    ask_after(backend, state.fd.as_raw_fd(), interest, || {})
}

/// Returns what it reports of a descriptor that was closed after it was added.
fn ask_closed(backend: Backend, interest: Interest) -> Option<Event> {
    let (mine, _theirs) = unix_pair();
    let closed = with_own_number(&mine);
    drop(mine);
    ask_after(backend, closed.as_raw_fd(), interest, || drop(closed))
}

/// Returns what it reports of one that was closed while a duplicate keeps the file open.
fn ask_closed_one_of_two(backend: Backend, interest: Interest) -> Option<Event> {
    let (mine, _theirs) = unix_pair();
    let closed = with_own_number(&mine);
    ask_after(backend, closed.as_raw_fd(), interest, || drop(closed))
}

fn ask_after(
    backend: Backend,
    fd: RawFd,
    interest: Interest,
    before_waiting: impl FnOnce(),
) -> Option<Event> {
    let mut selector = backend.selector().unwrap();
    assert_eq!(selector.name(), backend.name());
    let trigger = selector.caps().triggers[0];
    selector.add(fd, Token::new(1, 0), interest, trigger).unwrap();
    before_waiting();
    let reported = reported_now(&mut *selector);
    assert!(reported.len() <= 1, "{reported:?}");
    reported.first().map(|&(token, readiness)| Event::new(token, readiness))
}

fn words(event: Option<Event>) -> String {
    let names = event.iter().flat_map(|event| event.readiness().iter_names().collect::<Vec<_>>());
    let words: Vec<_> = names.map(|(name, _)| name.to_lowercase().replace('_', " ")).collect();
    words.join(", ")
}

const HEAD: &str = "\
# What each call reports of a descriptor

`tests/readiness.rs` asks the Linux kernel through the selectors, each with its natural trigger \
(edge for mio). The test compares this file with the kernel's answers. \
`TRIPOLL_BLESS=1 cargo test --test readiness` writes the file again.

A row is a state of the descriptor and the interest. A cell holds all that the selector reported, \
in the names of `Readiness`; an empty cell means that it reported nothing. A row is left out where \
all selectors reported nothing, for example a stream with a full send buffer. With an empty \
interest, no selector reports anything in any state.

What the table shows:

* `select` never reports a reason. A *hangup* or *error* of the others is *read* there, and an \
  error is also *write*.
* `poll` and `epoll` report *hangup* and *error* unasked, even where the interest is urgent data \
  alone. `select` does not report them there.
* A pipe without a writer is *hangup* **without** *read*. A program that tests *read* alone spins. \
  `Event::is_readable` tests all.
* A hang-up is a reason to read. `select` does not report it as a reason to write.
* A socket that was never connected is hung up. So connect first, and watch then.
* A shutdown by the peer is *read closed*. Only both directions together are a *hangup*.
* mio reports a shutdown by the peer and a hang-up alike, and urgent data as data.
* `select` and `poll` report a number as *invalid* if it was closed without having been removed. \
  `epoll` watches the open file behind the number: it reports nothing, or goes on reporting as \
  long as a duplicate is open.

";

fn table() -> String {
    let mut table = String::from(HEAD);
    let names: Vec<_> = Backend::ALL.iter().map(|backend| backend.name()).collect();
    writeln!(table, "| state | asked | {} |", names.join(" | ")).unwrap();
    writeln!(table, "|---|---|{}", "---|".repeat(names.len())).unwrap();
    let mut row = |name: &str, ask: &dyn Fn(Backend, Interest) -> Option<Event>| {
        for (asked, interest) in INTERESTS {
            let cells = Backend::ALL.iter().map(|&backend| words(ask(backend, interest)));
            let cells: Vec<_> = cells.collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                writeln!(table, "| {name} | {asked} | {} |", cells.join(" | ")).unwrap();
            }
        }
    };
    for (name, make) in STATES {
        let state = make();
        row(name, &|backend, interest| ask(backend, &state, interest));
    }
    row("Unix stream, closed after it was added", &ask_closed);
    row("Unix stream, closed after it was added, and a duplicate lives", &ask_closed_one_of_two);
    table
}

#[test]
#[cfg(feature = "mio")]
fn the_table_is_what_the_kernel_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/READINESS.md");
    let table = table();
    if std::env::var_os("TRIPOLL_BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    for (written, now) in written.lines().zip(table.lines()) {
        assert_eq!(written, now, "READINESS.md (left) is not what the kernel says now (right)");
    }
    assert_eq!(written.lines().count(), table.lines().count());
}

#[test]
fn an_empty_interest_reports_nothing_in_any_state() {
    for (name, make) in STATES {
        let _context = Context(format!("in the state: {name}"));
        let state = make();
        for &backend in Backend::ALL {
            assert!(ask(backend, &state, Interest::NONE).is_none(), "{backend}");
        }
    }
}

#[test]
fn a_backend_reports_only_what_its_caps_contain() {
    for (name, make) in STATES {
        let state = make();
        for (&backend, (_, interest)) in Backend::ALL.iter().flat_map(|b| INTERESTS.map(|i| (b, i)))
        {
            let reports = backend.selector().unwrap().caps().reports;
            let reported =
                ask(backend, &state, interest).map_or(Readiness::empty(), |e| e.readiness());
            assert!(
                reports.contains(reported),
                "{backend} reported {reported:?} in the state: {name}"
            );
        }
    }
}

#[test]
fn all_backends_agree_on_what_can_be_done() {
    for (name, make) in STATES {
        let _context = Context(format!("in the state: {name}"));
        let state = make();
        let agree = |interest, what: &dyn Fn(&Event) -> bool| {
            let answers: Vec<_> = Backend::ALL
                .iter()
                .map(|&backend| (backend, ask(backend, &state, interest).is_some_and(|e| what(&e))))
                .collect();
            assert!(answers.iter().all(|answer| answer.1 == answers[0].1), "{answers:?}");
        };
        agree(Interest::READ, &Event::is_readable);
        agree(Interest::PRIORITY, &Event::is_priority);
        // One cannot write to a pipe's reading end; that the others say hang-up there is harmless.
        if !name.starts_with("pipe's reading end") {
            agree(Interest::WRITE, &Event::is_writable);
        }
    }
}

#[test]
fn what_is_reported_does_not_block() {
    for (name, make) in STATES {
        for &backend in Backend::ALL {
            let _context = Context(format!("on {backend}, in the state: {name}"));
            let state = make();
            rustix::io::ioctl_fionbio(&state.fd, true).unwrap();
            let readable = ask(backend, &state, Interest::READ).is_some_and(|e| e.is_readable());
            let writable = ask(backend, &state, Interest::WRITE).is_some_and(|e| e.is_writable());
            // A listener is read by accepting.
            let read = match name.starts_with("TCP listener") {
                true => rustix::net::accept(&state.fd).map(drop),
                false => rustix::io::read(&state.fd, &mut [0; 8]).map(drop),
            };
            let write = rustix::io::write(&state.fd, b"x");
            assert_ne!((readable, read), (true, Err(Errno::AGAIN)));
            assert_ne!((writable, write), (true, Err(Errno::AGAIN)));
            // The other way round it holds for reading only: a stream takes some bytes more after
            // it has ceased to be called writable.
            if !readable {
                assert!(
                    matches!(read, Err(Errno::AGAIN | Errno::BADF)),
                    "{read:?}, and not reported"
                );
            }
        }
    }
}
