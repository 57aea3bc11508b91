//! The tutorial's own program for 2b, line by line over `select`, with all its bugs.
//!
//! Run: `cargo run --example message_dict_literal -- --listen 127.0.0.1:8001`, connect with
//! `nc 127.0.0.1 8001`, type a line, and leave with Ctrl-C: the server has ended. `message_dict` is
//! the same server without the bugs.
//!
//! Each BUG is followed by the test that shows it; for instance
//! `cargo test --test examples message_dict_literal::a_client_that_leaves_ends_the_server`.
//!
//! Two faults of the program in Python are missing here, because they are the C library's: its
//! `select` refuses descriptors from 1,024 up, and longer lists. The system call takes both.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::process::exit;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use socket2::{Domain, Socket, Type};
use tripoll::net::{Address, ToAddress};
use tripoll::sys::select;

#[derive(Parser)]
struct Arguments {
    #[arg(long, value_name = "ADDR", value_parser = <str as ToAddress>::to_address)]
    listen: Address,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { listen } =
        common::read("Sends each message back with 好 behind it, until a bug ends it", common::TCP);
    let Address::Inet(listen) = listen else {
        eprintln!("--listen {listen}: it listens at HOST:PORT alone");
        exit(2);
    };
    let sk1 = Sock(Rc::new(Socket::new(Domain::for_address(listen), Type::STREAM, None)?));
    sk1.0.bind(&listen.into())?;
    sk1.0.listen(128)?;
    if let Some(address) = sk1.0.local_addr()?.as_socket() {
        common::announce(&Address::Inet(address));
    }
    serve(&sk1)
}

/// The tutorial's loop. Each BUG is followed by the test that shows it.
fn serve(sk1: &Sock) -> Result<(), common::Failure> {
    let mut inputs = vec![sk1.clone()];
    let mut outputs: Vec<Sock> = vec![];
    let mut message_dict: HashMap<Sock, Vec<String>> = HashMap::new();

    loop {
        let (r_list, w_list, _e_list) =
            select(&inputs, &outputs, &inputs, Some(Duration::from_secs(1)))?;
        println!("正在监听的socket对象{}", inputs.len());
        println!("{r_list:?}");
        for sk1_or_conn in r_list {
            if sk1_or_conn == *sk1 {
                let conn = sk1_or_conn.accept()?;
                inputs.push(conn.clone());
                message_dict.insert(conn, vec![]);
                continue;
            }
            match sk1_or_conn.recv(1024) {
                Err(ex) => {
                    println!("{ex}");
                    inputs.retain(|sk| *sk != sk1_or_conn);
                    // BUG: it stays in `message_dict`.
                    // a_reset_leaves_a_descriptor_behind
                    // BUG: and in `outputs`, if it has an unsent reply.
                    // a_reset_after_a_message_ends_the_server
                }
                Ok(data_bytes) => {
                    // BUG: no bytes are the end, and not a message.
                    // a_half_close_is_answered_without_end
                    // a_client_that_leaves_ends_the_server
                    // BUG: 1,024 bytes may end in the middle of a character.
                    // half_a_character_ends_the_server
                    let data_str = String::from_utf8(data_bytes)?;
                    // BUG: nothing bounds the replies of a client that does not read.
                    // a_client_that_does_not_read_is_owed_without_end
                    message_dict.entry(sk1_or_conn.clone()).or_default().push(data_str);
                    outputs.push(sk1_or_conn);
                }
            }
        }
        for conn in w_list {
            let recv_str = message_dict.entry(conn.clone()).or_default().remove(0);
            // BUG: "writable" means that *some* bytes fit. This call waits until all do.
            // a_client_that_reads_slowly_stops_the_server_for_all
            conn.sendall((recv_str + "好").as_bytes())?;
            if let Some(first) = outputs.iter().position(|sk| *sk == conn) {
                outputs.remove(first);
            }
        }
    }
}

/// A Python socket: closed when its last reference is gone, and equal to itself alone.
#[derive(Clone)]
struct Sock(Rc<Socket>);

impl Sock {
    fn accept(&self) -> io::Result<Sock> {
        let (conn, _address) = self.0.accept()?;
        Ok(Sock(Rc::new(conn)))
    }

    fn recv(&self, bufsize: usize) -> io::Result<Vec<u8>> {
        let mut data = vec![0; bufsize];
        let count = loop {
            match (&*self.0).read(&mut data) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {} // as Python does
                received => break received?,
            }
        };
        data.truncate(count);
        Ok(data)
    }

    fn sendall(&self, data: &[u8]) -> io::Result<()> {
        (&*self.0).write_all(data)
    }
}

impl AsRawFd for Sock {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl PartialEq for Sock {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Sock {}

impl Hash for Sock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Rc::as_ptr(&self.0).hash(state);
    }
}

impl std::fmt::Debug for Sock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<socket fd={}>", self.as_raw_fd())
    }
}
