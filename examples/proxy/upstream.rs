//! Where clients are connected to: one address after another, until one accepts.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tripoll::Context;
use tripoll::net::{Address, Connect, Connecting, Stream};
use tripoll::pool::Pool;

/// One of the addresses of `--to`.
#[derive(Debug, Clone)]
pub enum Target {
    Address(Address),
    /// `HOST:PORT`, which is resolved for each client.
    Name(String),
}

/// Parses an address of `--to`.
pub fn target(text: &str) -> Result<Target, String> {
    text.parse().map(Target::Address).or_else(|error: io::Error| {
        let is_name = text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(['[', ']', ':']) && port.parse::<u16>().is_ok()
        });
        if is_name { Ok(Target::Name(text.into())) } else { Err(error.to_string()) }
    })
}

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
        cx: &mut Context<S>,
        done: impl FnOnce(io::Result<Stream>, &mut Context<S>) + 'static,
    ) -> Attempts {
        let attempts = Attempts::default();
        try_next(Rc::clone(&self.0), 0, attempts.clone(), cx, Box::new(done));
        attempts
    }
}

type Done<S> = Box<dyn FnOnce(io::Result<Stream>, &mut Context<S>)>;

fn try_next<S: 'static>(
    connects: Rc<[Connect]>,
    index: usize,
    attempts: Attempts,
    cx: &mut Context<S>,
    done: Done<S>,
) {
    let current = Rc::clone(&attempts.0);
    let connect = connects[index].clone();
    let connecting = connect.start(cx, move |result, cx| match result {
        Err(error) if error.kind() != io::ErrorKind::ConnectionAborted => {
            if index + 1 < connects.len() {
                try_next(connects, index + 1, attempts, cx, done);
            } else {
                done(Err(error), cx);
            }
        }
        result => done(result, cx),
    });
    *current.borrow_mut() = Some(connecting);
}

/// A connect that can be cancelled.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Rc<RefCell<Option<Connecting>>>);

impl Attempts {
    pub fn cancel<S: 'static>(&self, cx: &mut Context<S>) {
        let current = self.0.take();
        if let Some(connecting) = current {
            connecting.cancel(cx);
        }
    }
}
