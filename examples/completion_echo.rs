//! An echo server by completion: `io_uring`, through the crate `compio-driver`.
//!
//! Run: `cargo run --example completion_echo -- --listen 127.0.0.1:8001`, then
//! `cargo run --example client -- chat --connect 127.0.0.1:8001`.
//!
//! Each client has one operation under way: a receive, or a send. The kernel has the buffer
//! meanwhile, and gives it back with the result. So each silent client holds a buffer.
//!
//! Try: `--one-buffer`. All clients then share one buffer, which is enough for a server by readiness.
//! The answers are right until two receives are complete at once.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Instant;

use clap::Parser;
use compio_buf::{BufResult, IntoInner};
use compio_driver::op::{Accept, Interest, PollOnce, Recv, Send};
use compio_driver::{Key, OpCode, Proactor, PushEntry};
use rustix::net::{RecvFlags, SendFlags};
use tripoll::net::{Address, ToAddress};
use tripoll::reactor::sources::Signals;

#[derive(Parser)]
struct Arguments {
    #[arg(long, value_name = "ADDR", value_parser = <str as ToAddress>::to_address)]
    listen: Address,
    /// One buffer for all clients: a mistake
    #[arg(long)]
    one_buffer: bool,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { listen, one_buffer } =
        common::read("Sends back what it receives, by completion", common::TCP);
    let Ok(proactor) = Proactor::new() else {
        println!("this kernel refuses io_uring");
        return Ok(());
    };
    let signals = common::signals()?;
    let listener = TcpListener::bind(listen.to_string())?;
    common::announce(&Address::Inet(listener.local_addr()?));
    let mut server = Server { proactor, clients: Vec::new(), one_buffer };
    server.serve(listener, signals)?;
    server.finish()?;
    Ok(())
}

struct Server {
    proactor: Proactor,
    clients: Vec<Client>,
    one_buffer: bool,
}

struct Client {
    stream: Rc<TcpStream>,
    under_way: UnderWay,
}

/// What the kernel does for a client.
enum UnderWay {
    Receive(Key<Recv<Vec<u8>, Rc<TcpStream>>>),
    Send(Key<Send<Vec<u8>, Rc<TcpStream>>>),
}

impl Server {
    /// Serves until there is a signal. Even an operation by completion can wait for readiness.
    fn serve(&mut self, listener: TcpListener, signals: Signals) -> io::Result<()> {
        let listener = Rc::new(listener);
        let mut signal = begin(&mut self.proactor, PollOnce::new(signals, Interest::Readable))?;
        let mut accept = Some(begin(&mut self.proactor, Accept::new(Rc::clone(&listener)))?);
        loop {
            self.proactor.poll(None)?; // begins what was pushed, and sleeps until something is done
            signal = match self.proactor.pop(signal) {
                PushEntry::Pending(key) => key,
                PushEntry::Ready(_) => return Ok(()),
            };
            let before = self.clients.len();
            self.go_on();
            let may_accept = match accept.take().map(|key| self.proactor.pop(key)) {
                Some(PushEntry::Pending(key)) => {
                    accept = Some(key);
                    false
                }
                Some(PushEntry::Ready(BufResult(Ok(_), accepted))) => {
                    self.receive(Rc::new(accepted.into_inner().0.into()));
                    true
                }
                // There may be no descriptor left. A client that leaves gives one back.
                Some(PushEntry::Ready(BufResult(Err(error), _))) if before == 0 => {
                    return Err(error);
                }
                _ => self.clients.len() < before,
            };
            if may_accept {
                accept = Some(begin(&mut self.proactor, Accept::new(Rc::clone(&listener)))?);
            }
        }
    }

    /// Sends what is owed to clients that read it soon.
    fn finish(&mut self) -> io::Result<()> {
        let end = Instant::now() + common::GRACE;
        loop {
            self.go_on();
            self.clients.retain(|client| matches!(client.under_way, UnderWay::Send(_)));
            let left = end.saturating_duration_since(Instant::now());
            if self.clients.is_empty() || left.is_zero() {
                return Ok(());
            }
            match self.proactor.poll(Some(left)) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                polled => polled?,
            }
        }
    }

    /// Takes what is done, and begins the next operation of each client. A client is closed when it has
    /// ended, or failed.
    fn go_on(&mut self) {
        let mut answers = Vec::new();
        for Client { stream, under_way } in std::mem::take(&mut self.clients) {
            match under_way {
                UnderWay::Receive(key) => match self.proactor.pop(key) {
                    PushEntry::Ready(BufResult(Ok(count @ 1..), receive)) => {
                        let mut data = receive.into_inner();
                        data.truncate(count);
                        answers.push((stream, data));
                    }
                    PushEntry::Ready(_) => {}
                    PushEntry::Pending(key) => self.keep(stream, UnderWay::Receive(key)),
                },
                UnderWay::Send(key) => match self.proactor.pop(key) {
                    PushEntry::Ready(BufResult(Ok(count), send)) => {
                        let rest = send.into_inner().split_off(count);
                        match rest.is_empty() {
                            true => self.receive(stream),
                            false => self.send(stream, rest),
                        }
                    }
                    PushEntry::Ready(_) => {}
                    PushEntry::Pending(key) => self.keep(stream, UnderWay::Send(key)),
                },
            }
        }
        let last = answers.last().map(|(_, data)| data.clone()).filter(|_| self.one_buffer);
        for (stream, data) in answers {
            self.send(stream, last.clone().unwrap_or(data));
        }
    }

    fn receive(&mut self, stream: Rc<TcpStream>) {
        let receive = Recv::new(Rc::clone(&stream), vec![0; 4096], RecvFlags::empty());
        if let Ok(key) = begin(&mut self.proactor, receive) {
            self.keep(stream, UnderWay::Receive(key));
        }
    }

    fn send(&mut self, stream: Rc<TcpStream>, data: Vec<u8>) {
        let send = Send::new(Rc::clone(&stream), data, SendFlags::empty());
        if let Ok(key) = begin(&mut self.proactor, send) {
            self.keep(stream, UnderWay::Send(key));
        }
    }

    fn keep(&mut self, stream: Rc<TcpStream>, under_way: UnderWay) {
        self.clients.push(Client { stream, under_way });
    }
}

/// Gives an operation to the kernel, with its buffer.
fn begin<T: OpCode + 'static>(proactor: &mut Proactor, operation: T) -> io::Result<Key<T>> {
    match proactor.push(operation) {
        PushEntry::Pending(key) => Ok(key),
        PushEntry::Ready(BufResult(result, _)) => {
            Err(result.err().unwrap_or_else(|| io::Error::other("it was done at once")))
        }
    }
}
