//! Files that a connection sends. On every backend and trigger.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use support::alone::in_own_process;
use support::net::{Call, Scripted, Why, echo};
use support::one::{One, Over};
use support::{known_bytes, on_every_pair, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::{Closed, Connection, Filter, Protocol, Wire};
use tripoll::reactor::Budget;

const SIZE: usize = 5 << 20;

/// A file that is removed at the end.
struct TestFile(PathBuf, Vec<u8>);

impl TestFile {
    fn new(name: &str, size: usize) -> Self {
        let path = std::env::temp_dir().join(format!("tripoll-{}-{name}", std::process::id()));
        let bytes = known_bytes(size as u64, size);
        fs::write(&path, &bytes).unwrap();
        TestFile(path, bytes)
    }

    fn open(&self) -> Arc<File> {
        Arc::new(File::open(&self.0).unwrap())
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Sends a part of a file for each byte, between other bytes.
fn sender(
    file: Arc<File>,
    range: Range<u64>,
) -> impl FnMut(&Call, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize> {
    move |call, wire, _| {
        if let Call::Received(data) = call {
            for _ in data {
                wire.write(b"before");
                wire.send_file(Arc::clone(&file), range.clone());
                wire.write(b"after");
            }
            return Ok(data.len());
        }
        if let Call::Ended(_) = call {
            wire.close();
        }
        Ok(0)
    }
}

#[test]
fn a_part_of_a_file_keeps_its_place_among_other_bytes() {
    let file = TestFile::new("place", SIZE);
    on_every_pair_and_noise(|pair| {
        for over in Over::ALL {
            for range in [0..SIZE as u64, 1_000..300_000, 10..11, 7..7] {
                let part = &file.1[range.start as usize..range.end as usize];
                let mut one = One::new(pair, over, sender(file.open(), range));
                one.peer().write_all(b"12").unwrap();
                let expected = [b"before", part, b"after", b"before", part, b"after"].concat();
                assert!(one.read(expected.len()) == expected, "other bytes");
                one.peer().shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(one.read_to_end().0, b"");
                assert_eq!(one.until_closed().pop(), Some(Call::Closed(Why::Finished)));
            }
        }
    });
}

/// The kernel does not send it by itself, or does: it depends on its version.
#[test]
fn a_file_that_only_seems_to_be_one_is_read_and_sent() {
    let size = fs::read("/proc/version").unwrap().len() as u64;
    on_every_pair(|pair| {
        let file = Arc::new(File::open("/proc/version").unwrap());
        let mut one = One::new(pair, Over::Unix, sender(file, 0..size));
        one.peer().write_all(b"1").unwrap();
        let expected = [b"before", &fs::read("/proc/version").unwrap()[..], b"after"].concat();
        assert_eq!(one.read(expected.len()), expected);
    });
}

/// Sends parts of a file, and keeps the reason of the end.
struct Short(Arc<File>, [Range<u64>; 2], mpsc::Sender<String>);

impl Protocol for Short {
    fn opened(&mut self, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<()> {
        for range in &self.1 {
            wire.send_file(Arc::clone(&self.0), range.clone());
        }
        wire.close();
        Ok(())
    }

    fn received(
        &mut self,
        _: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> io::Result<usize> {
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, _: &mut Context<'_>) {
        let error = &closed.reason.to_error().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        self.2.send(error.to_string()).unwrap();
    }
}

/// Passes all on as it is. The bytes of files go through memory then.
struct Plain;

impl Filter for Plain {
    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<()> {
        plain.extend_from_slice(data);
        Ok(())
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(plain);
        Ok(())
    }
}

#[test]
fn a_file_that_is_shorter_than_was_said_closes_with_an_error_that_names_both() {
    const MAX: u64 = u64::MAX;
    let file = TestFile::new("short", 1_000);
    // The lengths of several ranges may be more together than a number holds.
    let cases = [[10..2_000, 0..0], [0..MAX, 0..MAX], [MAX - 1..MAX, 0..MAX]];
    on_every_pair_and_noise(|pair| {
        for ranges in &cases {
            for is_filtered in [false, true] {
                let mut one = One::new(pair, Over::Tcp, echo);
                let (stream, peer) = Over::Tcp.pair();
                let (send, reasons) = mpsc::channel();
                let mut connection = Connection::new(Short(file.open(), ranges.clone(), send));
                if is_filtered {
                    connection = connection.over(Plain);
                }
                one.context(|cx| connection.serve(stream, cx)).unwrap();
                let mut reason = String::new();
                one.until("it is closed", |_| {
                    reason = reasons.try_recv().unwrap_or_default();
                    !reason.is_empty()
                });
                let Range { start, end } = ranges[0];
                let said = format!("and was to be sent from {start} to {end}");
                assert_eq!(reason, format!("the file has 1000 bytes, {said}"));
                one.peer = Some(peer);
                let error = one.read_to_end().1.expect("the peer sees that something is missing");
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            }
        }
    });
}

#[test]
fn a_large_file_does_not_starve_the_neighbours() {
    let file = TestFile::new("neighbours", SIZE);
    on_every_pair_and_noise(|pair| {
        let budget = Budget::new(4, 100_000);
        let builder = pair.builder().budget(budget);
        let script = sender(file.open(), 0..SIZE as u64);
        let mut one = One::built(pair, builder, Over::Tcp, |connection| connection, script);
        let (stream, neighbour) = Over::Tcp.pair();
        let (send, answers) = mpsc::channel();
        let connection = Connection::new(Scripted::new(echo, send));
        let token = one.context(|cx| connection.serve(stream, cx)).unwrap().token();
        one.peer().write_all(b"1").unwrap();
        let mut questions = 0;
        let mut all = Vec::new();
        one.until("the file is sent", |one| {
            if questions == answers.try_iter().filter(|c| matches!(c, Call::Received(_))).count()
                || questions == 0
            {
                questions += 1;
                (&neighbour).write_all(b"?").unwrap();
            }
            let mut buffer = vec![0; 200_000];
            while let Ok(count @ 1..) = io::Read::read(&mut one.peer(), &mut buffer) {
                all.extend_from_slice(&buffer[..count]);
            }
            all.len() == SIZE + 11
        });
        let dispatches = one.dispatches.0.borrow();
        let calls = || dispatches.iter().filter(|call| call.token != token);
        let most = calls().map(|call| call.bytes_written).max().unwrap();
        let at_once = 1 << 20;
        assert!(most <= 100_000 + at_once, "{most} bytes were written in one call");
        assert!(calls().count() >= SIZE / (100_000 + at_once), "in {} calls", calls().count());
    });
}

/// The bytes of the file are not in memory.
#[test]
fn a_file_counts_toward_the_marks_and_not_toward_the_limit() {
    let file = TestFile::new("limit", SIZE);
    on_every_pair(|pair| {
        let open = file.open();
        let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            match call {
                Call::Opened => {
                    let has_room = wire.send_file(Arc::clone(&open), 0..SIZE as u64);
                    assert!(!has_room && !wire.is_reading());
                    assert!(wire.unsent() > SIZE / 2, "{} bytes", wire.unsent());
                    wire.write(b"the end"); // does not close it
                }
                Call::Drained => wire.close(),
                _ => {}
            }
            Ok(0)
        };
        let marks = tripoll::net::Watermarks::new(1, 10_000, 20_000);
        let mut one = One::with(pair, Over::Unix, |c| c.watermarks(marks), script);
        let (all, error) = one.read_to_end();
        assert!(error.is_none() && all == [&file.1[..], b"the end"].concat());
    });
}

#[test]
fn a_file_for_a_peer_that_is_gone_is_an_error_and_no_signal() {
    let name = "send_file::a_file_for_a_peer_that_is_gone_is_an_error_and_no_signal";
    in_own_process(name, || {
        use nix::sys::signal::{SigHandler, Signal, signal};
        // SAFETY: no handler is installed.
        #[allow(unsafe_code)]
        unsafe {
            signal(Signal::SIGPIPE, SigHandler::SigDfl).unwrap();
        }
        let file = TestFile::new("gone", SIZE);
        on_every_pair(|pair| {
            let mut one = One::new(pair, Over::Unix, sender(file.open(), 0..SIZE as u64));
            one.peer().write_all(b"1").unwrap();
            one.peer = None;
            let kind = match one.until_closed().pop() {
                Some(Call::Closed(Why::Failed(kind))) => kind,
                other => panic!("{other:?}"),
            };
            assert!(matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
        });
    });
}
