//! A server that is never down: SIGHUP reads its settings again, and SIGUSR2 replaces its program.
//!
//! Run: `cargo run --example reload -- --listen 127.0.0.1:7002 --settings /tmp/settings`, then
//! `nc 127.0.0.1 7002`. Change the greeting, and `kill -HUP` it: the same connection gets the new one.
//! Build another version, and `kill -USR2` it: the new program serves the next connections.
//!
//! The file has lines such as `greeting = hello` and `longest = 100`. A file that is wrong is a line of
//! the log, and the settings stay.
//!
//! For a restart, the new program inherits the listening socket, by the protocol of systemd's socket
//! units ([`net::inherited`]). There is one queue of connections for both, which is open all the time:
//! no connection is refused, and none is lost. When the new program accepts, it sends SIGTERM to the old
//! one, whose clients may finish. If the new program cannot start, the old one goes on.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::time::Duration;
use std::{env, fs};

use clap::Parser;
use common::{GRACE, Options};
use nix::sys::signal::{Signal as ToSend, kill};
use nix::unistd::getppid;
use tripoll::Context;
use tripoll::net::{Connection, Inherited, Listener, Protocol, Wire, inherited};
use tripoll::reactor::sources::{Child, Signal, SignalInfo, Signals};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The file with the settings
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// What a client may take to finish when another program has taken over.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a client may be silent then.
const LAST_CALL: Duration = Duration::from_millis(500);

/// The process that the new program replaces: its id in the environment.
const REPLACES: &str = "RELOAD_REPLACES";

/// Gives the new program its inherited socket, which is the shell's standard input: as descriptor 3, and
/// with the id of the process that the shell becomes.
const HAND_OVER: &str =
    r#"exec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=reload "$0" "$@" 3<&0 0</dev/null"#;

fn main() -> Result<(), common::Failure> {
    let about = "Greets each line, and can be reloaded and replaced while it serves";
    let Arguments { options, settings: file } = common::read(about, common::ANYWHERE);
    let all = [Signal::HUP, Signal::USR2, Signal::TERM, Signal::INT];
    options.begin()?;
    Signals::block(all)?;
    let taken = inherited()?.into_iter().find_map(|(_, socket)| match socket {
        Inherited::Listener(listener) => Some(listener),
        _ => None,
    });
    let mut listener = match taken {
        Some(listener) => listener,
        None => Listener::bind(&options.listen)?,
    };
    let settings = file.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    listener.set_unlink_on_drop(false); // its copy removes the file, if no other process serves
    let copy = listener.as_fd().try_clone_to_owned();
    let copy = copy.map_err(|error| io::Error::new(error.kind(), format!("fcntl: {error}")))?;
    let mut copy = Listener::try_from(copy)?;
    copy.set_unlink_on_drop(true);
    let address = listener.local_address().clone();

    let server = Server { settings, file, copy: Some(copy), successor: None };
    let mut reactor = options.reactor().build_with(server)?;
    let cx = &mut reactor.context();
    Signals::new(all)?.on(cx, |info, cx| signalled(&info, cx))?;
    listener.serve(cx, |stream, cx| {
        let idle = Duration::from_secs(60);
        Connection::new(Greet).idle_timeout(idle).serve(stream, cx).map(drop)
    })?;
    common::announce(&address);
    replace_predecessor();
    reactor.run()?;
    Ok(())
}

/// Ends the process that this one replaces: this one accepts now.
fn replace_predecessor() {
    let parent = getppid();
    if env::var(REPLACES).is_ok_and(|replaced| replaced == parent.to_string()) {
        let _ = kill(parent, ToSend::SIGTERM); // it may have ended by itself
    }
}

/// What the connections share.
struct Server {
    settings: Settings,
    file: Option<PathBuf>,
    /// The listening socket for another program. `None` when this one ends.
    copy: Option<Listener>,
    /// The process of the new program.
    successor: Option<u32>,
}

fn signalled(info: &SignalInfo, cx: &mut Context<Server>) {
    match info.signal() {
        Signal::HUP => cx.state.reload(),
        Signal::USR2 => {
            if let Err(error) = start_successor(cx) {
                log::error!("the new program cannot start: {error}");
            }
        }
        // The new program accepts: its connections are in the same queue, so this one may stop.
        _ if info.pid().is_some() && info.pid() == cx.state.successor => {
            if let Some(mut copy) = cx.state.copy.take() {
                copy.set_unlink_on_drop(false); // the file is the new program's
            }
            cx.shutdown(DRAIN);
        }
        _ => {
            cx.state.copy = None; // the kernel refuses connections from now on
            cx.shutdown(GRACE);
        }
    }
}

/// Starts this program again, with the same arguments and with the listening socket. The file may be
/// another one than that of this process.
fn start_successor(cx: &mut Context<Server>) -> io::Result<()> {
    let (Some(copy), None) = (&cx.state.copy, cx.state.successor) else {
        return Err(io::Error::other("the server ends, or another one is starting"));
    };
    let socket: OwnedFd = copy.as_fd().try_clone_to_owned()?;
    // A program that was replaced on the disk is named `reload (deleted)`.
    let program = env::current_exe()?.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
    let mut command = Command::new("sh");
    command.args(["-c", HAND_OVER, &program]).args(env::args_os().skip(1));
    command.env(REPLACES, id().to_string()).stdin(Stdio::from(socket));
    let child = Child::new(command.spawn()?)?;
    cx.state.successor = Some(child.id());
    child.on(cx, |status, cx: &mut Context<Server>| {
        cx.state.successor = None;
        log::error!("the new program has ended: {status:?}; this one goes on");
    })?;
    Ok(())
}

impl Server {
    fn reload(&mut self) {
        match self.file.as_deref().map(Settings::read).transpose() {
            Ok(settings) => self.settings = settings.unwrap_or_default(),
            Err(error) => log::error!("the settings stay as they are: {error}"),
        }
    }
}

/// What the file says.
struct Settings {
    greeting: String,
    /// The longest line, in bytes.
    longest: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { greeting: "hello,".into(), longest: 1_000 }
    }
}

impl Settings {
    fn read(file: &Path) -> io::Result<Self> {
        let context =
            |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{file:?}: {why}"));
        let text = fs::read_to_string(file).map_err(|error| context(error.to_string()))?;
        let mut settings = Settings::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            match (name.trim(), value.trim()) {
                ("greeting", value) => settings.greeting = value.into(),
                ("longest", value) if value.parse::<usize>().is_ok_and(|longest| longest > 0) => {
                    settings.longest = value.parse().unwrap_or_default();
                }
                _ => return Err(context(format!("{line:?} is no setting"))),
            }
        }
        Ok(settings)
    }
}

/// Greets each line.
struct Greet;

impl Protocol<Server> for Greet {
    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Server>,
    ) -> io::Result<usize> {
        let Server { settings: Settings { greeting, longest }, .. } = cx.state;
        let end = data.iter().position(|&byte| byte == b'\n');
        if end.unwrap_or(data.len()) > *longest {
            wire.write(format!("a line has {longest} bytes at most\n").as_bytes());
            wire.close();
            return Ok(data.len());
        }
        let Some(end) = end else { return Ok(0) };
        wire.write(&[greeting.as_bytes(), b" ", &data[..=end]].concat());
        if cx.is_shutting_down() && data.len() == end + 1 {
            wire.close(); // after the answer
        }
        Ok(end + 1)
    }

    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        if cx.is_shutting_down() {
            wire.set_deadline(Some(LAST_CALL));
        }
        Ok(())
    }

    /// A line that is on its way is still answered.
    fn shutting_down(&mut self, wire: &mut Wire, _: &mut Context<Server>) -> io::Result<()> {
        wire.set_deadline(Some(LAST_CALL));
        Ok(())
    }

    fn timed_out(&mut self, wire: &mut Wire, _: &mut Context<Server>) -> io::Result<()> {
        wire.close();
        Ok(())
    }
}
