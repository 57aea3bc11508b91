//! Watches a file beside its clients, as if a file could become ready.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::time::Instant;

use tripoll::Interest;

use super::edge::{Edge, Habit};
use crate::live::mark::mark;
use crate::live::program::{Beginning, Subject};
use crate::live::record::Text;
use crate::live::recorder;
use crate::live::settings::Settings;
use crate::live::table::View;

struct WithFile {
    server: Edge,
    file: File,
}

/// The file is that of this program: it is long, and always there.
pub(super) fn begin(beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    let file = File::open(std::env::current_exe()?)?;
    let mut server = Edge::new(beginning, |_, _| Ok(()), Habit::None)?;
    recorder::with(|recorder| recorder.describe(file.as_raw_fd(), "other", "file"));
    server.bare.watch(file.as_raw_fd(), Interest::READ)?;
    Ok(Box::new(WithFile { server, file }))
}

impl Subject for WithFile {
    fn turn(&mut self, settings: &Settings) -> io::Result<()> {
        let WithFile { server, file } = self;
        server.bare.set_settings(settings);
        mark!(10);
        for event in server.bare.wait()? {
            if event.fd == server.listener.as_raw_fd() {
                mark!(13);
                server.accept_all(settings)?;
            } else if event.fd == file.as_raw_fd() {
                mark!(15);
                server.bare.dispatch(event.fd, |_| read(file))?;
            } else {
                mark!(20);
                server.dispatch(event.fd, |client| {
                    if event.is_readable {
                        client.receive(settings)?;
                    }
                    client.send()
                })?;
            }
        }
        Ok(())
    }

    fn views(&mut self) -> Vec<View> {
        self.server.views()
    }

    fn switch(&mut self, settings: &Settings) -> io::Result<()> {
        self.server.switch(settings)
    }

    fn effective(&mut self) -> Text {
        self.server.effective()
    }
}

/// Reads the next 1,024 bytes. At the end it begins again.
fn read(file: &mut File) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let began = Instant::now();
    let result = file.read(&mut buffer);
    let took = began.elapsed();
    if let Ok(0) = result {
        file.rewind()?;
    }
    let count = result.map(|count| count as u64);
    let fd = file.as_raw_fd();
    recorder::with(|recorder| recorder.called(fd, "read", &count, b"", took));
    count.map(drop)
}
