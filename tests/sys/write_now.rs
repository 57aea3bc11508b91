//! `write_now`: it never blocks, whatever it writes to.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tripoll::sys::write_now;

/// Fills a file that blocks, and returns how many bytes it has taken.
fn fill(file: impl AsFd, piece: &[u8]) -> usize {
    let mut total = 0;
    loop {
        match write_now(&file, piece) {
            Ok(count) => total += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return total;
            }
        }
    }
}

#[test]
fn a_full_pipe_would_block_and_has_room_again_when_it_was_read() {
    for piece in [1, 100, 4_096, 100_000] {
        let (mut reader, writer) = io::pipe().unwrap();
        assert!(fill(&writer, &vec![b'x'; piece]) >= 4_096);
        reader.read_exact(&mut [0; 4_096]).unwrap();
        assert_eq!(write_now(&writer, b"hello").unwrap(), 5);
    }
}

#[test]
fn a_full_socket_would_block() {
    let (mine, mut theirs) = UnixStream::pair().unwrap();
    let sent = fill(&mine, &[b'x'; 1_000]);
    theirs.read_exact(&mut vec![0; sent]).unwrap();
    assert_eq!(write_now(&mine, b"hello").unwrap(), 5);
}

/// The terminal of a connection that has stalled. The room is not a multiple of what is written.
#[test]
fn a_terminal_that_no_process_reads_would_block() {
    for piece in [1, 77, 4_096] {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let name = ptsname(&main, Vec::new()).unwrap();
        let terminal = File::options().write(true).open(name.to_str().unwrap()).unwrap();
        let line = [vec![b'x'; piece], vec![b'\n']].concat();
        assert!(fill(&terminal, &line) > 0);
    }
}

#[test]
fn a_regular_file_is_written_at_its_position() {
    let path = std::env::temp_dir().join(format!("tripoll-write-now-{}", std::process::id()));
    let mut file = File::create_new(&path).unwrap();
    file.write_all(b"one ").unwrap();
    assert_eq!(write_now(&file, b"two ").unwrap(), 4);
    file.write_all(b"three").unwrap();
    assert_eq!(file.stream_position().unwrap(), 13);
    assert_eq!(fs::read(&path).unwrap(), b"one two three");
    fs::remove_file(&path).unwrap();
}

#[test]
fn errors_are_those_of_a_write() {
    let (reader, writer) = io::pipe().unwrap();
    let error = write_now(&reader, b"x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    drop(reader);
    assert_eq!(write_now(&writer, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(write_now(&full, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
}
