//! The server as its hooks and handlers see it, and the bodies of its methods.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use socket2::{Socket, Type};

use super::config::ServerConfig;
use super::handler::{Exchange, Exit, HandlerError, HandlerResult};
use super::hooks::Hooks;
use crate::net::{
    Address, Attempt, BindOptions, InputEnd, SocketFile, Stream, clone_error, is_by_peer,
    lacks_resources,
};
use crate::server::concurrency::{Runner, Slot};
use crate::server::connections::Connections;
use crate::server::handler::python::PythonSocket;
use crate::server::handler::{self, HandlerFactory, guarded};
use crate::server::lifecycle::{Lifecycle, Limits};
use crate::server::report;
use crate::server::transport::{Endpoint, Request};
use crate::sync::{self, LogLimit, lock};

/// A server as its [hooks](Hooks) and handlers see it: Python's `BaseServer`.
///
/// Every thread may read its attributes and call its methods. The methods with the names of hooks
/// are the *bodies* of the base class, which Python calls by `super()`.
pub struct BaseServer<R: Request> {
    pub(super) me: Weak<Self>,
    config: ServerConfig,
    requested: Address,
    bound: OnceLock<Address>,
    socket_state: Mutex<SocketState<R::Endpoint>>,
    pub(super) factory: HandlerFactory<R>,
    pub(super) hooks: Box<dyn Hooks<R>>,
    pub(super) runner: Box<dyn Runner<R>>,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) connections: Connections<R>,
    /// What was reserved for the request in processing.
    slot: Mutex<Slot>,
    /// What ends the input of the handlers of this run. `None`: they run in the loop, or have none.
    input_end: Mutex<Option<Arc<InputEnd>>>,
    /// What the kernel has answered to the hook `get_request`. `None`: it was not asked.
    answered: Mutex<Option<io::Result<()>>>,
    /// Lines about clients that `get_request` has lost.
    lost: LogLimit,
    /// What `handle_error` writes.
    errors: LogLimit,
}

/// The state of the server's socket.
#[derive(Debug)]
enum SocketState<E> {
    Made(Arc<Socket>),
    /// With the file of a Unix socket, if it is to be removed.
    Bound(Option<SocketFile>, Arc<Socket>),
    Active(Arc<E>),
    Closed,
}

impl<R: Request> BaseServer<R> {
    pub(super) fn new(
        config: ServerConfig,
        address: Address,
        factory: HandlerFactory<R>,
        hooks: Box<dyn Hooks<R>>,
        runner: Box<dyn Runner<R>>,
    ) -> io::Result<Arc<Self>> {
        let socket = BindOptions::socket(&address, R::Endpoint::KIND)?;
        let has_input = R::Endpoint::KIND == Type::STREAM && !factory.is_in_loop();
        let input_end = has_input.then(InputEnd::new).transpose()?;
        let limits = Limits { read: config.read_timeout, idle: config.idle_timeout };
        Ok(Arc::new_cyclic(|me| BaseServer {
            me: Weak::clone(me),
            config,
            requested: address,
            bound: OnceLock::new(),
            socket_state: Mutex::new(SocketState::Made(Arc::new(socket))),
            factory,
            hooks,
            runner,
            lifecycle: Lifecycle::new(limits),
            connections: Connections::new(),
            slot: Mutex::default(),
            input_end: Mutex::new(input_end),
            answered: Mutex::default(),
            lost: LogLimit::new(),
            errors: LogLimit::of(10),
        }))
    }

    /// Returns a counted reference to the server.
    pub(super) fn arc(&self) -> Arc<Self> {
        self.me.upgrade().expect("a caller holds the server")
    }

    fn socket_state(&self) -> MutexGuard<'_, SocketState<R::Endpoint>> {
        lock(&self.socket_state)
    }

    /// Returns the options.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Returns the bound address, with the port that the system chose for port 0. Before the server
    /// is bound, returns the requested address.
    pub fn server_address(&self) -> Address {
        self.bound.get().unwrap_or(&self.requested).clone()
    }

    /// Returns the number of its descriptor, for a loop of your own. Returns −1 after the server
    /// was closed.
    pub fn fileno(&self) -> RawFd {
        self.with_socket(|socket| socket.as_raw_fd()).unwrap_or(-1)
    }

    /// Calls `body` with the socket, which stays open meanwhile. Returns `None` after the server
    /// was closed.
    pub fn with_socket<T>(&self, body: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        // Without the lock: `body` may call the server.
        let socket: Arc<dyn AsFd> = match &*self.socket_state() {
            SocketState::Made(socket) | SocketState::Bound(_, socket) => Arc::clone(socket) as _,
            SocketState::Active(endpoint) => Arc::clone(endpoint) as _,
            SocketState::Closed => return None,
        };
        Some(body(socket.as_fd()))
    }

    pub(super) fn exchange(&self, request: &R, client_address: &Address) -> Exchange<R> {
        Exchange {
            request: request.clone(),
            client_address: client_address.clone(),
            server: self.arc(),
        }
    }

    /// Returns an error if the socket is not bound or not active. A closed socket is no error here:
    /// [`Lifecycle`] knows whether a shutdown came first.
    pub(super) fn check_active(&self) -> io::Result<()> {
        match self.endpoint() {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the socket through which requests are accepted.
    pub(super) fn endpoint(&self) -> io::Result<Arc<R::Endpoint>> {
        match &*self.socket_state() {
            SocketState::Active(endpoint) => Ok(Arc::clone(endpoint)),
            SocketState::Made(_) => {
                Err(not_yet("bound: call server_bind and server_activate first"))
            }
            SocketState::Bound(..) => Err(not_yet("active: call server_activate first")),
            SocketState::Closed => {
                Err(io::Error::new(io::ErrorKind::NotConnected, "the server has been closed"))
            }
        }
    }

    /// Drops the socket. It is closed when the run that uses it has ended.
    pub(super) fn close_socket(&self) {
        let socket_state = std::mem::replace(&mut *self.socket_state(), SocketState::Closed);
        drop(socket_state); // outside the lock
    }

    /// Returns the process ids of its children. Only a [forking](super::Forking) server has any. It
    /// forgets a child when it has reaped it.
    pub fn active_children(&self) -> Vec<u32> {
        self.runner.active_children()
    }

    /// Ends the input of all handlers of this run, in threads and in children. A handler that reads gets
    /// what arrives, and the end of the stream when its client has sent nothing for 50 ms. (Handlers in
    /// the loop are ended by the shutdown itself.)
    ///
    /// It makes a shutdown gentle, before [`server_close_within`](super::Server::server_close_within):
    /// handlers of silent clients end at once, and the others answer what their clients have sent.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tripoll::server::{Exchange, POLL_INTERVAL, PythonSocket, ThreadingTcpServer};
    ///
    /// let server = ThreadingTcpServer::from_fn("127.0.0.1:0", |exchange: &mut Exchange| {
    ///     loop {
    ///         let data = exchange.request.recv(1024)?;
    ///         if data.is_empty() {
    ///             return Ok(());
    ///         }
    ///         exchange.request.sendall(&data)?;
    ///     }
    /// })?;
    /// std::thread::scope(|scope| {
    ///     let serving = scope.spawn(|| server.serve_forever(POLL_INTERVAL));
    ///     // … wait for a signal, for example …
    ///     server.shutdown()?;
    ///     server.end_input();
    ///     server.server_close_within(Duration::from_secs(1))?;
    ///     serving.join().expect("no panic")
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn end_input(&self) {
        match &*lock(&self.input_end) {
            Some(input_end) if !self.lifecycle.is_child() => input_end.request(),
            _ => {} // a child must not end the input of the others
        }
    }

    /// Lets the handlers of a new run read, although those of an earlier one were ended.
    pub(super) fn begin_input(&self) -> io::Result<()> {
        let mut input_end = lock(&self.input_end);
        if input_end.as_ref().is_some_and(|input_end| input_end.is_requested()) {
            *input_end = Some(InputEnd::new()?);
        }
        Ok(())
    }

    /// Returns the connections that are being handled now, except those in children.
    /// [`sendall`](Self::sendall) sends to one of them.
    pub fn connections(&self) -> Vec<(R, Address)> {
        self.connections.list()
    }
}

/// The bodies of the base class.
impl<R: Request> BaseServer<R> {
    /// Sets the options of the socket, and binds it.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`, with the address in the message.
    pub fn server_bind(&self) -> io::Result<()> {
        let mut socket_state = self.socket_state();
        let SocketState::Made(socket) = &*socket_state else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the server is bound already"));
        };
        let options = BindOptions {
            // See `ServerConfig::allow_reuse_address`.
            reuse_address: self.config.allow_reuse_address && R::Endpoint::KIND == Type::STREAM,
            reuse_port: self.config.allow_reuse_port,
            v6_only: self.config.v6_only,
            replace_stale: self.config.replace_stale,
            mode: self.config.socket_mode,
        };
        let mut file = options.bind(socket, &self.requested)?;
        if let (Some(file), false) = (&mut file, self.config.unlink_on_close) {
            file.set_unlink(false);
        }
        let address = Address::of_socket(socket)?;
        if let SocketState::Made(socket) =
            std::mem::replace(&mut *socket_state, SocketState::Closed)
        {
            *socket_state = SocketState::Bound(file, socket);
        }
        let _ = self.bound.set(address);
        Ok(())
    }

    /// Listens.
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`. The server is closed then.
    pub fn server_activate(&self) -> io::Result<()> {
        let mut socket_state = self.socket_state();
        match std::mem::replace(&mut *socket_state, SocketState::Closed) {
            SocketState::Bound(file, socket) => {
                // `with_socket` may be using it just now.
                let socket = Arc::try_unwrap(socket).or_else(|shared| shared.try_clone())?;
                let send_timeout = self.runner.send_timeout();
                let max_buffered = self.runner.max_buffered();
                let endpoint =
                    R::Endpoint::activate(socket, file, &self.config, send_timeout, max_buffered)?;
                *socket_state = SocketState::Active(Arc::new(endpoint));
                Ok(())
            }
            other => {
                *socket_state = other;
                Err(not_yet("bound, or active already"))
            }
        }
    }

    /// Accepts the next request.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)` or `recvfrom(2)`.
    pub fn get_request(&self) -> io::Result<(R, Address)> {
        let input_end = lock(&self.input_end).clone();
        let request = self.endpoint()?.next(&self.config, input_end.as_ref());
        *lock(&self.answered) = Some(request.as_ref().map(drop).map_err(clone_error));
        request
    }

    /// Returns `true`.
    pub fn verify_request(&self, request: &R, client_address: &Address) -> bool {
        let _ = (request, client_address);
        true
    }

    /// Handles a request as the concurrency defines it.
    ///
    /// # Errors
    ///
    /// Those of the handler, if it runs at once. Otherwise, that no thread or child could be
    /// started.
    pub fn process_request(&self, request: &R, client_address: &Address) -> HandlerResult {
        self.runner.process_request(&self.arc(), request, client_address)
    }

    /// Calls `finish_request`, `handle_error` if that fails, and `shutdown_request` in any case.
    pub fn process_request_thread(&self, request: &R, client_address: &Address) {
        let outcome = guarded(|| self.hooks.finish_request(self, request, client_address));
        if let Err(error) = outcome {
            self.report_error(request, client_address, &error);
        }
        self.shut_down(request);
    }

    /// Makes a handler, and has it handle the request.
    ///
    /// # Errors
    ///
    /// Those of the handler. A panic is returned as an error.
    pub fn finish_request(&self, request: &R, client_address: &Address) -> HandlerResult {
        let exchange = self.exchange(request, client_address);
        match &self.factory {
            HandlerFactory::AtOnce(handle) => guarded(|| handle(exchange)),
            HandlerFactory::Stepwise(begin) if !self.runner.parks() => {
                handler::run_whole(&mut *begin(exchange))
            }
            HandlerFactory::Stepwise(_) | HandlerFactory::InLoop(_) => {
                self.runner.adopt(request, client_address, self.take_slot());
                Ok(())
            }
        }
    }

    /// Shuts down our side of a connection, and calls `close_request`.
    ///
    /// In a shutdown ([`end_input`](Self::end_input), or after the server was closed) it first waits
    /// until the client has received the output: a client that still sends would otherwise be reset,
    /// and lose it. It waits no longer than the client reads, nor than the grace of the close.
    pub fn shutdown_request(&self, request: &R) {
        request.shutdown();
        // (The loop lingers without blocking.)
        if !self.factory.is_in_loop() && (request.is_input_ending() || self.lifecycle.is_closed()) {
            request.linger(&|| self.lifecycle.is_grace_over());
        }
        self.hooks.close_request(self, request);
    }

    /// Removes a connection from the [list](Self::connections).
    pub fn close_request(&self, request: &R) {
        self.connections.remove(request);
    }

    /// Writes the error to standard error, between two lines of forty dashes, as Python does.
    ///
    /// It never blocks the caller, which may be the loop: what standard error does not take at once
    /// is lost. A process writes at most 10 errors a second; the next one says how many were left out.
    /// What a client does is no fault of the program: a reset or a connection that is gone is a debug
    /// line of the `log`.
    pub fn handle_error(&self, request: &R, client_address: &Address, error: &HandlerError) {
        let _ = request;
        if report::is_by_client(&**error, R::Endpoint::KIND) {
            log::debug!("{client_address}: {error}");
        } else if let Some(left_out) = self.errors.pass() {
            report::to_stderr(client_address, &**error, left_out);
        }
    }

    /// What the concurrency has to do: a forking server collects its children.
    pub fn handle_timeout(&self) {
        self.runner.service_actions();
    }

    /// What the concurrency has to do: a forking server collects its children.
    pub fn service_actions(&self) {
        self.runner.service_actions();
    }
}

impl BaseServer<Arc<Stream>> {
    /// Sends all of `data` to one of the [connections](Self::connections), from any thread or
    /// handler.
    ///
    /// To a client in the loop the data goes through the loop, and the call does not block. A client for
    /// which more than 16 MiB are kept, in the loop or before it, is reset when there is more. To
    /// others it is written here, before or after what other threads send as a whole
    /// ([`PythonSocket::sendall`], `wfile`). That blocks while the client does not read, until the
    /// client's [`idle_timeout`](super::ServerConfig#structfield.idle_timeout) expires.
    ///
    /// # Errors
    ///
    /// Those of the write, where it is made here.
    pub fn sendall(&self, request: &Arc<Stream>, data: &[u8]) -> io::Result<()> {
        if self.connections.put_mail(request, data) { Ok(()) } else { request.sendall(data) }
    }
}

/// The callers of the hooks.
impl<R: Request> BaseServer<R> {
    /// Called in a child process: from now on nothing is touched that the parent's threads share.
    pub(super) fn enter_child(&self) {
        self.connections.enter_child();
        self.lifecycle.enter_child();
    }

    /// Processes a request, as the second half of Python's `_handle_request_noblock`.
    ///
    /// # Errors
    ///
    /// [`Exit`] only.
    pub(super) fn process(
        &self,
        request: R,
        client_address: &Address,
        slot: Slot,
    ) -> Result<(), Exit> {
        *lock(&self.slot) = slot;
        let processed = self.call_hooks(request, client_address);
        drop(self.take_slot()); // no hook has used it
        processed
    }

    /// Takes what was reserved for the request in processing. A hook that processes a request
    /// later, or twice, finds nothing.
    pub(super) fn take_slot(&self) -> Slot {
        std::mem::take(&mut *lock(&self.slot))
    }

    fn call_hooks(&self, request: R, client_address: &Address) -> Result<(), Exit> {
        self.connections.add(&request, client_address);
        let verified = guarded(|| Ok(self.hooks.verify_request(self, &request, client_address)));
        let outcome = match verified {
            Ok(true) => guarded(|| self.hooks.process_request(self, &request, client_address)),
            Ok(false) => {
                self.shut_down(&request);
                return Ok(());
            }
            Err(error) => Err(error),
        };
        let Err(error) = outcome else { return Ok(()) };
        self.report_error(&request, client_address, &error);
        self.shut_down(&request);
        if error.is::<Exit>() { Err(Exit) } else { Ok(()) }
    }

    /// Handles a request in the thread that was started for it, whatever the hook does.
    pub(super) fn work(&self, request: &R, client_address: &Address) {
        let worked = guarded(|| {
            self.hooks.process_request_thread(self, request, client_address);
            Ok(())
        });
        if let Err(panic) = worked {
            self.report_error(request, client_address, &panic);
            self.shut_down(request);
        }
    }

    /// Accepts the next request by the hook. What the hook itself fails in, or its panic, costs one
    /// client.
    ///
    /// # Errors
    ///
    /// The kernel's, and those of a hook that has not asked the kernel.
    pub(super) fn next_request(&self) -> io::Result<Attempt<(R, Address)>> {
        *lock(&self.answered) = None;
        let request = sync::catch_panic(|| self.hooks.get_request(self))
            .unwrap_or_else(|panic| Err(io::Error::other(panic)));
        let error = match request {
            Ok(request) => return Ok(Attempt::Accepted(request)),
            Err(error) => error,
        };
        let answered = lock(&self.answered).take();
        match answered {
            Some(Err(kernels)) => return Err(kernels),
            None if error.kind() == io::ErrorKind::WouldBlock => return Ok(Attempt::Postponed),
            None if lacks_resources(&error) => return Err(error),
            _ => {}
        }
        if is_by_peer(&error) {
            log::debug!("get_request has lost a client: {error}");
        } else if let Some(left_out) = self.lost.pass() {
            log::warn!("get_request has lost a client: {error}{left_out}");
        }
        match answered {
            Some(_) => Ok(Attempt::Lost),
            None => Err(io::Error::other(error)), // the number is not the kernel's answer
        }
    }

    /// Calls a hook, and logs its panic.
    pub(super) fn call(&self, name: &str, hook: impl FnOnce(&Self)) {
        if let Err(panic) = sync::catch_panic(|| hook(self)) {
            log::error!("{name} {panic}");
        }
    }

    /// Reports an error to the hook `handle_error`, unless it is [`Exit`].
    pub(super) fn report_error(&self, request: &R, client_address: &Address, error: &HandlerError) {
        if error.is::<Exit>() {
            return;
        }
        self.call("handle_error", |server| {
            server.hooks.handle_error(server, request, client_address, error);
        });
    }

    pub(super) fn shut_down(&self, request: &R) {
        self.call("shutdown_request", |server| server.hooks.shutdown_request(server, request));
        self.connections.remove(request); // whatever the hook has done
    }
}

fn not_yet(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the server is not {what}"))
}

impl<R: Request> fmt::Debug for BaseServer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseServer")
            .field("server_address", &self.server_address())
            .field("strategy", &self.runner)
            .finish_non_exhaustive()
    }
}
