//! What the clients of a server that parks share: the workers, and their sources in the loop.

use std::collections::HashSet;
use std::sync::Mutex;
use std::{fmt, io};

use crate::pool::Pool;
use crate::selector::Token;
use crate::sync::lock;

/// What all clients of a server share.
#[doc(hidden)]
pub struct Parking {
    pub(super) pool: Pool,
    workers: usize,
    /// The clients' sources in the loop.
    tokens: Mutex<HashSet<Token>>,
}

impl Parking {
    /// Each client waits for a worker once at most. So the limit of connections is that of the queue.
    pub(super) fn new(workers: usize) -> io::Result<Self> {
        let pool = Pool::new(workers, usize::MAX)?;
        Ok(Parking { pool, workers, tokens: Mutex::default() })
    }

    pub(super) fn add(&self, token: Token) {
        lock(&self.tokens).insert(token);
    }

    pub(super) fn remove(&self, token: Token) {
        lock(&self.tokens).remove(&token);
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        lock(&self.tokens).iter().copied().collect()
    }

    /// Returns whether a client waits for a worker.
    pub(super) fn has_queue(&self) -> bool {
        self.pool.jobs() > self.workers
    }
}

impl fmt::Debug for Parking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parking").field("pool", &self.pool).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_client_that_has_left_the_loop_is_forgotten() {
        let parking = Parking::new(1).unwrap();
        let [one, two] = [Token::new(1, 0), Token::new(2, 0)];
        parking.add(one);
        parking.add(two);
        parking.remove(one);
        assert_eq!(parking.tokens(), [two]);
    }

    #[test]
    fn there_is_a_queue_when_there_are_more_jobs_than_workers() {
        let parking = Parking::new(2).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let wait = std::sync::Arc::new(Mutex::new(wait));
        for has_queue in [false, false, true] {
            let wait = std::sync::Arc::clone(&wait);
            let job = move || {
                let _ = lock(&wait).recv(); // until the end of the test
            };
            assert!(parking.pool.submit(job).is_ok());
            assert_eq!(parking.has_queue(), has_queue);
        }
        drop(go);
    }
}
