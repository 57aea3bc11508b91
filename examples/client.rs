//! The tutorials' clients, for the other examples.
//!
//! Run one of the servers, and then
//!
//! ```sh
//! cargo run --example client -- timestamp --connect 127.0.0.1:21567
//! cargo run --example client -- image 06.jpg --connect 127.0.0.1:9999
//! cargo run --example client -- chat --connect 127.0.0.1:8001
//! ```
//!
//! `chat` is for all the others: it sends what is typed and prints what comes, both at once, until
//! the server has finished. All of them can be fed from a pipe.

mod common;

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use clap::{Args, Parser};

#[derive(Parser)]
enum Client {
    /// Sends line by line, and prints each with its time; an empty line ends it
    Timestamp(Server),
    /// Uploads a picture
    Image {
        file: PathBuf,
        #[command(flatten)]
        server: Server,
    },
    /// Sends what is typed and prints what comes
    Chat(Server),
}

#[derive(Args)]
struct Server {
    /// Where the server listens: HOST:PORT
    #[arg(long, value_name = "ADDR")]
    connect: String,
}

impl Server {
    fn connect(&self) -> io::Result<TcpStream> {
        let about =
            |error| io::Error::other(format!("cannot connect to {}: {error}", self.connect));
        TcpStream::connect(&self.connect).map_err(about)
    }
}

fn main() -> Result<(), common::Failure> {
    match common::read() {
        Client::Timestamp(server) => timestamp(server.connect()?),
        Client::Image { file, server } => image(server.connect()?, &file),
        Client::Chat(server) => chat(server.connect()?),
    }?;
    Ok(())
}

fn timestamp(mut tcp_cli_sock: TcpStream) -> io::Result<()> {
    const STAMP: usize = "[Sat Nov 21 07:28:12 2026] ".len();
    let mut stdin = io::stdin().lock();
    loop {
        prompt("> ")?;
        let mut data = String::new();
        stdin.read_line(&mut data)?;
        let data = data.trim_end_matches('\n');
        if data.is_empty() {
            return Ok(());
        }
        tcp_cli_sock.write_all(data.as_bytes())?;
        // One `recv` may bring less than the whole answer. How long that is, is known.
        let mut recv_data = vec![0; STAMP + data.len()];
        tcp_cli_sock.read_exact(&mut recv_data)?;
        println!("{}", String::from_utf8_lossy(&recv_data));
    }
}

fn image(mut obj: TcpStream, file: &Path) -> io::Result<()> {
    let about = |error: io::Error| io::Error::other(format!("{}: {error}", file.display()));
    let mut f = File::open(file).map_err(about)?;
    let size = f.metadata().map_err(about)?.len();

    let mut welcome = [0; "welcome to conair".len()];
    obj.read_exact(&mut welcome)?;
    println!("{}", String::from_utf8_lossy(&welcome));
    obj.write_all(size.to_string().as_bytes())?;
    // Without this the size and the picture might arrive as one.
    let refused = |_| io::Error::other(format!("the server does not want {size} bytes"));
    obj.read_exact(&mut [0; "ko".len()]).map_err(refused)?;
    io::copy(&mut f, &mut obj)?;
    // The server finishes when it has all of it.
    obj.shutdown(Shutdown::Write)?;
    io::copy(&mut obj, &mut io::sink())?;
    Ok(())
}

fn chat(server: TcpStream) -> io::Result<()> {
    let mut speaker = server.try_clone()?;
    thread::spawn(move || {
        // When the server does not listen any more, what it says last is still of interest.
        let _ = send_as_typed(&mut speaker);
        let _ = speaker.shutdown(Shutdown::Write);
    });
    let (mut server, mut out) = (server, io::stdout().lock());
    let mut buffer = [0; 4_096];
    loop {
        match server.read(&mut buffer)? {
            0 => return Ok(()),
            count => out.write_all(&buffer[..count])?,
        }
        out.flush()?;
    }
}

fn send_as_typed(server: &mut TcpStream) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    loop {
        let typed = stdin.fill_buf()?;
        if typed.is_empty() {
            return Ok(());
        }
        server.write_all(typed)?;
        let count = typed.len();
        stdin.consume(count);
    }
}

fn prompt(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
