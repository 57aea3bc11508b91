//! Tests of streams that block: their time limits, the early end of their input, and their close.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Stream;
use crate::net::input_end::{InputEnd, QUIET};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

/// A blocking stream and its peer.
fn pair() -> (Stream, Stream) {
    let (here, there) = Stream::pair().unwrap();
    there.set_read_timeout(Some(LONG)).unwrap();
    (here, there)
}

/// Runs `job` in another thread. Fails if it takes too long.
fn within_limit<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, done) = mpsc::channel();
    thread::spawn(move || send.send(job()));
    done.recv_timeout(LONG).expect("it ends in time")
}

fn read(mut stream: &Stream) -> io::Result<usize> {
    stream.read(&mut [0; 8])
}

#[test]
fn after_the_idle_timeout_the_stream_ends_for_both() {
    let (mut here, there) = pair();
    here.limit(None, Some(SHORT)).unwrap();
    assert_eq!(within_limit(move || read(&here)).unwrap(), 0);
    assert_eq!(read(&there).unwrap(), 0);
}

#[test]
fn a_read_has_its_own_limit_beside_the_idle_timeout() {
    let (mut here, _there) = pair();
    here.limit(Some(SHORT), Some(LONG)).unwrap();
    assert_eq!(here.read_timeout(), Some(SHORT));
    let began = Instant::now();
    assert!(here.idle_at(began) >= began.checked_add(LONG));
    let mut buffer = [0; 8];
    assert_eq!(here.read_blocking(&mut buffer).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() >= SHORT && began.elapsed() < LONG);
}

#[test]
fn a_stream_that_does_not_block_has_no_idle_timeout() {
    let (mut here, there) = pair();
    here.limit(None, Some(SHORT)).unwrap();
    here.set_nonblocking(true).unwrap();
    let error = read(&here).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    (&there).write_all(b"!").unwrap();
    assert_eq!(read(&here).unwrap(), 1); // it was not shut down
    here.set_nonblocking(false).unwrap();
    assert_eq!(within_limit(move || read(&here)).unwrap(), 0);
}

#[test]
fn a_reset_is_no_end_whatever_limits_the_stream_has() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut here = Stream::from(listener.accept().unwrap().0);
    here.limit(None, Some(LONG)).unwrap();
    here.set_input_end(&InputEnd::new().unwrap());
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(read(&here).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// A stream whose input can be ended.
fn ending() -> (Stream, Stream, std::sync::Arc<InputEnd>) {
    let (mut here, there) = pair();
    let end = InputEnd::new().unwrap();
    here.set_input_end(&end);
    (here, there, end)
}

#[test]
fn before_its_input_ends_a_read_waits_for_a_silent_peer() {
    let (here, there, _end) = ending();
    let peer = thread::spawn(move || {
        thread::sleep(QUIET * 3); // longer than a peer may be silent after the end
        (&there).write_all(b"late").unwrap();
        there
    });
    assert_eq!(within_limit(move || read(&here)).unwrap(), 4);
    drop(peer.join().unwrap());
}

#[test]
fn what_has_arrived_is_read_before_the_end() {
    let (here, there, end) = ending();
    assert!(!here.is_input_ending());
    (&there).write_all(b"!").unwrap();
    end.request();
    assert!(here.is_input_ending());
    assert_eq!(within_limit(move || [read(&here).unwrap(), read(&here).unwrap()]), [1, 0]);
}

#[test]
fn the_end_wakes_a_read_and_a_look_for_input() {
    for looks in [false, true] {
        let (here, _there, end) = ending();
        let (send, began) = mpsc::channel();
        let reader = thread::spawn(move || {
            send.send(()).unwrap();
            if looks { here.await_input().map(usize::from) } else { read(&here) }
        });
        began.recv().unwrap();
        thread::sleep(SHORT); // it waits now, most likely
        end.request();
        assert_eq!(within_limit(move || reader.join().unwrap()).unwrap(), 0);
    }
}

#[test]
fn a_look_for_input_reads_nothing_and_tells_an_end_and_a_reset() {
    let (here, there) = pair();
    assert_eq!(here.peek_now().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    here.set_read_timeout(Some(SHORT)).unwrap();
    assert!(!here.await_input().unwrap(), "the peer is silent");
    (&there).write_all(b"ab").unwrap();
    assert!(here.peek_now().unwrap() && here.await_input().unwrap());
    assert_eq!(read(&here).unwrap(), 2);
    drop(there);
    assert!(!here.peek_now().unwrap() && !here.await_input().unwrap());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let here = Stream::from(listener.accept().unwrap().0);
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(here.await_input().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_deferred_close_happens_when_it_was_requested_and_not_before() {
    let (here, there) = pair();
    there.set_nonblocking(true).unwrap();
    let is_open = || read(&there).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    here.defer_close();
    here.close_deferred();
    assert!(is_open(), "it was not requested");
    here.defer_close();
    here.close_both();
    assert!(is_open(), "it is deferred");
    here.close_deferred();
    assert!(!is_open());

    let (here, there) = pair();
    here.close_both();
    assert_eq!(read(&there).unwrap(), 0);
}

#[test]
fn a_stream_lingers_until_its_output_was_read() {
    let (here, there) = pair();
    here.send_whole(b"answer").1.unwrap();
    let began = Instant::now();
    let reader = thread::spawn(move || {
        thread::sleep(SHORT * 3);
        let mut answer = [0; 6];
        (&there).read_exact(&mut answer).unwrap();
        (answer, there)
    });
    within_limit(move || here.linger(&|| false));
    assert!(began.elapsed() >= SHORT * 3);
    assert_eq!(reader.join().unwrap().0, *b"answer");
}

#[test]
fn a_stream_lingers_no_longer_than_its_peer_reads_and_the_caller_wants() {
    let (here, _there) = pair();
    here.send_whole(b"answer").1.unwrap();
    let began = Instant::now();
    here.linger(&|| true);
    assert!(began.elapsed() < Duration::from_secs(1));
    let here = within_limit(move || {
        here.linger(&|| false); // for the second in which the peer reads nothing
        here
    });
    assert!(began.elapsed() >= Duration::from_secs(1));
    // After a failure nothing is waited for.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let reset = Stream::from(listener.accept().unwrap().0);
    reset.send_whole(b"answer").1.unwrap();
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let began = Instant::now();
    reset.linger(&|| panic!("it has failed, and nothing is asked"));
    assert!(began.elapsed() < Duration::from_secs(1));
    drop(here);
}
