//! A client in the loop: its exchange, and the calls of its handler.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::loop_state::{Cause, LoopState, Phase};
use crate::net::{Address, Stream};
use crate::server::base::BaseServer;
use crate::server::handler::{
    Exchange, ExchangeKind, Exit, HandlerFactory, HandlerResult, LoopHandler, RequestHandler,
    guarded,
};

/// A client that is kept in the loop, for servers with [`InReactor`](crate::server::InReactor).
///
/// No method blocks. [`handle`](RequestHandler::handle) is called each time the client has sent
/// something, and finds it in [`input`](Self::input). [Output](Self::sendall) that the kernel does not
/// take at once is kept, and written later. The conversation ends when the handler
/// [closes](Self::close) it, when the handler fails, or when the client has finished.
///
/// Back-pressure: while the client does not read its output, its input is not read either. Input is
/// limited too: a handler that leaves more than 1 MiB of it unused fails.
///
/// If the last output cannot be delivered, the hook
/// [`handle_error`](crate::server::Hooks::handle_error) is called with the error, unless the handler
/// itself has failed.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{Shutdown, TcpStream};
/// use tripoll::server::{LoopExchange, ReactorTcpServer};
///
/// // Answers line by line. A part of a line stays in the input until the rest arrives.
/// let server = ReactorTcpServer::from_fn("127.0.0.1:0", |exchange: &mut LoopExchange| {
///     while let Some(end) = exchange.input().iter().position(|&byte| byte == b'\n') {
///         let line = exchange.recv(end + 1);
///         exchange.sendall(&line.to_ascii_uppercase());
///     }
///     Ok(())
/// })?;
///
/// let mut client = TcpStream::connect(server.server_address().to_string())?;
/// client.write_all(b"one\ntwo\nthr")?;
/// client.shutdown(Shutdown::Write)?;
/// server.handle_request()?; // returns when the client has gone
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "ONE\nTWO\n");
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "backpressure")]
#[derive(Debug)]
pub struct LoopExchange {
    /// The client's socket, for its options. It is non-blocking: read and write with the methods of
    /// the exchange. It has no `TCP_NODELAY`, unless [`setup`](RequestHandler::setup) sets it.
    pub request: Arc<Stream>,
    /// The server that accepted the client.
    pub server: Arc<BaseServer<Arc<Stream>>>,
    /// The address that a hook has returned, if it is not that of the peer.
    address: Option<Box<Address>>,
    state: LoopState,
}

impl LoopExchange {
    /// Returns the input that is not used up, in calls of every [cause](Self::cause).
    pub fn input(&self) -> &[u8] {
        self.state.input()
    }

    /// Uses up the first `count` bytes of the input. The rest stays in the input. If a call for input
    /// has used up a part, the handler is called again at once, and otherwise after more input.
    pub fn consume(&mut self, count: usize) {
        self.state.consume(count);
    }

    /// Uses up at most `size` bytes of the input, and returns them: Python's `socket.recv`, without
    /// blocking.
    pub fn recv(&mut self, size: usize) -> Vec<u8> {
        self.state.take_input(size)
    }

    /// Sends all of `data` after this call: Python's `socket.sendall`, without blocking. The rest that
    /// the kernel does not take at once is kept, and written later.
    pub fn sendall(&mut self, data: &[u8]) {
        self.state.send(data);
    }

    /// Ends the conversation after this call. All output is written first.
    pub fn close(&mut self) {
        self.state.phase = self.state.phase.max(Phase::Closing);
    }

    /// Returns the client's address.
    pub fn client_address(&self) -> &Address {
        self.address.as_deref().unwrap_or_else(|| self.request.peer())
    }

    /// Returns why the handler is called.
    pub fn cause(&self) -> Cause {
        self.state.cause
    }

    /// Sets a timeout, measured from now. When it expires, the handler is called once with
    /// [`Cause::Timeout`]. It replaces an earlier timeout. `None` removes it. Default: none.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.state.set_timeout(timeout);
    }
}

impl Write for LoopExchange {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.sendall(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ExchangeKind for LoopExchange {
    type Request = Arc<Stream>;
    type Options = ();

    fn factory<H, F>(factory: F) -> HandlerFactory<Arc<Stream>>
    where
        H: RequestHandler<Self> + Send + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        HandlerFactory::InLoop(Box::new(move |exchange| {
            let Exchange { request, client_address, server } = exchange;
            let is_peer = client_address == *request.peer();
            let exchange = LoopExchange {
                request,
                server,
                address: (!is_peer).then(|| Box::new(client_address)),
                state: LoopState::new(),
            };
            Box::new(LoopHandlerOf { exchange, handler: factory() })
        }))
    }
}

/// A handler with its exchange.
struct LoopHandlerOf<H: RequestHandler<LoopExchange>> {
    exchange: LoopExchange,
    handler: H,
}

impl<H: RequestHandler<LoopExchange>> LoopHandlerOf<H> {
    fn call(&mut self, cause: Cause) {
        if self.exchange.state.phase != Phase::Open {
            return;
        }
        self.exchange.state.cause = cause;
        let outcome = guarded(|| self.handler.handle(&mut self.exchange));
        if outcome.is_err() || self.exchange.state.phase == Phase::Closing {
            self.end(outcome);
        }
        self.exchange.state.free_used();
    }

    /// Calls `finish`. The handler is not called afterwards.
    fn end(&mut self, outcome: HandlerResult) {
        if matches!(self.exchange.state.phase, Phase::Open | Phase::Closing) {
            let finished = guarded(|| self.handler.finish(&mut self.exchange));
            self.set_finished(finished.and(outcome));
        }
        self.exchange.state.phase = self.exchange.state.phase.max(Phase::Finished);
    }

    fn set_finished(&mut self, outcome: HandlerResult) {
        self.exchange.state.phase = Phase::Finished;
        self.exchange.state.has_failed = outcome.is_err();
        self.exchange.state.free_input();
        let LoopExchange { server, request, .. } = &self.exchange;
        if let Err(error) = outcome {
            server.report_error(request, self.exchange.client_address(), &error);
            if error.is::<Exit>() {
                server.exit();
            }
        }
        // The hook `handle_error` may have sent something. It is the last output.
        let mail = server.connections.close_mail(request);
        self.exchange.sendall(&mail.unsent);
    }
}

impl<H: RequestHandler<LoopExchange>> LoopHandler for LoopHandlerOf<H> {
    fn opened(&mut self) {
        self.exchange.state.phase = Phase::Open;
        match guarded(|| self.handler.setup(&mut self.exchange)) {
            Err(error) => self.set_finished(Err(error)), // without `finish`
            Ok(()) if self.exchange.state.phase == Phase::Closing => self.end(Ok(())),
            Ok(()) => {}
        }
    }

    fn handle_input(&mut self) -> bool {
        let before = self.exchange.input().len();
        if before > 0 {
            self.call(Cause::Input);
        }
        (1..before).contains(&self.exchange.input().len())
    }

    fn take_mail(&mut self) -> io::Result<()> {
        let LoopExchange { request, server, .. } = &self.exchange;
        let mail = server.connections.take_mail(request);
        if mail.is_lost {
            let text = "more than 16 MiB were sent to the client before the loop could take them";
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        self.exchange.sendall(&mail.unsent);
        if mail.is_last {
            self.finish();
        }
        Ok(())
    }

    fn end_input(&mut self) {
        if !self.exchange.input().is_empty() {
            self.call(Cause::Ended);
        }
        self.end(Ok(()));
    }

    fn fail(&mut self, error: io::Error) {
        self.end(Err(error.into()));
    }

    fn timed_out(&mut self) {
        self.call(Cause::Timeout);
    }

    fn finish(&mut self) {
        self.end(Ok(()));
    }

    fn closed(&mut self, error: Option<io::Error>) {
        let LoopExchange { server, request, state, .. } = &self.exchange;
        match error {
            Some(lost) if state.is_flushing() && !state.has_failed => {
                server.report_error(request, self.exchange.client_address(), &lost.into());
            }
            error => self.end(error.map_or(Ok(()), |error| Err(error.into()))),
        }
        self.exchange.state.phase = Phase::Closed;
        self.exchange.server.shut_down(&self.exchange.request);
    }

    fn client(&self) -> (Arc<Stream>, Arc<BaseServer<Arc<Stream>>>) {
        (Arc::clone(&self.exchange.request), Arc::clone(&self.exchange.server))
    }

    fn state(&mut self) -> &mut LoopState {
        &mut self.exchange.state
    }
}

/// The error of output that is lost because the loop is dropped.
pub(in crate::server) fn cut_by_the_end() -> io::Error {
    let text = "the server has ended before the client has read its output";
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// The loop may be dropped with its clients.
impl<H: RequestHandler<LoopExchange>> Drop for LoopHandlerOf<H> {
    fn drop(&mut self) {
        if self.exchange.state.phase != Phase::Closed {
            self.closed(self.exchange.state.is_flushing().then(cut_by_the_end));
        }
    }
}
