//! One fault of one server: which call fails how and when, and what the server makes of it.

use std::collections::HashMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use support::LONG;

use crate::calls::{CALLS, FATAL, SHORTAGES, UNREAL};
use crate::subject::Subject;
use crate::traced::{Ended, Traced, calls};

/// A call of a server that fails.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub subject: &'static Subject,
    pub call: &'static str,
    pub error: &'static str,
    pub when: When,
    /// The number of the first call that fails, counted from one by each thread.
    first: usize,
}

/// When the call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before the server accepts.
    AtStart,
    /// Once, while it serves.
    Once,
    /// Several times one after the other.
    Often,
    /// As long as two clients have patience, which is seconds if they are not served.
    Lasting,
}

/// What a server makes of a fault.
#[derive(Debug)]
pub enum Verdict {
    /// Its clients are served, and it ends on a signal.
    Serves,
    /// It ends before it accepts, with a message that names the call.
    Refuses,
    /// It ends with a message, and the fault is one that a server may end for.
    Gives,
    /// The call was never made.
    Unreached,
    /// It lives, and serves no client.
    Deaf(String),
    /// It serves one client less, after an error that concerns none.
    Drops(String),
    /// It is busy while nothing happens.
    Spins(String),
    /// It ends.
    Dies(Ended),
    /// It does not end on a signal, or not with 0.
    Stays(String),
}

impl Verdict {
    /// Returns what is wrong with the server. `None`: nothing.
    pub fn fault(&self) -> Option<&'static str> {
        match self {
            Verdict::Serves | Verdict::Refuses | Verdict::Gives | Verdict::Unreached => None,
            Verdict::Deaf(_) => Some("it serves no client"),
            Verdict::Drops(_) => Some("it does not repeat a call that a signal interrupted"),
            Verdict::Spins(_) => Some("it is busy while nothing happens"),
            Verdict::Dies(_) => Some("it ends"),
            Verdict::Stays(_) => Some("it does not end on a signal, with 0 and in time"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(fault) = self.fault() else { return write!(f, "{self:?}") };
        match self {
            Verdict::Dies(ended) => write!(f, "{fault}: {}, {:?}", ended.status, ended.said),
            Verdict::Deaf(why)
            | Verdict::Drops(why)
            | Verdict::Spins(why)
            | Verdict::Stays(why) => write!(f, "{fault}: {why}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            When::AtStart => "at the start",
            When::Once => "once",
            When::Often => "often",
            When::Lasting => "for a time",
        })
    }
}

impl fmt::Display for Cell {
    /// The command with which a person sees the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.subject.command();
        let program = command.get_program().to_string_lossy().into_owned();
        write!(f, "strace -f -e {} {program}", self.injection())?;
        command.get_args().try_for_each(|argument| write!(f, " {}", argument.to_string_lossy()))
    }
}

impl Cell {
    /// The server, the call, the error and when.
    pub fn name(&self) -> String {
        let Cell { subject, call, error, when, first } = self;
        let name = format!("{}: {call} {error} {when}", subject.name);
        match when {
            When::AtStart | When::Once => format!("{name}, call {first}"),
            When::Often | When::Lasting => name,
        }
    }

    fn injection(&self) -> String {
        let Cell { call, error, first, .. } = self;
        let last = match self.when {
            When::AtStart | When::Once => String::new(),
            When::Often => format!("..{}", first + 3),
            When::Lasting => "+".into(),
        };
        format!("inject={call}:error={error}:when={first}{last}")
    }

    /// Runs the server with this fault.
    pub fn run(&self) -> Verdict {
        let traced = format!("trace={},{}", self.call, WAITS.join(","));
        let mut server = Traced::start(self.subject, &["-e", &traced, "-e", &self.injection()]);
        let Some(address) = server.address() else {
            let Some(ended) = server.end(LONG) else {
                return Verdict::Deaf("before it accepts".into());
            };
            return match ended.has_named(self.call) && ended.said.lines().count() == 1 {
                true => Verdict::Refuses,
                false => Verdict::Dies(ended),
            };
        };

        if self.when == When::Lasting
            && let Some(busy) = self.outlast(&mut server, &address)
        {
            return Verdict::Spins(busy);
        }
        if let Err(deaf) = self.serve(&mut server, &address) {
            return deaf;
        }
        if !server.has_ended()
            && let Some(busy) = busy(&server)
        {
            return Verdict::Spins(busy);
        }
        let lived = !server.has_ended();
        let start = Instant::now();
        server.terminate();
        let ended = server.end(LONG);
        let took = start.elapsed();
        match ended {
            Some(ended) if !lived => match FATAL.contains(&(self.call, self.error)) {
                true if ended.has_named(self.call) => Verdict::Gives,
                _ => Verdict::Dies(ended),
            },
            Some(ended) if !ended.status.success() || took > IN_TIME => {
                Verdict::Stays(format!("{} after {took:?}, {:?}", ended.status, ended.said))
            }
            Some(_) if server.failures() == 0 => Verdict::Unreached,
            Some(_) => Verdict::Serves,
            None => Verdict::Stays(last_lines(&server.trace())),
        }
    }
}

/// In this time a server ends, of which the examples wait 0.7 s for their clients. It is measured again
/// on a machine that has nothing else to do.
const IN_TIME: Duration = Duration::from_secs(2);

impl Cell {
    /// Lets the fault last, and then ends it. Returns what a server does that should try again after a
    /// pause.
    fn outlast(&self, server: &mut Traced, address: &str) -> Option<String> {
        let (start, failures) = (Instant::now(), server.failures());
        let _ = self.subject.ask(address);
        let _ = self.subject.ask(address);
        let failures = server.failures() - failures;
        let seconds = start.elapsed().as_secs_f64();
        if server.failures() > 0 {
            // The call that is failing now may fail with ENOSYS, so a suspect is tried again.
            server.let_go(); // or the call is one that is made when the server ends
        }
        // What the clients cause, and what a loop tries again, with pauses of some milliseconds. One that
        // spins fails thousands of times a second.
        let is_busy = failures as f64 > 400.0 + 500.0 * seconds;
        is_busy.then(|| format!("{failures} failures in {seconds} s"))
    }

    /// Has two clients served one after the other. Returns `Ok` if the server has ended, too.
    fn serve(&self, server: &mut Traced, address: &str) -> Result<(), Verdict> {
        /// So many clients may be the ones that the fault hits.
        const HIT: usize = 5;
        let give_up = Instant::now() + LONG;
        let (mut served, mut asked) = (0, 0);
        while served < 2 && !server.has_ended() {
            asked += 1;
            match self.subject.ask(address) {
                Ok(()) => served += 1,
                Err(error) if self.error == "EINTR" => {
                    return Err(Verdict::Drops(error.to_string()));
                }
                Err(error) if Instant::now() > give_up => {
                    return Err(Verdict::Deaf(format!("{error}: {}", last_lines(&server.trace()))));
                }
                Err(_) => served = 0,
            }
            if asked == HIT && self.when != When::Lasting {
                // Where each client has a thread or a process, the fault hits the next one, too.
                server.let_go();
            }
        }
        Ok(())
    }
}

impl Ended {
    /// Returns whether it has ended with an error, and a line of each thread that names the call.
    fn has_named(&self, call: &str) -> bool {
        let call = match call {
            // What these are for says more than their names.
            "bind" | "listen" | "setsockopt" | "socket" => "cannot listen on",
            "clone" | "clone3" => "thread",
            "epoll_ctl" => "epoll", // or that all its watches are in use
            // `accept4` is accept, `eventfd2` is eventfd.
            call => call.trim_end_matches(|last: char| last.is_ascii_digit()),
        };
        let mut lines = self.said.trim_end().lines().peekable();
        self.status.code().is_some_and(|code| code != 0)
            && lines.peek().is_some()
            && lines.all(|line| line.contains(call))
    }
}

/// The calls in which a server waits.
const WAITS: &[&str] = &["epoll_wait", "epoll_pwait2", "ppoll", "pselect6"];

/// Returns what a server does that should sleep.
fn busy(server: &Traced) -> Option<String> {
    const IDLE: Duration = Duration::from_millis(400);
    let settled = Instant::now() + LONG;
    loop {
        let (waits, ticks) = (server.count(WAITS), server.ticks());
        thread::sleep(IDLE);
        let (waits, ticks) = (server.count(WAITS) - waits, server.ticks() - ticks);
        // What clients have left behind ends in time. What spins, does not.
        if waits < 30 && ticks < 10 {
            return None;
        }
        if Instant::now() > settled {
            return Some(format!(
                "{waits} waits and {ticks} hundredths of a second in {IDLE:?}: {}",
                last_lines(&server.trace())
            ));
        }
    }
}

fn last_lines(trace: &str) -> String {
    let lines: Vec<_> = trace.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n        ")
}

/// Returns all cells of a server, after a run without a fault has shown which calls it makes.
pub fn cells(subject: &'static Subject) -> Vec<Cell> {
    let names: Vec<_> = CALLS.iter().map(|call| call.name).collect();
    // Not every machine has every call.
    let traced = format!("trace=?{},write", names.join(",?"));
    let mut server = Traced::start(subject, &["-e", &traced]);
    let address = server.address().expect("it starts without a fault");
    subject.ask(&address).expect("it serves without a fault");
    server.terminate();
    server.end(LONG).expect("it ends");
    let trace = server.trace();
    let made = Made::of(&trace);

    let mut cells = Vec::new();
    for call in CALLS {
        let mut add = |when, error, first| {
            cells.push(Cell { subject, call: call.name, error, when, first });
        };
        let before = made.before(call.name);
        let goes_on = made.goes_on(call.name);
        for error in call.errors {
            if UNREAL.contains(&(subject.name, call.name, error)) {
                continue;
            }
            if call.at_start {
                (1..=before).for_each(|number| add(When::AtStart, error, number));
            }
            if goes_on {
                (1..=3).for_each(|number| add(When::Once, error, before + number));
                add(When::Often, error, before + 1);
            }
            if goes_on && SHORTAGES.contains(error) {
                add(When::Lasting, error, before + 1);
            }
        }
    }
    cells
}

/// How often each thread of a server, and each of its processes, has made each call.
#[derive(Default)]
struct Made<'a> {
    threads: HashMap<(&'a str, &'a str), Count>,
}

#[derive(Default)]
struct Count {
    /// Until the server accepts.
    before: usize,
    /// Afterwards.
    later: usize,
}

impl<'a> Made<'a> {
    fn of(trace: &'a str) -> Self {
        let mut made = Made::default();
        let mut accepts = false;
        for (thread, name, call) in calls(trace) {
            let count = made.threads.entry((name, thread)).or_default();
            match accepts {
                true => count.later += 1,
                false => count.before += 1,
            }
            accepts |= call.starts_with("write(1, \"listening on");
        }
        made
    }

    fn counts(&self, call: &str) -> impl Iterator<Item = &Count> {
        self.threads.iter().filter(move |((name, _), _)| *name == call).map(|(_, count)| count)
    }

    /// Returns how many calls a thread makes before the server accepts, at most.
    fn before(&self, call: &str) -> usize {
        self.counts(call).map(|count| count.before).max().unwrap_or_default()
    }

    /// Returns whether a thread makes more calls than that. Each counts for itself, so one that comes
    /// later begins with its first.
    fn goes_on(&self, call: &str) -> bool {
        let before = self.before(call);
        self.counts(call).any(|count| count.later > 0 && count.before + count.later > before)
    }
}
