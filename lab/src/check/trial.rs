//! One run of a check: it starts the program, and watches over the time.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::subject::{Obituary, Subject};
use super::verdict::{Verdict, Wrong};

/// What a check needs: the command, and where to say what was right.
pub(super) struct Trial<'a> {
    command: &'a [OsString],
    start_within: Duration,
    note: &'a dyn Fn(&str),
    obituary: Obituary,
}

impl std::fmt::Debug for Trial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("command", &self.command).finish_non_exhaustive()
    }
}

impl<'a> Trial<'a> {
    /// A trial of a command, which may take so long until it listens. `note` is called with each
    /// thing that is right.
    pub(super) fn new(
        command: &'a [OsString],
        start_within: Duration,
        note: &'a dyn Fn(&str),
    ) -> Self {
        Trial { command, start_within, note, obituary: Obituary::default() }
    }

    /// Adds to a verdict how the program has ended, if it has ended by itself.
    pub(super) fn concluded(&self, verdict: Verdict) -> Verdict {
        match (verdict, self.obituary.take()) {
            (verdict, None) => verdict,
            (Err(wrong), Some(obituary)) => Err(wrong.and(&obituary)),
            (Ok(()), Some(obituary)) => {
                Err(Wrong::new("that the program serves until it is stopped", obituary))
            }
        }
    }

    /// Says what was right.
    pub(super) fn ok(&self, what: &str) {
        (self.note)(what);
    }

    /// Starts the program as a server, and waits until it listens.
    pub(super) fn server(&self) -> Verdict<Subject> {
        self.server_with(free_port()?, &[])
    }

    /// Starts the program as a server at an address. Each `{name}` in the command becomes a value,
    /// which is also in the environment, as `NAME`.
    pub(super) fn server_with(
        &self,
        address: SocketAddr,
        values: &[(&str, String)],
    ) -> Verdict<Subject> {
        let text = address.to_string();
        let mut command = self.filled(std::slice::from_ref(&text), values, &["--listen"]);
        command.env("HOST", address.ip().to_string()).env("PORT", address.port().to_string());
        let mut subject = Subject::start(command, address, Rc::clone(&self.obituary))?;
        subject.listens_within(self.start_within)?;
        Ok(subject)
    }

    /// Starts the program as a client of these addresses.
    pub(super) fn client_of(&self, addresses: &[SocketAddr]) -> Verdict<Subject> {
        let texts: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
        let command = self.filled(&texts, &[], &[]);
        Subject::start(command, addresses[0], Rc::clone(&self.obituary))
    }

    /// The command, with the addresses in place of `{}`. Without a `{}` they follow behind, after
    /// `option`.
    fn filled(&self, addresses: &[String], values: &[(&str, String)], option: &[&str]) -> Command {
        let [program, arguments @ ..] = self.command else {
            unreachable!("a command has a program")
        };
        let mut command = Command::new(program);
        let mut has_place = false;
        for argument in arguments {
            let mut text = argument.to_string_lossy().into_owned();
            for (name, value) in values {
                text = text.replace(&format!("{{{name}}}"), value);
            }
            has_place |= text.contains("{}");
            match text.as_str() {
                "{}" => command.args(addresses),
                _ => command.arg(text.replace("{}", &addresses.join(","))),
            };
        }
        if !has_place {
            command.args(option).args(addresses);
        }
        for (name, value) in values {
            command.env(name.to_uppercase(), value);
        }
        command
    }
}

/// An address of this machine at which no program listens. Its port is below those that the kernel gives
/// to clients, so that no client of another program takes it meanwhile.
pub(super) fn free_port() -> Verdict<SocketAddr> {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static TRIES: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(7_919);
    for _ in 0..COUNT {
        let more = TRIES.fetch_add(1, Ordering::Relaxed).wrapping_mul(11).wrapping_add(begin);
        let port = (FIRST + more % COUNT) as u16;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener.local_addr()?);
        }
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The first of three addresses with ports that follow each other.
pub(super) fn three_free_ports() -> Verdict<SocketAddr> {
    loop {
        let first = free_port()?;
        let is_free = |more| {
            let port = first.port().checked_add(more);
            port.is_some_and(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        };
        if (0..3).all(is_free) {
            return Ok(first);
        }
    }
}
