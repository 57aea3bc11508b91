//! What a descriptor is, and how it reads and writes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use socket2::{SockAddr, SockAddrStorage, Socket};

use super::call_error::{errno, with_context, with_context_as};
use super::check;

/// Refuses a number that cannot be a descriptor's, before it becomes an index.
pub(crate) fn check_number(fd: RawFd) -> io::Result<()> {
    if fd < 0 {
        let message = format!("{fd} is not a descriptor: it is negative");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Refuses a descriptor that is not open, and names it. `fcntl(F_GETFL)` is the cheapest question
/// that the kernel answers about a bare number.
///
/// A descriptor opened with `O_PATH` names a file without opening it. `fcntl` knows it; to the
/// three calls it is closed.
pub(crate) fn check_open(fd: RawFd) -> io::Result<()> {
    check_number(fd)?;
    // SAFETY: F_GETFL takes no pointer and changes nothing, whatever the number.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) });
    match flags.map_err(|error| with_fd_and_call(fd, "fcntl", error))? & libc::O_PATH {
        0 => Ok(()),
        _ => Err(with_fd(fd, io::Error::from_raw_os_error(libc::EBADF))),
    }
}

/// Whether a call failed because a descriptor is not open.
pub(crate) fn is_bad_descriptor(error: &io::Error) -> bool {
    errno(error) == Some(libc::EBADF)
}

/// An error of the system with the descriptor it is about in its message. A closed descriptor is
/// `InvalidInput`: the standard library has no kind of its own for it.
pub(crate) fn with_fd(fd: RawFd, error: io::Error) -> io::Error {
    let kind = match error.kind() {
        _ if is_bad_descriptor(&error) => io::ErrorKind::InvalidInput,
        kind => kind,
    };
    with_context_as(kind, format!("descriptor {fd}"), error)
}

/// As [`with_fd`], with the call that failed. A closed descriptor says enough.
pub(crate) fn with_fd_and_call(fd: RawFd, call: &str, error: io::Error) -> io::Error {
    match is_bad_descriptor(&error) {
        true => with_fd(fd, error),
        false => with_fd(fd, with_context(call, error)),
    }
}

/// Makes reads and writes return `WouldBlock` instead of sleeping (`O_NONBLOCK`), or sleep. True if
/// that was a change. The flag belongs to the open file, and so is seen through every duplicate of
/// the descriptor.
pub(crate) fn set_nonblocking(fd: RawFd, yes: bool) -> io::Result<bool> {
    let flags = status_flags(fd)?;
    let wanted = if yes { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    if wanted != flags {
        // SAFETY: F_SETFL takes a number, and changes no memory of this process.
        let answer = check(unsafe { libc::fcntl(fd, libc::F_SETFL, wanted) });
        answer.map_err(|error| with_fd_and_call(fd, "fcntl", error))?;
    }
    Ok(wanted != flags)
}

/// Returns whether an open file is blocking. A descriptor that is not open is not.
pub(crate) fn is_blocking(fd: RawFd) -> bool {
    status_flags(fd).is_ok_and(|flags| flags & libc::O_NONBLOCK == 0)
}

/// The status flags of an open file.
fn status_flags(fd: RawFd) -> io::Result<libc::c_int> {
    // SAFETY: F_GETFL takes no pointer and changes nothing, whatever the number.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) });
    flags.map_err(|error| with_fd_and_call(fd, "fcntl", error))
}

/// Whether this is a stream of bytes: a socket, a pipe or FIFO, or a character device, such as a
/// terminal.
pub(crate) fn is_stream(fd: RawFd) -> bool {
    matches!(file_type(fd), Some(libc::S_IFSOCK | libc::S_IFIFO | libc::S_IFCHR))
}

/// Whether `poll` and its like can wait for every file of this type: a socket, a pipe or FIFO.
pub(crate) fn can_always_wait(fd: RawFd) -> bool {
    matches!(file_type(fd), Some(libc::S_IFSOCK | libc::S_IFIFO))
}

/// Identifies a file: its device, and its number there.
pub(crate) type FileId = (u64, u64);

/// Identifies a file that programs share by inheriting it: a pipe or FIFO, a terminal or another
/// character device. Returns `None` for any other, and for a descriptor that is not open.
pub(crate) fn shared_file(fd: RawFd) -> Option<FileId> {
    let stat = file_status(fd)?;
    let is_shared = matches!(stat.st_mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFCHR);
    #[allow(clippy::unnecessary_cast)] // the types differ between targets
    is_shared.then_some((stat.st_dev as u64, stat.st_ino as u64))
}

/// The type of an open file, as `stat` tells it.
pub(super) fn file_type(fd: RawFd) -> Option<libc::mode_t> {
    file_status(fd).map(|stat| stat.st_mode & libc::S_IFMT)
}

fn file_status(fd: RawFd) -> Option<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` has room for the answer, and outlives the call.
    let answer = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
    // SAFETY: the call succeeded, so it has filled in `stat`.
    (answer == 0).then(|| unsafe { stat.assume_init() })
}

/// Whether this is a TCP socket (`SO_PROTOCOL`, see `socket(7)`). What is no socket, or closed, is
/// not.
pub(crate) fn is_tcp(fd: RawFd) -> bool {
    let mut protocol: libc::c_int = 0;
    let mut size = size_of_val(&protocol) as libc::socklen_t;
    // SAFETY: the option is an int; `protocol` has room for one and `size` says so; both outlive
    // the call.
    let answer = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_PROTOCOL,
            (&raw mut protocol).cast(),
            &mut size,
        )
    };
    answer == 0 && protocol == libc::IPPROTO_TCP
}

/// The bytes in the send queue of a socket: TCP's that the peer has not acknowledged, and what a Unix
/// socket keeps for its peers, with the kernel's own overhead (`SIOCOUTQ`, see `tcp(7)`, `unix(7)`).
pub(crate) fn send_queue(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SIOCOUTQ has the number of TIOCOUTQ. The type of the number depends on the C library.
    // SAFETY: the request writes one int, for which `bytes` has room, and which outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ as _, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Ends a TCP connection at once with a reset, and drops what was not sent. Afterwards the socket is not
/// connected, and reads and writes fail. For other sockets it fails.
pub(crate) fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as _, sa_data: [0; 14] };
    let size = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: `nowhere` is an address of this size, which the call only reads; the descriptor is borrowed,
    // hence open.
    check(unsafe { libc::connect(socket.as_raw_fd(), &nowhere, size) }).map(drop)
}

/// Locks a file for this open file, without waiting (`flock(2)`). Returns false if another open file
/// has the lock. It ends when the last descriptor of the open file is closed.
pub(crate) fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: takes two numbers; the descriptor is borrowed, hence open.
    match check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Accepts one connection, closed on exec from the beginning, with the address of its peer.
/// `flags` may be `SOCK_NONBLOCK`.
pub(crate) fn accept(
    listener: BorrowedFd<'_>,
    flags: libc::c_int,
) -> io::Result<(Socket, SockAddr)> {
    let accept = |address: *mut SockAddrStorage, size: *mut libc::socklen_t| {
        let flags = flags | libc::SOCK_CLOEXEC;
        // SAFETY: `address` has room for any address and `size` says how much room that is; both
        // outlive the call.
        let fd =
            check(unsafe { libc::accept4(listener.as_raw_fd(), address.cast(), size, flags) })?;
        // SAFETY: the kernel has just created this descriptor, and nothing else owns it.
        Ok(unsafe { Socket::from_raw_fd(fd) })
    };
    // SAFETY: the kernel fills in the address and its size when the call succeeds, and the result
    // is used only then.
    unsafe { SockAddr::try_init(accept) }
}

/// Receives one datagram, and never blocks. The length is its own, which may be more than the buffer holds.
pub(crate) fn receive_from(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, SockAddr)> {
    let receive = |address: *mut SockAddrStorage, size: *mut libc::socklen_t| {
        // SAFETY: the buffer is as long as said; `address` has room for any address and `size` says
        // how much room that is; all outlive the call.
        let length = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_TRUNC | libc::MSG_DONTWAIT,
                address.cast(),
                size,
            )
        };
        usize::try_from(length).map_err(|_| io::Error::last_os_error())
    };
    // SAFETY: the kernel fills in the address and its size when the call succeeds, and the result
    // is used only then.
    unsafe { SockAddr::try_init(receive) }
}

/// mio's own descriptor, which it lends only as a number.
#[cfg(feature = "mio")]
pub(crate) fn of_mio(poll: &mio::Poll) -> BorrowedFd<'_> {
    // SAFETY: the poll owns the descriptor, and outlives the borrow.
    unsafe { BorrowedFd::borrow_raw(poll.as_raw_fd()) }
}

/// Makes the number of `old` one of the open file of `new`, closed on exec (`dup3(2)`). What `old` was
/// is closed.
pub(super) fn replace(old: BorrowedFd<'_>, new: &OwnedFd) -> io::Result<()> {
    duplicate(new.as_fd(), old.as_raw_fd())
}

/// Makes `number` a descriptor of the open file of `fd`, closed on exec (`dup3(2)`). What `number` was
/// is closed. The `libc` crate has the C library's function for Linux only, and not for Android.
pub(super) fn duplicate(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: takes three numbers. The owner of `number` still owns an open descriptor.
    let answer = unsafe { libc::syscall(libc::SYS_dup3, fd.as_raw_fd(), number, libc::O_CLOEXEC) };
    check(answer as libc::c_int).map(drop)
}

/// Reads the counter of an eventfd or a timerfd, which resets it. A counter of zero fails with
/// EAGAIN and is unreadable already.
pub(super) fn read_counter(fd: &OwnedFd) -> io::Result<u64> {
    let mut count = [0_u8; 8];
    // SAFETY: reads eight bytes into an array of eight. Both kinds return eight bytes or an error.
    let size = unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    if size == -1 { Err(io::Error::last_os_error()) } else { Ok(u64::from_ne_bytes(count)) }
}
