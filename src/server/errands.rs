//! What the loop does for a concurrency.

use std::io;
use std::time::{Duration, Instant};

use super::concurrency::Errand;
use super::handler::Class;
use super::transport::Request;
use super::{BaseServer, in_reactor};
use crate::reactor::{Context, Next, Source};
use crate::selector::Interest;

/// How soon a loop asks again for errands.
const MOMENT: Duration = Duration::from_millis(10);

impl<R: Request> BaseServer<R> {
    /// Does in the loop what the concurrency asks for.
    pub(super) fn run_errands<S: 'static>(&self, cx: &mut Context<'_, S>) {
        self.run_all(self.strategy.errands(false), cx);
    }

    fn run_all<S: 'static>(&self, errands: Vec<Errand<R>>, cx: &mut Context<'_, S>) {
        for errand in errands {
            if let Err(error) = self.run(errand, cx) {
                log::warn!(target: "tripoll", "the loop cannot watch what it is to watch: {error}");
            }
        }
    }

    fn run<S: 'static>(&self, errand: Errand<R>, cx: &mut Context<'_, S>) -> io::Result<()> {
        match errand {
            Errand::AskAgain => {
                let server = self.me.clone();
                cx.set_timer(Instant::now() + MOMENT, move |cx| {
                    if let Some(server) = server.upgrade() {
                        server.run_all(server.strategy.errands(true), cx);
                    }
                });
            }
            Errand::WhenReadable(fd, body) => {
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
            Errand::Keep(request, address, permit) => {
                if let Class::InLoop(class) = &self.class {
                    in_reactor::keep(class(self.exchange(&request, &address)), permit, cx)?;
                }
            }
        }
        Ok(())
    }
}
