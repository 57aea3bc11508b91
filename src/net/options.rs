//! The options of connections.

use std::cell::RefCell;
use std::sync::Arc;

use super::timeout::Timeout;
use super::watermarks::Watermarks;

/// What the user of a connection has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) marks: Watermarks,
    pub(super) max_unused: usize,
    pub(super) read_above_mark: bool,
    pub(super) write_timeout: Timeout,
    pub(super) idle_timeout: Timeout,
    pub(super) read_timeout: Timeout,
    pub(super) handshake_timeout: Timeout,
    pub(super) close_within: Timeout,
    pub(super) linger: Timeout,
}

pub(super) static DEFAULT: Options = Options {
    marks: Watermarks::DEFAULT,
    max_unused: 1 << 20,
    read_above_mark: false,
    write_timeout: Timeout::millis(60_000),
    idle_timeout: Timeout::NONE,
    read_timeout: Timeout::NONE,
    handshake_timeout: Timeout::millis(10_000),
    close_within: Timeout::millis(30_000),
    linger: Timeout::millis(1_000),
};

/// So many different options are remembered. A program has few.
const REMEMBERED: usize = 8;

thread_local! {
    static RECENT: RefCell<Vec<Arc<Options>>> = const { RefCell::new(Vec::new()) };
}

/// Returns equal options that other connections of this thread use, if there are any. So a thousand
/// connections with the same options keep them once.
pub(super) fn share(options: Arc<Options>) -> Arc<Options> {
    let found = RECENT.try_with(|recent| {
        let mut recent = recent.borrow_mut();
        if let Some(equal) = recent.iter().find(|known| **known == options) {
            return Arc::clone(equal);
        }
        if recent.len() == REMEMBERED {
            recent.remove(0);
        }
        recent.push(Arc::clone(&options));
        Arc::clone(&options)
    });
    found.unwrap_or(options) // the thread ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_options_are_kept_once_and_others_apart() {
        let of = |most| Arc::new(Options { max_unused: most, ..DEFAULT.clone() });
        let (one, same) = (share(of(1)), share(of(1)));
        assert!(Arc::ptr_eq(&one, &same));
        for most in 2..100 {
            assert_eq!(share(of(most)).max_unused, most);
        }
        assert_eq!(*share(of(1)), *one); // forgotten meanwhile, and the same all the same
        assert!(RECENT.with_borrow(Vec::len) <= REMEMBERED);
    }
}
