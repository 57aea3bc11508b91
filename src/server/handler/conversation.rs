//! The conversation of a handler with a reader and a writer, step by step.

use std::mem;
use std::sync::Arc;

use super::exchange::{StreamExchange, StreamOptions};
use super::{
    Conversation, Exchange, ExchangeKind, HandlerError, HandlerFactory, HandlerResult,
    RequestHandler, guarded,
};
use crate::net::Stream;

impl ExchangeKind for StreamExchange {
    type Request = Arc<Stream>;
    type Options = StreamOptions;

    fn factory<H, F>(factory: F) -> HandlerFactory<Arc<Stream>>
    where
        H: RequestHandler<Self> + Send + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        let factory = Arc::new(factory);
        HandlerFactory::Stepwise(Box::new(move |exchange| {
            Box::new(StreamConversation::new(exchange, &factory))
        }))
    }
}

/// The conversation of a [`StreamExchange`].
pub(super) struct StreamConversation<H, F> {
    stream: Arc<Stream>,
    factory: Arc<F>,
    state: State<H>,
}

enum State<H> {
    New(Exchange),
    /// `setup` has failed.
    Failed(StreamExchange),
    Open(StreamExchange, H),
    Finished,
}

impl<H, F> StreamConversation<H, F> {
    pub(super) fn new(exchange: Exchange, factory: &Arc<F>) -> Self {
        StreamConversation {
            stream: Arc::clone(&exchange.request),
            factory: Arc::clone(factory),
            state: State::New(exchange),
        }
    }
}

impl<H, F> Conversation for StreamConversation<H, F>
where
    H: RequestHandler<StreamExchange> + Send + 'static,
    F: Fn() -> H + Send + Sync + 'static,
{
    fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    fn set_up(&mut self) -> HandlerResult {
        let State::New(exchange) = mem::replace(&mut self.state, State::Finished) else {
            return Ok(());
        };
        let factory = Arc::clone(&self.factory);
        guarded(move || {
            let mut handler = factory();
            let mut exchange = StreamExchange::open(exchange, &handler.options())?;
            // A panic, too, must leave the last flush to us.
            let outcome = guarded(|| handler.setup(&mut exchange));
            self.state = match &outcome {
                Ok(()) => State::Open(exchange, handler),
                Err(_) => State::Failed(exchange),
            };
            outcome
        })
    }

    fn handle(&mut self) -> Result<bool, HandlerError> {
        let State::Open(exchange, handler) = &mut self.state else { return Ok(false) };
        exchange.begin_call();
        guarded(|| handler.handle(exchange))?;
        Ok(exchange.end_call()?)
    }

    fn has_buffered_input(&self) -> bool {
        matches!(&self.state, State::Open(exchange, _) if exchange.rfile.has_input())
    }

    fn rest(&mut self) {
        if let State::Open(exchange, _) = &mut self.state {
            exchange.rfile.free();
        }
    }

    fn finish(&mut self, outcome: HandlerResult) -> HandlerResult {
        match mem::replace(&mut self.state, State::Finished) {
            State::New(_) | State::Finished => outcome,
            State::Failed(exchange) => exchange.close(outcome),
            // The handler is dropped here, too, and may panic.
            State::Open(mut exchange, mut handler) => guarded(move || {
                let finished = guarded(|| handler.finish(&mut exchange));
                exchange.close(finished.and(outcome))
            }),
        }
    }
}
