//! The handler with which CPython tests its `socketserver`: it reads a line, and writes it back.
//!
//! ```python
//! class MyHandler(StreamRequestHandler):  # or DatagramRequestHandler
//!     def handle(self):
//!         line = self.rfile.readline()
//!         self.wfile.write(line)
//! ```

use std::io::{BufRead as _, Read as _, Write as _};

use tripoll::server::{
    Cause, DatagramExchange, HandlerError, HandlerResult, LoopExchange, StreamExchange,
};

use super::finish;

/// The longest line of a stream, in bytes, with its end: 1 MiB. It bounds the memory for a client
/// that never ends its line. A longer line is an error in the log, and its client gets no answer.
/// (Python has no bound.)
const LONGEST: usize = 1 << 20;

/// Sends back one line of a stream.
pub fn line(exchange: &mut StreamExchange) -> HandlerResult {
    let mut line = Vec::new();
    exchange.rfile.by_ref().take(LONGEST as u64).read_until(b'\n', &mut line)?;
    if line.len() == LONGEST && !line.ends_with(b"\n") {
        return Err(too_long());
    }
    exchange.wfile.write_all(&line)?;
    Ok(finish(&exchange.connection)?)
}

/// Sends back the first line of a datagram. (Python sends back a part of a line that is longer than
/// the longest datagram of its server.)
pub fn line_of_datagram(exchange: &mut DatagramExchange) -> HandlerResult {
    let mut line = Vec::new();
    exchange.rfile.read_until(b'\n', &mut line)?;
    if exchange.packet.truncated && !line.ends_with(b"\n") {
        return Err(
            format!("the datagram was cut after {} bytes of its first line", line.len()).into()
        );
    }
    exchange.wfile.write_all(&line)?;
    Ok(())
}

/// Sends back one line of a stream, in the loop. Input that is not used up is offered again, with
/// more behind it.
pub fn line_in_the_loop(exchange: &mut LoopExchange) -> HandlerResult {
    let input = exchange.input();
    let end = input.iter().take(LONGEST).position(|&byte| byte == b'\n');
    let length = match end {
        Some(end) => end + 1,
        None if input.len() >= LONGEST => return Err(too_long()),
        None if exchange.cause() == Cause::Ended => input.len(),
        None => return Ok(()),
    };
    let line = exchange.recv(length);
    exchange.sendall(&line);
    exchange.close();
    Ok(())
}

fn too_long() -> HandlerError {
    format!("a line is longer than {LONGEST} bytes").into()
}
