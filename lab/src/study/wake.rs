//! What it costs to wake a loop from another thread.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::thread::sched_setaffinity;
use tripoll::{Backend, Reactor};

use super::options::{Options, Steps};
use super::processors::other_processors;
use super::report::Findings;
use super::rows::{Cost, Rows, timed};

pub(super) const TITLE: &str = "What it costs to wake a loop from another thread";

const BACKENDS: [Backend; 3] = [Backend::Select, Backend::Poll, Backend::Epoll];
const ASLEEP: &str = "asleep";
const BUSY: &str = "busy";
const MIO: &str = "mio, mpsc";

pub(super) fn measure(options: Options, steps: &mut Steps<'_>) -> io::Result<Findings> {
    let (passes, trips, jobs) = if options.quick { (3, 300, 20_000) } else { (9, 3_000, 200_000) };
    let mut rows = Rows::default();
    let mut stopped = false;
    for pass in 0..passes {
        if steps(pass as f64 / passes as f64, "wakes").is_break() {
            stopped = true;
            break;
        }
        for backend in BACKENDS {
            reactor(backend, trips, jobs, &mut rows)?;
        }
        rows.add(MIO, BUSY, mio(trips, jobs)?);
        rows.add("bare eventfd", ASLEEP, bare(trips)?);
    }
    if rows.is_empty() {
        return Ok(Findings::default());
    }
    let caption = "Nanoseconds for a job that another thread gives to a loop that sleeps, until that \
                   thread runs again; and for one of many jobs to a loop that is busy, until all have \
                   run. The processor time is that of the thread that gives. Calls: those that wake. \
                   mio brings no job with its waker, so a channel of the standard library does.";
    Ok(Findings { stopped, ..rows.findings(caption, sentences(&rows)) })
}

fn reactor(backend: Backend, trips: usize, jobs: usize, rows: &mut Rows) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    let others = other_processors();
    let done = Arc::new(AtomicUsize::new(0));
    let thread = thread::spawn(move || -> io::Result<u64> {
        let _ = sched_setaffinity(None, &others); // with one processor there is no other
        let mut reactor = Reactor::builder().backend(backend).build_with(0_usize)?;
        let _ = sender.send(reactor.handle());
        reactor.run()?;
        Ok(reactor.context().counters().wakes)
    });
    let failed = |_| io::Error::other("the loop did not start");
    let handle = receiver.recv().map_err(failed)?;
    let this = thread::current();
    let trip = |done: &Arc<AtomicUsize>, number: usize| {
        let (this, in_loop) = (this.clone(), Arc::clone(done));
        handle.post(move |_| {
            in_loop.store(number, Ordering::Release);
            this.unpark();
        })?;
        while done.load(Ordering::Acquire) != number {
            thread::park();
        }
        io::Result::Ok(())
    };
    let cost = timed(trips, || (1..=trips).try_for_each(|number| trip(&done, number)))?;
    rows.add(backend.name(), ASLEEP, Cost { calls: Some(1.0), ..cost });
    let cost = timed(jobs, || {
        for number in 0..jobs {
            handle.post(move |cx| *cx.state += number)?;
        }
        trip(&done, trips + 1)
    })?;
    handle.stop();
    let wakes = thread.join().map_err(|_| io::Error::other("the loop panicked"))??;
    let busy = wakes.saturating_sub(trips as u64) as f64 / jobs as f64;
    rows.add(backend.name(), BUSY, Cost { calls: Some(busy), ..cost });
    Ok(())
}

/// Gives boxed jobs to a loop of mio through a channel. Of several wakes only the first is a system call.
fn mio(trips: usize, jobs: usize) -> io::Result<Cost> {
    type Job = Box<dyn FnOnce(&mut usize) + Send>;
    let (sender, receiver) = mpsc::channel::<Job>();
    let mut poll = mio::Poll::new()?;
    let waker = mio::Waker::new(poll.registry(), mio::Token(0))?;
    let is_woken = Arc::new(AtomicBool::new(false));
    let (in_loop, others) = (Arc::clone(&is_woken), other_processors());
    let thread = thread::spawn(move || -> io::Result<()> {
        let _ = sched_setaffinity(None, &others);
        let (mut events, mut state) = (mio::Events::with_capacity(16), 0);
        loop {
            poll.poll(&mut events, None)?;
            in_loop.store(false, Ordering::SeqCst);
            loop {
                match receiver.try_recv() {
                    Ok(job) => job(&mut state),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                }
            }
        }
    });
    let ended = || io::Error::other("the loop has ended");
    let wakes = Cell::new(0);
    let wake = || match is_woken.swap(true, Ordering::SeqCst) {
        true => Ok(()),
        false => {
            wakes.set(wakes.get() + 1);
            waker.wake()
        }
    };
    let give = |job: Job| {
        sender.send(job).map_err(|_| ended())?;
        wake()
    };
    let done = Arc::new(AtomicUsize::new(0));
    let trip = |number: usize| {
        let (this, in_loop) = (thread::current(), Arc::clone(&done));
        give(Box::new(move |_| {
            in_loop.store(number, Ordering::Release);
            this.unpark();
        }))?;
        while done.load(Ordering::Acquire) != number {
            thread::park();
        }
        io::Result::Ok(())
    };
    (1..=trips).try_for_each(trip)?;
    wakes.set(0);
    let cost = timed(jobs, || {
        (0..jobs).try_for_each(|number| give(Box::new(move |state| *state += number)))?;
        trip(trips + 1)
    })?;
    let calls = Some(f64::from(wakes.get()) / jobs as f64);
    drop(sender);
    waker.wake()?;
    thread.join().map_err(|_| io::Error::other("the loop panicked"))??;
    Ok(Cost { calls, ..cost })
}

/// The same with an eventfd and `poll(2)` alone.
fn bare(trips: usize) -> io::Result<Cost> {
    let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
    let done = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let this = thread::current();
    let others = other_processors();
    let in_loop = (Arc::clone(&event), Arc::clone(&done), Arc::clone(&is_over));
    let thread = thread::spawn(move || -> io::Result<()> {
        let (event, done, is_over) = in_loop;
        let _ = sched_setaffinity(None, &others);
        loop {
            poll(&mut [PollFd::new(&*event, PollFlags::IN)], None)?;
            rustix::io::read(&*event, &mut [0; 8])?;
            if is_over.load(Ordering::Acquire) {
                return Ok(());
            }
            done.fetch_add(1, Ordering::Release);
            this.unpark();
        }
    });
    let wake = || rustix::io::write(&*event, &1_u64.to_ne_bytes()).map(drop);
    let cost = timed(trips, || {
        for number in 1..=trips {
            wake()?;
            while done.load(Ordering::Acquire) != number {
                thread::park();
            }
        }
        Ok(())
    })?;
    is_over.store(true, Ordering::Release);
    wake()?;
    thread.join().map_err(|_| io::Error::other("the loop panicked"))??;
    Ok(Cost { calls: Some(1.0), ..cost })
}

fn sentences(rows: &Rows) -> Vec<String> {
    let mut all = Vec::new();
    let epoll = Backend::Epoll.name();
    let asleep = (rows.wall(epoll, ASLEEP), rows.cpu(epoll, ASLEEP));
    if let (Some(wall), Some(cpu)) = asleep {
        all.push(format!(
            "To wake a loop on epoll that sleeps, and to be woken by it, takes {:.1} µs, of which this \
             thread uses {:.1} µs of a processor. The rest is sleep, and the time of the other thread.",
            wall / 1e3,
            cpu / 1e3
        ));
    }
    if let (Some(poll), Some(bare)) =
        (rows.wall(Backend::Poll.name(), ASLEEP), rows.wall("bare eventfd", ASLEEP))
    {
        all.push(format!(
            "By poll it is {:.1} µs; a bare loop over an eventfd and poll(2) takes {:.1} µs.",
            poll / 1e3,
            bare / 1e3
        ));
    }
    if let Some(cost) = rows.cpu(epoll, BUSY) {
        all.push(format!(
            "A job for a loop that is busy on another processor costs {cost:.0} ns, because most of them \
             need no wake."
        ));
    }
    if let (Some(cost), Some(mio)) = (rows.wall(epoll, BUSY), rows.wall(MIO, BUSY)) {
        all.push(format!(
            "Until it has run it is {cost:.0} ns, and {mio:.0} ns for a loop of mio with a channel."
        ));
    }
    all
}
