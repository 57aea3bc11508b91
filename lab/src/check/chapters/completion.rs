//! Chapter 35.

use crate::check::client::{Client, PATIENCE};
use crate::check::exercise::{Exercise, Role};
use crate::check::subject::until;
use crate::check::trial::Trial;
use crate::check::verdict::{Verdict, Wrong, expect};

pub(super) const COMPLETION: Exercise = Exercise {
    name: "35",
    title: "a buffer for each receive that is under way",
    page: "ch35-completion",
    anchor: "check",
    task: "Write a server by completion (io_uring) that sends back what it receives. For each client a \
           receive is under way while the client is silent. The server waits for completions only, with \
           no select, poll or epoll.",
    hints: &[
        "The kernel may write into the buffer of a receive until its completion is reported.",
        "A send may be done for a part of its bytes only, and then the rest must follow.",
        "Close the descriptor of a client only when none of its operations is under way.",
    ],
    example: Some("completion_echo"),
    role: Role::Server,
    scenario: completion,
};

fn completion(trial: &Trial) -> Verdict {
    const SILENT: usize = 20;
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    if disabled.is_ok_and(|value| value.trim() == "2") {
        return Err(Wrong::not_here("this kernel refuses io_uring: kernel.io_uring_disabled is 2"));
    }
    let server = trial.server()?;
    let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
    ann.ask("hello", "hello")?;
    bob.ask("and i", "and i")?;
    let before = server.descriptors();
    let mut clients = Vec::new();
    for number in 1..=SILENT {
        clients.push(server.client(&format!("client {number} of {SILENT} at once"))?);
    }
    let all = SILENT + 2;
    let receives =
        || server.processes().iter().map(|process| process.receives_under_way()).sum::<usize>();
    let begun = until(PATIENCE, receives, |&begun| begun >= all);
    let what = format!("a receive in an io_uring for each of {all} silent clients");
    expect(begun >= all, what, format!("{begun} receives under way"))?;
    server.sleeps_while("all clients are silent")?;
    let asks = server.processes().iter().any(|process| process.waits_for_readiness());
    expect(!asks, "a wait for completions only", "a select, poll or epoll")?;
    trial.ok("for each silent client a receive is under way");
    for _ in 0..3 {
        server.frozen(|| {
            let mut numbered = clients.iter_mut().zip(1..);
            numbered.try_for_each(|(client, number): (&mut Client, u32)| {
                client.send(format!("i am number {number}"))
            })
        })?;
        for (client, number) in clients.iter_mut().zip(1..) {
            client.expect(format!("i am number {number}"))?;
        }
    }
    trial.ok("receives that are done at the same time keep their bytes apart");
    let sent = ann.flood(4 << 20)?;
    ann.expect_flood(sent)?;
    trial.ok("a long message comes back whole");
    for (client, number) in clients.into_iter().zip(0..) {
        if number % 2 == 0 { client.reset()? } else { drop(client) }
    }
    server.has_descriptors_again(before)?;
    bob.ask("still here?", "still here?")?;
    bob.half_close()?;
    bob.expect_end()?;
    trial.ok("clients leave nothing behind");
    Ok(())
}
