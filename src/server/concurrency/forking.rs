//! A child process for each request.

use std::collections::HashMap;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crate::net::{Address, Limit};
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, LoopRequest, Runner, Slot, Supports};
use crate::server::handler::{Blocking, HandlerResult, guarded};
use crate::server::transport::Request;
use crate::sync::lock;
use crate::sys::{self, DespiteThreads, ForkResult, PollFd, PollFlags};

/// A child process for each request: Python's `ForkingMixIn`.
///
/// A child is a copy of the process, in which the handler runs. What the handler changes, it changes
/// in the copy. The server must run in a process that has no other thread, and refuses to serve
/// elsewhere.
///
/// The server reaps its own children as soon as they end, by their process ids, and no others. The
/// loop does that. Where the loop is your own, [`service_actions`](BaseServer::service_actions) does.
/// As in Python, a dropped server does not wait: children that are still working go on, and become
/// zombies until this process ends or waits for them. `server_close` waits for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forking {
    /// How many children can run at once. Further connections are not accepted until one ends.
    /// (Python stops its whole loop for that.) Default: 40.
    pub max_children: usize,
    /// Whether `server_close` waits for the children. Default: true.
    pub block_on_close: bool,
    /// Permits to fork although there are other threads; see [`DespiteThreads`]. Default: none.
    pub despite_threads: Option<DespiteThreads>,
}

/// Setters of the fields, by value.
impl Forking {
    /// Sets [`max_children`](#structfield.max_children).
    #[must_use]
    pub fn max_children(mut self, max_children: usize) -> Self {
        self.max_children = max_children;
        self
    }

    /// Sets [`block_on_close`](#structfield.block_on_close).
    #[must_use]
    pub fn block_on_close(mut self, block_on_close: bool) -> Self {
        self.block_on_close = block_on_close;
        self
    }

    /// Sets [`despite_threads`](#structfield.despite_threads).
    #[must_use]
    pub fn despite_threads(mut self, despite_threads: Option<DespiteThreads>) -> Self {
        self.despite_threads = despite_threads;
        self
    }
}

impl Default for Forking {
    fn default() -> Self {
        Forking { max_children: 40, block_on_close: true, despite_threads: None }
    }
}

impl<X: Blocking> Supports<X> for Forking {}

impl Concurrency for Forking {
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>> {
        Ok(Box::new(ChildPerRequest {
            limit: Limit::new(Some(self.max_children)),
            options: self,
            running: Arc::default(),
            unwatched: Mutex::default(),
            is_poll_scheduled: AtomicBool::new(false),
            inherited: Mutex::default(),
            closed: io::pipe()?.0,
        }))
    }
}

/// The children of a server.
#[derive(Debug)]
struct ChildPerRequest {
    options: Forking,
    limit: Limit,
    running: Arc<RunningChildren>,
    /// The children whose end the loop does not watch: the newest, and those without a pidfd (no
    /// free descriptor, or a system before Linux 5.3).
    unwatched: Mutex<Vec<libc::pid_t>>,
    /// Whether the loop will poll them after a pause.
    is_poll_scheduled: AtomicBool,
    /// The descriptors of the loop, which the next child must close.
    inherited: Mutex<Vec<RawFd>>,
    /// What replaces them in a child: the end of a pipe that is closed. Opened early, because a child
    /// may start when there is no free descriptor. It needs no file system.
    closed: PipeReader,
}

/// The children that were not reaped yet. A process id is the child's until it is reaped, and may
/// be reused afterwards. So it is waited for, reaped or signalled only under the lock, while it is
/// in this table.
#[derive(Debug, Default)]
struct RunningChildren(Mutex<HashMap<libc::pid_t, Child>>);

#[derive(Debug)]
struct Child {
    /// See [`RunningChildren::end`].
    end: Option<Arc<OwnedFd>>,
    _slot: Slot,
}

/// Poll interval for children that have no pidfd.
const PAUSE: Duration = Duration::from_millis(10);

impl RunningChildren {
    fn all(&self) -> Vec<libc::pid_t> {
        lock(&self.0).keys().copied().collect()
    }

    fn enter(&self, child: libc::pid_t, slot: Slot) {
        lock(&self.0).insert(child, Child { end: None, _slot: slot });
    }

    /// Reaps a child if it has ended. Returns true if it was reaped, now or earlier.
    fn reap(&self, child: libc::pid_t) -> bool {
        let mut running = lock(&self.0);
        if !running.contains_key(&child) {
            return true;
        }
        if !sys::has_ended(child) {
            return false;
        }
        let reaped = running.remove(&child);
        drop(running);
        drop(reaped); // outside the lock: it makes room for the next
        true
    }

    fn reap_all(&self) {
        for child in self.all() {
            self.reap(child);
        }
    }

    /// Returns a descriptor that is readable when the child has ended. Returns `None` if the child
    /// was reaped, if there are no free descriptors, and before Linux 5.3.
    fn end(&self, child: libc::pid_t) -> Option<Arc<OwnedFd>> {
        let mut running = lock(&self.0);
        let known = running.get_mut(&child)?;
        if known.end.is_none() {
            known.end = sys::watch_child(child).ok().map(Arc::new);
        }
        known.end.clone()
    }

    /// Waits until a child was reaped. Returns false if it was not by the deadline.
    fn wait_for(&self, child: libc::pid_t, deadline: Option<Instant>) -> bool {
        let end = self.end(child);
        while !self.reap(child) {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            let watch = |end: &Arc<OwnedFd>| {
                sys::poll(&mut [PollFd::new(end.as_raw_fd(), PollFlags::IN)], left)
            };
            if !matches!(end.as_ref().map(watch), Some(Ok(_))) {
                thread::sleep(left.map_or(PAUSE, |left| left.min(PAUSE)));
            }
        }
        true
    }

    fn kill_all(&self) {
        for (&child, known) in &*lock(&self.0) {
            sys::kill(child, known.end.as_ref().map(|end| end.as_fd()));
        }
    }
}

impl ChildPerRequest {
    /// Runs the child. It never returns to the loop of which it is a copy, whatever fails: a hook,
    /// or the logger that reports it.
    fn run_child<R: Request>(
        &self,
        mut inherited: Vec<RawFd>,
        server: &BaseServer<R>,
        request: &R,
        address: &Address,
    ) -> ! {
        let ran = guarded(|| {
            server.enter_child();
            // A datagram is answered through the server's own socket.
            inherited.retain(|&fd| fd != request.descriptor());
            if let Err(error) = sys::close_inherited(&inherited, self.closed.as_fd()) {
                log::warn!("a child keeps its parent's descriptors: {error}");
            }
            let outcome = guarded(|| server.hooks.finish_request(server, request, address));
            if let Err(error) = &outcome {
                server.report_error(request, address, error);
            }
            server.shut_down(request);
            outcome
        });
        sys::exit_now(ran.is_err().into())
    }
}

impl<R: Request> Runner<R> for ChildPerRequest {
    fn check(&self) -> io::Result<()> {
        match self.options.despite_threads {
            Some(_) => Ok(()),
            None => sys::check_alone(),
        }
    }

    fn reserve(&self, waker: &Waker) -> Option<Slot> {
        lock(&self.unwatched).retain(|&child| !self.running.reap(child));
        Some(Slot { permit: Some(self.limit.acquire(waker)?), ..Slot::default() })
    }

    fn note_descriptors(&self, held: &dyn Fn() -> Vec<RawFd>) {
        *lock(&self.inherited) = held();
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        // For this child only: by the next one these numbers may have been reused.
        let inherited = std::mem::take(&mut *lock(&self.inherited));
        match sys::fork(self.options.despite_threads)? {
            ForkResult::Child => self.run_child(inherited, server, request, client_address),
            ForkResult::Parent(child) => {
                self.running.enter(child, server.take_slot().counted(&self.limit));
                lock(&self.unwatched).push(child);
                server.call("close_request", |server| server.hooks.close_request(server, request));
                Ok(())
            }
        }
    }

    fn resume(&self) {
        *lock(&self.unwatched) = self.running.all();
        self.is_poll_scheduled.store(false, Ordering::Relaxed);
    }

    /// Has the loop reap each child when it ends. That takes a descriptor for each: the one that
    /// the parent has just closed.
    fn loop_requests(&self, again: bool) -> Vec<LoopRequest<R>> {
        lock(&self.inherited).clear(); // of a request that was refused
        if again {
            self.is_poll_scheduled.store(false, Ordering::Relaxed);
            lock(&self.unwatched).retain(|&child| !self.running.reap(child));
        }
        let mut loop_requests = Vec::new();
        lock(&self.unwatched).retain(|&child| {
            let Some(end) = self.running.end(child) else { return true };
            let running = Arc::clone(&self.running);
            let reap = move || {
                running.reap(child);
            };
            loop_requests.push(LoopRequest::OnReadable(end, Box::new(reap)));
            false
        });
        // The others are polled, all at once.
        if !lock(&self.unwatched).is_empty()
            && !self.is_poll_scheduled.swap(true, Ordering::Relaxed)
        {
            loop_requests.push(LoopRequest::PollLater);
        }
        loop_requests
    }

    /// Python's `collect_children`.
    fn service_actions(&self) {
        self.running.reap_all();
    }

    fn active_children(&self) -> Vec<u32> {
        self.running.all().into_iter().map(libc::pid_t::cast_unsigned).collect()
    }

    fn timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(300))
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        if !self.options.block_on_close {
            self.running.reap_all();
            return true;
        }
        self.running.all().into_iter().all(|child| self.running.wait_for(child, deadline))
    }

    /// Kills the children: their connections are theirs alone.
    fn cut(&self) {
        self.running.kill_all();
    }
}

impl Drop for ChildPerRequest {
    fn drop(&mut self) {
        self.running.reap_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{self, Command, Stdio};

    use super::*;
    use crate::net::Stream;

    fn number(child: &process::Child) -> libc::pid_t {
        child.id().cast_signed()
    }

    /// A process that lives until its standard input ends.
    fn sleeper() -> process::Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the process has ended, without reaping it.
    fn await_end(child: &mut process::Child) {
        drop(child.stdin.take());
        child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn a_process_that_is_not_in_the_table_is_not_reaped() {
        let mut foreign = sleeper();
        await_end(&mut foreign);
        let running = RunningChildren::default();
        assert!(running.reap(number(&foreign)));
        assert!(foreign.wait().unwrap().success(), "it was there to be waited for");
    }

    #[test]
    fn a_reused_process_id_is_not_killed() {
        let (mut ours, mut foreign) = (sleeper(), sleeper());
        let running = RunningChildren::default();
        running.enter(number(&ours), Slot::default());
        let end = running.end(number(&ours));
        await_end(&mut ours);
        ours.wait().unwrap(); // the program was quicker, and the id is free
        let entry = Child { end, _slot: Slot::default() };
        lock(&running.0).insert(number(&foreign), entry);
        running.kill_all();
        await_end(&mut foreign);
        assert!(foreign.wait().unwrap().success(), "it has ended by itself");
    }

    fn children(options: Forking) -> ChildPerRequest {
        ChildPerRequest {
            limit: Limit::new(Some(options.max_children)),
            options,
            running: Arc::default(),
            unwatched: Mutex::default(),
            is_poll_scheduled: AtomicBool::new(false),
            inherited: Mutex::default(),
            closed: io::pipe().unwrap().0,
        }
    }

    #[test]
    fn a_dropped_server_reaps_the_children_that_have_ended_and_no_others() {
        let (mut ended, mut working) = (sleeper(), sleeper());
        let server = children(Forking::default());
        server.running.enter(number(&ended), Slot::default());
        server.running.enter(number(&working), Slot::default());
        await_end(&mut ended);
        // The kernel closes its files before it reports its end.
        sys::poll(
            &mut [PollFd::new(
                server.running.end(number(&ended)).unwrap().as_raw_fd(),
                PollFlags::IN,
            )],
            None,
        )
        .unwrap();
        drop(server);
        assert!(ended.wait().is_err(), "it was reaped");
        await_end(&mut working);
        assert!(working.wait().unwrap().success(), "it was there to be waited for");
    }

    #[test]
    fn it_waits_for_a_request_as_long_as_pythons_does() {
        let timeout = Runner::<Arc<Stream>>::timeout(&children(Forking::default()));
        assert_eq!(timeout, Some(Duration::from_secs(300)));
    }

    #[test]
    fn a_child_is_waited_for_with_and_without_a_pidfd() {
        for has_descriptor in [true, false] {
            let running = RunningChildren::default();
            let mut child = sleeper();
            running.enter(number(&child), Slot::default());
            if has_descriptor {
                running.end(number(&child)).expect("a pidfd");
            }
            let soon = Instant::now() + Duration::from_millis(20);
            assert!(!running.wait_for(number(&child), Some(soon)));
            running.kill_all();
            assert!(running.wait_for(number(&child), None));
            assert!(running.all().is_empty());
            assert!(child.wait().is_err(), "it was reaped");
        }
    }
}
