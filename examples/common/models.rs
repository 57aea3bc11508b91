//! The two clients of the five I/O models: the same for each program.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What the two clients have seen.
pub struct Conversation(JoinHandle<io::Result<Vec<&'static str>>>);

/// Connects two clients, ann and bob, and returns the server's ends. Bob sends at once. Ann sends
/// when bob is answered, or when he has waited for a tenth of a second.
pub fn two_clients() -> io::Result<([TcpStream; 2], Conversation)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let connect = || -> io::Result<_> {
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((client, listener.accept()?.0))
    };
    let (ann, for_ann) = connect()?;
    let (bob, for_bob) = connect()?;
    let clients = thread::spawn(move || converse(ann, bob));
    Ok(([for_ann, for_bob], Conversation(clients)))
}

fn converse(mut ann: TcpStream, mut bob: TcpStream) -> io::Result<Vec<&'static str>> {
    let mut seen = vec!["bob sends"];
    thread::sleep(Duration::from_millis(20)); // the server waits for both
    bob.write_all(b"bob")?;
    bob.set_read_timeout(Some(Duration::from_millis(100)))?;
    let answer = bob.read(&mut [0; 3]);
    match answer.as_ref().map_err(io::Error::kind) {
        Ok(_) => seen.push("bob is answered"),
        Err(ErrorKind::WouldBlock) => seen.push("bob waits"),
        Err(_) => return answer.map(|_| Vec::new()),
    }
    thread::sleep(Duration::from_millis(20));
    seen.push("ann sends");
    ann.write_all(b"ann")?;
    ann.read_exact(&mut [0; 3])?;
    seen.push("ann is answered");
    if answer.is_err() {
        bob.set_read_timeout(None)?;
        bob.read_exact(&mut [0; 3])?;
        seen.push("bob is answered");
    }
    Ok(seen)
}

impl Conversation {
    /// Prints what the clients have seen, and how many reads of the server found nothing.
    pub fn print(self, in_vain: u64) -> io::Result<()> {
        let seen = self.0.join().expect("the clients do not panic")?;
        println!("{}", seen.join(", "));
        let in_vain = match in_vain {
            0 => "none",
            1..=20 => "a few",
            _ => "many",
        };
        println!("reads that found nothing: {in_vain}");
        Ok(())
    }
}

/// Reads one message, and sends it back in capitals.
pub fn answer(mut client: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    let count = client.read(&mut buffer)?;
    client.write_all(&buffer[..count].to_ascii_uppercase())
}

/// As [`answer`], where nothing may have come. Returns whether the client was answered.
pub fn try_to_answer(client: &TcpStream) -> io::Result<bool> {
    match answer(client) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        other => other.map(|()| true),
    }
}
