//! The same hand-off by other means: jobs go to the same number of threads, and answers come back.
//!
//! A job of tripoll and of tokio is a closure. The other two pass a number, and nothing is called.

use std::collections::VecDeque;
use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Hands over jobs, and returns the microseconds of each.
pub(super) type Measure = fn(jobs: u64, in_flight: u64, workers: u64) -> io::Result<f64>;

/// The ways, with their names.
pub(super) const PEERS: &[(&str, Measure)] = &[
    ("mio's waker, two channels", mio),
    #[cfg(feature = "peers")]
    ("tokio's spawn_blocking", tokio),
    ("two mutexes, two condvars", condvars),
];

/// Runs a tenth of the jobs as a warm-up, and then all.
fn timed(jobs: u64, mut run: impl FnMut(u64) -> io::Result<()>) -> io::Result<f64> {
    run(jobs.div_ceil(10))?;
    let start = Instant::now();
    run(jobs)?;
    Ok(start.elapsed().as_secs_f64() * 1e6 / jobs as f64)
}

/// Keeps so many jobs in flight. `wait` waits for answers, and returns how many have come.
fn keep_in_flight(
    jobs: u64,
    in_flight: u64,
    mut submit: impl FnMut(u64) -> io::Result<()>,
    mut wait: impl FnMut() -> io::Result<u64>,
) -> io::Result<()> {
    let (mut left, mut awaited) = (jobs, 0);
    loop {
        while left > 0 && awaited < in_flight {
            submit(left)?;
            (left, awaited) = (left - 1, awaited + 1);
        }
        if awaited == 0 {
            return Ok(());
        }
        awaited -= wait()?;
    }
}

/// Waits for the ends of threads, which would count among those of the next measurement.
fn join(workers: Vec<JoinHandle<()>>) -> io::Result<()> {
    workers.into_iter().try_for_each(|worker| worker.join().map_err(ended))
}

fn ended<E>(_: E) -> io::Error {
    io::Error::other("the other side has ended")
}

/// A loop of mio. Workers share the receiver of the jobs, and only the first of several wakes is a system
/// call.
fn mio(jobs: u64, in_flight: u64, workers: u64) -> io::Result<f64> {
    let (submit, submitted) = mpsc::channel::<u64>();
    let (answer, answers) = mpsc::channel::<u64>();
    let mut poll = mio::Poll::new()?;
    let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0))?);
    let (is_woken, submitted) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(submitted)));
    let worker = |_| {
        let (submitted, answer) = (Arc::clone(&submitted), answer.clone());
        let (is_woken, waker) = (Arc::clone(&is_woken), Arc::clone(&waker));
        thread::spawn(move || {
            let next = || submitted.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(job) = next() {
                let answered = answer.send(black_box(job));
                if answered.is_ok() && !is_woken.swap(true, Ordering::SeqCst) {
                    let _ = waker.wake();
                }
            }
        })
    };
    let workers = (0..workers).map(worker).collect();
    let mut events = mio::Events::with_capacity(16);
    let time = timed(jobs, |jobs| {
        let submit = |job| submit.send(job).map_err(ended);
        keep_in_flight(jobs, in_flight, submit, || {
            poll.poll(&mut events, None)?;
            is_woken.store(false, Ordering::SeqCst);
            Ok(answers.try_iter().count() as u64)
        })
    });
    drop(submit);
    join(workers)?;
    time
}

/// A task for each job in flight, on the runtime of one thread.
#[cfg(feature = "peers")]
fn tokio(jobs: u64, in_flight: u64, workers: u64) -> io::Result<f64> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(workers as usize).build()?;
    timed(jobs, |jobs| {
        runtime.block_on(async {
            let of_each = jobs / in_flight;
            let rest = jobs % in_flight;
            let tasks = (0..in_flight).map(|number| {
                tokio::spawn(async move {
                    for _ in 0..of_each + u64::from(number < rest) {
                        tokio::task::spawn_blocking(|| ()).await?;
                    }
                    Ok::<_, tokio::task::JoinError>(())
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.map_err(ended)?.map_err(ended)?;
            }
            Ok(())
        })
    })
}

/// A queue, and whether it is closed.
#[derive(Default)]
struct Queue {
    state: Mutex<(VecDeque<u64>, bool)>,
    changed: Condvar,
}

impl Queue {
    fn put(&self, jobs: impl IntoIterator<Item = u64>, is_closed: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.extend(jobs);
        state.1 = is_closed;
        drop(state);
        match is_closed {
            true => self.changed.notify_all(),
            false => self.changed.notify_one(),
        }
    }

    /// Waits for jobs. There are none if it is closed.
    fn wait(&self) -> MutexGuard<'_, (VecDeque<u64>, bool)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_idle = |state: &mut (VecDeque<u64>, bool)| state.0.is_empty() && !state.1;
        self.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<u64> {
        self.wait().0.pop_front()
    }

    fn take_all(&self) -> VecDeque<u64> {
        std::mem::take(&mut self.wait().0)
    }
}

/// A queue there and one back. There is no loop that could wait for descriptors, too.
fn condvars(jobs: u64, in_flight: u64, workers: u64) -> io::Result<f64> {
    let [there, back] = [(); 2].map(|()| Arc::<Queue>::default());
    let worker = |_| {
        let (there, back) = (Arc::clone(&there), Arc::clone(&back));
        thread::spawn(move || {
            while let Some(job) = there.take() {
                back.put([black_box(job)], false);
            }
        })
    };
    let workers = (0..workers).map(worker).collect();
    let time = timed(jobs, |jobs| {
        let submit = |job| {
            there.put([job], false);
            Ok(())
        };
        keep_in_flight(jobs, in_flight, submit, || Ok(back.take_all().len() as u64))
    });
    there.put([], true);
    join(workers)?;
    time
}
