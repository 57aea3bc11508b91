//! Datagrams of any length into buffers of any length: each comes once, whole or marked as truncated.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicUsize, Ordering};

use tripoll::net::{Address, DatagramSocket};

use super::{Script, size};
use crate::known_bytes;

/// Each byte sends, or receives.
pub fn datagrams(data: &[u8]) {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    let name = |end: &str| format!("tripoll-fuzz-{end}-{}-{number}", std::process::id());
    let socket = DatagramSocket::bind(Address::Abstract(name("here").into())).unwrap();
    let client = name("there");
    let from = Address::Abstract(client.clone().into());
    let client = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(client).unwrap()).unwrap();
    client.set_nonblocking(true).unwrap();
    client.connect_addr(&SocketAddr::from_abstract_name(name("here")).unwrap()).unwrap();

    let (mut script, mut pending) = (Script::new(data), VecDeque::new());
    while let Some(decision) = script.next() {
        let length = usize::from(decision / 16) * size(decision / 2);
        if decision % 2 == 0 {
            let bytes = known_bytes(u64::from(decision), length);
            match client.send(&bytes) {
                Ok(count) => {
                    assert_eq!(count, length);
                    pending.push_back(bytes);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        } else {
            receive(&socket, &mut pending, length, &from);
        }
    }
    while !pending.is_empty() {
        receive(&socket, &mut pending, 1_000, &from);
    }
    receive(&socket, &mut pending, 1_000, &from);
}

fn receive(socket: &DatagramSocket, pending: &mut VecDeque<Vec<u8>>, room: usize, from: &Address) {
    let mut buffer = vec![0xAA; room];
    match (socket.recv_from(&mut buffer), pending.pop_front()) {
        (Ok(info), Some(bytes)) => {
            let count = bytes.len().min(room);
            assert_eq!((info.size, info.truncated), (count, bytes.len() > room));
            assert!(buffer[..count] == bytes[..count]);
            assert!(buffer[count..].iter().all(|&byte| byte == 0xAA), "beyond its end");
            assert_eq!(info.from, *from);
        }
        (Err(error), None) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        (received, pending) => panic!("{received:?} in place of {pending:?}"),
    }
}
