//! One client: its requests are answered in their order.

use super::command;
use super::reply::Reply;
use super::request::Requests;
use super::store::Store;

/// When the replies of one call have so many bytes, the rest of the requests waits for the next one.
const ENOUGH: usize = 64 << 10;

/// The requests of one client.
#[derive(Debug, Default)]
pub struct Session {
    requests: Requests,
    is_over: bool,
}

impl Session {
    /// Answers the requests of `input`. Returns how many bytes of it were used: all, unless there are
    /// already many replies in `out`.
    pub fn receive(&mut self, input: &[u8], store: &mut Store, out: &mut Vec<u8>) -> usize {
        let mut rest = input;
        while !self.is_over && out.len() < ENOUGH {
            match self.requests.parse(&mut rest) {
                Ok(Some(request)) => self.is_over = !command::run(request, store, out),
                Ok(None) => break,
                Err(error) => {
                    Reply::new(out).error(&format!("ERR {error}"));
                    self.is_over = true;
                }
            }
        }
        input.len() - rest.len()
    }

    /// Returns whether the client has quit, or has sent what is no request. It must be closed.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}
