//! `image`: uploads that succeed and uploads that fail, on every backend and trigger.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::hostile::{self, Subject, assert_ends, assert_idle};
use rustix::process::Signal;
use support::example::{Server, arguments, example, in_shell, on_every_backend};
use support::sockets::reset;
use support::{await_that, pattern};
use tripoll::{Backend, Trigger};

const IMAGE: Subject = Subject { name: "image", arguments: &[], assert_served: assert_refused };

/// A friendly client: it is greeted, and a wrong size is refused, which writes no file.
fn assert_refused(client: &mut TcpStream) {
    expect(client, b"welcome to conair");
    client.write_all(b"much").unwrap();
    assert_ends(client.try_clone().unwrap());
}

#[track_caller]
fn expect(client: &mut TcpStream, text: &[u8]) {
    let mut said = vec![0; text.len()];
    client.read_exact(&mut said).unwrap();
    assert_eq!(said, text);
}

/// A server in a directory of its own.
struct Gallery {
    server: Server,
    directory: Directory,
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Deref for Gallery {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Gallery {
    fn open(backend: Backend, trigger: Trigger) -> Gallery {
        Gallery::open_with(backend, trigger, &[], |command| command)
    }

    /// Opens one with further arguments, and with a command that is made of the usual one.
    fn open_with(
        backend: Backend,
        trigger: Trigger,
        further: &[&str],
        wrap: impl FnOnce(Command) -> Command,
    ) -> Gallery {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tripoll-image-{}-{number}", std::process::id());
        let directory = Directory(std::env::temp_dir().join(name));
        fs::create_dir(&directory.0).unwrap();
        let mut command = example("image");
        command.args(arguments("127.0.0.1:0", backend, trigger)).args(further);
        let mut command = wrap(command);
        command.current_dir(&directory.0);
        Gallery { server: Server::start_with(&mut command), directory }
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[track_caller]
    fn assert_shows(&self, picture: &[u8]) {
        assert!(fs::read(self.directory.0.join("new.jpg")).unwrap() == picture);
        assert_eq!(self.files(), ["new.jpg"]);
    }

    /// Connects a client that has announced `size` bytes and has got its `ko`.
    fn announce(&self, size: usize) -> TcpStream {
        let mut client = self.connect();
        expect(&mut client, b"welcome to conair");
        client.write_all(size.to_string().as_bytes()).unwrap();
        expect(&mut client, b"ko");
        client
    }

    /// Uploads a picture as the tutorial's client does.
    fn upload(&self, picture: &[u8]) {
        let mut client = self.announce(picture.len());
        client.write_all(picture).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server finishes by itself");
    }
}

#[test]
fn a_picture_of_any_size_becomes_new_jpg() {
    on_every_backend(|backend, trigger| {
        let mut gallery = Gallery::open(backend, trigger);
        for size in [1, 1_023, 1_024, 1_025, 3 << 20, 0, 7] {
            gallery.upload(pattern(size));
            gallery.assert_shows(pattern(size));
        }
        gallery.server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_wrong_size_is_refused() {
    on_every_backend(|backend, trigger| {
        let gallery = Gallery::open(backend, trigger);
        let bad: [&[u8]; 8] = [
            b"-1",
            b" 1",
            b"much",
            b"\xFF\xD8",
            "１".as_bytes(),
            b"99999999999999999999999999",
            b"268435457",
            &[b'9'; 5_000],
        ];
        for size in bad {
            let mut client = gallery.connect();
            expect(&mut client, b"welcome to conair");
            client.write_all(size).unwrap();
            assert_ends(client);
        }
        assert_eq!(gallery.files(), [""; 0]);
        gallery.upload(pattern(10));
        gallery.assert_shows(pattern(10));
    });
}

#[test]
fn size_and_picture_in_one_piece_and_a_byte_too_many() {
    on_every_backend(|backend, trigger| {
        let gallery = Gallery::open(backend, trigger);
        let picture = [b"\xFF\xD8", pattern(500)].concat();
        let mut client = gallery.connect();
        let piece = [picture.len().to_string().as_bytes(), &picture, b"and more"].concat();
        client.write_all(&piece).unwrap();
        expect(&mut client, b"welcome to conairko");
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        gallery.assert_shows(&picture);

        let mut client = gallery.announce(2_000);
        client.write_all(pattern(5_000)).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        gallery.assert_shows(pattern(2_000));
    });
}

#[test]
fn many_at_once_and_each_is_whole() {
    on_every_backend(|backend, trigger| {
        let gallery = Gallery::open(backend, trigger);
        let size = |number: usize| 10_000 + number;
        let mut clients: Vec<_> = (0..20).map(|number| gallery.announce(size(number))).collect();
        for piece in 0..10 {
            for (number, client) in clients.iter_mut().enumerate() {
                let picture = pattern(size(number));
                let end = if piece == 9 { picture.len() } else { (piece + 1) * 1_000 };
                client.write_all(&picture[piece * 1_000..end]).unwrap();
            }
        }
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
        let shown = fs::read(gallery.directory.0.join("new.jpg")).unwrap();
        assert!((10_000..10_020).contains(&shown.len()) && shown == pattern(shown.len()));
        assert_eq!(gallery.files(), ["new.jpg"]);
    });
}

#[test]
fn an_upload_that_breaks_off_leaves_the_last_picture_alone() {
    on_every_backend(|backend, trigger| {
        let mut gallery = Gallery::open(backend, trigger);
        gallery.upload(pattern(100));
        for missing in [2_000, 1] {
            for leave in [drop as fn(TcpStream), reset, finish] {
                let mut client = gallery.announce(2_000);
                client.write_all(&pattern(2_000)[missing..]).unwrap();
                leave(client);
            }
        }
        await_that("they are forgotten", || gallery.fds() == gallery.fds_at_start);
        gallery.assert_shows(pattern(100));
        assert_idle(&gallery);

        let mut client = gallery.announce(2_000); // and the server leaves
        client.write_all(&pattern(2_000)[1..]).unwrap();
        await_that("it has begun", || gallery.files().len() == 2);
        gallery.server.stop(Signal::TERM).assert_graceful();
        gallery.assert_shows(pattern(100));
    });
}

fn finish(client: TcpStream) {
    client.shutdown(Shutdown::Write).unwrap();
    assert_ends(client);
}

#[test]
fn the_client_of_the_tutorial_uploads() {
    let gallery = Gallery::open(Backend::default(), Trigger::Level);
    let file = gallery.directory.0.with_extension("jpg");
    fs::write(&file, pattern(1 << 20)).unwrap();
    let run = |file: &Path| {
        let file = file.to_str().unwrap();
        support::example::run("client", &["image", file, "--connect", &gallery.address])
    };
    let output = run(&file);
    fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"welcome to conair\n");
    assert_eq!(output.stderr, b"1048576 bytes sent\n");
    gallery.assert_shows(pattern(1 << 20));
    assert_eq!(run(&file).status.code(), Some(1));
}

#[test]
fn a_directory_that_cannot_be_written_to_harms_that_client_alone() {
    let gallery = Gallery::open(Backend::default(), Trigger::Level);
    fs::remove_dir(&gallery.directory.0).unwrap();
    let mut client = gallery.connect();
    expect(&mut client, b"welcome to conair");
    client.write_all(b"5").unwrap();
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(rest.is_empty(), "{rest:?}");
    assert_refused(&mut gallery.connect());
}

/// The size of files has a limit, of which the kernel tells by a signal that ends a process.
#[test]
fn a_disk_that_takes_no_more_is_one_line_of_the_log_and_the_server_goes_on() {
    on_every_backend(|backend, trigger| {
        let small = |command| in_shell(&command, "ulimit -f 8; exec \"$0\" \"$@\"");
        let mut gallery = Gallery::open_with(backend, trigger, &[], small);
        gallery.upload(pattern(1_000));
        for _ in 0..3 {
            let mut client = gallery.announce(100_000);
            let _ = client.write_all(pattern(100_000)); // it may be reset meanwhile
            assert_ends(client);
        }
        await_that("they are removed", || gallery.files() == ["new.jpg"]);
        gallery.assert_shows(pattern(1_000));
        gallery.upload(pattern(2_000));
        gallery.assert_shows(pattern(2_000));
        let stopped = gallery.server.stop(Signal::TERM);
        assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
        let [line] = &stopped.log[..] else { panic!("{stopped:?}") };
        assert!(line.starts_with("a picture cannot be written: "), "{line}");
    });
}

#[test]
fn half_an_upload_is_removed_after_a_time() {
    on_every_backend(|backend, trigger| {
        let gallery = Gallery::open_with(backend, trigger, &["--timeout", "1"], |command| command);
        let mut half = gallery.announce(2_000);
        half.write_all(&pattern(2_000)[1..]).unwrap();
        let mut nothing = gallery.connect();
        expect(&mut nothing, b"welcome to conair");
        await_that("it has begun", || gallery.files().len() == 1);
        assert_ends(half);
        assert_ends(nothing);
        await_that("it is removed", || gallery.files().is_empty());
    });
}

#[test]
fn uploads_of_a_killed_server_are_removed_by_the_next_one() {
    let mut gallery = Gallery::open(Backend::default(), Trigger::Level);
    gallery.upload(pattern(100));
    let mut client = gallery.announce(2_000);
    client.write_all(&pattern(2_000)[1..]).unwrap();
    await_that("it has begun", || gallery.files().len() == 2);
    let other = gallery.directory.0.join("new.jpg.1-1"); // the first process lives
    fs::write(&other, b"").unwrap();
    gallery.server.stop(Signal::KILL);
    assert_eq!(gallery.files().len(), 3);

    let mut command = example("image");
    command.args(arguments("127.0.0.1:0", Backend::default(), Trigger::Level));
    gallery.server = Server::start_with(command.current_dir(&gallery.directory.0));
    fs::remove_file(&other).unwrap();
    gallery.assert_shows(pattern(100));
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(IMAGE);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(IMAGE);
}

#[test]
fn fifteen_hundred_clients_at_once_are_served() {
    hostile::fifteen_hundred_clients_at_once_are_served(IMAGE);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(IMAGE);
}
