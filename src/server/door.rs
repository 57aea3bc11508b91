//! The server's side of the accept loop.

use std::io;
use std::sync::Arc;

use super::BaseServer;
use super::serving::{Run, Signals};
use super::transport::{Endpoint, Request};
use crate::net::{Address, Door};
use crate::pool::Call;
use crate::reactor::{Context, Next};
use crate::selector::Token;

/// Hands what comes in to the server's hooks.
pub(super) struct Requests<R: Request> {
    pub(super) server: Arc<BaseServer<R>>,
    pub(super) signals: Arc<Signals>,
    /// Serving ends with the door, where the loop is not the server's own.
    pub(super) _run: Option<Run>,
}

impl<R: Request, S: 'static> Door<Arc<R::Endpoint>, S> for Requests<R> {
    type Guest = (R, Address);

    fn has_room(&mut self, call: &Call) -> bool {
        // Also after a shutdown in the middle of a turn: what is accepted then, nobody would serve.
        !self.signals.is_stopping() && self.server.strategy.has_room(Some(call))
    }

    fn accept(&mut self, _: &Arc<R::Endpoint>) -> io::Result<(R, Address)> {
        let request = self.server.next_request();
        if !matches!(&request, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.signals.note_request();
        }
        request
    }

    fn let_in(
        &mut self,
        (request, address): (R, Address),
        _: Token,
        cx: &mut Context<'_, S>,
    ) -> Next {
        self.server.strategy.note_descriptors(&|| cx.descriptors());
        let processed = self.server.process(request, &address);
        self.server.run_errands(cx);
        match processed {
            Ok(()) => Next::Keep,
            Err(_) => {
                self.server.exit();
                Next::Disarm
            }
        }
    }

    fn turn_away(&mut self, listener: &Arc<R::Endpoint>) -> bool {
        listener.turn_away()
    }

    fn name(&self, _: &Arc<R::Endpoint>) -> String {
        self.server.server_address().to_string()
    }
}
