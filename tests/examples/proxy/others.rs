//! The proxy beside other programs: haproxy and socat, where they are installed.

use super::*;

/// A program that is killed when this is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that listens. Returns `None`, after a word, if it is not installed.
fn start_other(name: &str, arguments: &[&str], input: &str) -> Option<Program> {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        let _ = writeln!(io::stderr(), "proxy: {name} is not installed; skipped");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(Program(child))
}

/// Connects as soon as a program listens.
fn connect_to(port: u16) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    await_that("it listens", || TcpStream::connect(address).is_ok());
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.set_write_timeout(Some(LONG)).unwrap();
    client
}

/// Returns a port that is free, and that the kernel gives to no client.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + (std::process::id() % 500) as u16 * 20;
        let port = 20_000 + number % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn haproxy_in_front_and_behind_tells_and_is_told_the_client() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        for version in ["v1", "v2"] {
            // client → haproxy → proxy → haproxy → upstream
            let (front, back) = (free_port(), free_port());
            let behind = format!("127.0.0.1:{back}");
            let options = ["--proxy-in", "--proxy-out", version];
            let mut server = start(backend, trigger, &behind, &options);
            let send = if version == "v1" { "send-proxy" } else { "send-proxy-v2" };
            let config = format!(
                "defaults\n mode tcp\n timeout client 30s\n timeout server 30s\n timeout connect 30s\n\
                 listen front\n bind 127.0.0.1:{front}\n server s {} {send}\n\
                 listen back\n bind 127.0.0.1:{back} accept-proxy\n server s {to} send-proxy\n",
                server.address
            );
            let Some(_haproxy) = start_other("haproxy", &["-f", "/dev/stdin"], &config) else {
                return;
            };
            await_that("it listens", || TcpStream::connect(&behind).is_ok());
            let mut client = connect_to(front);
            let source = client.local_addr().unwrap();
            client.write_all(b"hello").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let expected =
                write(Version::V1, Some(Ends { source, destination: client.peer_addr().unwrap() }));
            // `await_that` has left connections without bytes.
            let received = loop {
                let mut upstream = accept(&listener);
                let mut received = Vec::new();
                let _ = upstream.read_to_end(&mut received); // these may be reset
                if received.ends_with(b"hello") {
                    upstream.write_all(b"welcome").unwrap();
                    break received;
                }
            };
            assert_eq!(received, [&expected[..], b"hello"].concat(), "{}", received.escape_ascii());
            assert_eq!(read_all(&mut client), b"welcome");
            assert_eq!(server.stop(Signal::TERM).status.code(), Some(0));
        }
    });
}

#[test]
fn socat_in_front_and_behind_passes_half_closes() {
    on_every_backend(|backend, trigger| {
        let (front, back) = (free_port(), free_port());
        let behind = format!("127.0.0.1:{back}");
        let mut server = start(backend, trigger, &behind, &[]);
        let listen = |port| format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr");
        let to = |address: &str| format!("TCP:{address}");
        let first = start_other("socat", &["-t30", &listen(front), &to(&server.address)], "");
        let second = start_other("socat", &["-t30", &listen(back), &to(echo())], "");
        if first.is_none() || second.is_none() {
            return;
        }
        await_that("it listens", || TcpStream::connect(&behind).is_ok());
        let mut client = connect_to(front);
        let bytes = known_bytes(2, 1 << 20);
        let mut writer = client.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&bytes).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            assert!(read_all(&mut client) == bytes);
        });
        assert_eq!(server.stop(Signal::TERM).status.code(), Some(0));
    });
}

// Hostile clients.
