//! An echo server in a process of its own, whose costs can be asked for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::sched_setaffinity;
use serde::{Deserialize, Serialize};
use tripoll::net::{Connection, Listener, Protocol, Wire};
use tripoll::{Backend, Context, Interest, Next, Reactor, Source, Trigger, sys};

use super::processors::other_processors;
use crate::workload::cpu_time;

/// What a server has done since its start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Costs {
    /// Processor time, in nanoseconds.
    pub(super) cpu_ns: u64,
    /// System calls that wait or change what is watched.
    pub(super) calls: u64,
}

struct Echo;

impl Protocol for Echo {
    fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        wire.write(data);
        Ok(data.len())
    }
}

/// Serves until standard input ends. Prints the address, and the costs for each line.
///
/// # Errors
///
/// Those of the reactor.
pub fn serve_echo(backend: Backend) -> io::Result<()> {
    sys::raise_descriptor_limit(20_000)?;
    let reactor = Reactor::builder().backend(backend).trigger(Trigger::Level);
    let mut reactor = reactor.build()?;
    let listener = Listener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_address());
    listener.serve(&mut reactor.context(), |stream, cx| {
        Connection::new(Echo).linger(Duration::ZERO).serve(stream, cx).map(drop)
    })?;
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let answer = |input: &mut Source<File>, cx: &mut Context| match input.read(&mut [0; 64]) {
        Ok(0) => {
            cx.stop();
            Ok(Next::Remove)
        }
        Ok(_) => {
            let counters = cx.counters();
            let cpu_ns = cpu_time().as_nanos() as u64;
            let costs = Costs { cpu_ns, calls: counters.waits + counters.controls };
            println!("{}", serde_json::to_string(&costs)?);
            Ok(Next::Keep)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Next::Keep),
        Err(error) => Err(error),
    };
    reactor.context().add(input, Interest::READ, answer)?;
    reactor.run()
}

/// A server as its parent sees it. It is killed when it is dropped.
pub(super) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts a server on another processor than this thread's, if there is one.
    pub(super) fn start(backend: Backend) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["echo-server", backend.name()])
            .process_group(0) // Ctrl-C ends the parent, which ends the server
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the pipes to the server are missing"));
        };
        move_away(&child);
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().parse();
        let address = address.map_err(|_| io::Error::other("the server does not start"))?;
        Ok(Server { child, input, output, address })
    }

    /// Asks what it has done.
    pub(super) fn costs(&mut self) -> io::Result<Costs> {
        self.input.write_all(b"?\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// Moves a process to the processors that this thread is not pinned to.
fn move_away(child: &Child) {
    // With one processor there is no other.
    let _ = sched_setaffinity(Pid::from_raw(child.id() as i32), &other_processors());
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
