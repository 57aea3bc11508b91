//! The Python listings that the lab shows beside its handlers are programs, and serve what they say.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The handlers whose listings have no fault on purpose.
const LISTINGS: &[(&str, &str)] = &[
    ("correct", include_str!("../src/live/handlers/correct.py")),
    ("pool", include_str!("../src/live/handlers/pool.py")),
    ("broadcast", include_str!("../src/live/handlers/broadcast.py")),
];

/// The limit of descriptors of a listing, in which some twenty clients find room.
const LIMIT: usize = 32;

struct Listing {
    child: Child,
    address: SocketAddr,
}

impl Listing {
    /// Starts a listing on a free port. `None` if there is no Python.
    fn start(program: &str) -> Option<Self> {
        let said = "sk1.listen()\nprint(sk1.getsockname()[1], flush=True)";
        let program = program.replace("8001", "0").replace("sk1.listen()", said);
        let version = Command::new("python3").arg("--version").output();
        if !version.is_ok_and(|it| it.status.success()) {
            eprintln!("python3 is missing: the listings are not run");
            return None;
        }
        let limited = format!("ulimit -n {LIMIT}; exec python3 -c \"$0\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, &program]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().expect("it says its port");
        Some(Listing { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// Sends a line and reads until it comes back. In a room, lines of others may come before it.
#[track_caller]
fn assert_served(mut client: &TcpStream, name: &str, line: &str) {
    client.write_all(format!("{line}\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(client).lines();
    let is_served = lines.any(|it| it.unwrap_or_else(|error| panic!("{name}: {error}")) == line);
    assert!(is_served, "{name} has closed the connection that has sent {line}");
}

#[test]
fn a_listing_serves_after_ends_and_resets_and_a_shortage_of_descriptors() {
    for (name, program) in LISTINGS {
        let Some(mut listing) = Listing::start(program) else { return };
        assert_served(&listing.connect(), name, "it ends");
        let client = listing.connect();
        assert_served(&client, name, "it resets");
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        (&client).write_all(b"no answer is read\n").unwrap();
        drop(client);
        let old = listing.connect();
        assert_served(&old, name, "old");

        // More clients than there are descriptors. The others wait in the backlog.
        let clients: Vec<_> = (0..LIMIT).map(|_| listing.connect()).collect();
        assert_served(&old, name, "still here");
        assert_served(&clients[0], name, "first");
        assert!(listing.child.try_wait().unwrap().is_none(), "{name} has ended");
        let last = clients.into_iter().next_back().unwrap(); // all others leave
        assert_served(&last, name, "last");
    }
}

#[test]
fn each_mark_of_a_handler_stands_beside_a_line_of_its_listing() {
    let sources = [
        include_str!("../src/live/handlers/correct.rs"),
        include_str!("../src/live/handlers/pool.rs"),
        include_str!("../src/live/handlers/broadcast.rs"),
    ];
    for ((name, listing), source) in LISTINGS.iter().zip(sources) {
        let lines: Vec<&str> = listing.lines().collect();
        let marked = |call: &str| -> Vec<&str> {
            let rust: Vec<&str> = source.lines().collect();
            let mark = |at: usize| {
                let number = rust[at].trim().strip_prefix("mark!(")?.strip_suffix(");")?;
                let after = rust[at + 1..].iter().take(3).any(|line| line.contains(call));
                after.then(|| lines[number.parse::<usize>().unwrap() - 1])
            };
            (0..rust.len()).filter_map(mark).collect()
        };
        for (rust, python) in [
            (".turn(", "select.select("),
            (".accept(", ".accept()"),
            (".read(", ".recv("),
            (".write(", ".send("),
        ] {
            let marked = marked(rust);
            assert_eq!(marked.len(), 1, "{name}: {rust}");
            assert!(marked[0].contains(python), "{name}: {rust} is {:?}", marked[0]);
        }
    }
}
