//! Asks for "writable" all the time, also when there is nothing to write.

use std::io;
use std::os::fd::AsRawFd;

use super::edge::{Edge, Habit};
use crate::live::mark::mark;
use crate::live::program::{Beginning, Subject};
use crate::live::settings::Settings;

pub(super) fn begin(beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    // BUG: a connection is nearly always writable, so no wait sleeps.
    Edge::with(beginning, turn, Habit::AsksAlways)
}

fn turn(server: &mut Edge, settings: &Settings) -> io::Result<()> {
    mark!(10);
    for event in server.bare.wait()? {
        if event.fd == server.listener.as_raw_fd() {
            mark!(13);
            server.accept_all(settings)?;
            continue;
        }
        server.dispatch(event.fd, |client| {
            if event.is_readable {
                mark!(18);
                client.receive(settings)?;
                mark!(24);
            }
            client.send()
        })?;
    }
    Ok(())
}
