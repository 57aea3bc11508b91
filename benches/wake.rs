//! A wake of a loop that sleeps in another thread, and the answer that wakes this thread.
//!
//! A job of the reactor stands beside the wakers of mio and polling, which bring no job. What is
//! measured is the processor time of both threads. They share a processor, so that a wake costs no
//! signal between two of them.

mod thread_time;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;
use std::{io, sync::mpsc};

use criterion::{Criterion, criterion_group, criterion_main};
use thread_time::{ThreadTime, by_thread_time};
use tripoll::{Backend, Reactor};
use tripoll_lab::compare::Machine;
use tripoll_lab::workload::cpu_time;

fn wake(criterion: &mut Criterion<ThreadTime>) {
    Machine::pinned().expect("the limits of the process can be read");
    let mut group = criterion.benchmark_group("wake/asleep");
    let mut bench = |name: String, start: &dyn Fn() -> Sleeper| {
        group.bench_function(name, |bencher| {
            let mut sleeper = start();
            bencher.iter_custom(|wakes| sleeper.measure(wakes));
        });
    };
    for &backend in Backend::ALL {
        bench(format!("reactor/{backend}"), &|| Sleeper::reactor(backend));
    }
    bench("raw/mio".into(), &Sleeper::mio);
    bench("raw/polling".into(), &Sleeper::polling);
}

/// What the two threads share.
struct Shared {
    /// The thread that wakes.
    waker: Thread,
    /// How often the loop was woken.
    woken: AtomicU64,
    /// Whether the loop notes its processor time when it is woken.
    notes_time: AtomicBool,
    /// The processor time of its thread, in nanoseconds.
    cpu_ns: AtomicU64,
    is_over: AtomicBool,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Shared {
            waker: thread::current(),
            woken: AtomicU64::new(0),
            notes_time: AtomicBool::new(false),
            cpu_ns: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        })
    }

    /// Is called in the loop for each wake.
    fn answer(&self) {
        if self.notes_time.load(Ordering::Acquire) {
            self.cpu_ns.store(cpu_time().as_nanos() as u64, Ordering::Relaxed);
        }
        self.woken.fetch_add(1, Ordering::Release);
        self.waker.unpark();
    }
}

/// A loop that sleeps in a thread of its own. Dropping it ends the thread.
struct Sleeper {
    shared: Arc<Shared>,
    wake: Box<dyn Fn() -> io::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sleeper {
    /// A reactor, which is given a job.
    fn reactor(backend: Backend) -> Self {
        let shared = Shared::new();
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            let built = Reactor::builder().backend(backend).build();
            let mut reactor = built.expect("descriptors are free");
            sender.send(reactor.handle()).expect("the other thread waits for it");
            reactor.run().expect("a loop");
        });
        let handle = receiver.recv().expect("the loop starts");
        let for_jobs = Arc::clone(&shared);
        let wake = Box::new(move || {
            let shared = Arc::clone(&for_jobs);
            handle.post(move |cx| match shared.is_over.load(Ordering::Acquire) {
                true => cx.stop(),
                false => shared.answer(),
            })
        });
        Sleeper { shared, wake, thread: Some(thread) }
    }

    /// A `Waker` of mio.
    fn mio() -> Self {
        let mut poll = mio::Poll::new().expect("descriptors are free");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a descriptor is free");
        let mut events = mio::Events::with_capacity(16);
        Sleeper::of(move || poll.poll(&mut events, None), move || waker.wake())
    }

    /// `Poller::notify` of polling.
    fn polling() -> Self {
        let poller = Arc::new(polling::Poller::new().expect("descriptors are free"));
        let notifier = Arc::clone(&poller);
        let mut events = polling::Events::new();
        let wait = move || {
            events.clear();
            poller.wait(&mut events, None).map(drop)
        };
        Sleeper::of(wait, move || notifier.notify())
    }

    fn of(
        mut wait: impl FnMut() -> io::Result<()> + Send + 'static,
        wake: impl Fn() -> io::Result<()> + 'static,
    ) -> Self {
        let shared = Shared::new();
        let in_loop = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            loop {
                wait().expect("a wait");
                if in_loop.is_over.load(Ordering::Acquire) {
                    return;
                }
                in_loop.answer();
            }
        });
        Sleeper { shared, wake: Box::new(wake), thread: Some(thread) }
    }

    /// Wakes it once and waits for the answer.
    fn wake(&self) {
        let before = self.shared.woken.load(Ordering::Acquire);
        (self.wake)().expect("the loop lives");
        while self.shared.woken.load(Ordering::Acquire) == before {
            thread::park();
        }
    }

    /// Returns the processor time of its thread.
    fn cpu_time(&self) -> Duration {
        self.shared.notes_time.store(true, Ordering::Release);
        self.wake();
        self.shared.notes_time.store(false, Ordering::Release);
        Duration::from_nanos(self.shared.cpu_ns.load(Ordering::Relaxed))
    }

    /// Returns the processor time of both threads for so many wakes.
    fn measure(&mut self, wakes: u64) -> Duration {
        let theirs = self.cpu_time();
        let ours = cpu_time();
        (0..wakes).for_each(|_| self.wake());
        let ours = cpu_time() - ours;
        ours + (self.cpu_time() - theirs)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        let woken = (self.wake)();
        if let Some(thread) = self.thread.take().filter(|_| woken.is_ok()) {
            thread.join().expect("the loop does not panic");
        }
    }
}

criterion_group! { name = benches; config = by_thread_time(); targets = wake }
criterion_main!(benches);
