//! Where clients are connected to: one address after another, until one accepts.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tripoll::Context;
use tripoll::net::{Connect, Connecting, Stream};
use tripoll::pool::Pool;

use super::target::Target;

/// All addresses, as connects: a name is one, and so are the addresses between two names.
#[derive(Debug, Clone)]
pub struct Upstream(Rc<[Connect]>);

impl Upstream {
    pub fn new(targets: Vec<Target>, timeout: Duration) -> io::Result<Self> {
        let pool = Arc::new(Pool::new(2, 1_000)?);
        let (mut connects, mut addresses) = (Vec::new(), Vec::new());
        for target in targets {
            match target {
                Target::Address(address) => addresses.push(address),
                Target::Name(name) => {
                    if !addresses.is_empty() {
                        connects.push(Connect::to_any(addresses.drain(..)));
                    }
                    connects.push(Connect::to_name(name, &pool));
                }
            }
        }
        if !addresses.is_empty() {
            connects.push(Connect::to_any(addresses));
        }
        Ok(Upstream(connects.into_iter().map(|it| it.attempt_timeout(timeout)).collect()))
    }

    /// Connects, and calls `done` with the stream, or with the last error.
    pub fn connect<S: 'static>(
        &self,
        under_way: &UnderWay,
        cx: &mut Context<S>,
        done: impl FnOnce(io::Result<Stream>, &mut Context<S>) + 'static,
    ) {
        try_next(Rc::clone(&self.0), 0, Rc::clone(under_way), cx, Box::new(done));
    }
}

/// The connect that is under way, so that it can be cancelled.
pub type UnderWay = Rc<RefCell<Option<Connecting>>>;

type Done<S> = Box<dyn FnOnce(io::Result<Stream>, &mut Context<S>)>;

fn try_next<S: 'static>(
    connects: Rc<[Connect]>,
    index: usize,
    under_way: UnderWay,
    cx: &mut Context<S>,
    done: Done<S>,
) {
    let current = Rc::clone(&under_way);
    let connect = connects[index].clone();
    let connecting = connect.start(cx, move |result, cx| match result {
        Err(error) if error.kind() != io::ErrorKind::ConnectionAborted => {
            if index + 1 < connects.len() {
                try_next(connects, index + 1, under_way, cx, done);
            } else {
                done(Err(error), cx);
            }
        }
        result => done(result, cx),
    });
    *current.borrow_mut() = Some(connecting);
}
