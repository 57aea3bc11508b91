//! `select(2)`: three sets in, the same three sets out, overwritten.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use super::deadline::{Deadline, timespec, timespec_ptr};
use super::fd::{check_number, check_open};
use super::fd_set::FdSet;
use super::{check, retry};

/// The three sets of a `select`: to read, to write, and those with an exceptional condition.
pub(crate) type FdSets = [FdSet; 3];

/// One `pselect6`: leaves in `ready` what is ready of `watched`, and returns how many bits that is
/// in all three sets together.
///
/// The call overwrites the sets it is given, so it is given copies. Once the returned number of
/// bits has been met, counting from descriptor 0 upwards through all three sets, **any further bit
/// is stale**: Linux does not look at words beyond the process's descriptor table and leaves them
/// as they were (`select(2)`, BUGS).
pub(crate) fn pselect(
    watched: &FdSets,
    ready: &mut FdSets,
    deadline: Deadline,
) -> io::Result<usize> {
    let nfds = watched.iter().map(FdSet::nfds).max().unwrap_or(0);
    for (copy, watched) in ready.iter_mut().zip(watched) {
        copy.copy_from(watched);
    }
    let [read, write, except] = ready.each_mut().map(|set| set.for_kernel(nfds));
    let time = timespec(deadline);
    // SAFETY: each set is null or points to at least `nfds` bits which nothing else borrows; the
    // kernel touches no more than that. `time` outlives the call; a null mask changes no signal.
    let ready = check(unsafe {
        libc::pselect(nfds, read, write, except, timespec_ptr(&time), std::ptr::null())
    })?;
    Ok(ready as usize)
}

/// Waits until a descriptor can be used, as Python's `select.select` does, and returns three lists:
/// those that can be read, those that can be written, those with an exceptional condition.
///
/// The lists hold what was given, in the order in which it was given: plain numbers, or anything
/// that has one and can be cloned, such as `Rc<TcpStream>`. What is given twice is returned twice.
///
/// * `timeout`: `None` waits forever, zero does not block. It cannot be negative (Python raises
///   `ValueError`): [`Duration`] has no such value.
/// * "Can be read" includes the end of the stream and a pending error: the read will not block.
/// * "Can be written" means that *some* bytes fit, not all of them.
/// * "Exceptional" is urgent TCP data and little else. It does **not** mean errors.
/// * Numbers from 1,024 up are as good as any other. Python refuses them with `ValueError`, because
///   it uses the C library's `fd_set`; the system call never had that limit.
/// * A signal does not end the wait.
///
/// See `select(2)`; the call is `pselect6`.
///
/// # Errors
///
/// * `InvalidInput` for a negative number (Python: `ValueError`).
/// * `EBADF` when one of the descriptors is closed. The kernel does not say which and the whole call
///   fails; this function finds it, and names it in the message. One exception is the kernel's:
///   a number beyond all that the process ever had open is passed over while the call waits, and
///   found only when it returns.
pub fn select<F: AsRawFd + Clone>(
    read: &[F],
    write: &[F],
    except: &[F],
    timeout: Option<Duration>,
) -> io::Result<(Vec<F>, Vec<F>, Vec<F>)> {
    let deadline = Deadline::from(timeout);
    let watched = [bits_of(read)?, bits_of(write)?, bits_of(except)?];
    let mut ready = FdSets::default();
    let found = match retry(|| pselect(&watched, &mut ready, deadline)) {
        Ok(count) if count == ready.iter().map(FdSet::len).sum() => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::EBADF)),
        Err(error) => Err(error),
    };
    match found {
        Ok(()) => {
            let [readable, writable, exceptional] = &ready;
            Ok((pick(read, readable), pick(write, writable), pick(except, exceptional)))
        }
        // The kernel does not say which one: ask for each.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => {
            [read, write, except]
                .into_iter()
                .flatten()
                .try_for_each(|fd| check_open(fd.as_raw_fd()))?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

fn bits_of<F: AsRawFd>(list: &[F]) -> io::Result<FdSet> {
    /// From here up a number is asked for before it costs memory, a bit for each below it.
    const LARGE: RawFd = 1 << 20;
    let mut bits = FdSet::default();
    for fd in list.iter().map(AsRawFd::as_raw_fd) {
        if fd < LARGE {
            check_number(fd)?
        } else {
            check_open(fd)?
        };
        bits.insert(fd);
    }
    Ok(bits)
}

fn pick<F: AsRawFd + Clone>(list: &[F], ready: &FdSet) -> Vec<F> {
    list.iter().filter(|fd| ready.contains(fd.as_raw_fd())).cloned().collect()
}
