//! The tutorials' server with all its bugs: inputs, outputs, message_dict. Its sockets block.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use tripoll::Interest;

use crate::live::bare::{Bare, Reported};
use crate::live::mark::mark;
use crate::live::program::{Beginning, Subject};
use crate::live::record::{Lists, Text};
use crate::live::recorder;
use crate::live::settings::Settings;
use crate::live::socket::{Acceptor, Socket};
use crate::live::work::work;

struct Tutorial {
    bare: Bare,
    sk1: Acceptor,
    inputs: Vec<RawFd>,
    outputs: Vec<RawFd>,
    message_dict: BTreeMap<RawFd, Vec<String>>,
    /// Python's references: a socket is closed when none of the three lists has it.
    sockets: BTreeMap<RawFd, Socket>,
}

pub(super) fn begin(beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    let bare = Bare::new(&beginning)?;
    let sk1 = Acceptor::new(beginning.listener)?;
    let inputs = vec![sk1.as_raw_fd()];
    let (outputs, message_dict, sockets) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut server = Tutorial { bare, sk1, inputs, outputs, message_dict, sockets };
    server.watch()?;
    Ok(Box::new(server))
}

impl Subject for Tutorial {
    fn turn(&mut self, settings: &Settings) -> io::Result<()> {
        self.bare.set_settings(settings);
        mark!(13);
        let [r_list, w_list, _e_list] = self.select()?;
        for sk1_or_conn in r_list {
            mark!(15);
            if sk1_or_conn == self.sk1.as_raw_fd() {
                mark!(16);
                let conn = self.sk1.accept(settings.limit)?;
                let fd = conn.as_raw_fd();
                mark!(17);
                self.inputs.push(fd);
                self.message_dict.insert(fd, Vec::new());
                self.sockets.insert(fd, conn);
            } else {
                mark!(21);
                match self.recv(sk1_or_conn) {
                    Err(_ex) => {
                        mark!(23);
                        // BUG: it stays in outputs and in message_dict.
                        self.inputs.retain(|fd| *fd != sk1_or_conn);
                    }
                    Ok(data_bytes) => {
                        mark!(25);
                        // BUG: no bytes are the end, and not a message. A character may be cut in two.
                        let data_str = String::from_utf8(data_bytes).map_err(io::Error::other)?;
                        work(settings);
                        mark!(26);
                        // BUG: a client that does not read is owed without limit.
                        self.message_dict.entry(sk1_or_conn).or_default().push(data_str);
                        self.outputs.push(sk1_or_conn);
                    }
                }
            }
        }
        for conn in w_list {
            mark!(29);
            let messages = self.message_dict.entry(conn).or_default();
            if messages.is_empty() {
                return Err(io::Error::other("IndexError: list index out of range"));
            }
            let recv_str = messages.remove(0);
            mark!(31);
            // BUG: this blocks until the client has made room, and all others wait.
            self.sendall(conn, &(recv_str + "好"))?;
            mark!(32);
            if let Some(at) = self.outputs.iter().position(|fd| *fd == conn) {
                self.outputs.remove(at);
            }
        }
        self.watch()
    }

    fn lists(&self) -> Option<Lists> {
        let (inputs, outputs) = (self.inputs.clone(), self.outputs.clone());
        let newest = |(fd, messages): (&RawFd, &Vec<String>)| {
            let shown = messages.iter().take(8).map(|text| text.chars().take(24).collect());
            (*fd, shown.collect())
        };
        let message_dict = self.message_dict.iter().map(newest).collect();
        Some(Lists { inputs, outputs, message_dict })
    }

    fn views(&mut self) -> Vec<crate::live::table::View> {
        self.bare.views()
    }

    fn switch(&mut self, settings: &Settings) -> io::Result<()> {
        self.bare.switch(settings)
    }

    fn effective(&mut self) -> Text {
        self.bare.effective()
    }
}

impl Tutorial {
    /// Waits. Each list has what is ready of its argument, in the argument's order.
    fn select(&mut self) -> io::Result<[Vec<RawFd>; 3]> {
        let reported = self.bare.wait()?;
        let among = |list: &[RawFd], is_ready: fn(&Reported) -> bool| {
            let is_in = |fd: &&RawFd| reported.iter().any(|it| it.fd == **fd && is_ready(it));
            list.iter().filter(is_in).copied().collect()
        };
        Ok([
            among(&self.inputs, |it| it.is_readable),
            among(&self.outputs, |it| it.is_writable),
            among(&self.inputs, |it| it.is_urgent),
        ])
    }

    fn recv(&mut self, fd: RawFd) -> io::Result<Vec<u8>> {
        let mut data = vec![0; 1024];
        let Tutorial { bare, sockets, .. } = self;
        bare.dispatch(fd, |_| {
            let socket = sockets.get_mut(&fd).ok_or(io::ErrorKind::NotFound)?;
            let count = socket.read(&mut data)?;
            data.truncate(count);
            Ok(data)
        })
    }

    fn sendall(&mut self, fd: RawFd, text: &str) -> io::Result<()> {
        let Tutorial { bare, sockets, .. } = self;
        bare.dispatch(fd, |_| {
            let socket = sockets.get_mut(&fd).ok_or(io::ErrorKind::NotFound)?;
            socket.write_all(text.as_bytes())
        })
    }

    /// Lets the selector watch what the lists have, as `select` does with its arguments.
    fn watch(&mut self) -> io::Result<()> {
        for fd in self.bare.descriptors() {
            if !self.inputs.contains(&fd) && !self.outputs.contains(&fd) {
                self.bare.forget(fd);
            }
        }
        for &fd in self.inputs.iter().chain(&self.outputs) {
            let mut interest = Interest::NONE;
            interest.set(Interest::READ | Interest::PRIORITY, self.inputs.contains(&fd));
            interest.set(Interest::WRITE, self.outputs.contains(&fd));
            self.bare.watch(fd, interest)?;
        }
        for (&fd, messages) in &self.message_dict {
            let bytes = messages.iter().map(String::len).sum();
            recorder::with(|recorder| recorder.buffered(fd, bytes));
        }
        Ok(())
    }
}
