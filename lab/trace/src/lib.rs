//! The lines in which programs say what a loop did, turn by turn.
//!
//! `tripoll trace` and the option `--trace` of the examples print the same lines: a [`Wait`] for each
//! wait, and below it a [`Source`] for each source that took part in the turn.
//!
//! ```text
//! turn 2    epoll_wait(epfd 6, 64 events, 100 ms) = 1   30 µs
//!           client 127.0.0.1:57253     fd 9    wants r   reported IN               done read 6, write 9                in 6 out 9
//! ```
//!
//! The contract:
//!
//! * This crate makes text of values. It watches no loop, prints nothing, and asks the kernel for nothing.
//! * A line has no line break. The columns of sources stand below each other, unless a text is longer than
//!   its column.
//! * [`LEGEND_EN`] and [`LEGEND_ZH`] explain each word of these lines. A program that adds words of its own
//!   prints their legend below. The lines are the same in both languages. [`is_chinese`] chooses the legend.
//! * The words of a call, of its arguments and of its masks are those of the manual pages: [`call`],
//!   [`arguments`], [`masks`].

mod language;
pub mod masks;
mod numbers;
mod wait;

use std::fmt;
use std::os::fd::RawFd;
use std::time::Duration;

pub use language::is_chinese;
pub use numbers::{count, time};
pub use wait::{Watching, arguments, call};

/// What the words of the lines mean, in English.
pub const LEGEND_EN: &str = "\
# turn N    the wait: call(arguments) = number of descriptors, and how long it took
#           wants     the interest: r readable, w writable
#           reported  what the wait returned; again: called again without a new event
#           done      the system calls of the handler: their results, or their number
#           in, out   bytes that were read and written
";

/// What the words of the lines mean, in Chinese.
pub const LEGEND_ZH: &str = "\
# turn N    等待：调用(参数) = 描述符的个数，以及用了多久
#           wants     关注的事件：r 可读，w 可写
#           reported  等待返回的；again：没有新事件，再次调用
#           done      处理器的系统调用：结果，或者次数
#           in, out   读和写的字节
";

/// The line of a wait.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    /// The number of the turn, from 1.
    pub turn: u64,
    /// The name of the system call.
    pub call: &'a str,
    /// Its arguments.
    pub arguments: &'a str,
    /// How many descriptors it reported, or the text of its error.
    pub result: Result<usize, &'a str>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wait { turn, call, arguments, .. } = self;
        write!(f, "turn {turn:<4} {call}({arguments}) = ")?;
        match self.result {
            Ok(count) => write!(f, "{count}")?,
            Err(error) => f.write_str(error)?,
        }
        write!(f, "   {}", time(self.took))
    }
}

/// The line of a source that took part in a turn.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is, with its address: `client 127.0.0.1:5555`.
    pub name: &'a str,
    /// Its descriptor.
    pub fd: RawFd,
    /// Its interest when the wait began: [`masks::directions`].
    pub wants: &'a str,
    /// What the wait returned for it: [`masks::raw`]. `-` is nothing.
    pub reported: &'a str,
    /// What its handler did.
    pub done: &'a [String],
    /// Number of bytes read.
    pub read: u64,
    /// Number of bytes written.
    pub written: u64,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { name, fd, wants, reported, done, read, written } = self;
        write!(
            f,
            "          {name:<26} fd {fd:<4} wants {wants:<3} reported {reported:<16} done {:<30} in {} out {}",
            done.join(", "),
            count(*read),
            count(*written),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_call_with_its_arguments_and_its_result() {
        let took = Duration::from_micros(30);
        let mut wait = Wait {
            turn: 2,
            call: "poll",
            arguments: "3 descriptors, no timeout",
            result: Ok(1),
            took,
        };
        assert_eq!(wait.to_string(), "turn 2    poll(3 descriptors, no timeout) = 1   30 µs");
        wait.result = Err("EINVAL");
        assert_eq!(wait.to_string(), "turn 2    poll(3 descriptors, no timeout) = EINVAL   30 µs");
    }

    #[test]
    fn the_columns_of_sources_stand_below_each_other() {
        let source = |name, fd, done: &[String]| {
            let (wants, reported) = ("r", "IN|RDHUP");
            Source { name, fd, wants, reported, done, read: 1_024, written: 0 }.to_string()
        };
        let one =
            source("listener 127.0.0.1:80", 5, &["accept → fd 9".into(), "accept EAGAIN".into()]);
        let other = source("signal", 12, &[]);
        for word in ["fd ", "wants", "reported", "done", "in 1,024 out 0"] {
            let column = |line: &str| line.find(word).map(|at| line[..at].chars().count());
            assert_eq!(column(&one), column(&other), "{word}\n{one}\n{other}");
            assert!(column(&one).is_some(), "{word}");
        }
        assert!(one.contains("done accept → fd 9, accept EAGAIN"), "{one}");
    }

    #[test]
    fn both_legends_explain_the_same_words() {
        let words = |legend: &'static str| -> Vec<&str> {
            let first =
                |line: &'static str| line[1..].split_whitespace().next().unwrap_or_default();
            legend.lines().map(first).collect()
        };
        assert_eq!(words(LEGEND_EN), ["turn", "wants", "reported", "done", "in,"]);
        assert_eq!(words(LEGEND_EN), words(LEGEND_ZH));
    }
}
