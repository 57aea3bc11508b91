//! The end of a check that the check itself cannot make: a signal, or no end at all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::processes;

/// Why a check was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A signal, such as that of Ctrl-C.
    Signal,
    /// It took too long.
    Time(Duration),
    /// The program has started so many processes.
    Processes(usize),
}

/// Watches over the check from another thread. When there is a [`Cause`], it kills the program with
/// all that it has started, and calls `end`.
///
/// # Errors
///
/// No handler can be set for a signal.
pub fn watch(most: Duration, end: impl FnOnce(Cause) + Send + 'static) -> io::Result<()> {
    const MOST_PROCESSES: usize = 256;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let begin = Instant::now();
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(50));
            let count = processes::descendants().len();
            let cause = match () {
                () if stop.load(Ordering::Relaxed) => Cause::Signal,
                () if begin.elapsed() > most => Cause::Time(most),
                () if count > MOST_PROCESSES => Cause::Processes(count),
                () => continue,
            };
            processes::continue_all();
            processes::kill_all();
            return end(cause);
        }
    });
    Ok(())
}
