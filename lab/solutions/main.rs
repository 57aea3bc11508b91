//! Solutions of the exercises that check themselves, a right one and a wrong one for each.
//!
//! `exercise 01 right --listen 127.0.0.1:8001`. The wrong one differs in the lines behind `if wrong`.
//! The same solutions in Python stand beside these files.

mod apart;
mod calls;
mod faults;
mod looped;
mod muduo;
mod one_loop;
mod onwards;
mod reactor;
mod shared;

use std::os::unix::process::CommandExt;
use std::process::{Command, exit};

/// Runs the solution of an exercise. The mistake is made if the flag is set.
type Solution = fn(wrong: bool) -> std::io::Result<()>;

const SOLUTIONS: &[(&str, Solution)] = &[
    ("01", calls::select),
    ("02", calls::poll),
    ("03", calls::epoll),
    ("04", calls::edge),
    ("05", one_loop::one_at_a_time),
    ("06", one_loop::inputs),
    ("07", one_loop::message_dict),
    ("08", one_loop::back_pressure),
    ("09", one_loop::ports),
    ("10", reactor::tokens),
    ("11", reactor::contract),
    ("12", reactor::answers),
    ("13", reactor::timers),
    ("14", reactor::switch),
    ("15", apart::two_loops),
    ("16", apart::threads),
    ("17", apart::processes),
    ("18", apart::pool),
    ("19", apart::shutdown),
    ("20", faults::always_writable),
    ("21", faults::blocking_edge),
    ("22", faults::goodbyes),
    ("23", faults::slow_handler),
    ("24", faults::worker_answers),
    ("25", faults::out_of_descriptors),
    ("26", shared::one_listener),
    ("27", shared::one_shot),
    ("28", onwards::connect),
    ("29", shared::no_promise),
    ("30", onwards::idle),
    ("31", shared::children),
    ("32", onwards::conversation),
    ("33", onwards::signal_driven),
    ("34", onwards::proxy),
    ("35", completion),
    ("chat", muduo::chat),
    ("sudoku", muduo::sudoku),
    ("idle", muduo::idle),
    ("ping-pong", muduo::ping_pong),
];

/// By completion: an example of the crate, which has what it needs for `io_uring`.
fn completion(wrong: bool) -> std::io::Result<()> {
    let own = std::env::current_exe()?;
    let mut example = Command::new(own.with_file_name("examples").join("completion_echo"));
    example.args(std::env::args().skip(3)).args(wrong.then_some("--one-buffer"));
    Err(example.exec())
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let solution =
        SOLUTIONS.iter().find(|(name, _)| Some(*name) == arguments.first().map(|a| &**a));
    let Some((_, solution)) = solution else {
        eprintln!("no solution has that name");
        exit(2)
    };
    solution(arguments.get(1).is_some_and(|kind| kind == "wrong"))
}
