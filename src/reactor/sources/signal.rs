//! Signal numbers with names.

use std::fmt;

/// A signal, as in `signal(7)`.
///
/// ```
/// use tripoll::reactor::sources::Signal;
///
/// assert_eq!(Signal::TERM.to_string(), "SIGTERM");
/// assert_eq!(Signal::new(15), Some(Signal::TERM));
/// assert_eq!(Signal::new(0), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

/// The last signal number of Linux.
const LAST: i32 = 64;

macro_rules! signals {
    ($($name:ident = $number:ident, $what:literal;)*) => {
        impl Signal {
            $(#[doc = $what] pub const $name: Signal = Signal(libc::$number);)*

            fn name(self) -> Option<&'static str> {
                match self {
                    $(Signal::$name => Some(stringify!($number)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    HUP = SIGHUP, "The terminal was closed, or a daemon must read its configuration again.";
    INT = SIGINT, "Ctrl-C.";
    QUIT = SIGQUIT, "Ctrl-\\.";
    USR1 = SIGUSR1, "For the program's own purposes.";
    USR2 = SIGUSR2, "For the program's own purposes.";
    PIPE = SIGPIPE, "A write to a pipe or socket that no process reads.";
    ALRM = SIGALRM, "A timer of `alarm(2)`.";
    TERM = SIGTERM, "The request to end.";
    CHLD = SIGCHLD, "A child has ended, was stopped or continues.";
    CONT = SIGCONT, "Continue after a stop.";
    TSTP = SIGTSTP, "Ctrl-Z.";
    TTIN = SIGTTIN, "A background process reads from its terminal.";
    TTOU = SIGTTOU, "A background process writes to its terminal.";
    URG = SIGURG, "Urgent data on a socket.";
    XCPU = SIGXCPU, "The limit of processor time.";
    XFSZ = SIGXFSZ, "The limit of the size of a file.";
    VTALRM = SIGVTALRM, "A timer of processor time.";
    WINCH = SIGWINCH, "The size of the terminal has changed.";
    IO = SIGIO, "Input or output is possible.";
    PWR = SIGPWR, "The power fails.";
    SYS = SIGSYS, "A system call that does not exist, or that a sandbox forbids.";
    KILL = SIGKILL, "Ends the process. Cannot be blocked.";
    STOP = SIGSTOP, "Stops the process. Cannot be blocked.";
    ABRT = SIGABRT, "`abort(3)`.";
    BUS = SIGBUS, "An access to memory that has no storage.";
    FPE = SIGFPE, "An arithmetic fault.";
    ILL = SIGILL, "An instruction that does not exist.";
    SEGV = SIGSEGV, "An access to memory that is not allowed.";
    TRAP = SIGTRAP, "A breakpoint.";
}

impl Signal {
    /// Returns the signal with this number, from 1 to 64. The real-time signals have no names.
    pub fn new(number: i32) -> Option<Self> {
        (1..=LAST).contains(&number).then_some(Signal(number))
    }

    /// Returns the number.
    pub fn number(self) -> i32 {
        self.0
    }

    /// Returns why this signal cannot be received as an event, if it cannot.
    pub(super) fn refusal(self) -> Option<&'static str> {
        match self {
            Signal::KILL | Signal::STOP => Some("it cannot be blocked"),
            Signal::BUS | Signal::FPE | Signal::ILL | Signal::SEGV | Signal::TRAP | Signal::SYS => {
                Some("it is the fault of one instruction, which cannot continue")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
