//! Many datagrams in one call: `recvmmsg(2)` and `sendmmsg(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use super::retry;

/// One datagram, except its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    address: libc::sockaddr_storage,
    /// How many bytes of it are an address. 0: it has none.
    address_length: libc::socklen_t,
    /// The number of bytes in its buffer.
    pub(crate) length: usize,
    /// Whether it was longer than its buffer.
    pub(crate) is_truncated: bool,
}

/// The most datagrams in one system call. The structures for them are on the stack.
pub(crate) const MOST_MESSAGES: usize = 32;

impl Message {
    pub(crate) fn new() -> Self {
        // SAFETY: zeros are a valid address of no family.
        let address = unsafe { std::mem::zeroed() };
        Message { address, address_length: 0, length: 0, is_truncated: false }
    }

    /// Returns the address of the sender or receiver.
    pub(crate) fn address(&self) -> SockAddr {
        let copy = |to: *mut SockAddrStorage, length: *mut libc::socklen_t| {
            // SAFETY: both are storages for any address, apart from each other; `length` is valid.
            unsafe {
                ptr::copy_nonoverlapping((&raw const self.address).cast(), to, 1);
                *length = self.address_length;
            }
            Ok(())
        };
        // SAFETY: the first bytes, as many as said, are an address; without any, the family is none.
        let (_, address) = unsafe { SockAddr::try_init(copy) }.expect("a copy does not fail");
        address
    }

    /// Returns the address, if there is one.
    pub(crate) fn receiver(&self) -> Option<SockAddr> {
        (self.address_length > 0).then(|| self.address())
    }

    /// Sets the address of the receiver. `None` is the connected peer.
    pub(crate) fn set_address(&mut self, address: Option<&SockAddr>) {
        *self = Message { length: self.length, ..Message::new() };
        if let Some(address) = address {
            // SAFETY: both are storages for any address, apart from each other.
            unsafe {
                ptr::copy_nonoverlapping(address.as_ptr().cast(), &raw mut self.address, 1);
            }
            self.address_length = address.len();
        }
    }
}

/// The arguments of a call. They point to messages and their bytes, which outlive the call.
struct Arguments {
    headers: [libc::mmsghdr; MOST_MESSAGES],
    slices: [libc::iovec; MOST_MESSAGES],
}

impl Arguments {
    fn new() -> Self {
        // SAFETY: zeros are valid for both, as messages without bytes and without an address.
        unsafe { std::mem::zeroed() }
    }

    /// Sets the message at `index`: its bytes, as many as there is room for or as are sent, and its
    /// address.
    fn set(
        &mut self,
        index: usize,
        bytes: (*mut u8, usize),
        address: (*mut libc::c_void, libc::socklen_t),
    ) {
        self.slices[index] = libc::iovec { iov_base: bytes.0.cast(), iov_len: bytes.1 };
        let header = &mut self.headers[index].msg_hdr;
        (header.msg_name, header.msg_namelen) = address;
    }

    /// Returns the headers, which point to the slices. The arguments must not move any more.
    fn headers(&mut self) -> *mut libc::mmsghdr {
        for (header, slice) in self.headers.iter_mut().zip(&mut self.slices) {
            (header.msg_hdr.msg_iov, header.msg_hdr.msg_iovlen) = (slice, 1);
        }
        self.headers.as_mut_ptr()
    }
}

/// Receives datagrams, as many as there are and as `messages` has room for. The bytes of each are in
/// `bytes`, `size` bytes apart. Returns their number. Never blocks.
///
/// # Errors
///
/// `WouldBlock` if there is none. An error after the first is returned by the next call.
pub(crate) fn receive_many(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    size: usize,
    messages: &mut [Message],
) -> io::Result<usize> {
    let count = messages.len().min(MOST_MESSAGES);
    let mut arguments = Arguments::new();
    let slots = messages[..count].iter_mut().zip(bytes.chunks_exact_mut(size));
    for (index, (message, bytes)) in slots.enumerate() {
        *message = Message::new(); // a sender without an address leaves the family as it is
        let room = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        let address = ((&raw mut message.address).cast(), room);
        arguments.set(index, (bytes.as_mut_ptr(), size), address);
    }
    let headers = arguments.headers();
    let receive = || {
        let flags = libc::MSG_DONTWAIT as _; // the type depends on the C library
        // SAFETY: the first `count` headers point to storages for any address, and to slices of bytes
        // as long as said. All outlive the call, and nothing else uses them meanwhile. There is no
        // timeout.
        let received = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers, count as _, flags, ptr::null_mut())
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    };
    let received = retry(receive)?;
    for (message, header) in messages.iter_mut().zip(&arguments.headers[..received]) {
        message.address_length = header.msg_hdr.msg_namelen;
        message.length = header.msg_len as usize;
        message.is_truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
    }
    Ok(received)
}

/// Sends datagrams, as many as there is room for. The bytes of each are in `bytes`, `size` bytes apart.
/// Returns their number. Never blocks.
///
/// # Errors
///
/// Those of the first datagram. An error after the first is returned by a call that begins with it.
pub(crate) fn send_many(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    size: usize,
    messages: &[Message],
) -> io::Result<usize> {
    let count = messages.len().min(MOST_MESSAGES);
    let mut arguments = Arguments::new();
    let slots = messages[..count].iter().zip(bytes.chunks_exact(size));
    for (index, (message, bytes)) in slots.enumerate() {
        let address = match message.address_length {
            0 => (ptr::null_mut(), 0),
            length => ((&raw const message.address).cast_mut().cast(), length),
        };
        let bytes = &bytes[..message.length];
        arguments.set(index, (bytes.as_ptr().cast_mut(), bytes.len()), address);
    }
    let headers = arguments.headers();
    retry(|| {
        let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _;
        // SAFETY: the first `count` headers point to addresses and to slices of bytes as long as said,
        // which the call only reads. All outlive the call.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count as _, flags) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_message_has_a_receiver_when_one_is_set_and_keeps_its_length() {
        let mut message = Message::new();
        assert!(message.receiver().is_none());
        message.length = 7;
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        message.set_address(Some(&address.into()));
        assert_eq!(message.receiver().and_then(|to| to.as_socket()), Some(address));
        message.set_address(None);
        assert!(message.receiver().is_none());
        assert_eq!(message.length, 7);
    }
}
