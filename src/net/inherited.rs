//! The sockets with which a process was started: systemd's socket activation.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::{env, io, process};

use super::datagram::DatagramSocket;
use super::listener::Listener;
use super::socket_kind::SocketKind;
use super::stream::Stream;
use crate::sys;

/// A descriptor with which the process was started: see [`inherited`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Inherited {
    /// A stream socket that listens. To limit its connections, pass it to
    /// [`ListenerBuilder::wrap`](super::ListenerBuilder::wrap).
    Listener(Listener),
    /// A datagram socket.
    Datagrams(DatagramSocket),
    /// A connection, of a unit with `Accept=yes`.
    Stream(Stream),
    /// Another descriptor: a FIFO, for example, or one that the service has stored.
    Other(OwnedFd),
}

/// Returns the descriptors with which the process was started, with their names, in their order.
///
/// It speaks the protocol of systemd's socket units: `sd_listen_fds(3)`. They are the descriptors from 3
/// on. The environment says how many (`LISTEN_FDS`), for which process (`LISTEN_PID`), and their names
/// (`LISTEN_FDNAMES`, separated by colons: `FileDescriptorName=` of the unit). Without names, each one
/// is called `unknown`.
///
/// The list is empty if there are none, or if they are for another process: a child keeps the
/// environment of its parent. Each descriptor is closed when the process executes another program.
/// `O_NONBLOCK` and other options stay as they are. The file of a Unix socket is left to the service
/// manager.
///
/// The descriptors can be taken once. Call it at the beginning of `main`. The environment is not
/// changed.
///
/// See [descriptors](crate::guide::descriptors) in the guide.
///
/// ```
/// use tripoll::net::{self, Inherited, Listener};
/// use tripoll::Reactor;
///
/// let mut reactor = Reactor::new()?;
/// let mut listeners = Vec::new();
/// for (name, socket) in net::inherited()? {
///     match socket {
///         Inherited::Listener(listener) if name == "web" => listeners.push(listener),
///         other => eprintln!("{name} is not used: {other:?}"),
///     }
/// }
/// if listeners.is_empty() {
///     listeners.push(Listener::bind("127.0.0.1:0")?); // started by hand
/// }
/// for listener in listeners {
///     let listener = Listener::builder().max_connections(1_000).wrap(listener)?;
///     listener.serve(&mut reactor.context(), |_, _| Ok(()))?;
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// `InvalidInput` when a variable has a value that makes no sense, or when one of the descriptors is not
/// open. The message names the variable and its value. `AlreadyExists` when the descriptors were taken
/// before.
#[doc(alias = "systemd")]
#[doc(alias = "sd_listen_fds")]
#[doc(alias = "socket activation")]
pub fn inherited() -> io::Result<Vec<(String, Inherited)>> {
    let Some((count, names)) = Environment::of_process().parse()? else { return Ok(Vec::new()) };
    let taken = sys::take_inherited(count)
        .map_err(|error| sys::with_context(format!("LISTEN_FDS={count}"), error))?;
    let Some(taken) = taken else {
        let message = "the inherited descriptors were taken before";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    };
    let names = names.unwrap_or_else(|| vec!["unknown".to_owned(); taken.len()]);
    let sockets = taken.into_iter().map(Inherited::of).collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter().zip(sockets).collect())
}

impl Inherited {
    fn of(fd: OwnedFd) -> io::Result<Self> {
        Ok(match SocketKind::of(fd.as_fd())? {
            SocketKind::Listener(_) => Inherited::Listener(fd.try_into()?),
            SocketKind::Datagrams(_) => Inherited::Datagrams(fd.try_into()?),
            SocketKind::Connection(_) => Inherited::Stream(fd.try_into()?),
            SocketKind::Idle(_) | SocketKind::Other(..) | SocketKind::File(_) => {
                Inherited::Other(fd)
            }
        })
    }
}

/// The variables of the protocol.
#[derive(Debug, Default)]
struct Environment {
    pid: Option<OsString>,
    fds: Option<OsString>,
    names: Option<OsString>,
}

impl Environment {
    fn of_process() -> Self {
        Environment {
            pid: env::var_os("LISTEN_PID"),
            fds: env::var_os("LISTEN_FDS"),
            names: env::var_os("LISTEN_FDNAMES"),
        }
    }

    /// Returns how many descriptors there are for this process, and their names if they have some.
    fn parse(&self) -> io::Result<Option<(i32, Option<Vec<String>>)>> {
        let Some(pid) = number("LISTEN_PID", self.pid.as_ref())? else { return Ok(None) };
        let Some(count) = number("LISTEN_FDS", self.fds.as_ref())? else { return Ok(None) };
        if u32::try_from(pid) != Ok(process::id()) || count == 0 {
            return Ok(None);
        }
        let Some(names) = &self.names else { return Ok(Some((count, None))) };
        let not_utf8 = || invalid("LISTEN_FDNAMES", names, "it is not UTF-8");
        let text = names.to_str().ok_or_else(not_utf8)?;
        let split: Vec<String> = text.split(':').map(str::to_owned).collect();
        if i32::try_from(split.len()) != Ok(count) {
            let fault = format!("there are {count} descriptors and {} names", split.len());
            return Err(invalid("LISTEN_FDNAMES", names, &fault));
        }
        Ok(Some((count, Some(split))))
    }
}

/// Parses a variable that is set: a number that is not negative.
fn number(variable: &str, value: Option<&OsString>) -> io::Result<Option<i32>> {
    let Some(value) = value else { return Ok(None) };
    match value.to_str().and_then(|text| text.parse().ok()) {
        Some(number @ 0..) => Ok(Some(number)),
        _ => Err(invalid(variable, value, "it must be a number from 0 on")),
    }
}

fn invalid(variable: &str, value: &OsStr, fault: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{variable}={value:?}: {fault}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    /// The number of descriptors and their names.
    type Parsed = Option<(i32, Option<Vec<String>>)>;

    fn parse(pid: &str, fds: &str, names: Option<&str>) -> Result<Parsed, String> {
        let environment = Environment {
            pid: Some(pid.into()),
            fds: Some(fds.into()),
            names: names.map(Into::into),
        };
        environment.parse().map_err(|error| error.to_string())
    }

    #[test]
    fn the_variables_say_how_many_and_their_names() {
        let own = &process::id().to_string();
        let some = |count, names: &[&str]| {
            Ok(Some((count, Some(names.iter().map(|name| name.to_string()).collect()))))
        };
        assert_eq!(parse(own, "2", None), Ok(Some((2, None))));
        assert_eq!(parse(own, "2147483647", None), Ok(Some((i32::MAX, None))));
        assert_eq!(parse(own, "2", Some("web:")), some(2, &["web", ""]));
        assert_eq!(parse(own, "1", Some("é b")), some(1, &["é b"]));
        assert_eq!(parse(own, "0", Some("web")), Ok(None));
        assert_eq!(parse("1", "2", Some("one")), Ok(None), "for another process");
        assert_eq!(parse("0", "2", None), Ok(None));
        assert_eq!(Environment::default().parse().unwrap(), None);
        let only_pid = Environment { pid: Some(own.into()), ..Default::default() };
        assert_eq!(only_pid.parse().unwrap(), None);
    }

    #[test]
    fn a_value_without_sense_is_an_error_that_names_its_variable() {
        let own = &process::id().to_string();
        for bad in ["", "x", "-1", "1 ", "2147483648", "99999999999999999999"] {
            for (pid, fds, variable) in [(bad, "1", "LISTEN_PID"), (own, bad, "LISTEN_FDS")] {
                let error = parse(pid, fds, None).unwrap_err();
                let begin = format!("{variable}={bad:?}: it must be");
                assert!(error.starts_with(&begin), "{error}");
            }
        }
        let error = parse(own, "3", Some("a:b")).unwrap_err();
        assert_eq!(error, "LISTEN_FDNAMES=\"a:b\": there are 3 descriptors and 2 names");
        let not_utf8 = Environment {
            pid: Some(own.into()),
            fds: Some("1".into()),
            names: Some(OsString::from_vec(vec![0xff])),
        };
        let error = not_utf8.parse().unwrap_err().to_string();
        assert!(error.ends_with("it is not UTF-8"), "{error}");
    }
}
