//! The tutorials' clients, for the other examples.
//!
//! Run one of the servers, and then
//!
//! ```sh
//! cargo run --example client -- timestamp --connect 127.0.0.1:21567
//! cargo run --example client -- image PICTURE.jpg --connect 127.0.0.1:9999
//! cargo run --example client -- chat --connect 127.0.0.1:8001
//! cargo run --example client -- once --connect 127.0.0.1:8090
//! cargo run --example client -- upper --connect 127.0.0.1:9999
//! cargo run --example client -- udp --connect 127.0.0.1:8081
//! cargo run --example client -- login --connect 127.0.0.1:8123
//! cargo run --example client -- menu --connect 127.0.0.1:8009
//! ```
//!
//! `chat` fits all other servers. It sends what is typed and prints what comes, both at once, until
//! the server closes. All clients also read from a pipe, and all can connect to a path or a name in
//! place of a port: `chat --connect /tmp/line`.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{process, thread};

use clap::{Args, CommandFactory as _, Parser};
use socket2::Socket;
use tripoll::net::{Address, Connect, Stream, ToAddress};
use tripoll::{Context, Reactor};

/// Talks with the other examples as their clients do
#[derive(Parser)]
enum Client {
    /// Sends line by line, and prints each with its time; an empty line ends it
    Timestamp(Server),
    /// Uploads a picture: any file will do
    Image {
        /// The picture
        file: PathBuf,
        #[command(flatten)]
        server: Server,
    },
    /// Sends what is typed and prints what comes
    Chat(Server),
    /// Says Hello, and prints the reply
    Once(Server),
    /// Sends hello, and prints it in capitals
    Upper {
        /// Send 你好 instead, again and again
        #[arg(long)]
        forever: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Sends a datagram, and prints the reply
    Udp(Server),
    /// Asks for a name and a password until they are valid
    Login(Server),
    /// Talks with the telephone menu until you type exit
    Menu(Server),
}

#[derive(Args)]
struct Server {
    /// Where the server listens: HOST:PORT, or the path of a Unix socket, with a `/` in it, or
    /// @NAME
    #[arg(long, value_name = "ADDR", value_parser = <str as ToAddress>::to_address)]
    connect: Address,
}

impl Server {
    /// Connects in a reactor, which gives up after 10 seconds. The tutorials' clients block, and so does
    /// the stream afterwards.
    fn connect(&self) -> io::Result<Stream> {
        let mut reactor = Reactor::builder().build_with(None)?;
        let mut cx = reactor.context();
        Connect::to(self.connect.clone()).start(&mut cx, |stream, cx: &mut Context<_>| {
            *cx.state = Some(stream);
            cx.stop();
        });
        reactor.run()?;
        let stream = reactor.state_mut().take().expect("the loop stops when there is a result")?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// Returns a socket that sends datagrams to the server and receives its answers.
    fn datagrams(&self) -> io::Result<Socket> {
        let connected = match self.connect {
            Address::Inet(to) => {
                let any = match to {
                    SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                    SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
                };
                let client = UdpSocket::bind(any)?;
                client.connect(to).map(|()| client.into())
            }
            ref local => unix(local).and_then(|to| {
                // A datagram socket without a name cannot be answered.
                let name = format!("tripoll-client-{}", process::id());
                let client = UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(name)?)?;
                client.connect_addr(&to)?;
                Ok(client.into())
            }),
        };
        connected.map_err(|error| self.about(error))
    }

    fn about(&self, error: io::Error) -> io::Error {
        io::Error::other(format!("{}: {error}", self.connect))
    }
}

/// Converts the address of a Unix socket to the standard library's type.
fn unix(address: &Address) -> io::Result<UnixAddr> {
    match address {
        Address::Abstract(name) => UnixAddr::from_abstract_name(name),
        other => UnixAddr::from_pathname(other.to_string()),
    }
}

fn main() -> Result<(), common::Failure> {
    match common::parse(Client::command()) {
        Client::Timestamp(server) => timestamp(server.connect()?),
        Client::Image { file, server } => image(server.connect()?, &file),
        Client::Chat(server) => chat(server.connect()?),
        Client::Once(server) => once(server.connect()?),
        Client::Upper { forever: false, server } => upper(server.connect()?),
        Client::Upper { forever: true, server } => upper_forever(server.connect()?),
        Client::Udp(server) => udp(&server),
        Client::Login(server) => login(server.connect()?),
        Client::Menu(server) => menu(server.connect()?),
    }?;
    Ok(())
}

fn timestamp(mut tcp_cli_sock: Stream) -> io::Result<()> {
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
        // One `recv` may bring less than the whole answer, whose length is known.
        let mut recv_data = vec![0; STAMP + data.len()];
        tcp_cli_sock.read_exact(&mut recv_data)?;
        println!("{}", String::from_utf8_lossy(&recv_data));
    }
}

fn image(mut obj: Stream, file: &Path) -> io::Result<()> {
    let about = |error: io::Error| io::Error::other(format!("{}: {error}", file.display()));
    let mut f = File::open(file).map_err(about)?;
    let size = f.metadata().map_err(about)?.len();

    let mut welcome = [0; "welcome to conair".len()];
    obj.read_exact(&mut welcome)?;
    println!("{}", String::from_utf8_lossy(&welcome));
    obj.write_all(size.to_string().as_bytes())?;
    // Without this wait the size and the picture could arrive in one piece.
    let refused = |_| io::Error::other(format!("the server does not want {size} bytes"));
    obj.read_exact(&mut [0; "ko".len()]).map_err(refused)?;
    let sent = io::copy(&mut f, &mut obj)?;
    // The server closes when it has all of it.
    obj.shutdown(Shutdown::Write)?;
    io::copy(&mut obj, &mut io::sink())?;
    eprintln!("{sent} bytes sent"); // in addition to what the tutorial prints
    Ok(())
}

fn chat(server: Stream) -> io::Result<()> {
    let server = Arc::new(server);
    let speaker = Arc::clone(&server);
    thread::spawn(move || {
        // A server that reads no more may still send: an error here does not end the reading.
        let _ = send_as_typed(&speaker);
        let _ = speaker.shutdown(Shutdown::Write);
    });
    let mut out = io::stdout().lock();
    let mut buffer = [0; 4_096];
    loop {
        match read(&*server, &mut buffer)? {
            0 => return Ok(()),
            count => out.write_all(&buffer[..count])?,
        }
        out.flush()?;
    }
}

fn send_as_typed(mut server: &Stream) -> io::Result<()> {
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

fn once(mut client: Stream) -> io::Result<()> {
    client.write_all(b"Hello")?;
    println!("{}", recv(&mut client)?);
    Ok(())
}

fn upper(mut sock: Stream) -> io::Result<()> {
    let data = "hello";
    sock.write_all(format!("{data}\n").as_bytes())?;
    println!("Sent: {data}\nReceived: {}", recv(&mut sock)?);
    Ok(())
}

/// Goes on until the server closes, or Ctrl-C.
fn upper_forever(mut client: Stream) -> io::Result<()> {
    loop {
        client.write_all("你好".as_bytes())?;
        let reply = recv(&mut client)?;
        if reply.is_empty() {
            return Ok(());
        }
        println!("{reply}");
    }
}

fn udp(server: &Server) -> io::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let mut client = server.datagrams()?;
    client.set_read_timeout(Some(TIMEOUT))?;
    let mut buffer = [0; 1024];
    // The datagram or its answer may be lost, or there is no answer: a wait needs a limit.
    let answered = client.write_all(b"123123").and_then(|()| read(&mut client, &mut buffer));
    let count = answered.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::other(format!("{} has not answered within {TIMEOUT:?}", server.connect))
        }
        _ => server.about(error),
    })?;
    println!("{}", String::from_utf8_lossy(&buffer[..count]));
    Ok(())
}

fn login(mut sock: Stream) -> io::Result<()> {
    sock.write_all(b"Now client connect to Server")?;
    println!("{}", recv(&mut sock)?);
    for what in ["username", "userpasswd"] {
        loop {
            let Some(typed) = input(&format!("-->{what}: "))? else { return Ok(()) };
            sock.write_all(format!("{what}:{typed}").as_bytes())?;
            // The goodbye may come in one piece with the last `valid`.
            let mut verdict = [0; "valid".len()];
            sock.read_exact(&mut verdict)?;
            if &verdict == b"valid" {
                break;
            }
            sock.read_exact(&mut [0; "id".len()])?; // inval-id
            println!("{what} Error,try again");
        }
    }
    let mut farewell = String::new();
    sock.read_to_string(&mut farewell)?;
    println!("{farewell}");
    Ok(())
}

fn menu(mut client: Stream) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    loop {
        let data = recv(&mut client)?;
        if data.is_empty() {
            return Ok(());
        }
        println!("receive: {data}");
        let typed = loop {
            match input("please input:")? {
                Some(typed) if typed.is_empty() => {} // would send nothing, and get no answer
                typed => break typed,
            }
        };
        let Some(typed) = typed else { return Ok(()) };
        client.write_all(typed.as_bytes())?;
        if typed == "exit" {
            return Ok(());
        }
    }
}

/// Returns what one `recv(1024)` brings. It is empty when the server has closed.
fn recv(server: &mut Stream) -> io::Result<String> {
    let mut buffer = [0; 1024];
    let count = read(server, &mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..count]).into())
}

/// Reads once. With a timeout, Ctrl-Z and `fg` interrupt a read, which is then made again.
fn read(mut server: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match server.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => return received,
        }
    }
}

/// Returns the next typed line, and `None` at the end of the input.
fn input(text: &str) -> io::Result<Option<String>> {
    prompt(text)?;
    let mut typed = String::new();
    let count = io::stdin().read_line(&mut typed)?;
    Ok((count > 0).then(|| typed.trim_end_matches('\n').into()))
}

fn prompt(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
