//! Host names, resolved by a pool of threads: `getaddrinfo(3)` blocks, and no loop may.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;
use std::time::Instant;

use super::address::Address;
use super::stage::{self, Cause, Stop, Then, Wait};
use super::time_limit::TimeLimit;
use super::to_address::{Text, resolve_all};
use crate::pool::Pool;
use crate::reactor::{Context, Source};
use crate::selector::{Interest, Token};
use crate::sync::lock;
use crate::sys::EventFd;

/// Resolves the text of an address by a worker of `pool`, and calls `done` in the loop with the
/// addresses, at least one. They are in the order of `getaddrinfo(3)`, IPv4 and IPv6.
///
/// `name` is any text that [`ToAddress`](super::ToAddress) takes: `HOST:PORT`, and also the forms that
/// need no resolving, which cost no job.
///
/// The returned token stands for the request. When it is [removed](Context::remove), or when the
/// reactor shuts down, `done` is called with an error of kind `ConnectionAborted`, and the answer of
/// the worker is ignored. There is no time limit unless a [deadline](Context::set_deadline) is set: the
/// system's resolver gives up after some seconds, as `/etc/resolv.conf` says.
///
/// ```
/// use std::sync::Arc;
/// use tripoll::Reactor;
/// use tripoll::net::{self, Address};
/// use tripoll::pool::Pool;
///
/// let pool = Pool::new(2, 16)?;
/// let mut reactor = Reactor::builder().build_with(Vec::new())?;
/// net::resolve(&pool, "localhost:443", &mut reactor.context(), |addresses, cx| {
///     *cx.state = addresses.expect("each machine knows it");
///     cx.stop();
/// })?;
/// reactor.run()?;
/// assert!(reactor.state().iter().all(|address| matches!(address, Address::Inet(_))));
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// Fails when there is no descriptor for the answer, or when the selector cannot watch it. Then `done`
/// is not called. All other errors are passed to `done`: `InvalidInput` for a text that is not an
/// address, those of the resolver, and `ResourceBusy` when the queue of the pool is full.
#[doc(alias = "dns")]
pub fn resolve<S: 'static>(
    pool: &Pool,
    name: impl Into<String>,
    cx: &mut Context<'_, S>,
    done: impl FnOnce(io::Result<Vec<Address>>, &mut Context<'_, S>) + 'static,
) -> io::Result<Token> {
    begin_resolving(pool, name.into(), None, Done(done), cx).map_err(|(error, _)| error)
}

struct Done<F>(F);

impl<S: 'static, F> Then<S, Vec<Address>> for Done<F>
where
    F: FnOnce(io::Result<Vec<Address>>, &mut Context<'_, S>) + 'static,
{
    fn then(self, result: Result<Vec<Address>, Stop>, cx: &mut Context<'_, S>) {
        (self.0)(result.map_err(Stop::into_error), cx);
    }
}

/// Begins to resolve `name`.
///
/// # Errors
///
/// As [`resolve`]. `then` comes back.
pub(super) fn begin_resolving<S: 'static, T: Then<S, Vec<Address>>>(
    pool: &Pool,
    name: String,
    limit: Option<TimeLimit>,
    then: T,
    cx: &mut Context<'_, S>,
) -> Result<Token, (io::Error, T)> {
    let slot = match EventFd::new() {
        Ok(event_fd) => Arc::new(Slot { answer: Mutex::new(None), event_fd }),
        Err(error) => return Err((error, then)),
    };
    let answer = Arc::downgrade(&slot);
    let wait = Resolving { name: name.clone(), limit };
    let token = stage::begin(slot, Interest::READ, wait, then, cx)?;
    match Text::read(&name) {
        Ok(Text::Host(..)) => {
            let question = Question { name, answer: Weak::clone(&answer) };
            if let Err(refused) = pool.submit(move || question.ask()) {
                put(&answer, Err(refused.into()));
            }
        }
        Ok(Text::Address(address)) => put(&answer, Ok(vec![address])),
        Err(error) => put(&answer, Err(error)),
    }
    Ok(token)
}

/// Resolves a text. Blocks.
fn resolve_text(text: &str) -> io::Result<Vec<Address>> {
    match Text::read(text)? {
        Text::Address(address) => Ok(vec![address]),
        Text::Host(host, port) => {
            Ok(resolve_all(host, port)?.into_iter().map(Address::Inet).collect())
        }
    }
}

/// Where the worker leaves the answer.
#[derive(Debug)]
struct Slot {
    answer: Mutex<Option<io::Result<Vec<Address>>>>,
    /// Readable when there is an answer.
    event_fd: EventFd,
}

impl AsFd for Slot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event_fd.as_fd()
    }
}

/// Leaves the answer, unless the request was cancelled: its descriptor is not kept until the worker has
/// finished.
fn put(slot: &Weak<Slot>, answer: io::Result<Vec<Address>>) {
    if let Some(slot) = slot.upgrade() {
        *lock(&slot.answer) = Some(answer);
        slot.event_fd.wake();
    }
}

/// A job for a worker.
struct Question {
    name: String,
    answer: Weak<Slot>,
}

impl Question {
    fn ask(mut self) {
        let answer = std::mem::take(&mut self.answer);
        put(&answer, resolve_text(&self.name));
    }
}

impl Drop for Question {
    /// Answers if no worker has done the job: the pool was drained, for example.
    fn drop(&mut self) {
        put(&self.answer, Err(io::Error::other("the pool has dropped the job of resolving it")));
    }
}

/// Waits for the answer.
struct Resolving {
    name: String,
    /// `None`: for ever.
    limit: Option<TimeLimit>,
}

impl Wait<Arc<Slot>> for Resolving {
    type Output = Vec<Address>;

    fn poll(
        &mut self,
        cause: Cause,
        source: &mut Source<'_, Arc<Slot>>,
        _: Instant,
    ) -> Poll<io::Result<()>> {
        match cause {
            Cause::Added => Poll::Pending,
            Cause::Ready => {
                // Where the event was spurious, the reactor learns of it.
                let has_answer = source.try_io(Interest::READ, |slot| {
                    lock(&slot.answer)
                        .is_some()
                        .then_some(())
                        .ok_or(io::ErrorKind::WouldBlock.into())
                });
                if has_answer.is_ok() { Poll::Ready(Ok(())) } else { Poll::Pending }
            }
            Cause::Deadline => {
                let what = format!("{:?} was not resolved", self.name);
                Poll::Ready(Err(match self.limit {
                    Some(limit) => limit.error(&what),
                    None => io::Error::new(io::ErrorKind::TimedOut, format!("{what} in time")),
                }))
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.limit.and_then(TimeLimit::until)
    }

    fn finish(self, slot: Arc<Slot>) -> io::Result<Vec<Address>> {
        lock(&slot.answer).take().expect("there is an answer")
    }
}
