//! The call of a wait, and its arguments.

use std::os::fd::RawFd;

use tripoll::Interest;

/// What a wait is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Watching<'a> {
    /// The name of the backend.
    pub backend: &'a str,
    /// The descriptor of the epoll, if the backend has one.
    pub epoll: Option<RawFd>,
    /// The most events that one call returns.
    pub capacity: usize,
    /// The timeout in milliseconds, rounded up. `None` waits for ever.
    pub timeout_ms: Option<u64>,
}

/// Returns the name of the system call of a backend.
pub fn call(backend: &str) -> &'static str {
    match backend {
        "select" => "select",
        "poll" => "poll",
        _ => "epoll_wait",
    }
}

/// Returns the arguments of the wait for `sources`, each a descriptor with its interest.
pub fn arguments(
    watching: &Watching<'_>,
    sources: impl Iterator<Item = (RawFd, Interest)> + Clone,
) -> String {
    let Watching { backend, epoll, capacity, timeout_ms } = *watching;
    let watched = sources.filter(|(_, interest)| !interest.is_empty());
    let time = timeout_ms.map_or_else(|| "no timeout".into(), |ms| format!("{ms} ms"));
    match call(backend) {
        "select" => {
            let nfds = watched.clone().map(|(fd, _)| fd + 1).max().unwrap_or(0);
            let count = |of| watched.clone().filter(|(_, interest)| interest.contains(of)).count();
            let [r, w, e] = [Interest::READ, Interest::WRITE, Interest::PRIORITY].map(count);
            format!("nfds {nfds}, r {r} w {w} e {e}, {time}")
        }
        "poll" => format!("{} descriptors, {time}", watched.count()),
        _ => format!("epfd {}, {capacity} events, {time}", epoll.unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_own_arguments() {
        let sources =
            [(5, Interest::READ), (9, Interest::READ | Interest::WRITE), (40, Interest::NONE)];
        let of = |backend, epoll, timeout_ms| {
            let watching = Watching { backend, epoll, capacity: 64, timeout_ms };
            (call(backend), arguments(&watching, sources.into_iter()))
        };
        let expected = |call, text: &str| (call, text.to_string());
        assert_eq!(of("select", None, Some(0)), expected("select", "nfds 10, r 2 w 1 e 0, 0 ms"));
        assert_eq!(of("poll", None, None), expected("poll", "2 descriptors, no timeout"));
        let epoll = expected("epoll_wait", "epfd 4, 64 events, 100 ms");
        assert_eq!(of("epoll", Some(4), Some(100)), epoll);
        assert_eq!(of("mio", Some(4), Some(100)), epoll);
    }
}
