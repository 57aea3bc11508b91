//! Edge-triggered, and each event is answered with one read: what is left is not reported again.

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
        mark!(21);
        server.dispatch(event.fd, |client| {
            if event.is_readable {
                read_once(client, settings)?;
            }
            mark!(26);
            client.send()
        })?;
    }
    Ok(())
}

/// Reads 1,024 bytes at most. BUG: there may be more, and no event will say so.
fn read_once(client: &mut Client, settings: &Settings) -> io::Result<()> {
    let mut buffer = [0; 1024];
    mark!(22);
    let count = client.socket.read(&mut buffer)?;
    client.has_ended = count == 0;
    work(settings);
    client.message.extend_from_slice(&buffer[..count]);
    Ok(())
}
