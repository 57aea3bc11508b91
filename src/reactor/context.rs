//! The context: all that can be done to a reactor, except to turn it.

mod late_calls;
mod times;

use std::any::{Any, TypeId, type_name};
use std::os::fd::{AsFd, RawFd};
use std::time::Duration;
use std::{fmt, io};

use super::add_error::AddError;
use super::core::{Core, Deferred};
use super::counters::Counters;
use super::handle::ReactorHandle;
use super::handler::{Handler, Next, Registered};
use super::mode::{Known, reads_raw};
use super::source::Source;
use super::source_entry::Types;
use super::source_info::SourceInfo;
use crate::selector::{Backend, Interest, Selector, Token, Trigger};

/// Access to a reactor for a handler, a timer, a job or a hook.
///
/// It can do everything to the reactor, except to turn it. A source is watched as soon as
/// [`add`](Self::add) returns, and no longer watched as soon as [`remove`](Self::remove) returns. No
/// handler runs in between.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tripoll::{Context, Reactor};
///
/// let mut reactor = Reactor::builder().build_with(Vec::new())?; // the state that handlers share
/// let now = Instant::now();
/// let mut cx = reactor.context();
/// cx.set_timer(now + Duration::from_millis(2), |cx: &mut Context<'_, Vec<&str>>| {
///     cx.state.push("second");
///     cx.stop();
/// });
/// cx.set_timer(now + Duration::from_millis(1), |cx| cx.state.push("first"));
/// let cancelled = cx.set_timer(now, |cx| cx.state.push("never"));
/// assert!(cx.cancel_timer(cancelled));
/// reactor.run()?;
/// assert_eq!(*reactor.state(), ["first", "second"]);
/// # std::io::Result::Ok(())
/// ```
///
/// # A state of several parts
///
/// A reactor has one state. A handler or protocol of a library, which needs a state of its own in the
/// reactor of any application, is generic over it, and asks for its part by [`AsMut`]:
///
/// ```
/// use std::io::{self, PipeReader, Read};
/// use tripoll::{Context, Handler, Interest, Next, Reactor, Source};
///
/// // In the library:
/// #[derive(Default)]
/// struct Total(usize);
///
/// struct Count;
///
/// impl<S: AsMut<Total>> Handler<PipeReader, S> for Count {
///     fn ready(&mut self, pipe: &mut Source<PipeReader>, cx: &mut Context<S>) -> io::Result<Next> {
///         cx.state.as_mut().0 += pipe.read(&mut [0; 64])?;
///         Ok(Next::Keep)
///     }
/// }
///
/// // In the application:
/// #[derive(Default)]
/// struct App {
///     total: Total,
///     name: String,
/// }
///
/// impl AsMut<Total> for App {
///     fn as_mut(&mut self) -> &mut Total {
///         &mut self.total
///     }
/// }
///
/// let (reader, _writer) = io::pipe()?;
/// let mut reactor = Reactor::builder().build_with(App::default())?;
/// reactor.context().add(reader, Interest::READ, Count)?;
/// # io::Result::Ok(())
/// ```
///
/// # Using the reactor while the state is borrowed
///
/// A call that changes the reactor borrows the whole context, its state included. While the state is
/// borrowed, [`split`](Self::split) gives access to both.
///
/// `S` is the state that the handlers share, and `T` what this context can reach of it: all, or
/// nothing after a split.
#[doc(alias = "loop")]
#[doc(alias = "event loop")]
pub struct Context<'a, S = (), T = S> {
    pub(super) core: &'a mut Core<S>,
    /// The state that all handlers share.
    pub state: &'a mut T,
}

impl<S: 'static, T> Context<'_, S, T> {
    /// Splits the context into the state and a context without it, so that one can be used while the
    /// other is borrowed.
    ///
    /// ```
    /// use std::io;
    /// use tripoll::{Context, Reactor, Token};
    ///
    /// /// Notifies all members of a group that the state knows.
    /// fn notify_all(cx: &mut Context<Vec<Token>>) -> io::Result<()> {
    ///     let (members, mut cx) = cx.split();
    ///     for member in members.iter() {
    ///         cx.notify(*member)?; // borrows the reactor, and not the members
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let mut reactor = Reactor::builder().build_with(Vec::new())?;
    /// notify_all(&mut reactor.context())?;
    /// # io::Result::Ok(())
    /// ```
    pub fn split(&mut self) -> (&mut T, Context<'_, S, ()>) {
        // A box of nothing allocates nothing.
        (self.state, Context { core: self.core, state: Box::leak(Box::new(())) })
    }

    /// Adds a source to the reactor, which owns it from now on and makes it non-blocking. The
    /// `handler` is called when the source is ready for a direction of its `interest`.
    ///
    /// A terminal, a pipe or a FIFO that was blocking is made blocking again when it leaves the
    /// reactor, because other processes may share it. A socket stays non-blocking.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the source. The error gives the source back, and
    /// converts into an [`io::Error`] with `?`.
    pub fn add<F, H>(
        &mut self,
        source: F,
        interest: Interest,
        handler: H,
    ) -> Result<Token, AddError<F>>
    where
        F: AsFd + 'static,
        H: Handler<F, S> + 'static,
    {
        let known = Known { reads_raw: reads_raw::<F>(), ..Known::default() };
        self.add_source(source, interest, handler, known).map_err(|(error, _)| error)
    }

    /// As [`add`](Self::add), for a closure. The bound names its arguments, so the closure need not.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use tripoll::{Interest, Next, Reactor};
    ///
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let mut reactor = Reactor::builder().build_with(String::new())?;
    /// reactor.context().add_fn(reader, Interest::READ, |pipe, cx| {
    ///     pipe.read_to_string(cx.state)?;
    ///     cx.stop();
    ///     Ok(Next::Remove)
    /// })?;
    /// writer.write_all(b"hello")?;
    /// drop(writer);
    /// reactor.run()?;
    /// assert_eq!(reactor.state(), "hello");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_fn<F: AsFd + 'static>(
        &mut self,
        source: F,
        interest: Interest,
        handler: impl FnMut(&mut Source<'_, F>, &mut Context<'_, S>) -> io::Result<Next> + 'static,
    ) -> Result<Token, AddError<F>> {
        self.add(source, interest, handler)
    }

    /// As [`add`](Self::add), for a source of which something is known. The handler comes back, too, when
    /// it fails.
    pub(crate) fn add_known<F, H>(
        &mut self,
        source: F,
        interest: Interest,
        handler: H,
        known: Known,
    ) -> Result<Token, (AddError<F>, H)>
    where
        F: AsFd + 'static,
        H: Handler<F, S> + 'static,
    {
        self.add_source(source, interest, handler, known)
    }

    fn add_source<F, H>(
        &mut self,
        source: F,
        interest: Interest,
        handler: H,
        known: Known,
    ) -> Result<Token, (AddError<F>, H)>
    where
        F: AsFd + 'static,
        H: Handler<F, S> + 'static,
    {
        let Core { registry, is_shutting_down, shutdown_queue, .. } = &mut *self.core;
        match registry.add(source.as_fd(), interest, known, Types::of::<F, H>()) {
            Ok(token) => {
                let registered = Box::new(Registered { source, handler });
                if *is_shutting_down {
                    shutdown_queue.push_back(token);
                }
                self.core.defer(Deferred::Add(token, registered));
                Ok(token)
            }
            Err(error) => Err((AddError { source, error }, handler)),
        }
    }

    /// Removes a source. Its handler receives no further event. [`Handler::removed`] is called, and
    /// the source closed, when the running handler has returned. A handler may remove any source,
    /// its own included.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed before.
    pub fn remove(&mut self, token: Token) -> io::Result<()> {
        if self.core.remove(token, None) { Ok(()) } else { Err(not_registered(token)) }
    }

    /// Takes a source out of the reactor. It receives no further event. When the running handler has
    /// returned, [`Handler::removed`] is called, and then `then` with the source: to add it with
    /// another handler, to another reactor, or to hand it to a thread. A socket is still non-blocking.
    ///
    /// ```
    /// use std::io::{PipeReader, Read, Write};
    /// use tripoll::{Context, Deadline, Interest, Next, Reactor, Source};
    ///
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let mut reactor = Reactor::builder().build_with(None)?;
    /// let never = |_: &mut Source<PipeReader>, _: &mut Context<_>| Ok(Next::Keep);
    /// let token = reactor.context().add(reader, Interest::NONE, never)?;
    /// reactor.context().take(token, |reader: PipeReader, cx| *cx.state = Some(reader))?;
    /// reactor.turn(Deadline::Now)?;
    ///
    /// let mut reader = reactor.state_mut().take().expect("it was taken");
    /// writer.write_all(b"x")?;
    /// assert_eq!(reader.read(&mut [0; 8])?, 1);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed. `InvalidInput` if it is not an `F`. Then nothing has
    /// changed.
    pub fn take<F: 'static>(
        &mut self,
        token: Token,
        then: impl FnOnce(F, &mut Context<'_, S>) + 'static,
    ) -> io::Result<()> {
        let types = self.core.registry.types(token).ok_or_else(|| not_registered(token))?;
        if types.source != TypeId::of::<F>() {
            let message = format!("{token:?} is not a {}", type_name::<F>());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let then = |source: Box<dyn Any>, cx: &mut Context<'_, S>| {
            then(*source.downcast().expect("the type was checked"), cx);
        };
        self.core.unregister(token);
        self.core.defer(Deferred::Take(token, Box::new(then)));
        Ok(())
    }

    /// Returns the interest of a source, or `None` if the source was removed.
    pub fn interest(&self, token: Token) -> Option<Interest> {
        self.core.registry.interest(token)
    }

    /// Sets the interest of a source. This makes no system call: the interest that is set when the
    /// next wait begins is applied then, once.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    pub fn set_interest(&mut self, token: Token, interest: Interest) -> io::Result<()> {
        if self.core.registry.set_interest(token, interest) {
            Ok(())
        } else {
            Err(not_registered(token))
        }
    }

    /// Arms a source again that was disarmed with [`Next::Disarm`](super::Next::Disarm).
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    pub fn arm(&mut self, token: Token) -> io::Result<()> {
        if self.core.registry.arm(token) { Ok(()) } else { Err(not_registered(token)) }
    }

    /// Shuts the reactor down gracefully. [`Handler::shutting_down`] of each source is called once,
    /// and may keep the source until its output is flushed. The loop stops when the last source was
    /// removed, and at the latest after `grace`, measured from now.
    ///
    /// The handlers are called at the end of the next turn that waits, after its events, so that
    /// what has arrived is read. The same holds for a source that is added later. A second call of
    /// this method does nothing.
    #[doc(alias = "signal")]
    pub fn shutdown(&mut self, grace: Duration) {
        if self.core.is_shutting_down {
            return;
        }
        (self.core.is_shutting_down, self.core.attention) = (true, true);
        let Core { registry, shutdown_queue, .. } = &mut *self.core;
        shutdown_queue.extend(registry.tokens());
        if let Some(end) = self.now().checked_add(grace) {
            self.set_timer(end, |cx| cx.stop());
        }
    }

    /// Returns whether [`shutdown`](Self::shutdown) has been called.
    pub fn is_shutting_down(&self) -> bool {
        self.core.is_shutting_down
    }

    /// Stops the loop at the end of this turn: see [`ReactorHandle::stop`].
    pub fn stop(&mut self) {
        self.core.wake_state.stop();
    }

    /// Fails: at the end of this turn [`Reactor::turn`](super::Reactor::turn), and with it
    /// [`run`](super::Reactor::run), returns the error. For what the program must know, and what no
    /// caller of a handler is told otherwise: [a listener](crate::net::Listener::serve) that has
    /// ended, for example.
    ///
    /// Nothing else happens to the reactor. Its sources stay, and it can run again. The second
    /// failure in one turn is logged.
    ///
    /// ```
    /// use std::io;
    /// use tripoll::Reactor;
    ///
    /// let mut reactor = Reactor::new()?;
    /// reactor.context().fail(io::Error::other("the disk is full"));
    /// assert_eq!(reactor.run().unwrap_err().to_string(), "the disk is full");
    /// # io::Result::Ok(())
    /// ```
    pub fn fail(&mut self, error: io::Error) {
        if self.core.failure.is_some() {
            log::error!("{error}");
        } else {
            (self.core.failure, self.core.attention) = (Some(error), true);
        }
    }

    /// Counts a panic that was caught in a handler.
    pub(crate) fn note_panic(&mut self) {
        self.core.counters.panics += 1;
    }

    /// Returns a handle to this reactor, for other threads.
    pub fn handle(&self) -> ReactorHandle<S> {
        ReactorHandle::new(&self.core.wake_state)
    }

    /// Switches to another backend. All sources move to it, with their connections and unread
    /// events. Handlers see no difference.
    ///
    /// # Errors
    ///
    /// Fails when the new selector cannot be created, or cannot watch one of the sources. Then
    /// nothing has changed.
    pub fn switch_to(&mut self, backend: Backend) -> io::Result<()> {
        self.switch_to_selector(backend.selector()?)
    }

    /// As [`switch_to`](Self::switch_to), with a selector that has settings or comes from outside
    /// this crate. It must be new: nothing may be added to it.
    ///
    /// # Errors
    ///
    /// As [`switch_to`](Self::switch_to).
    pub fn switch_to_selector(&mut self, selector: Box<dyn Selector>) -> io::Result<()> {
        self.core.registry.check_process()?;
        self.core.registry.switch_to(selector)?;
        self.core.counters.switches += 1;
        Ok(())
    }

    /// Takes the read buffer that all connections of a reactor share, so that an idle one owns none.
    /// It must be [returned](Self::return_scratch).
    #[inline]
    pub(crate) fn take_scratch(&mut self) -> Box<[u8]> {
        let scratch = std::mem::take(&mut self.core.scratch);
        if scratch.is_empty() { new_scratch() } else { scratch }
    }

    /// Returns the shared read buffer.
    #[inline]
    pub(crate) fn return_scratch(&mut self, scratch: Box<[u8]>) {
        self.core.scratch = scratch;
    }

    /// Returns all descriptors that this reactor holds, its own and those of its sources.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        self.core.registry.descriptors().collect()
    }

    /// Returns the name of the current backend.
    pub fn backend(&self) -> &'static str {
        self.core.registry.selector().name()
    }

    /// Returns the requested trigger.
    pub fn trigger(&self) -> Trigger {
        self.core.registry.trigger()
    }

    /// Returns the trigger in effect: the requested one, or the nearest to it that the backend has.
    /// The reactor implements one-shot by itself ([`Next::Disarm`](super::Next::Disarm)), above
    /// level.
    pub fn effective_trigger(&self) -> Trigger {
        self.core.registry.effective_trigger()
    }

    /// Returns the number of sources.
    pub fn len(&self) -> usize {
        self.core.registry.len()
    }

    /// Returns whether there are no sources.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all sources, in no particular order: for a page of the state of a program, for example.
    ///
    /// ```
    /// use tripoll::{Interest, Next, Reactor};
    ///
    /// let (reader, _writer) = std::io::pipe()?;
    /// let mut reactor = Reactor::new()?;
    /// let mut cx = reactor.context();
    /// let token = cx.add_fn(reader, Interest::READ, |_, _| Ok(Next::Keep))?;
    /// let source = cx.sources().next().expect("there is one");
    /// assert_eq!((source.token, source.interest), (token, Interest::READ));
    /// assert!(source.source.ends_with("PipeReader"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn sources(&self) -> impl Iterator<Item = SourceInfo> {
        self.core.sources()
    }

    /// Returns the number of timers and deadlines that are set.
    pub fn timers(&self) -> usize {
        self.core.timers.len()
    }

    /// Returns what the reactor has done so far.
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }
}

/// The size of the shared read buffer.
pub(crate) const SCRATCH: usize = 64 << 10;

/// Makes the read buffer: at first, and after a panic in which it was lost.
#[cold]
fn new_scratch() -> Box<[u8]> {
    vec![0; SCRATCH].into()
}

fn not_registered(token: Token) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{token:?} is not registered"))
}

impl<S, T> Context<'_, S, T> {
    /// Returns whether a source was removed or taken in this turn. Asked often: one look at a flag while
    /// nothing was.
    #[inline]
    pub(crate) fn has_removed(&self, token: Token) -> bool {
        self.core.attention && self.core.registry.interest(token).is_none()
    }
}

impl<S, T> fmt::Debug for Context<'_, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("registry", &self.core.registry).finish_non_exhaustive()
    }
}
