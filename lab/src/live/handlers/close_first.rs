//! Closes a connection before it is removed from the selector, and so cannot remove it.

use std::io;
use std::os::fd::AsRawFd;

use super::edge::{Edge, Habit};
use crate::live::mark::mark;
use crate::live::program::{Beginning, Subject};
use crate::live::settings::Settings;

pub(super) fn begin(beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    // BUG: a duplicate of the descriptor keeps the open file, and the kernel goes on reporting it.
    Edge::with(beginning, turn, Habit::ClosesFirst)
}

fn turn(server: &mut Edge, settings: &Settings) -> io::Result<()> {
    mark!(12);
    for event in server.bare.wait()? {
        if event.fd == server.listener.as_raw_fd() {
            mark!(14);
            server.accept_all(settings)?;
            continue;
        }
        server.dispatch(event.fd, |client| {
            mark!(21);
            if event.is_readable {
                client.receive(settings)?;
            }
            mark!(if client.has_ended { 25 } else { 23 });
            client.send()
        })?;
    }
    Ok(())
}
