//! One try to connect: resolves the name if there is one, and tries one address after another.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::super::address::Address;
use super::super::resolve::begin_resolving;
use super::super::stage::{self, Connecting, Stop, Then};
use super::super::stream::Stream;
use super::super::time_limit::TimeLimit;
use super::attempt::Attempt;
use crate::pool::Pool;
use crate::reactor::Context;
use crate::sys;

/// What a try needs to know.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) local: Option<Address>,
    pub(super) attempt_timeout: Duration,
    pub(super) timeout: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Target {
    Addresses(Vec<Address>),
    Name { name: String, pool: Arc<Pool> },
}

/// What is done with the result of a try.
pub(super) type Done<S> = Box<dyn FnOnce(Result<Stream, Stop>, &mut Context<'_, S>)>;

/// A try. It is moved from stage to stage.
struct Run<S> {
    plan: Plan,
    limit: TimeLimit,
    /// The addresses that have not been tried.
    addresses: VecDeque<Address>,
    /// The address that is being tried.
    current: Option<Address>,
    failures: Failures,
    connecting: Connecting,
    /// Whether the caller is still in the call that began the try. No callback is called from inside.
    is_in_call: bool,
    done: Done<S>,
}

/// Begins a try. `is_in_call`: `done` must not be called before the caller has returned.
pub(super) fn begin<S: 'static>(
    plan: Plan,
    connecting: Connecting,
    is_in_call: bool,
    cx: &mut Context<'_, S>,
    done: Done<S>,
) {
    let limit = TimeLimit::of(plan.timeout, cx.now());
    let target = plan.target.clone();
    let mut run = Box::new(Run {
        plan,
        limit,
        addresses: VecDeque::new(),
        current: None,
        failures: Failures::default(),
        connecting,
        is_in_call,
        done,
    });
    if run.connecting.is_cancelled() {
        // By the closure that has made the connection.
        return run.end(Err(Stop::Cancelled), cx);
    }
    match target {
        Target::Addresses(addresses) => {
            run.addresses = addresses.into();
            run.try_next(cx);
        }
        Target::Name { name, pool } => {
            let connecting = run.connecting.clone();
            match begin_resolving(&pool, name, Some(limit), run, cx) {
                Ok(source) => connecting.wait_for(source),
                Err((error, run)) => run.end(Err(Stop::Failed(error)), cx),
            }
        }
    }
}

impl<S: 'static> Run<S> {
    /// Tries the next address for which the kernel begins to connect a socket.
    fn try_next(mut self: Box<Self>, cx: &mut Context<'_, S>) {
        let now = cx.now();
        while let Some(address) = self.addresses.pop_front() {
            if self.limit.is_over(now) {
                self.failures.add(address, self.limit.error("not tried: no connection"));
                continue;
            }
            let limit = TimeLimit::of(self.plan.attempt_timeout, now).min(self.limit);
            match Attempt::begin(&address, self.plan.local.as_ref(), limit, now) {
                Ok((socket, interest, attempt)) => {
                    let connecting = self.connecting.clone();
                    self.current = Some(address);
                    match stage::begin(socket, interest, attempt, self, cx) {
                        Ok(source) => return connecting.wait_for(source),
                        Err((error, run)) => {
                            self = run;
                            self.current_failed(error);
                        }
                    }
                }
                Err(error) => {
                    // The other addresses need a descriptor, too.
                    let is_last = is_lack_of_descriptors(&error);
                    self.failures.add(address, error);
                    if is_last {
                        break;
                    }
                }
            }
        }
        let failures = std::mem::take(&mut self.failures);
        let error = failures.into_error(&self.plan.target);
        self.end(Err(Stop::Failed(error)), cx);
    }

    fn current_failed(&mut self, error: io::Error) {
        if let Some(address) = self.current.take() {
            self.failures.add(address, error);
        }
    }

    fn end(self: Box<Self>, result: Result<Stream, Stop>, cx: &mut Context<'_, S>) {
        let Run { is_in_call, connecting, done, .. } = *self;
        let done = move |cx: &mut Context<'_, S>| {
            let result = if connecting.is_cancelled() { Err(Stop::Cancelled) } else { result };
            done(result, cx);
        };
        if is_in_call {
            cx.defer(done);
        } else {
            done(cx);
        }
    }
}

impl<S: 'static> Then<S, Vec<Address>> for Box<Run<S>> {
    fn then(mut self, result: Result<Vec<Address>, Stop>, cx: &mut Context<'_, S>) {
        self.is_in_call = false;
        match result {
            Ok(addresses) if !self.connecting.is_cancelled() => {
                self.addresses = addresses.into();
                self.try_next(cx);
            }
            Ok(_) => self.end(Err(Stop::Cancelled), cx),
            Err(stop) => self.end(Err(stop), cx),
        }
    }
}

impl<S: 'static> Then<S, Stream> for Box<Run<S>> {
    fn then(mut self, result: Result<Stream, Stop>, cx: &mut Context<'_, S>) {
        self.is_in_call = false;
        match result {
            Err(Stop::Failed(error)) if !self.connecting.is_cancelled() => {
                self.current_failed(error);
                self.try_next(cx);
            }
            result => self.end(result, cx),
        }
    }
}

/// Returns whether the process or the system has no descriptor left.
fn is_lack_of_descriptors(error: &io::Error) -> bool {
    matches!(sys::errno(error), Some(libc::EMFILE | libc::ENFILE))
}

/// The addresses that were tried, each with the reason why it failed.
#[derive(Debug, Default)]
struct Failures(Vec<(Address, io::Error)>);

impl Failures {
    fn add(&mut self, address: Address, error: io::Error) {
        self.0.push((address, error));
    }

    /// Returns them as one error: its kind and number are those of the last one. An address to which no
    /// socket can connect comes before the others, because to try it again is useless.
    fn into_error(mut self, target: &Target) -> io::Error {
        self.0.sort_by_key(|(_, error)| error.kind() != io::ErrorKind::InvalidInput);
        let Some((address, last)) = self.0.pop() else {
            let text = "there is no address to connect to";
            return io::Error::new(io::ErrorKind::InvalidInput, text);
        };
        let mut context = match target {
            Target::Addresses(_) => String::from("cannot connect "),
            Target::Name { name, .. } => format!("{}: cannot connect ", name.escape_debug()),
        };
        for (address, error) in self.0 {
            context += &format!("to {address}: {error}; ");
        }
        sys::with_context(format!("{context}to {address}"), last)
    }
}
