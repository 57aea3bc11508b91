//! CPython's module `selectors`, in a process of its own, which measures itself.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tripoll::Backend;

use crate::workload::measurement::Measurement;
use crate::workload::pipes::Kind;

const SCRIPT: &str = include_str!("selectors.py");
const INTERPRETER: &str = "python3";

/// A run that the process is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) backend: Backend,
    /// `ring` or `watch`.
    pub(crate) workload: &'static str,
    pub(crate) n: usize,
    pub(crate) active: usize,
    /// The offset of each byte of the ring.
    pub(crate) start: usize,
    pub(crate) events: u64,
}

/// A process that runs the script. It ends when its input does.
struct Python {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The process. It starts with the first order, and keeps its pipes from one order to the next.
static PYTHON: Mutex<Option<Python>> = Mutex::new(None);

/// Returns why it cannot be measured. `None` if it can.
pub(crate) fn missing() -> Option<String> {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let has_module = || {
        let mut command = Command::new(INTERPRETER);
        command.args(["-c", "import selectors; selectors.EpollSelector"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = *FOUND.get_or_init(has_module);
    (!found).then(|| format!("no {INTERPRETER} was found"))
}

/// Runs a workload once, in the process.
///
/// # Errors
///
/// `Unsupported` if Python refuses, with its reason: its `select` has no descriptor above 1,023.
pub(crate) fn run(order: Order) -> io::Result<Measurement> {
    let mut python = PYTHON.lock().unwrap_or_else(PoisonError::into_inner);
    let python = match &mut *python {
        Some(python) => python,
        none => none.insert(Python::start()?),
    };
    python.run(order)
}

impl Python {
    fn start() -> io::Result<Self> {
        let mut command = Command::new(INTERPRETER);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Python { child, orders, answers: BufReader::new(answers) })
    }

    fn run(&mut self, order: Order) -> io::Result<Measurement> {
        let Order { kind, backend, workload, n, active, start, events } = order;
        let (kind, backend) = (kind.name(), backend.name());
        writeln!(self.orders, "{kind} {backend} {workload} {n} {active} {start} {events}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            let status = self.child.wait()?;
            return Err(io::Error::other(format!("{INTERPRETER} ended: {status}")));
        }
        if let Some(reason) = answer.strip_prefix("error: ") {
            let message = format!("{INTERPRETER}: {}", reason.trim());
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let numbers: Vec<u64> = answer.split(' ').flat_map(|part| part.trim().parse()).collect();
        let [wall, cpu, registration] = numbers[..] else {
            return Err(io::Error::other(format!("{INTERPRETER} answered {answer:?}")));
        };
        let [wall, cpu, registration] = [wall, cpu, registration].map(Duration::from_nanos);
        Ok(Measurement { events, wall, cpu, registered: n, registration })
    }
}
