//! Chapter 32, from this reactor to `async` and `await`.
//!
//! Question: what is missing between a handler and an `async fn`?
//!
//! Run: `cargo run --example ch32_async`
//!
//! Try: let `compute` wake its task before it has stored the result. What does the program do then?

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::mem::take;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread;

use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
use tripoll::selector::Token;
use tripoll::{Context, Reactor, ReactorHandle};

/// The conversation: one function from its beginning to its end, for one client.
async fn talk(io: Io) {
    io.write("your name?\n");
    let Some(name) = io.line().await else { return };
    io.write("a number?\n");
    let Some(number) = io.line().await else { return };
    let Ok(number) = number.parse() else { return io.write("that is no number\n") };
    let sum = compute(move || (1..=number).sum::<u64>()).await;
    io.write(&format!("{name}, the sum of 1 to {number} is {sum}\n"));
}

/// The bytes between a connection and its future.
#[derive(Default)]
struct Bytes {
    input: Vec<u8>,
    has_ended: bool,
    output: Vec<u8>,
}

/// The future's end of a connection.
#[derive(Clone, Default)]
struct Io(Rc<RefCell<Bytes>>);

impl Io {
    /// Returns the next line, or `None` at the end.
    async fn line(&self) -> Option<String> {
        poll_fn(|_| {
            let mut bytes = self.0.borrow_mut();
            match bytes.input.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    let line: Vec<u8> = bytes.input.drain(..=end).collect();
                    Poll::Ready(Some(String::from_utf8_lossy(&line[..end]).into_owned()))
                }
                None if bytes.has_ended => Poll::Ready(None),
                None => Poll::Pending, // the connection polls again when more has come
            }
        })
        .await
    }

    fn write(&self, text: &str) {
        self.0.borrow_mut().output.extend_from_slice(text.as_bytes());
    }
}

/// A protocol that is a future.
struct Task {
    io: Io,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Task {
    fn new<F: Future<Output = ()> + 'static>(talk: impl FnOnce(Io) -> F) -> Self {
        let io = Io::default();
        Task { future: Box::pin(talk(io.clone())), io }
    }

    /// Lets the future go on as far as it can, and sends what it has written.
    fn poll(&mut self, wire: &mut Wire, cx: &Context) -> io::Result<()> {
        let waker = Waker::from(Arc::new(Notify { handle: cx.handle(), token: wire.token() }));
        let state = self.future.as_mut().poll(&mut std::task::Context::from_waker(&waker));
        wire.write(&take(&mut self.io.0.borrow_mut().output));
        if state.is_ready() {
            wire.close();
        }
        Ok(())
    }
}

impl Protocol for Task {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context) -> io::Result<()> {
        self.poll(wire, cx)
    }

    fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context) -> io::Result<usize> {
        self.io.0.borrow_mut().input.extend_from_slice(data);
        self.poll(wire, cx)?;
        Ok(data.len())
    }

    fn ended(&mut self, wire: &mut Wire, _: &[u8], cx: &mut Context) -> io::Result<()> {
        self.io.0.borrow_mut().has_ended = true;
        self.poll(wire, cx)
    }

    fn notified(&mut self, wire: &mut Wire, cx: &mut Context) -> io::Result<()> {
        self.poll(wire, cx)
    }

    fn closed(&mut self, _: &Closed, cx: &mut Context) {
        cx.stop();
    }
}

/// A waker is a notification for one token, from any thread.
struct Notify {
    handle: ReactorHandle,
    token: Token,
}

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        println!("    a waker notifies the task");
        let _ = self.handle.notify(self.token); // the client may have left
    }
}

/// Does the work on a thread of its own, from the first poll on.
async fn compute(work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    let slot: Arc<Mutex<(Option<u64>, Option<Waker>)>> = Arc::default();
    let mut work = Some(work);
    poll_fn(|cx| {
        let mut here = slot.lock().expect("no panic");
        here.1 = Some(cx.waker().clone());
        if let Some(work) = work.take() {
            let there = Arc::clone(&slot);
            thread::spawn(move || {
                let result = work();
                let mut slot = there.lock().expect("no panic");
                slot.0 = Some(result);
                slot.1.take().map(Waker::wake)
            });
        }
        here.0.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

fn main() -> io::Result<()> {
    let (mine, mut client) = UnixStream::pair()?;
    let mut reactor = Reactor::new()?;
    Connection::new(Task::new(talk)).serve(Stream::from(mine), &mut reactor.context())?;
    let client = thread::spawn(move || -> io::Result<String> {
        for line in ["ann\n", "100", "0000\n"] {
            client.write_all(line.as_bytes())?;
        }
        let mut answers = String::new();
        client.read_to_string(&mut answers)?;
        Ok(answers)
    });
    println!("the client is served by an async function:");
    reactor.run()?;
    for answer in client.join().expect("it does not panic")?.lines() {
        println!("    {answer}");
    }
    Ok(())
}
