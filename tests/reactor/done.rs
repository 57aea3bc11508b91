//! `Next::Done`: what it consumes, what it never consumes, and what a state that stays means for it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::selector::Trigger;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source};

/// Turns for a while without news, and returns how often a handler was called.
fn calls_in_silence<S: 'static>(reactor: &mut Reactor<S>) -> u64 {
    let end = Instant::now() + Duration::from_millis(5);
    let mut calls = 0;
    while Instant::now() < end {
        calls += reactor.turn(Deadline::At(end)).unwrap();
    }
    calls
}

/// The end of a process stays. It is reported once edge-triggered, and in each turn level-triggered,
/// until the handler removes the source.
#[test]
fn a_process_that_has_ended_is_reported_as_the_trigger_says() {
    on_every_pair(|pair| {
        let mut child = Command::new("true").spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let mut reactor = pair.reactor(0);
        let token = add(&mut reactor, pidfd, Interest::READ, move |source, cx| {
            *cx.state += 1;
            // A success for the reactor, too, whether it is the first time or not.
            source.try_io(Interest::READ, |_: &mut OwnedFd| child.wait())?;
            Ok(Next::Done)
        });
        drive(&mut reactor, 3, |calls| *calls > 0);
        calls_in_silence(&mut reactor); // some kernels report that it was waited for, too
        let calls = calls_in_silence(&mut reactor);
        if pair.effective_trigger() == Trigger::Edge {
            assert_eq!(calls, 0);
        } else {
            assert!(calls > 1);
        }
        reactor.context().set_interest(token, Interest::NONE).unwrap();
        assert_eq!(calls_in_silence(&mut reactor), 0);
    });
}

/// A handler that reads past the reactor is believed.
#[test]
fn an_end_that_was_read_past_the_source_is_consumed_where_it_is_reported_once() {
    on_every_pair(|pair| {
        for kind in ["tcp", "unix", "pipe"] {
            let _context = on(kind);
            let mut reactor = pair.reactor(0);
            let (file, peer): (OwnedFd, OwnedFd) = match kind {
                "tcp" => {
                    let (a, b) = tcp_pair();
                    (a.into(), b.into())
                }
                "unix" => {
                    let (a, b) = unix_pair();
                    (a.into(), b.into())
                }
                _ => {
                    let (a, b) = io::pipe().unwrap();
                    (a.into(), b.into())
                }
            };
            let mut peer = File::from(peer);
            add(
                &mut reactor,
                File::from(file),
                Interest::READ,
                |source, cx: &mut Context<usize>| {
                    let mut buffer = [0; 64];
                    loop {
                        match source.get_mut().read(&mut buffer) {
                            Ok(0) => {
                                *cx.state += 1;
                                return Ok(Next::Done);
                            }
                            Ok(_) => {}
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                                return Ok(Next::Done);
                            }
                            Err(error) => return Err(error),
                        }
                    }
                },
            );
            peer.write_all(b"data").unwrap();
            drop(peer);
            drive(&mut reactor, 4, |ends| *ends > 0);
            calls_in_silence(&mut reactor);
            let calls = calls_in_silence(&mut reactor);
            assert_eq!(calls == 0, pair.effective_trigger() == Trigger::Edge, "{calls} calls");
        }
    });
}

/// The end may come with data that takes several calls, whichever operation reads it.
#[test]
fn the_end_that_came_with_data_is_reported_after_the_last_of_it() {
    for by_try_io in [false, true] {
        on_every_pair(|pair| {
            let mut reactor = pair.reactor((0, false));
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"0123456789").unwrap();
            drop(theirs);
            add(
                &mut reactor,
                mine,
                Interest::READ,
                move |source, cx: &mut Context<(usize, bool)>| {
                    let mut buffer = [0; 4];
                    let count = if by_try_io {
                        source.try_io(Interest::READ, |stream| stream.read(&mut buffer))?
                    } else {
                        source.read(&mut buffer)?
                    };
                    cx.state.0 += count;
                    cx.state.1 |= count == 0;
                    Ok(match count {
                        0 => Next::Remove,
                        _ if cx.state.0 < 10 => Next::Keep,
                        _ => Next::Done,
                    })
                },
            );
            drive(&mut reactor, 6, |state| state.1);
            assert_eq!(reactor.state().0, 10);
        });
    }
}

/// `notified`, `timed_out` and `added` are not called because of readiness, and consume none.
#[test]
fn only_ready_consumes_the_readiness() {
    /// Reads one byte a call.
    struct OneByte;

    impl<F: Read> Handler<F, Vec<u8>> for OneByte {
        fn added(&mut self, _: &mut Source<F>, _: &mut Context<Vec<u8>>) -> io::Result<Next> {
            Ok(Next::Done)
        }

        fn ready(&mut self, source: &mut Source<F>, cx: &mut Context<Vec<u8>>) -> io::Result<Next> {
            let mut buffer = [0; 1];
            let count = source.read(&mut buffer)?;
            cx.state.extend_from_slice(&buffer[..count]);
            cx.notify(source.token())?;
            cx.set_deadline(source.token(), Some(Instant::now()))?;
            Ok(Next::Keep)
        }

        fn notified(&mut self, _: &mut Source<F>, _: &mut Context<Vec<u8>>) -> io::Result<Next> {
            Ok(Next::Done)
        }

        fn timed_out(&mut self, _: &mut Source<F>, _: &mut Context<Vec<u8>>) -> io::Result<Next> {
            Ok(Next::Done)
        }
    }

    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"sixsix").unwrap();
        reactor.context().add(mine, Interest::READ, OneByte).unwrap();
        drive(&mut reactor, 100, |read| read.len() == 6);
    });
}

/// A file in `/proc` that reports its changes as an error with urgent data, and can be read at any
/// time. It needs a host name of its own, which only some users may make.
#[test]
fn a_file_that_changes_is_reported_once_a_change() {
    const NAME: &str = "/proc/sys/kernel/hostname";
    const CHILD: &str = "TRIPOLL_TEST_HOST_NAME";
    if env::var_os(CHILD).is_none() {
        let test = "done::a_file_that_changes_is_reported_once_a_change";
        let may = Command::new("unshare").args(["-u", "true"]).stderr(Stdio::null()).status();
        if !may.is_ok_and(|status| status.success()) {
            return eprintln!("skipped: this user may not have a host name of its own");
        }
        let output = Command::new("unshare")
            .arg("-u")
            .arg(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(CHILD, "")
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{output:?}");
        return;
    }
    for by_try_io in [false, true] {
        on_every_pair(|pair| {
            let mut reactor = pair.reactor((0, String::new()));
            let file = File::open(NAME).unwrap();
            add(
                &mut reactor,
                file,
                Interest::PRIORITY,
                move |source, cx: &mut Context<(u64, String)>| {
                    let mut buffer = [0; 64];
                    let mut read = |file: &mut File| file.read_at(&mut buffer, 0);
                    let count = match by_try_io {
                        false => read(source.get_mut())?,
                        true => source.try_io(Interest::PRIORITY, read)?,
                    };
                    cx.state.0 += 1;
                    cx.state.1 = String::from_utf8_lossy(&buffer[..count]).trim().into();
                    Ok(Next::Done)
                },
            );
            calls_in_silence(&mut reactor);
            for name in ["one", "two"] {
                let before = reactor.state().0;
                fs::write(NAME, name).unwrap();
                drive(&mut reactor, 3, |state| state.1 == name);
                calls_in_silence(&mut reactor);
                let calls = reactor.state().0 - before;
                assert!((1..=2).contains(&calls), "{calls} calls for one change");
            }
        });
    }
}
