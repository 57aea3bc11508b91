//! `compare` on a terminal: its width, its colours, and what Ctrl-C leaves.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::thread::{self, JoinHandle};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");
const GREEN: &str = "\u{1b}[32m";

/// `compare` on a terminal of its own.
struct Terminal {
    compare: Child,
    /// Reads what it writes, and passes it on piece by piece.
    screen: JoinHandle<()>,
    pieces: std::sync::mpsc::Receiver<String>,
}

impl Terminal {
    fn start(columns: u16, arguments: &str, variables: &[(&str, &str)]) -> Self {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&main, size).unwrap();
        let name = ptsname(&main, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end = || -> OwnedFd { open(&name, flags, Mode::empty()).unwrap() };
        let mut command = Command::new(TRIPOLL);
        command.arg("compare").args(arguments.split(' ')).env_remove("NO_COLOR");
        command.env("TERM", "xterm").envs(variables.iter().copied());
        let compare = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        drop(command); // it holds the other end of the terminal
        let (sender, pieces) = std::sync::mpsc::channel();
        let screen = thread::spawn(move || {
            let (mut main, mut buffer) = (File::from(main), [0; 4_096]);
            let mut cut = Vec::new();
            // EIO: all other ends are closed.
            while let Ok(count @ 1..) = main.read(&mut buffer) {
                cut.extend_from_slice(&buffer[..count]);
                let whole = match std::str::from_utf8(&cut) {
                    Ok(text) => text.len(),
                    Err(error) => error.valid_up_to(),
                };
                let rest = cut.split_off(whole);
                let _ = sender.send(String::from_utf8(cut).unwrap());
                cut = rest;
            }
        });
        Terminal { compare, screen, pieces }
    }

    /// Waits until its progress bar shows so many per cent.
    fn wait_for(&self, percent: u32) {
        let mut all = String::new();
        let shown = |all: &str| {
            let before = all.rsplit_once(" %").map_or("", |(before, _)| before);
            before.rsplit([' ', 'm']).next().and_then(|number| number.parse::<u32>().ok())
        };
        while shown(&all).is_none_or(|shown| shown < percent) {
            all += &self.pieces.recv().unwrap_or_else(|_| panic!("{percent} %: {all}"));
        }
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.compare), Signal::INT).unwrap();
    }

    /// Waits for its end, and returns its code and what it has written since.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.compare.wait().unwrap().code();
        self.screen.join().unwrap();
        (code, self.pieces.iter().collect())
    }
}

/// Returns the lines that stand on the terminal at the end. A line that is written over or cleared is
/// gone.
fn lines_on(screen: &str) -> Vec<String> {
    let lines = screen.split("\r\n").map(|line| {
        let line = line.rsplit('\r').next().unwrap_or_default();
        let line = line.rsplit("\u{1b}[2K").next().unwrap_or_default();
        line.replace(GREEN, "").replace("\u{1b}[0m", "")
    });
    lines.collect()
}

#[test]
fn the_report_and_its_progress_keep_to_the_width_of_the_terminal() {
    for columns in [40, 80, 200] {
        let arguments = "--quick --fds 2,4,8 --active 1,50%";
        let (code, screen) = Terminal::start(columns, arguments, &[]).end();
        assert_eq!(code, Some(0), "{screen}");
        // Progress, too: a bar that is broken into two lines cannot be cleared.
        for piece in screen.split(['\r', '\n']) {
            let text = piece.replace(GREEN, "").replace("\u{1b}[0m", "").replace("\u{1b}[2K", "");
            let width = text.chars().filter(|c| !c.is_control()).count();
            assert!(width <= columns.into(), "{columns} columns: {piece:?}");
        }
        let lines = lines_on(&screen);
        assert!(lines[0].starts_with("Take "), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains('\u{1b}')), "{lines:?}");
    }
}

#[test]
fn the_cheapest_cells_are_green_unless_the_terminal_or_its_owner_wants_no_colours() {
    let colours = |variables: &[(&str, &str)]| {
        let (code, screen) = Terminal::start(80, "--quick --fds 2", variables).end();
        assert_eq!(code, Some(0), "{screen}");
        screen.matches(GREEN).count()
    };
    assert!(colours(&[]) > 0);
    assert!(colours(&[("NO_COLOR", "")]) > 0, "an empty NO_COLOR is as good as none");
    assert_eq!(colours(&[("NO_COLOR", "1")]), 0);
    assert_eq!(colours(&[("TERM", "dumb")]), 0);
}

#[test]
fn ctrl_c_prints_what_there_is_and_leaves_no_debris() {
    for columns in [40, 80] {
        // A tenth is the calibration, and a tenth each of the nine rounds.
        for (percent, first) in [(0, "stopped"), (30, "Take ")] {
            let terminal = Terminal::start(columns, "--fds 2,4,8", &[]);
            terminal.wait_for(percent);
            terminal.interrupt();
            let (code, screen) = terminal.end();
            assert_eq!(code, Some(130), "{screen}");
            let lines = lines_on(&screen);
            let lines: Vec<&String> = lines.iter().filter(|line| !line.is_empty()).collect();
            assert!(lines[0].starts_with(first), "{lines:?}");
            assert_eq!(lines[lines.len() - 1], "stopped", "{lines:?}");
            let said = lines.iter().any(|line| line.contains("Stopped after "));
            assert_eq!(said, percent > 0, "{lines:?}");
            // No bar, and no control sequence.
            assert!(!lines.iter().any(|line| line.contains(['\u{1b}', '█', '▏'])), "{lines:?}");
            assert!(lines.iter().all(|line| line.chars().count() <= columns.into()), "{lines:?}");
        }
    }
}
