//! A process with servers, as its parent sees it.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

use serde::de::DeserializeOwned;
use tripoll::Backend;

use super::account::Account;
use super::server::{Part, Target};
use crate::workload::Xorshift;

/// A running process. It is killed when it is dropped.
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    targets: Vec<Target>,
}

/// How a process has ended that should not have ended so.
#[derive(Debug)]
pub struct Ended(String);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long a process may take to end. It gives its clients 5 s.
const END: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

impl Process {
    pub(super) fn start(part: Part) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["soak-servers", part.name()])
            .process_group(0) // Ctrl-C ends the clients alone, and they end the servers
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the pipes to the servers are missing"));
        };
        let output = BufReader::new(output);
        let mut process = Process { child, input: Some(input), output, targets: Vec::new() };
        process.targets = process.line()?;
        Ok(process)
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Switches its reactor to any backend.
    pub(super) fn switch(&mut self, dice: &mut Xorshift) -> io::Result<()> {
        self.tell(Backend::ALL[dice.below(Backend::ALL.len())].name())
    }

    fn account(&mut self) -> io::Result<Account> {
        self.tell("account")?;
        self.line()
    }

    /// Returns the account as soon as two that follow each other are alike.
    pub(super) fn settled_account(&mut self, most: Duration) -> io::Result<Account> {
        // The backends differ in the descriptors that they need.
        self.tell(Backend::default().name())?;
        let give_up = Instant::now() + most;
        let mut last = self.account()?;
        loop {
            thread::sleep(Duration::from_millis(300)); // what lingers ends meanwhile
            let next = self.account()?;
            if next.is_like(&last) || Instant::now() > give_up {
                return Ok(next);
            }
            last = next;
        }
    }

    /// Returns the account as soon as it is like `before`, and the last one if it is not in time.
    pub(super) fn account_like(&mut self, before: &Account, most: Duration) -> io::Result<Account> {
        self.tell(Backend::default().name())?;
        let give_up = Instant::now() + most;
        loop {
            let account = self.account()?;
            if account.is_like(before) || Instant::now() > give_up {
                return Ok(account);
            }
            thread::sleep(LOOK);
        }
    }

    /// Ends it in order.
    pub(super) fn end(mut self) -> Result<(), Ended> {
        drop(self.input.take());
        let give_up = Instant::now() + END;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(Ended(format!("ended with {status}"))),
                Ok(None) if Instant::now() > give_up => {
                    return Err(Ended(format!("does not end within {END:?}")));
                }
                Ok(None) => thread::sleep(LOOK),
                Err(error) => return Err(Ended(error.to_string())),
            }
        }
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        match &mut self.input {
            Some(input) => writeln!(input, "{line}"),
            None => Ok(()),
        }
    }

    fn line<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the servers have ended"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
