//! Gives requests to their connections as they become due, and ends.

use std::time::{Duration, Instant};

use tripoll::Context;

use super::schedule::Schedule;
use super::state::{Progress, State};

/// Requests begin so long after the last connection is open: the server may still accept it.
const SETTLE: Duration = Duration::from_millis(100);

/// Begins the schedule if all connections are open.
pub(super) fn start_if_all_are_open(cx: &mut Context<'_, State>) {
    if cx.state.opened == cx.state.slots.len() {
        let load = &cx.state.load;
        let start = Instant::now() + SETTLE;
        cx.state.schedule = Some(Schedule::new(start, load.rate, load.duration, load.active));
        cx.set_timer(start, tick);
    }
}

/// Gives the requests that are due to their connections.
fn tick(cx: &mut Context<'_, State>) {
    let now = Instant::now();
    loop {
        let state = &mut *cx.state;
        let Some(schedule) = state.schedule.filter(|_| !state.is_over) else { return };
        let due = schedule.due(state.next);
        if state.next == schedule.requests {
            let last = due + state.load.timeout;
            cx.set_timer(last, give_up);
            return;
        }
        if due > now {
            cx.set_timer(due, tick);
            return;
        }
        state.tally.note_lateness(now - due);
        let slot = &mut state.slots[schedule.connection(state.next)];
        state.next += 1;
        slot.due += 1;
        if let (Some(token), None) = (slot.token, slot.under_way) {
            // A connection that is just closing is made again, and sends it then.
            let _ = cx.notify(token);
        }
    }
}

/// Counts what has no answer by now, with the time that it has waited.
fn give_up(cx: &mut Context<'_, State>) {
    let State { slots, schedule, tally, .. } = &mut *cx.state;
    let Some(schedule) = schedule else { return };
    for (connection, slot) in slots.iter_mut().enumerate() {
        if let Some(under_way) = slot.under_way.take() {
            tally.errors.timed_out += 1;
            tally.note_latency(under_way.due);
        }
        for nth in slot.sent..slot.due {
            tally.errors.not_sent += 1;
            tally.note_latency(schedule.due(schedule.number(connection, nth)));
        }
        slot.sent = slot.due;
    }
    finish_if_done(cx);
}

/// Stops the loop if each request has an answer, or will have none.
pub(super) fn finish_if_done(cx: &mut Context<'_, State>) {
    let Progress { answered, errors, requests, .. } = cx.state.progress();
    if cx.state.schedule.is_some() && answered + errors >= requests {
        cx.state.is_over = true;
        cx.stop();
    }
}
