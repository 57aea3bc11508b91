//! Many datagrams, which are received or sent together.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use super::address::Address;
use super::datagram::{DatagramSocket, send_past_errors};
use crate::sys;

/// Datagrams that are received together, or sent together: `recvmmsg(2)`, `sendmmsg(2)`. One system
/// call is for up to 32 of them.
///
/// It has room for a number of datagrams of a size, which is allocated once. Reuse it. What was
/// received can be sent as it is: each datagram goes back to its sender.
///
/// ```
/// use tripoll::net::{DatagramBatch, DatagramSocket};
///
/// let server = DatagramSocket::bind("127.0.0.1:0")?;
/// let client = DatagramSocket::bind("127.0.0.1:0")?;
///
/// let mut batch = DatagramBatch::new(8, 1_500);
/// for line in ["one", "two", "three"] {
///     batch.push(line.as_bytes(), Some(server.local_address()))?;
/// }
/// assert_eq!(client.send_many(&mut batch)?, 3);
/// assert!(batch.is_empty());
///
/// assert_eq!(server.recv_many(&mut batch)?, 3); // on the loopback interface they have arrived
/// let first = batch.iter().next().expect("there are three");
/// assert_eq!((first.data, &first.from), (&b"one"[..], client.local_address()));
/// assert_eq!(server.send_many(&mut batch)?, 3); // an echo
/// # std::io::Result::Ok(())
/// ```
pub struct DatagramBatch {
    bytes: Vec<u8>,
    /// The room for one datagram.
    size: usize,
    messages: Vec<sys::Message>,
    /// Those that were received, or that are not sent yet.
    filled: Range<usize>,
    /// The error that came after the datagrams that were received last.
    error: Option<io::Error>,
}

/// A datagram that was received, in the buffer that it was received into.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedDatagram<'a> {
    /// Its bytes. An empty datagram is data, too.
    pub data: &'a [u8],
    /// The address of the sender.
    pub from: Address,
    /// Whether it was longer than its buffer. The rest is lost.
    pub truncated: bool,
}

impl DatagramBatch {
    /// Returns a batch with room for `count` datagrams of `size` bytes, at least one of each. The
    /// largest datagram of UDP has 65,507 bytes.
    ///
    /// # Panics
    ///
    /// Panics if there is not so much memory.
    pub fn new(count: usize, size: usize) -> Self {
        let (count, size) = (count.max(1), size.max(1));
        let bytes = count.checked_mul(size).expect("a batch of more bytes than can be addressed");
        DatagramBatch {
            bytes: vec![0; bytes],
            size,
            messages: vec![sys::Message::new(); count],
            filled: 0..0,
            error: None,
        }
    }

    /// Returns the number of datagrams for which there is room.
    pub fn capacity(&self) -> usize {
        self.messages.len()
    }

    /// Returns the number of datagrams: received ones, or ones that are not sent yet.
    pub fn len(&self) -> usize {
        self.filled.len()
    }

    /// Returns whether there is no datagram.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Removes all datagrams.
    pub fn clear(&mut self) {
        self.filled = 0..0;
    }

    /// Returns the datagrams, in the order in which they were received or added. For one that was
    /// [added](Self::push), `from` is its receiver.
    pub fn iter(&self) -> impl Iterator<Item = ReceivedDatagram<'_>> {
        self.filled.clone().map(|index| {
            let message = &self.messages[index];
            ReceivedDatagram {
                data: self.data(index),
                from: Address::of(&message.address()),
                truncated: message.is_truncated,
            }
        })
    }

    /// Adds a datagram for `to`, or for the peer to which the socket is connected.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `data` is longer than the room for one datagram, or if `to` is no address that
    /// can be sent to. `StorageFull` if the batch is full. It is full until all of it was sent, or
    /// [cleared](Self::clear).
    pub fn push(&mut self, data: &[u8], to: Option<&Address>) -> io::Result<()> {
        if data.len() > self.size {
            let (length, size) = (data.len(), self.size);
            let message = format!("a datagram of {length} bytes in a batch with room for {size}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self.is_empty() {
            self.clear();
        }
        let index = self.filled.end;
        let Some(message) = self.messages.get_mut(index) else {
            let message = format!("the batch is full: it has room for {index} datagrams");
            return Err(io::Error::new(io::ErrorKind::StorageFull, message));
        };
        let to = to.map(Address::to_sock_addr).transpose()?;
        message.set_address(to.as_ref());
        message.length = data.len();
        self.bytes[index * self.size..][..data.len()].copy_from_slice(data);
        self.filled.end += 1;
        Ok(())
    }

    fn data(&self, index: usize) -> &[u8] {
        &self.bytes[index * self.size..][..self.messages[index].length]
    }
}

impl fmt::Debug for DatagramBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramBatch")
            .field("capacity", &self.capacity())
            .field("size", &self.size)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl DatagramSocket {
    /// Receives datagrams, as many as there are and as `batch` has room for, in place of what was in
    /// it. Returns their number, at least one. Never blocks.
    ///
    /// In a reactor, call it with [`Source::try_io`](crate::Source::try_io). A batch that did not
    /// become full does not mean that there are no more: call it until it returns `WouldBlock`. It
    /// counts as one operation of the [`Budget`](crate::reactor::Budget).
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from). Then the batch is empty. An error after the first datagram is
    /// returned by the next call.
    pub fn recv_many(&self, batch: &mut DatagramBatch) -> io::Result<usize> {
        batch.clear();
        if let Some(error) = batch.error.take() {
            return Err(error);
        }
        let size = batch.size;
        while batch.filled.end < batch.capacity() {
            let begin = batch.filled.end;
            let bytes = &mut batch.bytes[begin * size..];
            let messages = &mut batch.messages[begin..];
            match sys::receive_many(self.as_fd(), bytes, size, messages) {
                Ok(count) => {
                    batch.filled.end += count;
                    if count < sys::MOST_MESSAGES {
                        break; // there are no more, or the kernel keeps an error for the next call
                    }
                }
                Err(error) if batch.is_empty() => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    batch.error = Some(error);
                    break;
                }
            }
        }
        Ok(batch.len())
    }

    /// Sends the datagrams of `batch` from the first on, as many as there is room for, and removes them
    /// from it. Returns their number. Never blocks. On a Unix socket each one is a system call, so that
    /// each receiver has its [share](Self::send_to) of the room.
    ///
    /// ```
    /// use std::io;
    /// use tripoll::net::{DatagramBatch, DatagramSocket};
    ///
    /// /// Sends all that there is room for. The rest stays in the batch.
    /// fn send_all(socket: &DatagramSocket, batch: &mut DatagramBatch) {
    ///     while !batch.is_empty() {
    ///         match socket.send_many(batch) {
    ///             Ok(_) => {}
    ///             Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
    ///             Err(error) => eprintln!("one datagram was not sent: {error}"),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the first datagram, as [`send_to`](Self::send_to) and [`send`](Self::send) return them.
    /// With `WouldBlock` it stays in the batch. With another error it is removed, so that the next call
    /// goes on behind it.
    pub fn send_many(&self, batch: &mut DatagramBatch) -> io::Result<usize> {
        let mut total = 0;
        while !batch.is_empty() {
            match self.send_front(batch) {
                Ok(count) => {
                    batch.filled.start += count;
                    total += count;
                }
                // The next call meets the error again.
                Err(_) if total > 0 => break,
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        batch.filled.start += 1;
                    }
                    return Err(error);
                }
            }
        }
        Ok(total)
    }

    /// Makes one system call.
    fn send_front(&self, batch: &DatagramBatch) -> io::Result<usize> {
        let first = batch.filled.start;
        if self.is_unix() {
            let to = batch.messages[first].receiver();
            let sent = match to.as_ref().map(Address::of) {
                Some(to) => self.send_to(batch.data(first), &to),
                None => self.send(batch.data(first)),
            };
            return sent.map(|_| 1);
        }
        let messages = &batch.messages[batch.filled.clone()];
        let bytes = &batch.bytes[first * batch.size..];
        let send = || sys::send_many(self.as_fd(), bytes, batch.size, messages);
        if messages[0].receiver().is_some() { send_past_errors(send) } else { send() }
    }
}
