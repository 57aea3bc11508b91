//! A socket for datagrams.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, thread};

use socket2::{Socket, Type};

use super::address::{Address, ToAddress};
use super::bind::{BindOptions, SocketFile};
use crate::sync::lock;
use crate::sys::{self, PollFd, PollFlags};

/// How long whoever sends waits for room, if nothing else is said.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// A bound datagram socket, UDP or Unix, non-blocking. Dropped, it closes, and removes its file if
/// it is a Unix socket's and still its own.
///
/// An empty datagram is data, and no end of anything; one that is longer than its buffer is said to
/// be cut.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: Socket,
    address: Address,
    file: Option<SocketFile>,
    send_timeout: Duration,
    /// For [`take`](Self::take), as long as its datagrams may be.
    buffer: Mutex<Vec<u8>>,
}

/// What is known of a datagram beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvInfo {
    /// How many bytes of the buffer it fills.
    pub size: usize,
    /// Whether it was longer than the buffer. What did not fit is lost.
    pub truncated: bool,
    /// Who sent it.
    pub from: Address,
}

impl DatagramSocket {
    /// Binds a socket to `address`. Port 0 is any free port.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `PermissionDenied` and whatever else `bind(2)` says, with the address in the
    /// message.
    pub fn bind(address: impl ToAddress) -> io::Result<Self> {
        let address = address.to_address()?;
        let socket = BindOptions::socket(&address, Type::DGRAM)?;
        // Reusing an address means something else here than for a listener: two sockets would share
        // it, and one of them get nothing.
        let options = BindOptions {
            reuse_address: false,
            reuse_port: false,
            v6_only: true,
            replace_stale: false,
        };
        options.bind(&socket, &address)?;
        DatagramSocket::bound(socket)
    }

    /// A socket that is bound. Its file, if it has one, is removed in the end.
    pub(crate) fn bound(socket: Socket) -> io::Result<Self> {
        let address = Address::of(&socket.local_addr()?);
        let file = SocketFile::of(&address);
        Ok(DatagramSocket {
            socket,
            address,
            file,
            send_timeout: SEND_TIMEOUT,
            buffer: Mutex::default(),
        })
    }

    /// How long [`sendto`](Self::sendto) waits for room.
    pub(crate) fn set_send_timeout(&mut self, send_timeout: Duration) {
        self.send_timeout = send_timeout;
    }

    /// Leaves the file of a Unix socket where it is.
    pub(crate) fn keep_file(&mut self) {
        if let Some(file) = self.file.take() {
            file.keep();
        }
    }

    /// Where it is bound: with the port that it has got, if it asked for any.
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// The next datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none, and whatever else `recvfrom(2)` says.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<RecvInfo> {
        let (length, from) = sys::receive_from(self.as_fd(), buffer)?;
        Ok(RecvInfo {
            size: length.min(buffer.len()),
            truncated: length > buffer.len(),
            from: Address::of(&from),
        })
    }

    /// As [`recv_from`](Self::recv_from), into a buffer of `most` bytes that is kept for the next.
    pub(crate) fn take(&self, most: usize) -> io::Result<(Arc<[u8]>, RecvInfo)> {
        let mut buffer = lock(&self.buffer);
        if buffer.len() != most {
            *buffer = vec![0; most];
        }
        let received = self.recv_from(&mut buffer)?;
        Ok((buffer[..received.size].into(), received))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no room for it now, and whatever else `sendto(2)` says.
    pub fn send_to(&self, data: &[u8], to: &Address) -> io::Result<usize> {
        if *to == Address::Unnamed {
            let message =
                "the sender has no address: a Unix socket that was not bound cannot be answered";
            return Err(io::Error::new(io::ErrorKind::NotConnected, message));
        }
        sys::retry(|| self.socket.send_to(data, &to.to_sock_addr()?))
    }

    /// Sends a datagram, and waits until there is room for it: Python's `socket.sendto` for a thread
    /// that may wait. But not for long, for it may be the receiver of a Unix socket who has no room,
    /// and reads nothing: a tenth of a second; where everybody waits with it, as in servers without
    /// threads, less; and in a loop not at all. (In Python it is for ever.)
    ///
    /// # Errors
    ///
    /// `TimedOut` when there still is no room, and whatever else `sendto(2)` says.
    pub fn sendto(&self, data: &[u8], to: &Address) -> io::Result<usize> {
        match self.send_to(data, to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_and_send(data, to),
            sent => sent,
        }
    }

    #[cold]
    fn wait_and_send(&self, data: &[u8], to: &Address) -> io::Result<usize> {
        let deadline = Instant::now() + self.send_timeout;
        let mut pause = Duration::from_millis(1);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("{to} takes nothing: there is no room for a datagram");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            if let Address::Inet(_) = to {
                let mut fds = [PollFd::new(self.socket.as_raw_fd(), PollFlags::OUT)];
                sys::poll(&mut fds, Some(left))?;
            } else {
                // `poll` would return at once: it is the receiver who has no room, and our socket is
                // writable all the time.
                thread::sleep(pause.min(left));
                pause *= 2;
            }
            match self.send_to(data, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
