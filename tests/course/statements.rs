//! What the tutorials state about the three calls, tried on the kernel, in the order of the book.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::SendFlags;
use socket2::{Domain, Socket, Type};
use support::sockets::blocking_tcp_pair;
use tripoll::selector::{
    Deadline, EpollSelector, Events, Interest, SelectSelector, Selector, Token, Trigger,
};
use tripoll::sys::{self, Epoll, EpollFlags, PollFd, PollFlags, poll, select};

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

#[test]
fn the_write_list_has_only_those_with_room() {
    let (mut full, mut reader) = UnixStream::pair().unwrap();
    let (idle, _other) = UnixStream::pair().unwrap();
    let outputs = [full.as_raw_fd(), idle.as_raw_fd()];
    let writable = || select(&[], &outputs, &[], AT_ONCE).unwrap().1;
    assert_eq!(writable(), outputs);

    full.set_nonblocking(true).unwrap();
    let mut written = 0;
    let error = loop {
        match full.write(&[0; 4096]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(writable(), [idle.as_raw_fd()], "after {written} bytes there is no more room");

    reader.read_exact(&mut vec![0; written]).unwrap();
    assert_eq!(writable(), outputs, "read away, there is room again");
}

#[test]
fn the_third_list_has_urgent_data_and_no_errors() {
    // An error: the peer closes with a byte unread, which Linux answers with a reset.
    let (mut mine, theirs) = blocking_tcp_pair();
    mine.write_all(b"!").unwrap();
    sleep_until_readable(&theirs);
    drop(theirs);
    sleep_until_readable(&mine);
    assert_eq!(lists(&mine), [true, true, false], "to read, to write, and not in the third list");
    assert_eq!(mine.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);

    // No error: one urgent byte.
    let (mine, theirs) = blocking_tcp_pair();
    rustix::net::send(&theirs, b"!", SendFlags::OOB).unwrap();
    let except = [mine.as_raw_fd()];
    assert_eq!(select(&[], &[], &except, None).unwrap().2, except);
    assert_eq!(lists(&mine), [false, true, true], "nothing to read in the ordinary way");
}

#[test]
fn select_takes_descriptor_5000() {
    let limit = sys::raise_descriptor_limit(5_200).unwrap().soft;
    assert!(limit >= 5_200, "the hard limit of descriptors is too low for this: {limit}");
    let (low, mut theirs) = UnixStream::pair().unwrap();
    let mine = rustix::io::fcntl_dupfd_cloexec(&low, 5_000).unwrap();

    let inputs = [mine.as_raw_fd()];
    assert!(inputs[0] >= 5_000);
    assert_eq!(select(&inputs, &[], &[], AT_ONCE).unwrap().0, []);
    theirs.write_all(b"!").unwrap();
    assert_eq!(select(&inputs, &[], &[], AT_ONCE).unwrap().0, inputs);

    // One descriptor is watched, and the limit of 1,024 is met already: it counts the number.
    let refused = SelectSelector::strict()
        .add(inputs[0], Token::from(0), Interest::READ, Trigger::Level)
        .unwrap_err();
    assert!(refused.to_string().contains("FD_SETSIZE ends at 1023"), "{refused}");
}

#[test]
fn epoll_shares_no_memory_and_copies_what_it_tells() {
    let (mut mine, mut theirs) = UnixStream::pair().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.add(mine.as_raw_fd(), EpollFlags::IN, 7).unwrap();
    theirs.write_all(b"!").unwrap();
    let mut events = Vec::with_capacity(8);
    epoll.wait(&mut events, None).unwrap();

    // Memory shared with the kernel would stand here under the name of the file it comes from.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains("[stack]") && !maps.contains("eventpoll"), "{maps}");

    // A copy stays as it is when the truth changes.
    mine.read_exact(&mut [0]).unwrap();
    assert_eq!((events[0].flags(), events[0].data()), (EpollFlags::IN, 7));
    epoll.wait(&mut events, AT_ONCE).unwrap();
    assert!(events.is_empty());
    if cfg!(target_arch = "x86_64") {
        assert_eq!(size_of::<sys::EpollEvent>(), 12, "bytes are copied for each event");
    }
}

#[test]
fn an_edge_comes_again_with_new_data_and_with_modify() {
    let (mut mine, mut theirs) = blocking_tcp_pair();
    let epoll = Epoll::new().unwrap();
    let flags = EpollFlags::IN | EpollFlags::ET;
    epoll.add(mine.as_raw_fd(), flags, 0).unwrap();
    let told = |timeout| {
        let mut events = Vec::with_capacity(8);
        epoll.wait(&mut events, timeout).unwrap();
        !events.is_empty()
    };

    theirs.write_all(b"ab").unwrap();
    assert!(told(None));
    mine.read_exact(&mut [0]).unwrap();
    assert!(is_readable(&mine) && !told(AT_ONCE), "half an action counts as none: a stall");
    theirs.write_all(b"c").unwrap();
    assert!(told(None), "new data is a new edge, though the old was not used up");
    assert!(is_readable(&mine) && !told(AT_ONCE), "and once more a stall");
    epoll.modify(mine.as_raw_fd(), flags, 0).unwrap();
    assert!(told(AT_ONCE), "a change of interest tells what is so now, on edge too");
}

#[test]
fn on_edge_the_write_interest_can_stay() {
    let (mine, _theirs) = UnixStream::pair().unwrap();
    let times_told = |trigger| {
        let epoll = Epoll::new().unwrap();
        epoll.add(mine.as_raw_fd(), EpollFlags::OUT | trigger, 0).unwrap();
        let mut events = Vec::with_capacity(8);
        (0..10)
            .filter(|_| {
                epoll.wait(&mut events, AT_ONCE).unwrap();
                !events.is_empty()
            })
            .count()
    };
    assert_eq!(times_told(EpollFlags::empty()), 10, "by level an idle socket is always writable");
    assert_eq!(times_told(EpollFlags::ET), 1);
}

#[test]
fn a_file_is_always_ready_and_epoll_refuses_it() {
    let mut file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/NOTES.md")).unwrap();
    file.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(lists(&file), [true, true, false], "at its end, and not even open for writing");
    let refused = Epoll::new().unwrap().add(file.as_raw_fd(), EpollFlags::IN, 0).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);

    // One rung higher the difference is gone.
    let mut selector = EpollSelector::new().unwrap();
    selector.add(file.as_raw_fd(), Token::from(7), Interest::READ, Trigger::Level).unwrap();
    let mut events = Events::new();
    selector.wait(&mut events, Deadline::Never).unwrap();
    assert!(events.iter().all(|event| event.is_readable()) && events.len() == 1, "{events:?}");
}

#[test]
fn two_messages_arrive_as_one_and_one_as_two() {
    let (mine, mut theirs) = blocking_tcp_pair();
    for _ in 0..8 {
        theirs.write_all(b"hi").unwrap();
    }
    let mut buffer = [0; 1024];
    while mine.peek(&mut buffer).unwrap() < 16 {}
    assert_eq!((&mine).read(&mut buffer).unwrap(), 16, "eight were sent, one is received");

    let sent = "好".repeat(500);
    theirs.write_all(sent.as_bytes()).unwrap();
    while mine.peek(&mut [0; 2048]).unwrap() < sent.len() {}
    assert_eq!((&mine).read(&mut buffer).unwrap(), 1024, "one was sent, and this is not all of it");
    let error = str::from_utf8(&buffer).unwrap_err();
    assert_eq!((error.valid_up_to(), error.error_len()), (1023, None), "cut in a character");
}

#[test]
fn a_full_queue_refuses_nobody() {
    let tcp = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = tcp();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(5).unwrap();
    let connect = || {
        let client = tcp();
        client.set_nonblocking(true).unwrap();
        // In progress; whatever else there is to say is fetched below.
        let _ = client.connect(&listener.local_addr().unwrap());
        client
    };
    let is_connected_within = |client: &Socket, time| {
        let mut lines = [PollFd::new(client.as_raw_fd(), PollFlags::OUT)];
        let is_decided = poll(&mut lines, Some(time)).unwrap() == 1;
        assert!(client.take_error().unwrap().is_none(), "nobody is refused");
        is_decided
    };
    let long = Duration::from_secs(60);

    // Nobody accepts, and six are connected: Linux adds one.
    let six: Vec<_> = (0..6).map(|_| connect()).collect();
    assert!(six.iter().all(|client| is_connected_within(client, long)));
    // The seventh hears nothing, and goes on knocking.
    let seventh = connect();
    assert!(!is_connected_within(&seventh, Duration::from_millis(100)));
    // Somebody is accepted, and the next knock is heard.
    let _accepted = listener.accept().unwrap();
    assert!(is_connected_within(&seventh, long));
}

#[test]
fn sendall_is_a_loop_and_keeps_to_itself_how_much_it_has_sent() {
    /// Takes one byte at a time.
    struct Narrow(usize);
    impl Write for Narrow {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0 += buffer.len().min(1);
            Ok(buffer.len().min(1))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // A million calls inside one another would not fit on a stack of 64 KiB.
    static DATA: [u8; 1 << 20] = [0; 1 << 20];
    let send = || {
        let mut peer = Narrow(0);
        peer.write_all(&DATA).map(|()| peer.0)
    };
    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(send).unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), DATA.len());

    // A failure, after some of it was sent. The error does not know how much.
    let (mut mine, mut theirs) = UnixStream::pair().unwrap();
    mine.set_nonblocking(true).unwrap();
    let much = vec![0; 64 << 20];
    assert_eq!(mine.write_all(&much).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(mine);
    let received = theirs.read_to_end(&mut Vec::new()).unwrap();
    assert!(0 < received && received < much.len(), "{received}");
}

#[test]
fn a_call_that_would_wait_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let (mut mine, mut theirs) = blocking_tcp_pair();
    mine.set_nonblocking(true).unwrap();
    assert_eq!(mine.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);

    // Nothing has broken. When there is something, the same call succeeds.
    theirs.write_all(b"!").unwrap();
    sleep_until_readable(&mine);
    assert_eq!(mine.read(&mut [0]).unwrap(), 1);
}

/// In which of select's three lists a descriptor comes back at once.
fn lists(descriptor: &impl AsRawFd) -> [bool; 3] {
    let fd = [descriptor.as_raw_fd()];
    let (r, w, e) = select(&fd, &fd, &fd, AT_ONCE).unwrap();
    [r, w, e].map(|list| list == fd)
}

fn is_readable(descriptor: &impl AsRawFd) -> bool {
    let mut lines = [PollFd::new(descriptor.as_raw_fd(), PollFlags::IN)];
    poll(&mut lines, AT_ONCE).unwrap() == 1
}

fn sleep_until_readable(descriptor: &impl AsRawFd) {
    poll(&mut [PollFd::new(descriptor.as_raw_fd(), PollFlags::IN)], None).unwrap();
}
