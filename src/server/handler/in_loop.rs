//! A conversation in the loop: what its handler is handed, and when it is called.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::net::{Address, Stream};
use crate::server::base::BaseServer;
use crate::server::handler::{
    Exchange, ExchangeKind, Exit, HandlerFactory, HandlerResult, LoopHandler, PendingActions,
    RequestHandler, guarded,
};

/// One client of a server that keeps its clients in the loop ([`InReactor`](crate::server::InReactor)).
///
/// There is no `recv` that waits: [`handle`](RequestHandler::handle) is called when something has
/// come, which is [`input`](Self::input), as often as that happens. What is [sent](Self::sendall)
/// goes out when there is room. The conversation ends when the handler [says so](Self::close), fails,
/// or the client has finished.
#[derive(Debug)]
pub struct LoopExchange {
    /// The client's socket: to ask it something. It does not wait; read and write here instead.
    pub request: Arc<Stream>,
    /// Who asks.
    pub client_address: Address,
    /// Who is asked.
    pub server: Arc<BaseServer<Arc<Stream>>>,
    /// What was received. The first `used` bytes are used up.
    input: Vec<u8>,
    used: usize,
    cause: Cause,
    pending: PendingActions,
}

/// Why a handler in the loop is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Something has come.
    Input,
    /// The client will send no more, and not all that it sent is used up: this is the last call.
    Ended,
    /// The [timeout](LoopExchange::set_timeout) is over.
    Timeout,
}

impl LoopExchange {
    /// What has come and is not used up, whatever the [cause](Self::cause) of the call.
    pub fn input(&self) -> &[u8] {
        &self.input[self.used..]
    }

    /// Uses up the first `count` bytes of the input. What is left is there again in the next call:
    /// at once if anything was used up, and together with what comes if nothing was.
    pub fn consume(&mut self, count: usize) {
        self.used += count.min(self.input().len());
    }

    /// Uses up at most `size` bytes of the input: Python's `socket.recv`, as far as it can be
    /// without waiting.
    pub fn recv(&mut self, size: usize) -> Vec<u8> {
        let data = self.input()[..size.min(self.input().len())].to_vec();
        self.consume(data.len());
        data
    }

    /// Sends all of `data`: at once as far as there is room, the rest later. Python's
    /// `socket.sendall`, without waiting.
    pub fn sendall(&mut self, data: &[u8]) {
        self.pending.output.extend_from_slice(data);
    }

    /// Ends the conversation when this call has returned: all that was sent goes out first.
    pub fn close(&mut self) {
        self.pending.is_closing = true;
    }

    /// Why the handler is called.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Has the handler called when so much time has passed, with [`Cause::Timeout`]; in place of
    /// the timeout that was set before, if it was. `None` takes that away.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.pending.timeout = Some(timeout);
    }
}

impl LoopExchange {
    /// Frees what was used up. Each byte moves once at most, and an empty buffer owns no memory.
    fn free_used(&mut self) {
        if self.used == self.input.len() {
            (self.input, self.used) = (Vec::new(), 0);
        } else if self.used > self.input.len() / 2 {
            self.input.drain(..self.used);
            self.used = 0;
        }
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
        H: RequestHandler<Self> + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        HandlerFactory::InLoop(Box::new(move |exchange| {
            let Exchange { request, client_address, server } = exchange;
            let exchange = LoopExchange {
                request,
                client_address,
                server,
                input: Vec::new(),
                used: 0,
                cause: Cause::Input,
                pending: PendingActions::default(),
            };
            Box::new(LoopHandlerOf {
                exchange,
                handler: factory(),
                state: HandlerState::New,
                is_closed: false,
            })
        }))
    }
}

/// A conversation of a handler's.
struct LoopHandlerOf<H: RequestHandler<LoopExchange>> {
    exchange: LoopExchange,
    handler: H,
    state: HandlerState,
    is_closed: bool,
}

#[derive(PartialEq, Eq)]
enum HandlerState {
    New,
    /// Set up, not finished.
    Open,
    Over,
}

impl<H: RequestHandler<LoopExchange>> LoopHandlerOf<H> {
    fn call(&mut self, cause: Cause) {
        if self.state != HandlerState::Open {
            return;
        }
        self.exchange.cause = cause;
        let outcome = guarded(|| self.handler.handle(&mut self.exchange));
        if outcome.is_err() || self.exchange.pending.is_closing {
            self.end(outcome);
        }
        self.exchange.free_used();
    }

    /// `finish`, and nothing after it.
    fn end(&mut self, outcome: HandlerResult) {
        if self.state == HandlerState::Open {
            let finished = guarded(|| self.handler.finish(&mut self.exchange));
            self.record_end(finished.and(outcome));
        }
        self.exchange.pending.is_closing = true;
        (self.exchange.input, self.exchange.used) = (Vec::new(), 0); // nothing will read it
    }

    fn record_end(&mut self, outcome: HandlerResult) {
        self.state = HandlerState::Over;
        let Err(error) = outcome else { return };
        let LoopExchange { server, request, client_address, .. } = &self.exchange;
        server.report_error(request, client_address, &error);
        if error.is::<Exit>() {
            server.exit();
        }
    }
}

impl<H: RequestHandler<LoopExchange>> LoopHandler for LoopHandlerOf<H> {
    fn opened(&mut self) {
        match guarded(|| self.handler.setup(&mut self.exchange)) {
            Ok(()) => self.state = HandlerState::Open,
            Err(error) => self.record_end(Err(error)),
        }
        if self.state == HandlerState::Over || self.exchange.pending.is_closing {
            self.end(Ok(()));
        }
    }

    fn received(&mut self, data: &[u8]) {
        self.exchange.input.extend_from_slice(data);
    }

    fn handle_input(&mut self) -> bool {
        let before = self.unused();
        if before == 0 {
            return false;
        }
        self.call(Cause::Input);
        self.state == HandlerState::Open && (1..before).contains(&self.unused())
    }

    fn unused(&self) -> usize {
        self.exchange.input().len()
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
        self.is_closed = true;
        self.end(error.map_or(Ok(()), |error| Err(error.into())));
        self.exchange.server.shut_down(&self.exchange.request);
    }

    fn client(&self) -> (Arc<Stream>, Arc<BaseServer<Arc<Stream>>>) {
        (Arc::clone(&self.exchange.request), Arc::clone(&self.exchange.server))
    }

    fn pending(&mut self) -> &mut PendingActions {
        &mut self.exchange.pending
    }
}

/// The loop may go away with its clients in it.
impl<H: RequestHandler<LoopExchange>> Drop for LoopHandlerOf<H> {
    fn drop(&mut self) {
        if !self.is_closed {
            self.closed(None);
        }
    }
}
