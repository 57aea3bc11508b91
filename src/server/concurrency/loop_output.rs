//! The limit of the output that is kept for all clients in the loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much output is kept for all clients of a server.
#[derive(Debug)]
pub(super) struct OutputLimit {
    max: Option<usize>,
    kept: AtomicUsize,
}

/// The part of one client. It is given back when it is dropped.
#[derive(Debug)]
pub struct OutputShare {
    limit: Arc<OutputLimit>,
    kept: usize,
}

/// For so much no client is reset, in bytes: a client that reads may have as much at any moment.
const FREE: usize = 64 << 10;

impl OutputLimit {
    pub(super) fn new(max: Option<usize>) -> Arc<Self> {
        Arc::new(OutputLimit { max, kept: AtomicUsize::new(0) })
    }
}

impl OutputShare {
    pub(super) fn of(limit: &Arc<OutputLimit>) -> Self {
        OutputShare { limit: Arc::clone(limit), kept: 0 }
    }

    /// Notes how much is kept for the client now. `is_more`: whether there was more output for it.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there was, and too much is kept for all clients.
    pub(super) fn set(&mut self, unsent: usize, is_more: bool) -> io::Result<()> {
        if unsent == self.kept {
            return Ok(());
        }
        let kept = &self.limit.kept;
        kept.fetch_add(unsent, Ordering::Relaxed);
        let others = kept.fetch_sub(self.kept, Ordering::Relaxed) - self.kept - unsent;
        self.kept = unsent;
        match self.limit.max {
            Some(max) if is_more && unsent > FREE && others.saturating_add(unsent) > max => {
                let text = format!(
                    "{unsent} bytes of output are kept for the client, and for all clients more than \
                     max_unsent, {max} bytes"
                );
                Err(io::Error::new(io::ErrorKind::StorageFull, text))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for OutputShare {
    fn drop(&mut self) {
        self.limit.kept.fetch_sub(self.kept, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_with_more_output_fails_when_too_much_is_kept_for_all() {
        let limit = OutputLimit::new(Some(10 * FREE));
        let [mut slow, mut fast] = [OutputShare::of(&limit), OutputShare::of(&limit)];
        slow.set(9 * FREE, true).unwrap();
        fast.set(FREE, true).unwrap();
        slow.set(9 * FREE + 1, false).unwrap(); // nothing was added, it is only counted
        fast.set(FREE - 1, true).unwrap(); // which may be kept for each
        let error = slow.set(9 * FREE + 2, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("max_unsent, 655360 bytes"), "{error}");
        drop(slow);
        fast.set(10 * FREE, true).unwrap();
        drop(fast);
        assert_eq!(limit.kept.load(Ordering::Relaxed), 0);
    }
}
