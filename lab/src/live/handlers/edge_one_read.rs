//! Edge-triggered, and each event is answered with one read: what is left is not reported again.

use std::io;
use std::os::fd::AsRawFd;

use super::edge::Edge;
use crate::live::mark::mark;
use crate::live::program::{Beginning, Subject};
use crate::live::settings::Settings;

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
                mark!(22);
                client.receive(settings)?; // BUG: there may be more, and no event will say so
            }
            mark!(26);
            client.send()
        })?;
    }
    Ok(())
}
