//! Signals as events: with their senders, in processes that fork, and for children that end together.
//!
//! The signals are blocked before there is a thread, and a child that is forked has one thread only. So
//! the tests run one after another in a process of their own.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use support::program;
use support::reactor::*;
use support::*;
use tripoll::reactor::sources::{Signal, SignalInfo, Signals};
use tripoll::{Context, Interest, Next, Reactor, Source};

const TESTS: &[(&str, fn())] = &[
    ("a_signal_is_an_event_with_its_sender", a_signal_is_an_event_with_its_sender),
    ("a_signal_says_how_it_came_about", a_signal_says_how_it_came_about),
    ("signals_of_one_kind_are_coalesced", signals_of_one_kind_are_coalesced),
    ("children_that_end_together_are_all_reaped", children_that_end_together_are_all_reaped),
    ("a_signal_can_shut_the_reactor_down", a_signal_can_shut_the_reactor_down),
    ("a_signal_that_is_not_taken_stays_for_others", a_signal_that_is_not_taken_stays_for_others),
    (
        "a_program_that_is_started_may_have_its_signals_back",
        a_program_that_is_started_may_have_its_signals_back,
    ),
    ("a_forked_child_and_its_parent_get_their_own", a_forked_child_and_its_parent_get_their_own),
    ("a_forked_child_unblocks_before_it_executes", a_forked_child_unblocks_before_it_executes),
    ("a_thread_that_does_not_block_is_named", a_thread_that_does_not_block_is_named),
    ("threads_that_start_and_end_are_no_fault", threads_that_start_and_end_are_no_fault),
    ("what_cannot_be_an_event_is_refused", what_cannot_be_an_event_is_refused),
];

fn main() {
    program::main(&[], TESTS);
}

type Log = Vec<SignalInfo>;

/// Sends a signal to this process.
fn raise(signal: Signal) {
    send(Pid::this(), signal);
}

/// Sends a signal. The `nix` crate has no names for the real-time signals.
fn send(to: Pid, signal: Signal) {
    let (number, to) = (signal.number().to_string(), to.to_string());
    match nix::sys::signal::Signal::try_from(signal.number()) {
        Ok(signal) => kill(Pid::from_raw(to.parse().unwrap()), signal).unwrap(),
        Err(_) => {
            let status = Command::new("sh").args(["-c", "kill -$0 $1", &number, &to]).status();
            assert!(status.unwrap().success());
        }
    }
}

fn note<S: Extend<SignalInfo> + 'static>(
    signals: impl IntoIterator<Item = Signal>,
    reactor: &mut Reactor<S>,
) {
    let signals = Signals::new(signals).unwrap();
    signals.on(&mut reactor.context(), |signal, cx| cx.state.extend([signal])).unwrap();
}

fn a_signal_is_an_event_with_its_sender() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::new());
        note([Signal::USR1, Signal::TERM], &mut reactor);
        let_settle(&mut reactor);
        assert_quiet(&mut reactor);
        raise(Signal::TERM);
        drive(&mut reactor, 5, |log| log.len() == 1);
        assert_quiet(&mut reactor);

        let me = process::id().to_string();
        let mut other = Command::new("sh").args(["-c", "kill -USR1 $0", &me]).spawn().unwrap();
        drive(&mut reactor, 5, |log| log.len() == 2);
        assert!(other.wait().unwrap().success());
        assert_quiet(&mut reactor);

        let [own, others] = reactor.state()[..] else { unreachable!() };
        assert_eq!((own.signal(), own.pid()), (Signal::TERM, Some(process::id())));
        assert_eq!((others.signal(), others.pid()), (Signal::USR1, Some(other.id())));
        assert_eq!(
            (own.uid(), others.uid()),
            (Some(rustix::process::getuid().as_raw()), own.uid())
        );
        assert_eq!((own.code(), own.signal().to_string()), (libc::SI_USER, "SIGTERM".into()));
    });
}

fn a_signal_says_how_it_came_about() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Log::new());
        note([Signal::CHLD], &mut reactor);
        let_settle(&mut reactor);
        for (command, code) in [("exit 3", libc::CLD_EXITED), ("kill -KILL $$", libc::CLD_KILLED)] {
            let mut child = Command::new("sh").args(["-c", command]).spawn().unwrap();
            drive(&mut reactor, 5, |log| !log.is_empty());
            let signal = reactor.state_mut().pop().unwrap();
            assert_eq!((signal.code(), signal.pid()), (code, Some(child.id())), "{command}");
            child.wait().unwrap();
        }
    });
}

fn signals_of_one_kind_are_coalesced() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::new());
        let real_time = Signal::new(libc::SIGRTMIN() + 1).unwrap();
        note([Signal::USR1, Signal::USR2, real_time], &mut reactor);
        for signal in [Signal::USR1, Signal::USR2, Signal::USR1, real_time, Signal::USR1, real_time]
        {
            raise(signal);
        }
        drive(&mut reactor, 10, |log| log.len() == 4);
        assert_quiet(&mut reactor);
        let mut log: Vec<Signal> = reactor.state().iter().map(SignalInfo::signal).collect();
        log.sort_unstable();
        assert_eq!(log, [Signal::USR1, Signal::USR2, real_time, real_time]);
    });
}

/// Their SIGCHLDs are one event, or some.
fn children_that_end_together_are_all_reaped() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let signals = Signals::new([Signal::CHLD]).unwrap();
        let reap = |signal: SignalInfo, cx: &mut Context<'_, Vec<Pid>>| {
            assert_eq!(signal.signal(), Signal::CHLD);
            while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                let Some(child) = status.pid() else { break };
                cx.state.push(child);
            }
        };
        signals.on(&mut reactor.context(), reap).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let children: Vec<_> = (0..20)
            .map(|_| {
                let input = Stdio::from(reader.try_clone().unwrap());
                Command::new("cat").stdin(input).spawn().unwrap()
            })
            .collect();
        drop(writer); // now they end
        drive(&mut reactor, 100, |reaped| reaped.len() == 20);
        assert_quiet(&mut reactor);
        let mut expected: Vec<_> =
            children.iter().map(|child| Pid::from_raw(child.id() as i32)).collect();
        expected.sort_unstable();
        reactor.state_mut().sort_unstable();
        assert_eq!(*reactor.state(), expected);
    });
}

fn a_signal_can_shut_the_reactor_down() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let signals = Signals::new([Signal::INT, Signal::TERM]).unwrap();
        signals.on(&mut reactor.context(), |_, cx| cx.shutdown(LONG)).unwrap();
        raise(Signal::INT);
        reactor.run().unwrap();
        assert!(reactor.context().is_empty());
    });
}

/// As the examples do it: a loop and a thread wait for the same signal.
fn a_signal_that_is_not_taken_stays_for_others() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0);
        let signalled = |_: &mut Source<Signals>, cx: &mut Context<u32>| {
            *cx.state += 1;
            Ok(Next::Remove)
        };
        for _ in 0..2 {
            let signals = Signals::new([Signal::TERM]).unwrap();
            add(&mut reactor, signals, Interest::READ, signalled);
        }
        raise(Signal::TERM);
        drive(&mut reactor, 5, |signalled| *signalled == 2);
        let mut signals = Signals::new([Signal::TERM]).unwrap();
        assert_eq!(signals.receive().unwrap().signal(), Signal::TERM);
        assert_eq!(signals.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

fn a_program_that_is_started_may_have_its_signals_back() {
    let signals = [Signal::TERM, Signal::USR1, Signal::new(64).unwrap()];
    let _signals = Signals::new(signals).unwrap();
    let blocked = |command: &mut Command| {
        let output = command.args(["SigBlk", "/proc/self/status"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mask = text.strip_prefix("SigBlk:\t").unwrap().trim();
        let mask = u64::from_str_radix(mask, 16).unwrap();
        signals.map(|signal| mask >> (signal.number() - 1) & 1 == 1)
    };
    assert_eq!(blocked(&mut Command::new("grep")), [true; 3], "it inherits them");
    let mut command = Command::new("grep");
    Signals::unblock_in(&mut command, signals).unwrap();
    assert_eq!(blocked(&mut command), [false; 3]);

    let mut command = Command::new("sleep");
    Signals::unblock_in(&mut command, [Signal::TERM]).unwrap();
    let mut program = command.arg("60").spawn().unwrap();
    send(Pid::from_raw(program.id() as i32), Signal::TERM);
    assert_eq!(program.wait().unwrap().signal(), Some(libc::SIGTERM), "it does what it does");
}

/// Forks. The parent runs `meanwhile` with the child's id, and then awaits its end.
fn in_child(body: impl FnOnce(), meanwhile: impl FnOnce(Pid)) -> WaitStatus {
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let is_well = catch_unwind(AssertUnwindSafe(body)).is_ok();
            process::exit(if is_well { 0 } else { 1 });
        }
        ForkResult::Parent { child } => {
            meanwhile(child);
            waitpid(child, None).unwrap()
        }
    }
}

fn a_forked_child_and_its_parent_get_their_own() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::new());
        note([Signal::TERM, Signal::USR1], &mut reactor);
        raise(Signal::TERM); // pending in the parent only
        let mut shared = Some(reactor);
        let parent = Pid::this();
        let status = in_child(
            || {
                let reactor = shared.as_mut().unwrap();
                reactor.reinit().unwrap();
                let_settle(reactor);
                assert_quiet(reactor); // the parent's is not its own
                send(parent, Signal::USR1);
                assert_quiet(reactor);
                raise(Signal::TERM);
                drive(reactor, 5, |log| log.len() == 1);
                assert_eq!(reactor.state()[0].pid(), Some(process::id()));
                raise(Signal::USR1); // pending when the child ends
            },
            |_| (),
        );
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        let mut reactor = shared.unwrap();
        drive(&mut reactor, 5, |log| log.len() == 2);
        assert_quiet(&mut reactor);
        let mut got: Vec<_> =
            reactor.state().iter().map(|info| (info.signal(), info.pid())).collect();
        got.sort_unstable_by_key(|(signal, _)| *signal);
        assert_eq!(got[1], (Signal::TERM, Some(process::id())));
        assert_eq!(got[0].0, Signal::USR1);
    });
}

fn a_forked_child_unblocks_before_it_executes() {
    let _signals = Signals::new([Signal::TERM]).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let status = in_child(
        || {
            Signals::unblock([Signal::TERM]).unwrap();
            assert!(!SigSet::thread_get_mask().unwrap().contains(nix::sys::signal::SIGTERM));
            drop(std::io::Write::write_all(&mut &writer, b"x"));
            thread::sleep(MINUTE);
        },
        |child| {
            std::io::Read::read_exact(&mut reader, &mut [0]).unwrap();
            send(child, Signal::TERM);
        },
    );
    assert!(matches!(status, WaitStatus::Signaled(_, nix::sys::signal::SIGTERM, _)), "{status:?}");
}

fn a_thread_that_does_not_block_is_named() {
    Signals::block([Signal::USR1]).unwrap();
    let (unblocked, is_unblocked) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let body = move || {
        Signals::unblock([Signal::USR1]).unwrap();
        unblocked.send(()).unwrap();
        let _ = ends.recv();
    };
    let thread = thread::Builder::new().name("careless".into()).spawn(body).unwrap();
    is_unblocked.recv().unwrap();
    let error = Signals::new([Signal::HUP, Signal::USR1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(text.contains("(careless) does not block SIG"), "{text}");
    assert!(text.contains("call Signals::block before the first thread"), "{text}");
    // What was blocked before is blocked, and nothing else: a signal that no source takes must end.
    let mask = SigSet::thread_get_mask().unwrap();
    use nix::sys::signal::Signal::{SIGHUP, SIGUSR1};
    assert!(mask.contains(SIGUSR1) && !mask.contains(SIGHUP), "{mask:?}");
    drop(end);
    thread.join().unwrap();
    // The kernel may still list a thread that was joined.
    await_that("no other thread is left", || Signals::new([Signal::HUP, Signal::USR1]).is_ok());

    // A thread that inherits the mask is no fault.
    let (end, ends) = mpsc::channel::<()>();
    let thread = thread::spawn(move || ends.recv_timeout(Duration::from_secs(30)).is_ok());
    Signals::new([Signal::HUP, Signal::USR1]).unwrap();
    drop(end);
    thread.join().unwrap();
    await_that("one thread is left", || std::fs::read_dir("/proc/self/task").unwrap().count() == 1);
}

fn what_cannot_be_an_event_is_refused() {
    for (signal, text) in [
        (Signal::KILL, "SIGKILL cannot be received as an event: it cannot be blocked"),
        (
            Signal::SEGV,
            "SIGSEGV cannot be received as an event: it is the fault of one instruction, which \
             cannot continue",
        ),
    ] {
        for error in [Signals::new([signal]).unwrap_err(), Signals::block([signal]).unwrap_err()] {
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, text.into()));
        }
    }
    let of_the_library = Signal::new(32).unwrap();
    let error = Signals::new([of_the_library]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("signal 32: "), "{error}");
    assert_eq!((Signal::new(0), Signal::new(65)), (None, None));
}

/// A thread that ends has no signals that a look at it could find.
fn threads_that_start_and_end_are_no_fault() {
    let is_over = AtomicBool::new(false);
    Signals::block([Signal::USR1]).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    thread::spawn(|| ()).join().unwrap();
                }
            });
        }
        let results: Vec<_> = (0..20_000).map(|_| Signals::new([Signal::USR1]).map(drop)).collect();
        is_over.store(true, Ordering::Relaxed);
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        assert!(failed.is_empty(), "{} {:?}", failed.len(), failed.first());
    });
}
