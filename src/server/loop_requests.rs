//! What a loop does for the concurrency of its server.

use std::io;
use std::time::Duration;

use super::base::BaseServer;
use crate::reactor::{Context, Next, Source};
use crate::selector::Interest;
use crate::server::concurrency::{LoopRequest, in_loop, parked_client};
use crate::server::handler::HandlerFactory;
use crate::server::transport::Request;

/// The pause before a loop asks a concurrency again.
const POLL_PAUSE: Duration = Duration::from_millis(10);

impl<R: Request> BaseServer<R> {
    /// Does in the loop what the concurrency asks for, after a request.
    pub(super) fn run_loop_requests<S: 'static>(&self, cx: &mut Context<'_, S>) {
        self.run_all(self.runner.loop_requests(false), cx);
    }

    fn run_all<S: 'static>(&self, loop_requests: Vec<LoopRequest<R>>, cx: &mut Context<'_, S>) {
        for request in loop_requests {
            if let Err(error) = self.run(request, cx) {
                log::warn!("the loop cannot watch a descriptor for the server: {error}");
            }
        }
    }

    fn run<S: 'static>(&self, request: LoopRequest<R>, cx: &mut Context<'_, S>) -> io::Result<()> {
        match request {
            LoopRequest::PollLater => {
                let server = self.me.clone();
                cx.set_timer(cx.now() + POLL_PAUSE, move |cx| {
                    if let Some(server) = server.upgrade() {
                        server.run_all(server.runner.loop_requests(true), cx);
                    }
                });
            }
            LoopRequest::OnReadable(fd, body) => {
                let mut body = Some(body);
                cx.add(
                    fd,
                    Interest::READ,
                    move |_: &mut Source<'_, _>, _: &mut Context<'_, S>| {
                        if let Some(body) = body.take() {
                            body();
                        }
                        Ok(Next::Remove)
                    },
                )?;
            }
            LoopRequest::Adopt(request, address, permit) => {
                if let HandlerFactory::InLoop(factory) = &self.factory {
                    in_loop::adopt(factory(self.exchange(&request, &address)), permit, cx)?;
                }
            }
            LoopRequest::Park(request, address, slot, parking) => {
                if let HandlerFactory::Stepwise(begin) = &self.factory {
                    let conversation = begin(self.exchange(&request, &address));
                    let client = (request, address);
                    parked_client::park(&self.arc(), client, conversation, (slot, parking), cx)?;
                }
            }
        }
        Ok(())
    }
}
