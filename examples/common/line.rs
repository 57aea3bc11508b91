//! The handler with which CPython tests its `socketserver`: it reads a line, and writes it back.
//!
//! ```python
//! class MyHandler(StreamRequestHandler):  # or DatagramRequestHandler
//!     def handle(self):
//!         line = self.rfile.readline()
//!         self.wfile.write(line)
//! ```

use std::io::{BufRead as _, Write as _};

use tripoll::server::{Cause, DatagramExchange, HandlerResult, LoopExchange, StreamExchange};

use super::finish;

/// The longest line, in bytes, which bounds the memory for a client that never ends its line.
const LONGEST: usize = 64 << 10;

/// Sends back one line of a stream.
pub fn line(exchange: &mut StreamExchange) -> HandlerResult {
    let mut line = Vec::new();
    std::io::Read::take(&mut exchange.rfile, LONGEST as u64).read_until(b'\n', &mut line)?;
    exchange.wfile.write_all(&line)?;
    Ok(finish(&exchange.connection)?)
}

/// Sends back the first line of a datagram.
pub fn line_of_datagram(exchange: &mut DatagramExchange) -> HandlerResult {
    let mut line = Vec::new();
    exchange.rfile.read_until(b'\n', &mut line)?;
    exchange.wfile.write_all(&line)?;
    Ok(())
}

/// Sends back one line of a stream, in the loop. Input that is not used up is offered again, with
/// more behind it.
pub fn line_in_the_loop(exchange: &mut LoopExchange) -> HandlerResult {
    let input = &exchange.input()[..exchange.input().len().min(LONGEST)];
    let is_last = exchange.cause() == Cause::Ended || input.len() == LONGEST;
    let Some(length) = input
        .iter()
        .position(|&byte| byte == b'\n')
        .map(|end| end + 1)
        .or(is_last.then_some(input.len()))
    else {
        return Ok(());
    };
    let line = exchange.recv(length);
    exchange.sendall(&line);
    exchange.close();
    Ok(())
}
