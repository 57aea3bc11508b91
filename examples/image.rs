//! A server that takes in pictures: each upload becomes `new.jpg` in the working directory.
//!
//! Run: `cargo run --example image -- --listen 127.0.0.1:9999`, then
//! `cargo run --example client -- image PICTURE.jpg --connect 127.0.0.1:9999` with any picture (or any
//! other file: nobody looks).
//!
//! ```text
//! server                          client
//! welcome to conair  ───────────►
//!                    ◄───────────  the size, in decimal digits
//! ko                 ───────────►
//!                    ◄───────────  so many bytes
//! ```
//!
//! TCP has no messages: two that are sent one after the other may arrive as one (the tutorial calls
//! it 粘包). That is why the client waits for the `ko`: so the size is a piece of its own. The
//! tutorial's server believes whatever comes. A client that leaves half-way, or sends one byte too
//! many, keeps it in a loop for ever; a size that is no number ends it.
//!
//! Here an upload is written beside its place and moved there when it is complete. So `new.jpg` is
//! always a whole picture, the last that was completed, however many come at once and however many
//! break off.
//!
//! (Writing to a disk may wait, and the loop with it. A picture is written to the system's memory,
//! which is quick. A server that must not rely on it hands the writing to a thread.)

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process;

use common::Options;
use tripoll::Context;
use tripoll::net::{Connection, Listener, Protocol, Wire};

/// No picture is larger.
const MOST: u64 = 256 << 20;

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Takes in pictures: each upload becomes new.jpg in the working directory",
        common::ANYWHERE,
    )?;
    let mut reactor = options.reactor().build()?;

    let sk = Listener::bind(&options.listen)?;
    let address = sk.local_address().clone();
    let mut number = 0;
    sk.serve(&mut reactor.context(), move |conn, cx| {
        number += 1;
        Connection::new(Conversation { number, upload: None }).serve(conn, cx)?;
        Ok(())
    })?;
    common::wind_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// A conversation with one client.
struct Conversation {
    number: u64,
    /// From the moment when its size is known.
    upload: Option<Upload>,
}

impl Protocol for Conversation {
    fn opened(&mut self, conn: &mut Wire, _: &mut Context) -> io::Result<()> {
        conn.write(b"welcome to conair");
        Ok(())
    }

    fn received(&mut self, conn: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        let Some(upload) = &mut self.upload else {
            // If the client has not waited for the `ko`, the picture begins after the digits.
            let digits = data.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let total_size = match size(&data[..digits]) {
                // Nothing, and then something: that was no size.
                Some(0) if digits < data.len() => None,
                total_size => total_size,
            };
            let Some(total_size) = total_size else {
                conn.close();
                return Ok(data.len());
            };
            let upload = Upload::begin(self.number, total_size)?;
            conn.write(b"ko");
            return self.upload.insert(upload).go_on(conn, digits);
        };
        let count = upload.write(data)?;
        upload.go_on(conn, count)
    }
}

/// What the digits say, if they are a size that will do.
fn size(digits: &[u8]) -> Option<u64> {
    let size = str::from_utf8(digits).ok()?.parse().ok()?;
    (size <= MOST).then_some(size)
}

/// A picture that is on its way. One that is not complete when it is dropped leaves nothing behind.
struct Upload {
    f: File,
    path: PathBuf,
    total_size: u64,
    has_recv: u64,
}

impl Upload {
    fn begin(number: u64, total_size: u64) -> io::Result<Self> {
        let path = PathBuf::from(format!("new.jpg.{}-{number}", process::id()));
        let f = File::create_new(&path)?;
        Ok(Upload { f, path, total_size, has_recv: 0 })
    }

    /// Takes what belongs to the picture, and not a byte more. Returns how much that is.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let missing = self.total_size - self.has_recv;
        let count = usize::try_from(missing).map_or(data.len(), |missing| data.len().min(missing));
        self.f.write_all(&data[..count])?;
        self.has_recv += count as u64;
        Ok(count)
    }

    /// After `count` bytes were used up: puts a complete picture in its place, and ends the
    /// conversation.
    fn go_on(&mut self, conn: &mut Wire, count: usize) -> io::Result<usize> {
        if self.has_recv == self.total_size {
            fs::rename(&self.path, "new.jpg")?;
            conn.close();
        }
        Ok(count)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Not there any more if it was complete.
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                log::warn!("{} is left behind: {error}", self.path.display());
            }
            _ => {}
        }
    }
}
