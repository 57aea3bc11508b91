//! The parties that errors of `accept(2)` and `recvfrom(2)` concern.

use std::io;

/// The party that an error of `accept(2)` or `recvfrom(2)` concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// None: no connection is pending.
    Empty,
    /// None: a signal came.
    Interrupted,
    /// One client.
    Client,
    /// All clients: there is no free descriptor.
    Descriptors,
    /// All clients: there is no memory.
    Memory,
    Listener,
    Unknown,
}

impl Class {
    /// An error without a number is not the kernel's. It concerns one client.
    pub(super) fn of(errno: Option<i32>) -> Self {
        match errno {
            Some(libc::EAGAIN) => Class::Empty,
            Some(libc::EINTR) => Class::Interrupted,
            Some(libc::EMFILE | libc::ENFILE) => Class::Descriptors,
            Some(libc::ENOBUFS | libc::ENOMEM | libc::ENOSR) => Class::Memory,
            Some(libc::EBADF | libc::EFAULT | libc::EINVAL | libc::ENOTSOCK) => Class::Listener,
            None
            | Some(
                libc::ECONNABORTED
                | libc::EACCES
                | libc::EPERM
                | libc::EPROTO
                // Errors of the network, which Linux may report for the new connection, or for a
                // datagram that was sent earlier.
                | libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EMSGSIZE
                | libc::ENETDOWN
                | libc::ENETRESET
                | libc::ENETUNREACH
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EPIPE
                | libc::ETIMEDOUT,
            ) => Class::Client,
            Some(_) => Class::Unknown,
        }
    }
}

/// Returns whether an error of any call means that there are no descriptors or no memory for a new
/// client. [`sys::is_shortage`](crate::sys) has more errors: those after which any call may succeed
/// later.
pub(crate) fn lacks_resources(error: &io::Error) -> bool {
    let class = Class::of(error.raw_os_error());
    matches!(class, Class::Descriptors | Class::Memory)
}

/// Returns whether an error may be the network's answer to a datagram that was sent earlier.
pub(super) fn is_of_network(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EMSGSIZE
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENOPROTOOPT
                | libc::EPROTO
        )
    )
}

/// Returns whether the peer has broken the connection: no fault of the program.
pub(crate) fn is_by_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
pub(super) mod tests {
    use libc::*;

    use super::*;

    /// What each number means, by the manual pages of accept(2), recvfrom(2) and ip(7).
    pub(in crate::net) fn meaning(errno: i32) -> Class {
        const CLIENT: &[i32] = &[
            ECONNABORTED,
            EACCES,
            EPERM,
            EPROTO,
            ECONNREFUSED,
            ECONNRESET,
            EHOSTDOWN,
            EHOSTUNREACH,
            EMSGSIZE,
            ENETDOWN,
            ENETRESET,
            ENETUNREACH,
            ENONET,
            ENOPROTOOPT,
            EPIPE,
            ETIMEDOUT,
        ];
        const OTHERS: &[(Class, &[i32])] = &[
            (Class::Empty, &[EAGAIN]),
            (Class::Interrupted, &[EINTR]),
            (Class::Descriptors, &[EMFILE, ENFILE]),
            (Class::Memory, &[ENOBUFS, ENOMEM, ENOSR]),
            (Class::Listener, &[EBADF, EFAULT, EINVAL, ENOTSOCK]),
        ];
        let mut found = OTHERS.iter().filter(|(_, errnos)| errnos.contains(&errno));
        match found.next() {
            Some((class, _)) => *class,
            None if CLIENT.contains(&errno) => Class::Client,
            None => Class::Unknown,
        }
    }

    /// Every number of Linux, and some that it does not have.
    pub(in crate::net) fn all_errnos() -> impl Iterator<Item = i32> {
        (1..=133).chain([0, -1, 134, 512, i32::MAX, i32::MIN])
    }

    #[test]
    fn what_other_calls_report_has_the_same_meaning() {
        let numbers = |is: fn(&io::Error) -> bool| -> Vec<i32> {
            (1..=133).filter(|&errno| is(&io::Error::from_raw_os_error(errno))).collect()
        };
        assert_eq!(numbers(lacks_resources), [ENOMEM, ENFILE, EMFILE, ENOSR, ENOBUFS]);
        assert_eq!(numbers(is_by_peer), [EPIPE, ECONNABORTED, ECONNRESET]);
        let network = numbers(is_of_network);
        assert!(network.contains(&ECONNREFUSED) && network.contains(&EHOSTUNREACH));
        assert!(network.iter().all(|&errno| meaning(errno) == Class::Client), "{network:?}");
    }

    #[test]
    fn each_errno_belongs_to_its_party() {
        for errno in all_errnos() {
            assert_eq!(Class::of(Some(errno)), meaning(errno), "{errno}");
        }
        assert_eq!(Class::of(None), Class::Client);
    }
}
