//! Edge-triggered, and each event is answered with reads until `EAGAIN`: nothing is left.

use std::io::{self, Read};
use std::os::fd::AsRawFd;

use super::edge::{Client, Edge};
use crate::live::mark::mark;
use crate::live::program::{Beginning, Subject};
use crate::live::settings::Settings;
use crate::live::work::work;

pub(super) fn begin(beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    Edge::begin(beginning, turn)
}

fn turn(server: &mut Edge, settings: &Settings) -> io::Result<()> {
    mark!(13);
    for event in server.bare.wait()? {
        if event.fd == server.listener.as_raw_fd() {
            mark!(16);
            server.accept_all(settings)?;
            continue;
        }
        mark!(22);
        server.dispatch(event.fd, |client| {
            if event.is_readable {
                drain(client, settings)?;
            }
            mark!(33);
            client.send()
        })?;
    }
    Ok(())
}

/// Reads until there is nothing left. On a socket that blocks, the last read never returns.
fn drain(client: &mut Client, settings: &Settings) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while !client.has_ended {
        mark!(25);
        match client.socket.read(&mut buffer) {
            Ok(count) => {
                mark!(30);
                client.has_ended = count == 0;
                work(settings);
                client.message.extend_from_slice(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
