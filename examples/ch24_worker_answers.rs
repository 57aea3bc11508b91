//! Chapter 24, work that leaves the loop and comes back.
//!
//! Question: how does a worker thread give its answer to the client?
//!
//! Run: `cargo run --example ch24_worker_answers`
//!
//! Try: a pool with a single worker and a queue of length 0, and three slow clients.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, ThreadId};

use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
use tripoll::pool::Pool;
use tripoll::{Context, Reactor};

/// The answers that workers have sent, each for its connection, and what is to be printed.
struct Shared {
    pool: Arc<Pool>,
    loop_thread: ThreadId,
    /// A slow calculation is over when it receives something.
    gate: Option<Receiver<()>>,
}

/// Answers `quick` in the loop, and `slow` with the help of a worker.
#[derive(Default)]
struct Answers {
    answer: Option<String>,
}

impl Protocol<Shared> for Answers {
    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Shared>,
    ) -> io::Result<usize> {
        if data == b"quick" {
            wire.write(b"done");
            return Ok(data.len());
        }
        let (token, gate) = (wire.token(), cx.state.gate.take());
        let work = move || {
            gate.map(|gate| gate.recv()); // it takes its time, on a thread of its own
            thread::current().id()
        };
        let pool = Arc::clone(&cx.state.pool);
        pool.submit_for(&cx.handle(), work, move |result, cx| {
            let worker = result.expect("the work does not panic");
            let is_in_loop = thread::current().id() == cx.state.loop_thread;
            println!("    the answer is back in the loop: {is_in_loop}");
            println!("    it was made in the loop: {}", worker == cx.state.loop_thread);
            // The client may have left, and another one may have its place. The token then names none.
            println!("    its client is still there: {}", cx.notify(token).is_ok());
        })?;
        self.answer = Some("worked out".into());
        Ok(data.len())
    }

    fn notified(&mut self, wire: &mut Wire, _: &mut Context<Shared>) -> io::Result<()> {
        wire.write(self.answer.take().unwrap_or_default().as_bytes());
        Ok(())
    }

    fn closed(&mut self, _: &Closed, cx: &mut Context<Shared>) {
        if cx.is_empty() {
            cx.stop();
        }
    }
}

fn main() -> io::Result<()> {
    let pool = Arc::new(Pool::new(1, 1)?);
    println!("a slow client and a quick one:");
    run(&pool, |mut slow, mut quick, finish| {
        slow.write_all(b"slow")?;
        quick.write_all(b"quick")?;
        quick.read_exact(&mut [0; 4])?;
        println!("    the quick one has its answer, and the slow one is still waiting");
        finish()?;
        let mut answer = [0; 10];
        slow.read_exact(&mut answer)?;
        println!("    the slow one: {:?}", String::from_utf8_lossy(&answer));
        Ok(())
    })?;
    println!("a slow client that does not wait:");
    run(&pool, |mut slow, mut quick, finish| {
        slow.write_all(b"slow")?;
        drop(slow);
        for _ in 0..2 {
            quick.write_all(b"quick")?; // two turns: by then the loop has seen the end of the slow one
            quick.read_exact(&mut [0; 4])?;
        }
        finish()
    })
}

/// Serves two clients, which live on another thread, until both have left and the work is done.
fn run(
    pool: &Arc<Pool>,
    clients: impl FnOnce(UnixStream, UnixStream, &dyn Fn() -> io::Result<()>) -> io::Result<()>
    + Send
    + 'static,
) -> io::Result<()> {
    let (opened, gate) = channel();
    let (loop_thread, gate) = (thread::current().id(), Some(gate));
    let state = Shared { pool: Arc::clone(pool), loop_thread, gate };
    let mut reactor = Reactor::builder().build_with(state)?;
    let (mine, slow) = UnixStream::pair()?;
    let (other, quick) = UnixStream::pair()?;
    for stream in [mine, other] {
        Connection::new(Answers::default()).serve(Stream::from(stream), &mut reactor.context())?;
    }
    let pool = Arc::clone(pool);
    let clients = thread::spawn(move || {
        clients(slow, quick, &|| {
            opened.send(()).map_err(io::Error::other)?;
            while pool.jobs() > 0 {
                thread::yield_now(); // so that the second part sees its answer before the loop ends
            }
            Ok(())
        })
    });
    reactor.run()?;
    clients.join().expect("it does not panic")
}
