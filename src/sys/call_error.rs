//! Errors that name the call that failed, and keep its number.

use std::error::Error;
use std::{fmt, io};

/// An error of the system with what was being done.
///
/// `io::Error::new` loses the number of the error: `raw_os_error` of it is `None`. This type keeps
/// the original error as its source, where [`errno`] finds it.
#[derive(Debug)]
struct CallError {
    context: String,
    source: io::Error,
    /// What else there is to say, with its punctuation.
    hint: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.context, self.source, self.hint)
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Puts what was being done in front of an error of the system.
pub(crate) fn with_context(context: impl Into<String>, error: io::Error) -> io::Error {
    let kind = error.kind();
    with_context_as(kind, context, error)
}

/// As [`with_context`], with another kind.
pub(crate) fn with_context_as(
    kind: io::ErrorKind,
    context: impl Into<String>,
    source: io::Error,
) -> io::Error {
    io::Error::new(kind, CallError { context: context.into(), source, hint: String::new() })
}

/// As [`with_context`], with a hint behind the error.
pub(crate) fn with_context_and_hint(context: String, source: io::Error, hint: String) -> io::Error {
    io::Error::new(source.kind(), CallError { context, source, hint })
}

/// Returns the number of an error of the system (`errno(3)`), of one that names a descriptor or a
/// call, too.
///
/// [`raw_os_error`](io::Error::raw_os_error) returns `None` for an error that says more than the
/// system does, as many of this crate do.
///
/// ```
/// use tripoll::{Backend, Interest, Selector, Token, Trigger, sys};
///
/// let closed = 999_999;
/// let mut epoll = Backend::Epoll.selector()?;
/// let error = epoll.add(closed, Token::from(0), Interest::READ, Trigger::Level).unwrap_err();
/// assert_eq!(error.to_string(), "descriptor 999999: Bad file descriptor (os error 9)");
/// assert_eq!(error.raw_os_error(), None);
/// assert_eq!(sys::errno(&error), Some(9)); // EBADF
/// # std::io::Result::Ok(())
/// ```
pub fn errno(error: &io::Error) -> Option<i32> {
    let number = error.raw_os_error();
    if number.is_some() {
        return number;
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && let Some(number) = errno(error)
        {
            return Some(number);
        }
        cause = error.source();
    }
    None
}

/// Returns whether an error says that something is used up for now: memory, descriptors, watches,
/// time. The same call may succeed later.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    match errno(error) {
        Some(number) => matches!(
            number,
            libc::EAGAIN
                | libc::EDQUOT
                | libc::EINTR
                | libc::EMFILE
                | libc::ENFILE
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::ENOSPC
        ),
        None => matches!(
            error.kind(),
            io::ErrorKind::Interrupted
                | io::ErrorKind::OutOfMemory
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::StorageFull
                | io::ErrorKind::WouldBlock
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_below_any_number_of_contexts() {
        let plain = io::Error::from_raw_os_error(libc::ENOSPC);
        let named = with_context("descriptor 7", plain);
        assert_eq!((named.raw_os_error(), errno(&named)), (None, Some(libc::ENOSPC)));
        assert_eq!(named.kind(), io::ErrorKind::StorageFull);
        let text = named.to_string();
        assert!(text.starts_with("descriptor 7: No space left"), "{text}");

        let twice = with_context_as(io::ErrorKind::Other, "the wait", named);
        assert_eq!((errno(&twice), twice.kind()), (Some(libc::ENOSPC), io::ErrorKind::Other));
        assert_eq!(errno(&io::Error::other(twice)), Some(libc::ENOSPC));

        assert_eq!(errno(&io::Error::other("no number")), None);
        assert_eq!(errno(&io::ErrorKind::NotFound.into()), None);
    }

    #[test]
    fn what_is_used_up_for_now_is_a_shortage() {
        let shortages: Vec<_> = (1..200)
            .filter(|&number| is_shortage(&with_context("x", io::Error::from_raw_os_error(number))))
            .collect();
        let mut expected = vec![
            libc::EINTR,
            libc::EAGAIN,
            libc::ENOMEM,
            libc::ENFILE,
            libc::EMFILE,
            libc::ENOSPC,
            libc::ENOBUFS,
            libc::EDQUOT,
        ];
        expected.sort_unstable();
        assert_eq!(shortages, expected);
        assert!(is_shortage(&io::Error::new(io::ErrorKind::StorageFull, "no watches left")));
        assert!(!is_shortage(&io::Error::other("broken")));
    }
}
