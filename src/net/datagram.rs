//! A socket for datagrams.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Socket, Type};

use super::Address;
use super::binding::{Binding, SocketFile};
use crate::sys;

/// How long somebody is waited for who has no room for a datagram.
const PATIENCE: Duration = Duration::from_millis(200);

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
}

/// What is known of a datagram beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
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
    pub fn bind(address: &Address) -> io::Result<Self> {
        let socket = Binding::socket(address, Type::DGRAM)?;
        // Reusing an address means something else here than for a listener: two sockets would share
        // it, and one of them get nothing.
        let binding = Binding {
            reuse_address: false,
            reuse_port: false,
            v6_only: true,
            replace_stale: false,
        };
        binding.bind(&socket, address)?;
        DatagramSocket::bound(socket)
    }

    /// A socket that is bound. Its file, if it has one, is removed in the end.
    pub(crate) fn bound(socket: Socket) -> io::Result<Self> {
        let address = Address::of(&socket.local_addr()?);
        Ok(DatagramSocket { file: SocketFile::of(&address), socket, address })
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
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let (length, from) = sys::receive_from(self.as_fd(), buffer)?;
        Ok(Received {
            size: length.min(buffer.len()),
            truncated: length > buffer.len(),
            from: Address::of(&from),
        })
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
    /// that may wait. (In Python a Unix socket that nobody reads makes it wait for ever.)
    ///
    /// # Errors
    ///
    /// `TimedOut` when there was no room for a fifth of a second, and whatever else `sendto(2)` says.
    pub fn sendto(&self, data: &[u8], to: &Address) -> io::Result<usize> {
        self.send_within(PATIENCE, data, to)
    }

    /// As [`sendto`](Self::sendto), with so much patience.
    pub(crate) fn send_within(
        &self,
        patience: Duration,
        data: &[u8],
        to: &Address,
    ) -> io::Result<usize> {
        let give_up = Instant::now() + patience;
        loop {
            match self.send_to(data, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= give_up {
                        let message = format!("{to} has no room for a datagram");
                        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                    }
                    // `poll` would not do: through a Unix socket it is the receiver that has no
                    // room, and ours is writable all the time.
                    thread::sleep(Duration::from_millis(1));
                }
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
