//! The server's side of the accept loop.

use std::io;
use std::sync::Arc;

use super::BaseServer;
use super::transport::{Endpoint, Request, Watched};
use crate::net::{Address, Door};
use crate::{Context, Next, Token};

/// Hands what comes in to the server's hooks.
pub(super) struct Requests<R: Request> {
    pub(super) server: Arc<BaseServer<R>>,
}

impl<R: Request, S: 'static> Door<Watched<R::Endpoint>, S> for Requests<R> {
    type Guest = (R, Address);

    fn has_room(&mut self, listener: Token, cx: &mut Context<'_, S>) -> bool {
        // Also after a shutdown in the middle of a turn: what is accepted then, nobody would serve.
        if self.server.serving.is_stopping() {
            return false;
        }
        let handle = cx.handle();
        self.server.strategy.has_room(Box::new(move || drop(handle.arm(listener))))
    }

    fn accept(&mut self, _: &Watched<R::Endpoint>) -> io::Result<(R, Address)> {
        let request = self.server.hooks.get_request(&self.server);
        if !matches!(&request, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.server.serving.take();
        }
        request
    }

    fn let_in(
        &mut self,
        (request, address): (R, Address),
        _: Token,
        _: &mut Context<'_, S>,
    ) -> Next {
        match self.server.process(request, &address) {
            Ok(()) => Next::Keep,
            Err(_) => {
                self.server.serving.exit();
                Next::Remove
            }
        }
    }

    fn turn_away(&mut self, listener: &Watched<R::Endpoint>) {
        listener.0.turn_away();
    }

    fn name(&self, _: &Watched<R::Endpoint>) -> String {
        self.server.server_address().to_string()
    }
}
