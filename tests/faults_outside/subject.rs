//! The servers, and a client of each.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{self, Command};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use support::example::example;

/// A server: a program with its arguments.
#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    program: &'static str,
    arguments: &'static str,
    /// What a client does who wants to be served.
    client: fn(&str) -> io::Result<()>,
}

impl Subject {
    /// Returns the command that starts it at a free address.
    pub fn command(&self) -> Command {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = match self.program {
            "line_unixgram" => format!("@tripoll-fault-{}-{number}", process::id()),
            _ => "127.0.0.1:0".into(),
        };
        let mut command = example(self.program);
        command.args(["--listen", &address]).args(self.arguments.split_whitespace());
        if self.program == "proxy" {
            command.args(["--to", upstream()]);
        }
        command
    }

    /// Asks to be served, for a limited time.
    pub fn ask(&self, address: &str) -> io::Result<()> {
        (self.client)(address)
    }
}

/// Returns the address of an echo in this process, to which a proxy connects.
fn upstream() -> &'static str {
    static ADDRESS: LazyLock<String> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                thread::spawn(move || io::copy(&mut client.try_clone()?, &mut client));
            }
        });
        address
    });
    &ADDRESS
}

/// The programs: echo on each backend, and the other kinds of servers.
pub const SUBJECTS: &[Subject] = &[
    tcp("echo select", "echo", "--backend select"),
    tcp("echo poll", "echo", "--backend poll"),
    tcp("echo epoll", "echo", "--backend epoll"),
    tcp("echo epoll edge", "echo", "--backend epoll --trigger edge"),
    tcp("echo mio", "echo", "--backend mio"),
    Subject { name: "broadcast", program: "broadcast", arguments: "", client: chat },
    Subject { name: "http", program: "http", arguments: "--root .", client: http },
    Subject { name: "chat", program: "chat", arguments: "", client: who },
    tcp("proxy", "proxy", "--connect-timeout 1"),
    Subject { name: "redis", program: "redis", arguments: "", client: redis },
    Subject { name: "inspect", program: "inspect", arguments: "", client: inspect },
    tcp("embed epoll", "embed", "--backend epoll"),
    tcp("embed poll", "embed", "--backend poll"),
    tcp("reload", "reload", ""),
    Subject { name: "keep_alive", program: "keep_alive", arguments: "", client: numbered },
    tcp("loops", "loops", ""),
    tcp("loops reuse-port", "loops", "--distribution reuse-port"),
    tcp("loops shared-listener", "loops", "--distribution shared-listener"),
    tcp("timestamp", "timestamp", ""),
    tcp("timestamp --concurrent", "timestamp", "--concurrent"),
    tcp("message_dict", "message_dict", ""),
    tcp("select_rw", "select_rw", ""),
    Subject { name: "multiport", program: "multiport", arguments: "", client: greeted },
    tcp("upper_loop", "upper_loop", ""),
    tcp("line_tcp reactor", "line_tcp", "--concurrency reactor"),
    tcp("inline", "line_tcp", "--concurrency inline"),
    tcp("threading", "line_tcp", "--concurrency threading"),
    tcp("forking", "line_tcp", "--concurrency forking"),
    tcp("pooled", "line_tcp", "--concurrency pooled"),
    tcp("serve_in_pool", "menu_select_threads", "--pool 2"),
    Subject {
        name: "full pool",
        program: "menu_select_threads",
        arguments: "--pool 1",
        client: crowd,
    },
    udp("line_udp reactor", "line_udp", "--concurrency reactor"),
    udp("line_udp threading", "line_udp", "--concurrency threading"),
    udp("line_udp forking", "line_udp", "--concurrency forking"),
    Subject {
        name: "line_unixgram reactor",
        program: "line_unixgram",
        arguments: "--concurrency reactor",
        client: unix_datagram,
    },
    Subject {
        name: "line_unixgram pooled",
        program: "line_unixgram",
        arguments: "--concurrency pooled",
        client: unix_datagram,
    },
];

const fn tcp(name: &'static str, program: &'static str, arguments: &'static str) -> Subject {
    Subject { name, program, arguments, client: line }
}

const fn udp(name: &'static str, program: &'static str, arguments: &'static str) -> Subject {
    Subject { name, program, arguments, client: datagram }
}

/// The program with all its faults, to see that they are found.
pub const LITERAL: Subject = tcp("literal", "message_dict_literal", "");

/// How long a client waits for its answer. It then tries again.
const PATIENCE: Duration = Duration::from_secs(2);

fn connect(address: &str) -> io::Result<TcpStream> {
    let client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    Ok(client)
}

/// Sends a line, and reads what begins with an answer of any kind.
fn line(address: &str) -> io::Result<()> {
    let mut client = connect(address)?;
    client.write_all(b"hello\n")?;
    client.read_exact(&mut [0; 6])
}

/// Reads what every client gets.
fn greeted(address: &str) -> io::Result<()> {
    let mut client = connect(address)?;
    client.read_exact(&mut [0; "hello".len()])
}

/// Asks for a text and for a file, and reads what begins with an answer to both.
fn http(address: &str) -> io::Result<()> {
    let mut client = connect(address)?;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let plain = get("/pipeline").replace("Connection: close\r\n", "");
    client.write_all((plain + &get("/Cargo.toml")).as_bytes())?;
    let mut answers = String::new();
    client.read_to_string(&mut answers)?;
    let is_answered = answers.matches("HTTP/1.1 200 OK\r\n").count() == 2;
    if is_answered { Ok(()) } else { Err(io::Error::other(answers)) }
}

/// Has two lines numbered, the second one after the client was parked.
fn numbered(address: &str) -> io::Result<()> {
    let mut client = connect(address)?;
    client.read_exact(&mut [0; "hello\n".len()])?;
    for number in 1..=2 {
        client.write_all(b"a\n")?;
        let mut answer = [0; "1: a\n".len()];
        client.read_exact(&mut answer)?;
        if answer[0] != b'0' + number {
            return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
        }
    }
    Ok(())
}

/// Asks for the page, and for the text that Prometheus scrapes.
fn inspect(address: &str) -> io::Result<()> {
    for path in ["/", "/connections", "/metrics"] {
        let mut client = connect(address)?;
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 200 OK\r\n") {
            return Err(io::Error::other(answer));
        }
    }
    Ok(())
}

/// Sets a value that expires, and asks for it, in one packet.
fn redis(address: &str) -> io::Result<()> {
    let mut client = connect(address)?;
    client.write_all(b"SET name bob EX 60\r\nGET name\r\nQUIT\r\n")?;
    let mut replies = String::new();
    client.read_to_string(&mut replies)?;
    let is_answered = replies == "+OK\r\n$3\r\nbob\r\n+OK\r\n";
    if is_answered { Ok(()) } else { Err(io::Error::other(replies)) }
}

/// More clients at the same time than a pool of one and its queue of 64 take.
fn crowd(address: &str) -> io::Result<()> {
    let crowd = (0..70).map(|_| connect(address)).collect::<io::Result<Vec<_>>>()?;
    let served = (&crowd[0]).read_exact(&mut [0; 6]);
    drop(crowd);
    served?;
    line(address)
}

/// Asks which guests are there, and leaves.
fn who(address: &str) -> io::Result<()> {
    let mut client = connect(address)?;
    client.write_all(b"/who\n/quit\n")?;
    let mut replies = String::new();
    client.read_to_string(&mut replies)?;
    if replies.contains("here: ") { Ok(()) } else { Err(io::Error::other(replies)) }
}

/// Two members of a room, of whom one hears the other.
fn chat(address: &str) -> io::Result<()> {
    let (mut one, mut other) = (connect(address)?, connect(address)?);
    // Each hears the other, once both have been accepted.
    other.set_read_timeout(Some(Duration::from_millis(50)))?;
    for _ in 0..40 {
        one.write_all(b"hello\n")?;
        match other.read_exact(&mut [0; 6]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            heard => return heard,
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn datagram(address: &str) -> io::Result<()> {
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(address)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.send(b"hello\n")?;
    client.recv(&mut [0; 6]).map(drop)
}

fn unix_datagram(address: &str) -> io::Result<()> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let abstract_name = |name: &str| SocketAddr::from_abstract_name(name);
    let name = format!("tripoll-fault-client-{}-{number}", process::id());
    let client = UnixDatagram::bind_addr(&abstract_name(&name)?)?;
    client.connect_addr(&abstract_name(address.trim_start_matches('@'))?)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.send(b"hello\n")?;
    client.recv(&mut [0; 6]).map(drop)
}
