//! A server that receives pictures: each upload becomes `new.jpg` in the working directory.
//!
//! Run: `cargo run --example image -- --listen 127.0.0.1:9999`, then
//! `cargo run --example client -- image PICTURE.jpg --connect 127.0.0.1:9999` with any picture, or
//! any other file: the content is not checked.
//!
//! ```text
//! server                          client
//! welcome to conair  ───────────►
//!                    ◄───────────  the size, in decimal digits
//! ko                 ───────────►
//!                    ◄───────────  that many bytes
//! ```
//!
//! TCP has no messages: two that are sent one after the other may arrive as one (the tutorial calls
//! it 粘包). That is why the client waits for the `ko`: the size then arrives as a piece of its own.
//! The tutorial's server does not check its input. A client that leaves half-way, or sends one byte
//! too many, keeps it in a loop for ever; a size that is not a number ends it.
//!
//! Here an upload is written to a file of its own, which is renamed when it is complete. So
//! `new.jpg` is always a whole picture: the last that was completed, however many uploads run at
//! once or break off.
//!
//! Writing to a file may block, and the loop with it. Here the kernel's page cache takes a picture,
//! which is quick. A server that cannot rely on that leaves the writing to a thread.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process;

use common::Options;
use tripoll::Context;
use tripoll::net::{Connection, Listener, Protocol, Wire};

/// The largest picture, in bytes.
const MOST: u64 = 256 << 20;

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Receives pictures: each upload becomes new.jpg in the working directory",
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
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// A conversation with one client.
struct Conversation {
    number: u64,
    /// `None` until the size is known.
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
                // A size of zero with data behind it is not a size.
                Some(0) if digits < data.len() => None,
                total_size => total_size,
            };
            let Some(total_size) = total_size else {
                conn.close();
                return Ok(data.len());
            };
            let upload = Upload::begin(self.number, total_size)?;
            conn.write(b"ko");
            return self.upload.insert(upload).advance(conn, digits);
        };
        let count = upload.write(data)?;
        upload.advance(conn, count)
    }
}

/// Parses the digits. Returns `None` for a number that is too large.
fn size(digits: &[u8]) -> Option<u64> {
    let size = str::from_utf8(digits).ok()?.parse().ok()?;
    (size <= MOST).then_some(size)
}

/// A picture that is being received. Its file is removed if it is dropped before it is complete.
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

    /// Writes the bytes that belong to the picture. Returns how many those are.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let missing = self.total_size - self.has_recv;
        let count = usize::try_from(missing).map_or(data.len(), |missing| data.len().min(missing));
        self.f.write_all(&data[..count])?;
        self.has_recv += count as u64;
        Ok(count)
    }

    /// Renames a complete picture and closes the connection. Returns `count`, the bytes used up.
    fn advance(&mut self, conn: &mut Wire, count: usize) -> io::Result<usize> {
        if self.has_recv == self.total_size {
            fs::rename(&self.path, "new.jpg")?;
            conn.close();
        }
        Ok(count)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A complete picture has been renamed: `NotFound`.
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", self.path.display());
            }
            _ => {}
        }
    }
}
