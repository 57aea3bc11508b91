//! A conversation in the loop: what its handler is handed, and when it is called.

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
    /// The server that accepted the client.
    pub server: Arc<BaseServer<Arc<Stream>>>,
    /// `None`: the address of the peer. A hook may have returned another.
    address: Option<Box<Address>>,
    state: LoopState,
}

impl LoopExchange {
    /// What has come and is not used up, whatever the [cause](Self::cause) of the call.
    pub fn input(&self) -> &[u8] {
        self.state.input()
    }

    /// Uses up the first `count` bytes of the input. What is left is there again in the next call:
    /// at once if anything was used up, and together with what comes if nothing was.
    pub fn consume(&mut self, count: usize) {
        self.state.consume(count);
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
        self.state.pending().output.extend_from_slice(data);
    }

    /// Ends the conversation when this call has returned: all that was sent goes out first.
    pub fn close(&mut self) {
        self.state.phase = self.state.phase.max(Phase::Closing);
    }

    /// The client's address: that of its peer, if no hook has said otherwise.
    pub fn client_address(&self) -> &Address {
        self.address.as_deref().unwrap_or_else(|| self.request.peer())
    }

    /// Why the handler is called.
    pub fn cause(&self) -> Cause {
        self.state.cause
    }

    /// Has the handler called when so much time has passed, with [`Cause::Timeout`]; in place of
    /// the timeout that was set before, if it was. `None` takes that away.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.state.pending().timeout = Some(timeout);
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

    /// `finish`, and nothing after it.
    fn end(&mut self, outcome: HandlerResult) {
        if matches!(self.exchange.state.phase, Phase::Open | Phase::Closing) {
            let finished = guarded(|| self.handler.finish(&mut self.exchange));
            self.set_finished(finished.and(outcome));
        }
        self.exchange.state.phase = self.exchange.state.phase.max(Phase::Finished);
    }

    fn set_finished(&mut self, outcome: HandlerResult) {
        self.exchange.state.phase = Phase::Finished;
        self.exchange.state.free_input();
        let LoopExchange { server, request, .. } = &self.exchange;
        if let Err(error) = outcome {
            server.report_error(request, self.exchange.client_address(), &error);
            if error.is::<Exit>() {
                server.exit();
            }
        }
        // The hook may have sent something.
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

    fn take_mail(&mut self) {
        let LoopExchange { request, server, .. } = &self.exchange;
        let mail = server.connections.take_mail(request);
        self.exchange.sendall(&mail.unsent);
        if mail.is_last {
            self.finish();
        }
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
        self.end(error.map_or(Ok(()), |error| Err(error.into())));
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

/// The loop may go away with its clients in it.
impl<H: RequestHandler<LoopExchange>> Drop for LoopHandlerOf<H> {
    fn drop(&mut self) {
        if self.exchange.state.phase != Phase::Closed {
            self.closed(None);
        }
    }
}
