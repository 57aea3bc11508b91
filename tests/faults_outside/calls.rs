//! The system calls, and the errors of each by its manual page.

/// A call with its errors, by their names.
#[derive(Debug)]
pub struct Call {
    pub name: &'static str,
    pub errors: &'static [&'static str],
    /// Whether the calls that a server makes before it accepts may fail too.
    pub at_start: bool,
}

/// Errors after which a server may end with a message: they are faults of the program, or the call
/// would fail for ever.
pub const FATAL: &[(&str, &str)] = &[("accept4", "EINVAL")];

/// Errors that a call of this server never has. `signalfd(2)` knows no EIO; without its signals, the server
/// cannot be told to end. A socket that listens can be shut down. `eventfd(2)` knows no ENOSPC, and a wake that is refused for ever wakes no loop.
pub const UNREAL: &[(&str, &str, &str)] = &[
    ("reload", "read", "EIO"),
    ("timestamp", "shutdown", "ENOTCONN"),
    ("loops", "write", "ENOSPC"),
    ("loops reuse-port", "write", "ENOSPC"),
    ("loops shared-listener", "write", "ENOSPC"),
];

/// Errors that may last: something is used up, or the system has no memory.
pub const SHORTAGES: &[&str] = &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC"];

pub const CALLS: &[Call] = &[
    running(
        "accept4",
        &[
            "ECONNABORTED",
            "EINTR",
            "EINVAL",
            "EMFILE",
            "ENFILE",
            "ENOBUFS",
            "ENOMEM",
            "EPERM",
            "EPROTO",
        ],
    ),
    starting("bind", &["EACCES", "EADDRINUSE", "ENOMEM"]),
    starting("clone", &["EAGAIN", "ENOMEM"]),
    starting("clone3", &["EAGAIN", "ENOMEM"]),
    starting("epoll_create1", &["EMFILE", "ENFILE", "ENOMEM"]),
    starting("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    running("epoll_pwait2", &["EINTR", "ENOMEM", "ENOSYS"]),
    running("epoll_wait", &["EINTR", "ENOMEM"]),
    starting("eventfd2", &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"]),
    starting("fcntl", &["EINVAL", "EPERM"]),
    starting("getsockname", &["ENOBUFS"]),
    starting("listen", &["EADDRINUSE"]),
    running(
        "openat2",
        &["EACCES", "EAGAIN", "EINTR", "ELOOP", "EMFILE", "ENFILE", "ENOMEM", "ENOSYS", "EXDEV"],
    ),
    starting("pidfd_open", &["EMFILE", "ENODEV", "ENOMEM"]),
    running("ppoll", &["EAGAIN", "EINTR", "ENOMEM"]),
    running("pselect6", &["EINTR", "ENOMEM"]),
    running("read", &["EAGAIN", "EINTR", "EIO"]),
    running(
        "recvfrom",
        &["EAGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "EINTR", "ENOMEM", "ETIMEDOUT"],
    ),
    running("sendfile", &["EAGAIN", "EINTR", "EINVAL", "EIO", "ENOMEM", "EPIPE"]),
    running(
        "sendto",
        &[
            "EAGAIN",
            "ECONNRESET",
            "EHOSTUNREACH",
            "EINTR",
            "ENETUNREACH",
            "ENOBUFS",
            "ENOMEM",
            "EPERM",
            "EPIPE",
        ],
    ),
    starting("setsockopt", &["EINVAL", "ENOMEM", "ENOPROTOOPT"]),
    running("shutdown", &["ENOTCONN"]),
    starting("signalfd4", &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"]),
    starting("socket", &["EACCES", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]),
    starting("timerfd_create", &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"]),
    starting("timerfd_settime", &["ECANCELED", "EINVAL", "ENOMEM"]),
    running("waitid", &["ECHILD", "EINTR"]),
    running("wait4", &["ECHILD", "EINTR"]),
    running("write", &["EAGAIN", "EINTR", "EIO", "ENOSPC", "EPIPE"]),
];

const fn starting(name: &'static str, errors: &'static [&'static str]) -> Call {
    Call { name, errors, at_start: true }
}

const fn running(name: &'static str, errors: &'static [&'static str]) -> Call {
    Call { name, errors, at_start: false }
}
