//! What a handler can ask of its source during a call, and what is counted of its calls. On every backend
//! and trigger.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::{Counters, Dispatch, DispatchOutcome, Probe};
use tripoll::selector::{Caps, Events, Readiness, Selector, SelectorCounters};
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source, Token, Trigger};

const BOTH: Interest = Interest::READ.union(Interest::WRITE);

#[test]
fn a_source_says_what_was_reported() {
    type Seen = Option<(Readiness, bool, bool)>;
    fn see(source: &mut Source<UnixStream>, cx: &mut Context<Seen>) -> io::Result<Next> {
        *cx.state = Some((source.readiness(), source.is_readable(), source.is_writable()));
        let _ = source.read(&mut [0; 8]);
        Ok(Next::Done)
    }
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(None);
        let (mine, mut theirs) = unix_pair();
        let token = add(&mut reactor, mine, Interest::WRITE, see);
        drive(&mut reactor, 3, |seen| seen.is_some());
        let (readiness, is_readable, is_writable) = reactor.state_mut().take().unwrap();
        assert!(readiness.contains(Readiness::WRITE) && !readiness.contains(Readiness::READ));
        assert!(is_writable && !is_readable);

        reactor.context().set_interest(token, Interest::READ).unwrap();
        let_settle(&mut reactor);
        theirs.write_all(b"x").unwrap();
        drive(&mut reactor, 3, |seen| seen.is_some());
        let (readiness, is_readable, is_writable) = reactor.state_mut().take().unwrap();
        assert!(readiness.contains(Readiness::READ) && is_readable, "{readiness:?}");
        if pair.effective_trigger() == Trigger::Level {
            assert!(!readiness.contains(Readiness::WRITE) && !is_writable);
        }
    });
}

/// A stream that counts its flushes.
struct Flushed(UnixStream, Rc<RefCell<u32>>);

impl AsFd for Flushed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for Flushed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(buffers)
    }
}

impl Write for Flushed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        *self.1.borrow_mut() += 1;
        Ok(())
    }
}

#[test]
fn several_buffers_are_read_and_written_at_once_and_a_flush_reaches_the_source() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = unix_pair();
        let flushes = Rc::<RefCell<u32>>::default();
        let source = Flushed(mine, Rc::clone(&flushes));
        let echo = |source: &mut Source<Flushed>, cx: &mut Context<Vec<usize>>| loop {
            let (mut one, mut other) = ([0; 2], [0; 3]);
            let buffers = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
            cx.state.push(source.read_vectored(buffers)?);
            let written = source.write_vectored(&[IoSlice::new(&other), IoSlice::new(&one)])?;
            cx.state.push(written);
            source.flush()?;
        };
        add(&mut reactor, source, Interest::READ, echo);
        theirs.write_all(b"hello").unwrap();
        drive(&mut reactor, 3, |counts| *counts == [5, 5]);
        let mut said = [0; 8];
        assert_eq!(theirs.read(&mut said).unwrap(), 5);
        assert_eq!((&said[..5], *flushes.borrow()), (&b"llohe"[..], 1));
        assert_quiet(&mut reactor);
    });
}

/// A decoder: it reads ahead, and hands out one byte after the other.
struct Decoder(PipeReader, VecDeque<u8>);

impl AsFd for Decoder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            let mut ahead = [0; 64];
            let count = self.0.read(&mut ahead)?;
            self.1.extend(&ahead[..count]);
        }
        let Some(byte) = self.1.pop_front() else { return Ok(0) };
        buffer[0] = byte;
        Ok(1)
    }
}

#[test]
fn a_source_with_a_buffer_of_its_own_is_read_to_the_end_of_it() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"hello").unwrap();
        let decoder = Decoder(reader, VecDeque::new());
        let read = |source: &mut Source<Decoder>, cx: &mut Context<Vec<u8>>| loop {
            let mut buffer = [0; 8];
            let count = source.read(&mut buffer)?; // ends with WouldBlock
            cx.state.extend_from_slice(&buffer[..count]);
        };
        add(&mut reactor, decoder, Interest::READ, read);
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
        assert_eq!(reactor.state(), b"hello");
        // Also after the reactor has moved to another selector.
        reactor.context().switch_to(pair.backend).unwrap();
        writer.write_all(b" again").unwrap();
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
        assert_eq!(reactor.state(), b"hello again");
    });
}

#[test]
fn a_read_that_is_short_is_the_last_where_that_is_certain() {
    fn operations<F: AsFd + Read + 'static>(
        pair: Pair,
        source: F,
        mut peer: impl Write,
    ) -> [u32; 2] {
        let witness = Witness::default();
        let mut reactor = pair.build(pair.builder().probe(witness.clone()), Vec::new());
        reactor.context().add_fn(source, Interest::READ, collect).unwrap();
        [false, true].map(|is_moved| {
            if is_moved {
                reactor.context().switch_to(pair.backend).unwrap();
            }
            let_settle(&mut reactor);
            witness.0.take();
            peer.write_all(b"hello").unwrap();
            drive(&mut reactor, 3, |_| !witness.0.borrow().is_empty());
            assert_eq!(witness.0.borrow().len(), 1);
            witness.0.take()[0].operations
        })
    }
    on_every_pair(|pair| {
        let is_level = pair.effective_trigger() != Trigger::Edge;
        let certain = if is_level { 1 } else { 2 };
        let (mine, theirs) = unix_pair();
        assert_eq!(operations(pair, mine, theirs), [certain; 2]);
        let (mine, theirs) = tcp_pair();
        let certain = if is_level || pair.caps().urgent_apart { 1 } else { 2 };
        assert_eq!(operations(pair, mine, theirs), [certain; 2]);
        // It may have more than the kernel.
        let (mine, theirs) = unix_pair();
        assert_eq!(operations(pair, Flushed(mine, Rc::default()), theirs), [2; 2]);
    });
}

fn counters<S: 'static>(reactor: &mut Reactor<S>) -> Counters {
    reactor.context().counters()
}

#[test]
fn timers_deadlines_intervals_and_jobs_are_counted() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0);
        let (mine, _theirs) = unix_pair();
        struct Late;
        impl Handler<UnixStream, u32> for Late {
            fn ready(
                &mut self,
                _: &mut Source<UnixStream>,
                _: &mut Context<u32>,
            ) -> io::Result<Next> {
                Ok(Next::Keep)
            }
            fn timed_out(
                &mut self,
                _: &mut Source<UnixStream>,
                cx: &mut Context<u32>,
            ) -> io::Result<Next> {
                *cx.state += 1;
                Ok(Next::Keep)
            }
        }
        let source = reactor.context().add(mine, Interest::NONE, Late).unwrap();
        let now = reactor.context().now();
        reactor.context().set_timer(now, |cx| *cx.state += 1);
        reactor.context().set_timer(now, |cx| *cx.state += 1);
        reactor.context().set_deadline(source, Some(now)).unwrap();
        drive(&mut reactor, 5, |count| *count == 3);
        assert_eq!((counters(&mut reactor).timers, counters(&mut reactor).jobs), (3, 0));
        for _ in 0..2 {
            reactor.handle().post(|cx| *cx.state += 1).unwrap();
        }
        reactor.context().defer(|cx| *cx.state += 1);
        drive(&mut reactor, 5, |count| *count == 6);
        assert_eq!((counters(&mut reactor).timers, counters(&mut reactor).jobs), (3, 3));
    });
}

#[test]
fn a_call_that_changes_its_interest_is_not_idle_and_changes_are_counted() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0);
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        let toggle = |source: &mut Source<UnixStream>, cx: &mut Context<u32>| {
            *cx.state += 1;
            for interest in [BOTH, Interest::READ, Interest::NONE] {
                source.set_interest(interest);
            }
            Ok(Next::Keep)
        };
        add(&mut reactor, mine, Interest::READ, toggle);
        drive(&mut reactor, 3, |calls| *calls == 1);
        assert_quiet(&mut reactor);
        let counters = counters(&mut reactor);
        assert_eq!((counters.idle, counters.dispatches), (0, 1));
        // Three changes, of which one was applied.
        assert_eq!(counters.controls_saved, if pair.changes_cost() { 2 } else { 0 });
    });
}

/// A selector that has made some repairs.
#[derive(Debug)]
struct Repaired(Box<dyn Selector>, u64);

impl Selector for Repaired {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn caps(&self) -> Caps {
        self.0.caps()
    }

    fn add(
        &mut self,
        fd: i32,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.0.add(fd, token, interest, trigger)
    }

    fn set(&mut self, fd: i32, interest: Interest) -> io::Result<()> {
        self.0.set(fd, interest)
    }

    fn remove(&mut self, fd: i32) -> io::Result<()> {
        self.0.remove(fd)
    }

    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        self.0.wait_interruptible(events, deadline)
    }

    fn counters(&self) -> SelectorCounters {
        let mut counters = self.0.counters();
        counters.repairs = self.1;
        counters
    }
}

#[test]
fn the_repairs_of_all_selectors_are_added_up() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        assert_eq!(counters(&mut reactor).repairs, 0);
        for (repairs, sum) in [(3, 3), (0, 3), (4, 7), (5, 12)] {
            let selector = Repaired(pair.backend.selector().unwrap(), repairs);
            reactor.context().switch_to_selector(Box::new(selector)).unwrap();
            assert_eq!(counters(&mut reactor).repairs, sum);
        }
        assert_eq!(counters(&mut reactor).switches, 4);
    });
}

/// Notes the calls that are reported.
#[derive(Clone, Default)]
struct Witness(Rc<RefCell<Vec<Dispatch>>>);

impl Probe for Witness {
    fn dispatched(&mut self, dispatch: &Dispatch) {
        self.0.borrow_mut().push(*dispatch);
    }
}

#[test]
fn a_probe_hears_of_all_calls_of_ready_and_of_others_that_did_something() {
    struct Answers;
    impl<S> Handler<UnixStream, S> for Answers {
        fn ready(
            &mut self,
            source: &mut Source<UnixStream>,
            _: &mut Context<S>,
        ) -> io::Result<Next> {
            source.set_interest(Interest::NONE); // and reads nothing
            Ok(Next::Done)
        }
        fn notified(
            &mut self,
            source: &mut Source<UnixStream>,
            _: &mut Context<S>,
        ) -> io::Result<Next> {
            if source.interest() == Interest::NONE {
                return Ok(Next::Keep);
            }
            source.write_all(b"!")?;
            Ok(Next::Keep)
        }
    }
    on_every_pair(|pair| {
        let witness = Witness::default();
        let mut reactor = pair.build(pair.builder().probe(witness.clone()), ());
        let (mine, mut theirs) = unix_pair();
        let token = reactor.context().add(mine, Interest::READ, Answers).unwrap();
        reactor.context().notify(token).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 1);
        let written = witness.0.take();
        assert_eq!(written.len(), 1, "{written:?}");
        assert_eq!((written[0].operations, written[0].bytes_written), (1, 1));
        assert_eq!((written[0].outcome, written[0].took), (DispatchOutcome::Waiting, None));

        theirs.write_all(b"x").unwrap();
        drive(&mut reactor, 3, |_| !witness.0.borrow().is_empty());
        let ready = witness.0.take();
        assert_eq!((ready[0].operations, ready[0].outcome), (0, DispatchOutcome::Waiting));
        reactor.context().notify(token).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(witness.0.take(), [], "it did nothing");
    });
}

#[test]
fn a_source_that_is_added_in_a_shutdown_is_shut_down_after_its_first_events() {
    type Steps = Vec<&'static str>;
    struct Old(Option<UnixStream>);
    struct New;
    impl Handler<UnixStream, Steps> for Old {
        fn ready(
            &mut self,
            _: &mut Source<UnixStream>,
            _: &mut Context<Steps>,
        ) -> io::Result<Next> {
            Ok(Next::Done)
        }
        fn shutting_down(
            &mut self,
            _: &mut Source<UnixStream>,
            cx: &mut Context<Steps>,
        ) -> io::Result<Next> {
            cx.state.push("old");
            if let Some(stream) = self.0.take() {
                cx.add(stream, Interest::READ, New)?;
            }
            Ok(Next::Remove)
        }
    }
    impl Handler<UnixStream, Steps> for New {
        fn ready(
            &mut self,
            _: &mut Source<UnixStream>,
            cx: &mut Context<Steps>,
        ) -> io::Result<Next> {
            cx.state.push("ready");
            Ok(Next::Done)
        }
        fn shutting_down(
            &mut self,
            _: &mut Source<UnixStream>,
            cx: &mut Context<Steps>,
        ) -> io::Result<Next> {
            cx.state.push("new");
            Ok(Next::Remove)
        }
    }
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Steps::new());
        let (old, _old_peer) = unix_pair();
        let (new, mut new_peer) = unix_pair();
        new_peer.write_all(b"x").unwrap();
        reactor.context().add(old, Interest::READ, Old(Some(new))).unwrap();
        reactor.context().shutdown(LONG);
        reactor.run().unwrap();
        assert_eq!(reactor.state(), &["old", "ready", "new"]);
    });
}

#[test]
fn a_hook_that_panics_after_the_wait_loses_no_event() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let mut panics = true;
        reactor.after_wait(move |_| assert!(!std::mem::take(&mut panics), "a bad hook"));
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        add(&mut reactor, mine, Interest::READ, collect);
        catch_unwind(AssertUnwindSafe(|| reactor.turn(Deadline::after(LONG)))).unwrap_err();
        reactor.prepare_poll().unwrap();
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
        assert_eq!(reactor.state(), b"x");
    });
}

/// Returns whether another loop would be woken, where there is a descriptor for it.
fn wakes_another_loop<S: 'static>(reactor: &mut Reactor<S>) -> Option<bool> {
    let borrowed = reactor.prepare_poll().unwrap().map(|fd| fd.try_clone_to_owned().unwrap());
    let owned = reactor.poll_fd().unwrap();
    assert_eq!(owned.is_some(), borrowed.is_some());
    let is_readable = |fd: &_| {
        let (readable, _, _) =
            tripoll::sys::select(&[raw(fd)], &[], &[], Some(std::time::Duration::ZERO)).unwrap();
        !readable.is_empty()
    };
    let [owned, borrowed] = [owned, borrowed].map(|fd| fd.as_ref().map(is_readable));
    assert_eq!(owned, borrowed);
    owned
}

fn raw(fd: &impl std::os::fd::AsRawFd) -> i32 {
    fd.as_raw_fd()
}

#[test]
fn another_loop_is_woken_for_what_the_kernel_does_not_know_of() {
    on_every_pair(|pair| {
        type Prepare = fn(&mut Context<u32>);
        let cases: [(Prepare, bool); 4] = [
            (|_| (), false),
            (|cx| cx.stop(), true),
            (|cx| cx.defer(|cx| *cx.state += 1), true),
            (|cx| cx.shutdown(LONG), true),
        ];
        for (prepare, is_woken) in cases {
            let mut reactor = pair.reactor(0);
            reactor.turn(Deadline::Now).unwrap();
            prepare(&mut reactor.context());
            if let Some(woken) = wakes_another_loop(&mut reactor) {
                assert_eq!(woken, is_woken);
            }
        }
    });
}
