//! What holds of both servers that answer each message with itself and 好.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::hostile::{self, Subject};
use support::example::on_every_backend;

pub const MARK: &str = "好";

/// A friendly client: one message, one reply.
pub fn assert_served(client: &mut TcpStream) {
    let mut reply = [0; "hello好".len()];
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut reply).unwrap();
    assert_eq!(str::from_utf8(&reply), Ok("hello好"));
}

/// Sends all of `sent` at once and half-closes. Returns all that comes back.
fn answer_to(mut client: TcpStream, sent: &[u8]) -> String {
    let mut writer = client.try_clone().unwrap();
    let mut received = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        client.read_to_end(&mut received).unwrap();
    });
    String::from_utf8(received).expect("valid UTF-8")
}

/// Asserts that the answer is the message with marks in it: at least one, and not too many.
#[track_caller]
fn assert_marked(answer: &str, sent: &[u8]) {
    assert!(answer.replace(MARK, "") == String::from_utf8_lossy(sent), "of {} bytes", sent.len());
    let marks = answer.matches(MARK).count();
    assert!(marks >= sent.len().div_ceil(1024) && marks <= sent.len(), "{marks} marks");
}

/// Returns text of characters of every length, without the mark.
fn text(len: usize) -> String {
    "aé你𝄞 "
        .chars()
        .cycle()
        .scan(0, |sum, c| {
            *sum += c.len_utf8();
            (*sum <= len).then_some(c)
        })
        .collect()
}

/// A mebibyte at once, and every prefix of a text, so that each character is cut somewhere.
pub fn text_comes_back_marked(subject: Subject) {
    let mebibyte = text(1 << 20);
    on_every_backend(|backend, trigger| {
        let server = subject.start(backend, trigger);
        assert_marked(&answer_to(server.connect(), mebibyte.as_bytes()), mebibyte.as_bytes());
        assert_eq!(answer_to(server.connect(), b""), "");
        let cut = text(20);
        for len in 1..=cut.len() {
            let sent = &cut.as_bytes()[..len];
            assert_marked(&answer_to(server.connect(), sent), sent);
        }
        for sent in [&b"\xFF"[..], b"a\xFFb", b"\xE4\xBD", b"\xC0\x80", &[0xFF; 5_000]] {
            assert_marked(&answer_to(server.connect(), sent), sent);
        }
    });
}

/// A character arrives byte by byte, with an answer after each.
pub fn a_character_comes_in_pieces(subject: Subject) {
    on_every_backend(|backend, trigger| {
        let server = subject.start(backend, trigger);
        let mut client = server.connect();
        let mut received = Vec::new();
        for byte in text(30).bytes() {
            client.write_all(&[byte]).unwrap();
            let mut buffer = [0; 64];
            let count = client.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..count]);
        }
        client.shutdown(Shutdown::Write).unwrap();
        client.read_to_end(&mut received).unwrap();
        assert_marked(str::from_utf8(&received).unwrap(), text(30).as_bytes());
    });
}

/// One client does not read, among a hundred that do. They are served, and the memory stays
/// bounded. When it reads at last, nothing is lost.
pub fn a_slow_reader_among_a_hundred(subject: Subject) {
    const MOST: usize = 40 << 20;
    on_every_backend(|backend, trigger| {
        let mut server = subject.start(backend, trigger);
        let mut fast: Vec<_> = (0..100).map(|_| server.connect()).collect();
        fast.iter_mut().for_each(assert_served);
        let memory = server.memory();

        let slow = server.connect();
        let (mut reader, mut writer) = (slow.try_clone().unwrap(), slow);
        let line = text(1 << 16);
        writer.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut sent = Vec::new();
        while sent.len() < MOST {
            match writer.write(line.as_bytes()) {
                Ok(count) => sent.extend_from_slice(&line.as_bytes()[..count]),
                Err(_) => break, // its writes block
            }
        }
        assert!(sent.len() < MOST, "the server takes everything");
        fast.iter_mut().for_each(assert_served);
        let grown = server.memory().saturating_sub(memory);
        assert!(grown < 4 << 10, "by {grown} KiB, for {} bytes", sent.len());
        hostile::assert_idle(&server);

        writer.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        assert_marked(str::from_utf8(&received).unwrap(), &sent);
        fast.iter_mut().for_each(assert_served);
        server.stop(Signal::TERM).assert_graceful();
    });
}
