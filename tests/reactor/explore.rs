//! The registry in every state that it can reach.
//!
//! A world of two descriptors is the kernel: see [`world`]. Each test has a list of [actions](Action),
//! and explores all their sequences, breadth first: until every further action leads to a state that
//! was seen before, or to a depth, which `TRIPOLL_DEPTH` replaces. States are the same if the world and the
//! registry's own `Debug` say the same. One test walks at random through everything at once, and prints
//! the shortest walk that fails; `TRIPOLL_WALKS` is their number. In each new state, and at the end of
//! each walk, copies of it are tried for what must hold:
//!
//! * **Nothing is lost.** Handlers that read and write to `WouldBlock` come to the end of all there is,
//!   within a few turns. With it: a handler that stops before `WouldBlock` is called again.
//! * **Nothing is misdelivered.** A handler is called for its own source alone, whatever slot is reused,
//!   and not while it is disarmed or has no interest.
//! * **Nothing spins.** Afterwards nothing is called any more, whatever stays as it is: an end, an
//!   error, a hang-up.
//! * **`Done` is done.** Edge-triggered, handlers that do nothing, or read a file from its beginning, and
//!   return [`Next::Done`] are not called again.
//!
//! A descriptor is a stream, or a file that changes, as in `/sys`. A selector is like select, poll, epoll
//! by edge, or one whose reports name only what is new.
//!
//! These faults were made by hand, and found: `Done` keeps every reported end, or takes a file for a
//! stream, or drops the end that came with data; nothing is parked, or not with select, or a parked source
//! is never unparked, or stays so at a switch, or misses what is ready when it is parked; an end that is
//! read again counts as progress; `Done` of `notified` consumes; an error concerns reading alone; what
//! stays ready is not queued, or is called outside its interest; a token's generation is not checked;
//! the end of a stream is not noted; a report replaces an earlier one; a budget's `WouldBlock` is taken for
//! the kernel's; the fast path stores nothing, or replaces what is ready; a source is parked although it
//! is ready; the interest that a handler sets is not stored; `Disarm` or `arm` has no effect.
//!
//! These were not found by 5,000 walks, and not tried on every list: a write beyond the budget that is
//! forgotten, a blocked write that is not noted, a report outside the interest that is not recorded, a
//! reported end that is never forgotten, a hang-up that does not park.
//!
//! The streams here are no plain ones, so that short reads never count as `WouldBlock`; the tests beside
//! this one have those. A parked source waits for a real event of its stand-in, which cannot show
//! urgent data: see [`Slot::can_want`](world::Slot::can_want).

mod actions;
mod world;

use std::collections::HashSet;
use std::env;

use actions::{Action, Run, Script};
use tripoll::{Interest, Next};
use world::Like;

const READ: Interest = Interest::READ;
const BOTH: Interest = Interest::READ.union(Interest::WRITE);
const URGENT: Interest = Interest::READ.union(Interest::PRIORITY);

/// How many sequences are explored at most, so that a list that is too long fails.
const MOST_STATES: usize = 60_000;

/// Explores every sequence of `actions` on selectors that are `likes[0]`, and after a switch `likes[1]`.
fn explore(likes: [Like; 2], actions: &[Action], depth: usize) {
    let limit = env::var("TRIPOLL_DEPTH").map_or(depth, |depth| depth.parse().expect("a number"));
    let (mut seen, mut frontier, mut depth) = (HashSet::new(), vec![Vec::new()], 0);
    while !frontier.is_empty() && depth < limit {
        let mut next = Vec::new();
        for path in &frontier {
            let mut unused = None;
            for &action in actions {
                let mut run = unused.take().unwrap_or_else(|| replay(likes, path));
                if !run.step(action) {
                    unused = Some(run); // it is as before
                } else if seen.insert(key(&mut run)) {
                    assert!(seen.len() < MOST_STATES, "too many states at depth {depth}");
                    let path: Vec<_> = path.iter().copied().chain([action]).collect();
                    check(likes, run, &path);
                    next.push(path);
                }
            }
        }
        (frontier, depth) = (next, depth + 1);
    }
    let is_all = if frontier.is_empty() { "all of them" } else { "to be continued" };
    println!("{likes:?}: {} states to depth {depth}, {is_all}", seen.len());
    assert!(seen.len() > 10, "nothing was possible");
}

/// Repeats a sequence.
fn replay(likes: [Like; 2], path: &[Action]) -> Run {
    let mut run = Run::new(likes);
    for &step in path {
        assert!(run.step(step), "{step:?} of {path:?} was possible before");
    }
    run
}

/// Describes a state, without what is counted or numbered anew in each run.
fn key(run: &mut Run) -> String {
    let text =
        format!("{:?} {:?} {:?}", run.is_edge(), run.world.lock().unwrap().slots, run.reactor);
    let mut key = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if !char.is_ascii_digit() {
            key.push(char);
            continue;
        }
        let mut number = String::from(char);
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            number.push(digit);
        }
        // What is in the world counts, and so do the slots of tokens.
        let counts = key.ends_with("Token(") || key.ends_with("Life(") || key.ends_with("unread: ");
        key.push_str(if counts { &number } else { "#" });
    }
    key
}

/// Tries what must hold in this state.
fn check(likes: [Like; 2], mut run: Run, path: &[Action]) {
    let assert_delivered = |run: &Run| {
        assert_eq!(run.world.lock().unwrap().misdelivered, 0, "misdelivered after {path:?}");
    };
    // Done is done.
    if run.is_edge() {
        for script in [Script::Nothing(Next::Done), Script::ReadAnew(Next::Done)] {
            let mut run = replay(likes, path);
            for _ in 0..4 {
                run.turn(script);
            }
            assert_quiet(&mut run, script, path);
            assert_delivered(&run);
        }
    }
    // Nothing is lost.
    for slot in 0..2 {
        run.step(Action::Arm(slot));
    }
    for _ in 0..8 {
        run.turn(Script::Drain);
    }
    for slot in &run.world.lock().unwrap().slots {
        let Some(life) = &slot.life else { continue };
        let forgiven = if run.is_edge() { slot.forgiven } else { Interest::NONE };
        let wanted = slot.interest.difference(forgiven);
        let what = format!("after {path:?}: {life:?} {slot:?}");
        if wanted.contains(Interest::READ) && !slot.end_was_read {
            assert!(slot.unread == 0 && !slot.has_ended, "unread {what}");
        }
        if wanted.contains(Interest::WRITE) {
            assert!(!slot.is_writable, "unwritten {what}");
        }
        if wanted.contains(Interest::PRIORITY) && !slot.end_was_read {
            assert!(!slot.is_urgent, "urgent {what}");
        }
    }
    assert_quiet(&mut run, Script::Drain, path);
    assert_delivered(&run);
}

/// Nothing is called while nothing changes.
fn assert_quiet(run: &mut Run, script: Script, path: &[Action]) {
    let before = run.world.lock().unwrap().calls;
    for _ in 0..3 {
        run.turn(script);
    }
    let calls = run.world.lock().unwrap().calls - before;
    assert_eq!(calls, 0, "it spins, with {script:?}, after {path:?}");
}

/// Deeper than any new state of a short list.
const ALL: usize = 30;

/// Explores on each kind of selector by itself.
fn explore_each(actions: &[Action], depth: usize) {
    for like in [Like::Select, Like::Poll, Like::EpollEdge, Like::EdgeApart] {
        explore([like, like], actions, depth);
    }
}

#[test]
fn reading_one_stream_to_its_end() {
    explore_each(
        &[
            Action::Add(0, READ),
            Action::Data(0),
            Action::End(0),
            Action::HangUp(0),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::ReadOne(Next::Done)),
            Action::Turn(Script::ReadAll(Next::Keep)),
            Action::Turn(Script::ReadAll(Next::Done)),
            Action::Turn(Script::Nothing(Next::Done)),
            Action::Turn(Script::Nothing(Next::Keep)),
        ],
        ALL,
    );
}

#[test]
fn disarming_arming_and_notifying() {
    explore_each(
        &[
            Action::Add(0, READ),
            Action::Data(0),
            Action::End(0),
            Action::Arm(0),
            Action::Notify(0),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::ReadOne(Next::Disarm)),
            Action::Turn(Script::Nothing(Next::Disarm)),
            Action::Turn(Script::Nothing(Next::Done)),
            Action::Turn(Script::ReadAll(Next::Keep)),
        ],
        ALL,
    );
}

#[test]
fn errors_that_stay() {
    explore_each(
        &[
            Action::Add(0, READ),
            Action::Data(0),
            Action::Error(0),
            Action::HangUp(0),
            Action::SetInterest(0, Interest::NONE),
            Action::SetInterest(0, READ),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::ReadAll(Next::Keep)),
            Action::Turn(Script::Nothing(Next::Done)),
        ],
        ALL,
    );
}

#[test]
fn errors_that_stay_in_two_directions() {
    explore_each(
        &[
            Action::Add(0, BOTH),
            Action::Data(0),
            Action::Room(0),
            Action::Error(0),
            Action::SetInterest(0, READ),
            Action::SetInterest(0, Interest::WRITE),
            Action::SetInterest(0, BOTH),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::WriteOne(Next::Keep)),
            Action::Turn(Script::ReadAll(Next::Done)),
            Action::Turn(Script::Drain),
        ],
        ALL,
    );
}

#[test]
fn urgent_data_of_a_stream() {
    explore_each(
        &[
            Action::Add(0, URGENT),
            Action::Data(0),
            Action::Urgent(0),
            Action::End(0),
            Action::Error(0),
            Action::SetInterest(0, READ),
            Action::SetInterest(0, Interest::PRIORITY),
            Action::SetInterest(0, URGENT),
            Action::Turn(Script::ReadUrgent(Next::Keep)),
            Action::Turn(Script::ReadUrgent(Next::Done)),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::ReadAll(Next::Done)),
        ],
        ALL,
    );
}

/// A file of `/sys` or `/proc`: what is reported with its change looks like an error.
#[test]
fn an_attribute_that_changes() {
    for interest in [Interest::PRIORITY, READ, URGENT] {
        explore_each(
            &[
                Action::AddAttribute(0, interest),
                Action::Urgent(0),
                Action::HangUp(0),
                Action::Notify(0),
                Action::Turn(Script::ReadAside(Next::Done)),
                Action::Turn(Script::ReadUrgent(Next::Done)),
                Action::Turn(Script::ReadOne(Next::Done)),
                Action::Turn(Script::ReadOne(Next::Keep)),
                Action::Turn(Script::Nothing(Next::Done)),
                Action::Turn(Script::Drain),
            ],
            ALL,
        );
    }
}

#[test]
fn two_directions() {
    explore_each(
        &[
            Action::Add(0, BOTH),
            Action::Data(0),
            Action::Room(0),
            Action::HangUp(0),
            Action::SetInterest(0, READ),
            Action::SetInterest(0, Interest::WRITE),
            Action::SetInterest(0, BOTH),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::WriteOne(Next::Keep)),
            Action::Turn(Script::WriteOne(Next::Done)),
            Action::Turn(Script::SetInterest(READ)),
            Action::Turn(Script::SetInterest(BOTH)),
        ],
        ALL,
    );
}

#[test]
fn two_sources_that_come_and_go() {
    explore_each(
        &[
            Action::Add(0, READ),
            Action::Add(1, READ),
            Action::Remove(0),
            Action::Remove(1),
            Action::Data(0),
            Action::Data(1),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::ReadOne(Next::Remove)),
            Action::Turn(Script::ReplaceOther),
            Action::Turn(Script::Fail),
        ],
        ALL,
    );
}

#[test]
fn two_sources_in_two_directions() {
    explore_each(
        &[
            Action::Add(0, BOTH),
            Action::Add(1, BOTH),
            Action::Remove(1),
            Action::Data(0),
            Action::Room(1),
            Action::End(0),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::WriteOne(Next::Done)),
            Action::Turn(Script::ReplaceOther),
        ],
        10,
    );
}

/// Everything at once, on two sources.
#[test]
fn all_of_it() {
    explore_each(
        &[
            Action::Add(0, BOTH),
            Action::Add(1, READ),
            Action::Remove(1),
            Action::Data(0),
            Action::Data(1),
            Action::Room(0),
            Action::End(0),
            Action::HangUp(1),
            Action::Error(1),
            Action::SetInterest(0, READ),
            Action::SetInterest(0, BOTH),
            Action::Arm(0),
            Action::Notify(0),
            Action::Turn(Script::ReadOne(Next::Keep)),
            Action::Turn(Script::ReadOne(Next::Disarm)),
            Action::Turn(Script::WriteOne(Next::Done)),
            Action::Turn(Script::ReadAll(Next::Done)),
            Action::Turn(Script::ReplaceOther),
        ],
        4,
    );
}

/// Long random sequences of everything, which are too many to be explored.
#[test]
fn random_walks() {
    let slots = [0, 1];
    let interests = [READ, Interest::WRITE, BOTH, Interest::PRIORITY, URGENT];
    let nexts = [Next::Keep, Next::Done, Next::Disarm, Next::Remove];
    let mut actions = vec![Action::Switch];
    actions.extend([Script::Drain, Script::Fail, Script::ReplaceOther].map(Action::Turn));
    actions.extend(interests.map(|interest| Action::Turn(Script::SetInterest(interest))));
    for slot in slots {
        for of_slot in [
            Action::Data,
            Action::Room,
            Action::End,
            Action::HangUp,
            Action::Error,
            Action::Urgent,
            Action::Remove,
            Action::Arm,
            Action::Notify,
        ] {
            actions.push(of_slot(slot));
        }
        for interest in interests {
            actions.push(Action::Add(slot, interest));
            actions.push(Action::SetInterest(slot, interest));
        }
        actions.push(Action::AddAttribute(slot, URGENT));
        actions.push(Action::SetInterest(slot, Interest::NONE));
    }
    for next in nexts {
        for script in [
            Script::ReadOne,
            Script::ReadAll,
            Script::WriteOne,
            Script::ReadUrgent,
            Script::ReadAside,
            Script::ReadAnew,
            Script::Nothing,
        ] {
            actions.push(Action::Turn(script(next)));
        }
    }
    let kinds = [Like::Select, Like::Poll, Like::EpollEdge, Like::EdgeApart];
    let seeds = match env::var("TRIPOLL_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("TRIPOLL_SEED is a number");
            seed..seed + 1
        }
        Err(_) => {
            0..env::var("TRIPOLL_WALKS").map_or(5_000, |walks| walks.parse().expect("a number"))
        }
    };
    for seed in seeds {
        let mut dice = support::Dice(seed);
        let likes = [kinds[dice.below(4)], kinds[dice.below(4)]];
        let (mut run, mut path) = (Run::new(likes), Vec::new());
        for _ in 0..10 + dice.below(60) {
            let action = actions[dice.below(actions.len())];
            if run.step(action) {
                path.push(action);
            }
        }
        if !holds_after(likes, &path) {
            let shortest = shorten(likes, path);
            let _context = support::Context(format!("on {likes:?}: TRIPOLL_SEED={seed}"));
            check(likes, replay(likes, &shortest), &shortest);
        }
    }
}

/// Returns whether all holds after these steps, those that are impossible left out.
fn holds_after(likes: [Like; 2], path: &[Action]) -> bool {
    let checked = std::panic::catch_unwind(|| {
        let mut run = Run::new(likes);
        let possible: Vec<_> = path.iter().copied().filter(|&step| run.step(step)).collect();
        check(likes, run, &possible);
    });
    checked.is_ok()
}

/// Leaves out what does not matter to a failure.
fn shorten(likes: [Like; 2], mut path: Vec<Action>) -> Vec<Action> {
    let mut index = 0;
    while index < path.len() {
        let mut shorter = path.clone();
        shorter.remove(index);
        let mut run = Run::new(likes);
        shorter.retain(|&step| run.step(step));
        if holds_after(likes, &shorter) {
            index += 1;
        } else {
            (path, index) = (shorter, 0);
        }
    }
    path
}

#[test]
fn switches() {
    let actions = [
        Action::Add(0, READ),
        Action::Data(0),
        Action::End(0),
        Action::Error(0),
        Action::Switch,
        Action::SetInterest(0, Interest::NONE),
        Action::SetInterest(0, READ),
        Action::Turn(Script::ReadOne(Next::Keep)),
        Action::Turn(Script::ReadAll(Next::Keep)),
    ];
    for likes in
        [[Like::Select, Like::EpollEdge], [Like::Poll, Like::Select], [Like::EpollEdge, Like::Poll]]
    {
        explore(likes, &actions, ALL);
    }
}
