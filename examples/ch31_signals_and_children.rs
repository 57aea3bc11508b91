//! Chapter 31, signals and children.
//!
//! Question: what happens to a server when a signal comes, when a peer is gone, and when it starts a
//! program?
//!
//! Run: `cargo run --example ch31_signals_and_children`
//!
//! Try: `trap "" PIPE` in the shell that starts the program. Which line changes?

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use signal_hook::consts::SIGUSR1;
use tripoll::sys::{PollFd, PollFlags, poll};

fn main() -> io::Result<()> {
    a_signal_during_a_wait()?;
    a_write_to_a_peer_that_is_gone()?;
    a_child_that_inherits()
}

/// `EINTR`: a signal ends a system call that sleeps.
fn a_signal_during_a_wait() -> io::Result<()> {
    println!("a signal comes during a wait of 100 ms:");
    let has_come = Arc::new(AtomicBool::new(false));
    let handler = signal_hook::flag::register(SIGUSR1, Arc::clone(&has_come))?;
    let mut kill = Command::new("kill").args(["-USR1", &std::process::id().to_string()]).spawn()?;
    let (mine, _theirs) = UnixStream::pair()?;
    let begin = Instant::now();
    let mut line = [PollFd::new(mine.as_raw_fd(), PollFlags::IN)];
    let count = poll(&mut line, Some(Duration::from_millis(100)))?;
    let waited = begin.elapsed() >= Duration::from_millis(100);
    kill.wait()?;
    println!("    the wait returns {count}, and has waited for all of its time: {waited}");
    println!("    the signal handler has run: {}", has_come.load(Ordering::Relaxed));
    signal_hook::low_level::unregister(handler);
    Ok(())
}

/// `SIGPIPE`: by default it ends a process that writes to a peer that is gone. Rust programs ignore it.
fn a_write_to_a_peer_that_is_gone() -> io::Result<()> {
    println!("a write to a peer that is gone:");
    let (mut mine, theirs) = UnixStream::pair()?;
    drop(theirs);
    println!("    in this program: {:?}", mine.write(b"x").map_err(|error| error.kind()));
    // A program that knows nothing of it. `yes` writes until it cannot.
    let mut yes = Command::new("yes").stdout(Stdio::piped()).spawn()?;
    drop(yes.stdout.take());
    println!("    in a program that does not ignore it: {}", yes.wait()?);
    Ok(())
}

/// `fork` and `exec`: what a child inherits stays open until the child ends.
fn a_child_that_inherits() -> io::Result<()> {
    println!("a program is started while a client is connected, and then the server closes:");
    for (what, flags) in [("close-on-exec", FdFlags::CLOEXEC), ("inherited", FdFlags::empty())] {
        let (mine, mut client) = UnixStream::pair()?;
        fcntl_setfd(&mine, flags)?;
        let mut program = Command::new("cat").stdin(Stdio::piped()).spawn()?;
        drop(mine);
        client.set_read_timeout(Some(Duration::from_millis(200)))?;
        let read = match client.read(&mut [0; 1]) {
            Ok(0) => "the end".into(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => "nothing".into(),
            other => format!("{other:?}"),
        };
        println!("    {what:13}  the client reads {read}");
        drop(program.stdin.take());
        program.wait()?;
    }
    Ok(())
}
