//! Chapter 23, a handler that takes its time.
//!
//! Question: one client asks for something slow. Why do all the others wait?
//!
//! Run: `cargo run --example ch23_slow_handler`
//!
//! Try: let the slow client come last.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use tripoll::net::{Connection, Protocol, Stream, Wire};
use tripoll::{Context, Reactor};

/// What a slow request costs: a calculation, a query, a file on a slow disk.
const SLOW: Duration = Duration::from_millis(200);

/// Answers `quick` at once, and `slow` after a while, which it spends in the loop.
struct Answers;

impl Protocol for Answers {
    fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        if data == b"slow" {
            thread::sleep(SLOW);
        }
        wire.write(b"done");
        Ok(data.len())
    }
}

fn main() -> io::Result<()> {
    for requests in [["quick", "quick", "quick"], ["slow", "quick", "quick"]] {
        println!("the requests: {}", requests.join(", "));
        let mut reactor = Reactor::new()?;
        let mut clients = Vec::new();
        for request in requests {
            let (mine, mut client) = UnixStream::pair()?;
            Connection::new(Answers).serve(Stream::from(mine), &mut reactor.context())?;
            client.write_all(request.as_bytes())?;
            clients.push(thread::spawn(move || -> io::Result<Duration> {
                let begin = Instant::now();
                client.read_exact(&mut [0; 4])?;
                Ok(begin.elapsed())
            }));
        }
        let handle = reactor.handle();
        let observer = thread::spawn(move || {
            let times: io::Result<Vec<_>> =
                clients.into_iter().map(|client| client.join().expect("no panic")).collect();
            handle.stop();
            times
        });
        reactor.run()?;
        for (request, time) in requests.iter().zip(observer.join().expect("no panic")?) {
            let waited = if time >= SLOW / 2 { "200 ms" } else { "a moment" };
            println!("    {request:5} is answered after {waited}");
        }
    }
    Ok(())
}
