//! The files of the program, on every backend and trigger.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{Advice, CWD, FileType, Mode, fadvise, mknodat};
use rustix::process::Signal;
use support::example::{Server, on_every_backend};
use support::{Pair, pattern};
use tripoll::{Backend, Trigger};

use crate::cases::{LAST, LETTERS, MODIFIED, PLAIN, Response, file_cases, responses};
use crate::clients::assert_served;

/// More than the buffers of both ends hold.
pub const LARGE: usize = 20 << 20;

/// As much as a client reads in the time that a server has to end, on a busy machine too.
const MEDIUM: usize = 5 << 20;

/// A folder, which is removed when this is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tripoll-http-{}-{number}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.root().join("sub")).unwrap();
        let secret = folder.0.join("secret.txt");
        for (path, content) in [
            (folder.root().join("index.html"), b"the index".as_slice()),
            (folder.root().join("sub/index.html"), b"another index"),
            (folder.root().join("a b.txt"), b"a text"),
            (folder.root().join("empty.css"), b""),
            (folder.root().join("letters.txt"), LETTERS.as_bytes()),
            (folder.root().join("empty.txt"), b""),
            (folder.root().join("large.bin"), pattern(LARGE)),
            (folder.root().join("medium.bin"), &pattern(LARGE)[..MEDIUM]),
            (secret.clone(), b"a secret"),
        ] {
            fs::write(path, content).unwrap();
        }
        let modified = UNIX_EPOCH + Duration::from_secs(MODIFIED);
        for name in ["letters.txt", "empty.txt"] {
            let file = fs::File::options().write(true).open(folder.root().join(name)).unwrap();
            file.set_modified(modified).unwrap();
        }
        symlink("a b.txt", folder.root().join("link")).unwrap();
        symlink("../secret.txt", folder.root().join("way-out")).unwrap();
        symlink(secret, folder.root().join("sub/way-out")).unwrap();
        symlink("..", folder.root().join("up")).unwrap();
        let fifo = folder.root().join("fifo");
        mknodat(CWD, fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        folder
    }

    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn serve(&self, backend: Backend, trigger: Trigger) -> Server {
        let mut command = support::example::example("http");
        command.args(support::example::arguments("127.0.0.1:0", backend, trigger));
        Server::start_with(command.arg("--root").arg(self.root()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Sends requests, of which the last is [`LAST`], and returns the responses to the others.
pub fn ask(mut client: TcpStream, requests: &str) -> Vec<Response> {
    let mut output = Vec::new();
    client.write_all(format!("{requests}{LAST}").as_bytes()).unwrap();
    client.read_to_end(&mut output).unwrap();
    let mut answers =
        responses(&output, |index| index == 0 && requests.starts_with("HEAD")).unwrap();
    assert_eq!(answers.pop().unwrap().body, b"ok");
    answers
}

#[test]
fn files_are_served_with_their_types() {
    let folder = Folder::new();
    on_every_backend(|backend, trigger| {
        let mut server = folder.serve(backend, trigger);
        let fds = server.fds_at_start;
        for (path, body, kind) in [
            ("/", b"the index".as_slice(), "text/html; charset=utf-8"),
            ("/index.html", b"the index", "text/html; charset=utf-8"),
            ("/sub/", b"another index", "text/html; charset=utf-8"),
            ("/sub/../sub/./index.html?x", b"another index", "text/html; charset=utf-8"),
            ("/a%20b.txt", b"a text", "text/plain; charset=utf-8"),
            ("/link", b"a text", "application/octet-stream"),
            ("/empty.css", b"", "text/css; charset=utf-8"),
            ("/large.bin", pattern(LARGE), "application/octet-stream"),
        ] {
            let answers = ask(server.connect(), &get(path));
            assert_eq!((answers.len(), answers[0].status), (1, 200), "{path}");
            assert!(answers[0].body == body, "{path}: {} bytes", answers[0].body.len());
            assert!(answers[0].has_field(&format!("Content-Type: {kind}")), "{path}");
        }
        let answers = ask(server.connect(), &get("/large.bin").replace("GET", "HEAD"));
        assert_eq!((answers.len(), answers[0].status), (1, 200));
        assert!(answers[0].has_field(&format!("Content-Length: {LARGE}")));
        support::await_that("the server closes its files", || server.fds() == fds);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn parts_of_files_are_served_and_versions_that_the_client_has_are_not() {
    let folder = Folder::new();
    on_every_backend(|backend, trigger| {
        let server = folder.serve(backend, trigger);
        for case in file_cases() {
            let path = if case.content().is_empty() { "/empty.txt" } else { "/letters.txt" };
            let mut client = server.connect();
            client.write_all(format!("{}{LAST}", case.request(path)).as_bytes()).unwrap();
            let mut output = Vec::new();
            client.read_to_end(&mut output).unwrap();
            case.check(&output);
        }
        let range = get("/large.bin").replace("Host", "Range: bytes=1000000-10999999\r\nHost");
        let answers = ask(server.connect(), &range);
        assert_eq!((answers.len(), answers[0].status), (1, 206));
        assert!(answers[0].body == pattern(LARGE)[1_000_000..11_000_000]);
    });
}

#[test]
fn no_path_leads_out_of_the_root() {
    let folder = Folder::new();
    on_every_backend(|backend, trigger| {
        let server = folder.serve(backend, trigger);
        for path in ["/nothing", "/sub", "/index.html/", "/way-out", "/sub/way-out", "/fifo"] {
            assert_eq!(ask(server.connect(), &get(path))[0].status, 404, "{path}");
        }
        for path in ["/up/secret.txt", "/up/", "/proc/self/environ", "/\\..\\secret.txt"] {
            let mut client = server.connect();
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).unwrap();
            let mut output = String::new();
            client.read_to_string(&mut output).unwrap();
            assert!(output.starts_with("HTTP/1.1 40"), "{path}: {output}");
        }
        for path in ["/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fx"] {
            let mut client = server.connect();
            client.write_all(get(path).as_bytes()).unwrap();
            let mut output = String::new();
            client.read_to_string(&mut output).unwrap();
            assert!(output.starts_with("HTTP/1.1 400 "), "{path}: {output}");
        }
    });
}

#[test]
fn files_in_a_pipeline_are_answered_in_order() {
    let folder = Folder::new();
    on_every_backend(|backend, trigger| {
        let server = folder.serve(backend, trigger);
        let (large, small) = (get("/large.bin"), get("/a%20b.txt"));
        let requests = format!("{small}{PLAIN}{large}{}{small}{large}{PLAIN}", get("/nothing"));
        let answers = ask(server.connect(), &requests);
        let lengths: Vec<_> =
            answers.iter().map(|answer| (answer.status, answer.body.len())).collect();
        let large = (200, LARGE);
        assert_eq!(lengths, [(200, 6), (200, 13), large, (404, 0), (200, 6), large, (200, 13)]);
        assert!(answers[2].body == pattern(LARGE) && answers[5].body == pattern(LARGE));
    });
}

#[test]
fn a_file_that_the_kernel_has_not_in_memory_is_served() {
    let folder = Folder::new();
    on_every_backend(|backend, trigger| {
        let server = folder.serve(backend, trigger);
        for path in ["letters.txt", "large.bin"] {
            let file = fs::File::open(folder.root().join(path)).unwrap();
            file.sync_all().unwrap();
            // A file system in memory ignores this.
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            let requests = format!("{}{}", get(&format!("/{path}")), get("/a%20b.txt"));
            let answers = ask(server.connect(), &requests);
            assert!(answers[0].body == fs::read(folder.root().join(path)).unwrap(), "{path}");
            assert_eq!(answers[1].body, b"a text");
        }
    });
}

#[test]
fn a_client_that_half_closes_gets_the_whole_file() {
    let folder = Folder::new();
    on_every_backend(|backend, trigger| {
        let server = folder.serve(backend, trigger);
        let mut client = server.connect();
        client.write_all(get("/large.bin").as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut output = Vec::new();
        client.read_to_end(&mut output).unwrap();
        assert!(output.ends_with(pattern(LARGE)), "{} bytes", output.len());
    });
}

#[test]
fn clients_that_do_not_read_their_file_take_no_memory() {
    let folder = Folder::new();
    // One pair after the other: the files fill the kernel's buffers.
    for pair in Pair::all() {
        let server = folder.serve(pair.backend, pair.trigger);
        assert_eq!(ask(server.connect(), &get("/a%20b.txt"))[0].status, 200);
        let (fds, memory) = (server.fds_at_start, server.memory());
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.write_all(get("/large.bin").as_bytes()).unwrap();
        }
        // Each connection, with its file.
        support::await_that("the files are open", || server.fds() >= fds + 2 * clients.len());
        assert_served(&mut server.connect());
        let grown = server.memory().saturating_sub(memory);
        assert!(grown < 4 << 10, "by {grown} KiB, on {pair}");
        drop(clients);
        support::await_that("the server closes", || server.fds() == fds);
    }
}

#[test]
fn a_signal_ends_it_after_the_file() {
    let folder = Folder::new();
    // One pair after the other, since a server that ends has little time.
    for pair in Pair::all() {
        let mut server = folder.serve(pair.backend, pair.trigger);
        let mut client = server.connect();
        client.write_all(get("/medium.bin").as_bytes()).unwrap();
        client.peek(&mut [0]).unwrap();
        server.signal(Signal::TERM);
        let mut output = Vec::new();
        client.read_to_end(&mut output).unwrap();
        assert!(output.ends_with(&pattern(LARGE)[..MEDIUM]), "{} bytes", output.len());
        drop(client);
        server.end().assert_graceful();
    }
}

#[test]
fn a_root_that_is_not_there_ends_it_with_1_and_its_name() {
    let root = Path::new("/nowhere/at/all");
    let arguments = ["--listen", "127.0.0.1:0", "--root", root.to_str().unwrap()];
    let output = support::example::run("http", &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/nowhere/at/all: No such file or directory"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
