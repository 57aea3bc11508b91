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
//! once or break off. An upload that takes too long is removed, and so are those that a killed server
//! has left. When the disk is full, the client sees a reset, and the log has one line.
//!
//! Writing to a file may block, and the loop with it. Here the kernel's page cache takes a picture,
//! which is quick. A server that cannot rely on that leaves the writing to a thread.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{mem, process};

use clap::Parser;
use common::Options;
use tripoll::Context;
use tripoll::net::{Connection, Listener, Protocol, Wire};

/// The largest picture, in bytes.
const MOST: u64 = 256 << 20;
/// The slowest client, in bytes a second. A whole upload may take no longer than it does.
const SLOWEST: u64 = 8 << 10;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// For how many seconds a client may be silent before its upload is removed
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u32,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, timeout } = common::read(
        "Receives pictures of up to 256 MiB: each upload becomes new.jpg in the working directory",
        common::ANYWHERE,
    );
    options.begin()?;
    if let Err(error) = remove_abandoned() {
        log::warn!("uploads of a killed server stay: {error}");
    }
    let timeout = Duration::from_secs(timeout.into());
    let mut reactor = options.reactor().build_with(Disk::default())?;

    let sk = Listener::bind(&options.listen)?;
    let address = sk.local_address().clone();
    let mut number = 0;
    sk.serve(&mut reactor.context(), move |conn, cx| {
        number += 1;
        Connection::new(Conversation { number, timeout, upload: None }).serve(conn, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// What the connections share.
#[derive(Default)]
struct Disk {
    /// Whether an upload has failed since the last complete one.
    has_failed: bool,
}

impl Disk {
    /// Logs an error of a file, unless one was logged since the last complete picture.
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            if !mem::replace(&mut self.has_failed, true) {
                log::warn!("a picture cannot be written: {error}");
            }
        })
    }
}

/// A conversation with one client.
struct Conversation {
    number: u64,
    timeout: Duration,
    /// `None` until the size is known.
    upload: Option<Upload>,
}

impl Conversation {
    /// Sets until when the client must send more. After that, the connection is closed.
    fn wait(&self, conn: &Wire, cx: &mut Context<Disk>) -> io::Result<()> {
        let next = Instant::now() + self.timeout;
        let deadline = self.upload.as_ref().map_or(next, |upload| upload.end.min(next));
        cx.set_deadline(conn.token(), Some(deadline))
    }

    /// Renames a complete picture and closes the connection, or waits for the rest.
    fn advance(&self, conn: &mut Wire, cx: &mut Context<Disk>) -> io::Result<()> {
        let is_complete = |upload: &&Upload| upload.has_recv == upload.total_size;
        let Some(upload) = self.upload.as_ref().filter(is_complete) else {
            return self.wait(conn, cx);
        };
        cx.state.note(fs::rename(&upload.path, "new.jpg"))?;
        cx.state.has_failed = false;
        conn.close();
        Ok(())
    }
}

impl Protocol<Disk> for Conversation {
    fn opened(&mut self, conn: &mut Wire, cx: &mut Context<Disk>) -> io::Result<()> {
        conn.write(b"welcome to conair");
        self.wait(conn, cx)
    }

    fn received(
        &mut self,
        conn: &mut Wire,
        data: &[u8],
        cx: &mut Context<Disk>,
    ) -> io::Result<usize> {
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
            let end = Instant::now() + self.timeout + Duration::from_secs(total_size / SLOWEST);
            self.upload = Some(cx.state.note(Upload::begin(self.number, total_size, end))?);
            conn.write(b"ko");
            self.advance(conn, cx)?;
            return Ok(digits);
        };
        let count = cx.state.note(upload.write(data))?;
        self.advance(conn, cx)?;
        Ok(count)
    }
}

/// Parses the digits. Returns `None` for a number that is too large.
fn size(digits: &[u8]) -> Option<u64> {
    let size = str::from_utf8(digits).ok()?.parse().ok()?;
    (size <= MOST).then_some(size)
}

/// How the names of files begin that are not complete. The process id and a number follow.
const PART: &str = "new.jpg.";

/// Removes the files of servers that were killed, and so could not do it.
fn remove_abandoned() -> io::Result<()> {
    for entry in fs::read_dir(".")? {
        let entry = entry?;
        let name = entry.file_name();
        let part = name.to_str().and_then(|name| name.strip_prefix(PART)?.split_once('-'));
        let owner = part.and_then(|(process, _)| process.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A picture that is being received. Its file is removed if it is dropped before it is complete.
struct Upload {
    f: File,
    path: PathBuf,
    total_size: u64,
    has_recv: u64,
    /// When it must be complete.
    end: Instant,
}

impl Upload {
    fn begin(number: u64, total_size: u64, end: Instant) -> io::Result<Self> {
        let path = PathBuf::from(format!("{PART}{}-{number}", process::id()));
        let f = File::create_new(&path)?;
        Ok(Upload { f, path, total_size, has_recv: 0, end })
    }

    /// Writes the bytes that belong to the picture. Returns how many those are.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let missing = self.total_size - self.has_recv;
        let count = usize::try_from(missing).map_or(data.len(), |missing| data.len().min(missing));
        self.f.write_all(&data[..count])?;
        self.has_recv += count as u64;
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
