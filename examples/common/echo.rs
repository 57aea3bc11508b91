//! The tutorials' echo as a `socketserver` handler.

use tripoll::server::{
    Exchange, ForkingTcpServer, HandlerResult, LoopExchange, PooledTcpServer, PythonSocket,
    ReactorTcpServer, RequestHandler, TcpServer, ThreadingTcpServer,
};

use super::{Concurrency, Failure, Options, serve, serve_inline};

/// Sends a client's messages back until it has finished.
pub struct MyRequestHandler;

impl RequestHandler for MyRequestHandler {
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        loop {
            let data = exchange.request.recv(1024)?;
            if data.is_empty() {
                return Ok(());
            }
            exchange.request.sendall(&data)?;
        }
    }
}

/// The same in the loop, where a handler must not block: it is called when input has arrived.
fn in_the_loop(exchange: &mut LoopExchange) -> HandlerResult {
    let data = exchange.recv(usize::MAX);
    exchange.sendall(&data);
    Ok(())
}

/// Serves the echo with the given concurrency. The five servers differ in their type alone. A client
/// that is silent for a minute is closed, which is the default.
pub fn serve_with(concurrency: Concurrency, options: &Options) -> Result<(), Failure> {
    let at = &options.listen;
    match concurrency {
        Concurrency::Inline => serve_inline(options, TcpServer::new(at, || MyRequestHandler)?),
        Concurrency::Threading => serve(options, ThreadingTcpServer::new(at, || MyRequestHandler)?),
        Concurrency::Forking => serve(options, ForkingTcpServer::new(at, || MyRequestHandler)?),
        Concurrency::Pooled => serve(options, PooledTcpServer::new(at, || MyRequestHandler)?),
        Concurrency::Reactor => serve(options, ReactorTcpServer::from_fn(at, in_the_loop)?),
    }
}
