//! Chapter 35, completion instead of readiness.
//!
//! Question: what changes if the kernel reports what is *done*, and not what can be done?
//!
//! Run: `cargo run --example ch35_completion`
//!
//! Try: let only the first client send something. Which figures change, and which do not?

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use compio_buf::{BufResult, IntoInner};
use compio_driver::op::{Recv, Send};
use compio_driver::{OpCode, Proactor, PushEntry};
use rustix::net::{RecvFlags, SendFlags};
use tripoll::sys::{Epoll, EpollFlags};

const CLIENTS: usize = 100;

fn main() -> io::Result<()> {
    let Ok(mut proactor) = Proactor::new() else {
        println!("this kernel refuses io_uring");
        return Ok(());
    };
    println!("{:20}  waits  reads  writes  buffers, while all are silent", "");
    by_readiness()?.print("readiness: epoll");
    by_completion(&mut proactor)?.print("completion: io_uring");
    no_longer_wanted(&mut proactor)
}

/// The system calls for one answer to each client, and the buffers that are held before.
#[derive(Default)]
struct Cost {
    waits: u32,
    reads: u32,
    writes: u32,
    buffers: usize,
}

/// The kernel reports which clients have sent something. The program reads it, and writes the answer.
fn by_readiness() -> io::Result<Cost> {
    let (mut clients, mut served) = pairs()?;
    let epoll = Epoll::new()?;
    for (number, stream) in served.iter().enumerate() {
        epoll.add(stream.as_raw_fd(), EpollFlags::IN, number as u64)?;
    }
    let (mut cost, mut buffer) = (Cost { buffers: 1, ..Cost::default() }, [0; 64]);
    send_to_each(&mut clients)?;
    while (cost.writes as usize) < CLIENTS {
        let mut events = Vec::with_capacity(CLIENTS);
        cost.waits += 1;
        epoll.wait(&mut events, None)?;
        for event in &events {
            let stream = &mut served[event.data() as usize];
            cost.reads += 1;
            let count = stream.read(&mut buffer)?;
            cost.writes += 1;
            stream.write_all(&buffer[..count])?;
        }
    }
    check_answers(&mut clients)?;
    Ok(cost)
}

/// The program hands over a buffer for each client. The kernel reports what it has done.
fn by_completion(proactor: &mut Proactor) -> io::Result<Cost> {
    let (mut clients, served) = pairs()?;
    let mut cost = Cost { buffers: CLIENTS, ..Cost::default() };
    let receive = |stream: &UnixStream| -> io::Result<_> {
        Ok(Recv::new(own(stream)?, vec![0; 64], RecvFlags::empty()))
    };
    let receives: Vec<_> = served.iter().map(receive).collect::<io::Result<_>>()?;
    let begun: Vec<_> = receives.into_iter().map(|it| proactor.push(it)).collect();
    hand_over(proactor, &mut cost)?;
    send_to_each(&mut clients)?;
    let mut sends = Vec::new();
    for (BufResult(count, receive), stream) in
        all(proactor, begun, &mut cost)?.into_iter().zip(&served)
    {
        let mut buffer = receive.into_inner();
        buffer.truncate(count?);
        sends.push(proactor.push(Send::new(own(stream)?, buffer, SendFlags::empty())));
    }
    for BufResult(count, _) in all(proactor, sends, &mut cost)? {
        assert_eq!(count?, HELLO.len());
    }
    check_answers(&mut clients)?;
    Ok(cost)
}

/// A read that was begun is the kernel's. To stop it is an operation, too.
fn no_longer_wanted(proactor: &mut Proactor) -> io::Result<()> {
    let (_client, served) = UnixStream::pair()?;
    let receive = Recv::new(own(&served)?, vec![0; 64], RecvFlags::empty());
    let PushEntry::Pending(key) = proactor.push(receive) else { unreachable!("nothing was sent") };
    hand_over(proactor, &mut Cost::default())?;
    drop(served); // the receive goes on: the kernel has the socket, and the buffer
    let stop = proactor.register_cancel(&key);
    proactor.cancel_token(stop);
    let begun = vec![PushEntry::Pending(key)];
    for BufResult(result, receive) in all(proactor, begun, &mut Cost::default())? {
        let error = result.unwrap_err();
        println!("\na receive that is stopped: {error}");
        println!("only now its buffer is back: {} bytes", receive.into_inner().len());
    }
    Ok(())
}

/// Tells the kernel what was pushed, and waits for nothing.
fn hand_over(proactor: &mut Proactor, cost: &mut Cost) -> io::Result<()> {
    cost.waits += 1;
    match proactor.poll(Some(Duration::ZERO)) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()), // none is complete
        result => result,
    }
}

type Begun<T> = PushEntry<compio_driver::Key<T>, BufResult<usize, T>>;

/// Waits until all operations are complete. Returns their results.
fn all<T: OpCode>(
    proactor: &mut Proactor,
    mut begun: Vec<Begun<T>>,
    cost: &mut Cost,
) -> io::Result<Vec<BufResult<usize, T>>> {
    while begun.iter().any(|it| matches!(it, PushEntry::Pending(_))) {
        cost.waits += 1;
        proactor.poll(None)?;
        begun = begun
            .into_iter()
            .map(|it| match it {
                PushEntry::Pending(key) => proactor.pop(key),
                ready => ready,
            })
            .collect();
    }
    Ok(begun.into_iter().filter_map(PushEntry::take_ready).collect())
}

const HELLO: &[u8] = b"hello";

fn pairs() -> io::Result<(Vec<UnixStream>, Vec<UnixStream>)> {
    let pairs = (0..CLIENTS).map(|_| UnixStream::pair()).collect::<io::Result<Vec<_>>>()?;
    Ok(pairs.into_iter().unzip())
}

fn own(stream: &UnixStream) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

fn send_to_each(clients: &mut [UnixStream]) -> io::Result<()> {
    clients.iter_mut().try_for_each(|client| client.write_all(HELLO))
}

fn check_answers(clients: &mut [UnixStream]) -> io::Result<()> {
    let mut answer = [0; HELLO.len()];
    for client in clients {
        client.read_exact(&mut answer)?;
        assert_eq!(answer, HELLO);
    }
    Ok(())
}

impl Cost {
    fn print(&self, name: &str) {
        let Cost { waits, reads, writes, buffers } = self;
        println!("{name:20}  {waits:5}  {reads:5}  {writes:6}  {buffers:7}");
    }
}
