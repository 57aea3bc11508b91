//! What a timer costs among others.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use tripoll::{Deadline, Reactor};

use super::options::{Options, Steps};
use super::report::Findings;
use super::rows::{Rows, timed};
use crate::compare::format::grouped;

pub(super) const TITLE: &str = "What a timer costs among others";

/// The timers that are alive meanwhile.
const ALIVE: [usize; 4] = [0, 1_000, 100_000, 1_000_000];
/// The timers that are armed, cancelled and fired.
const COUNT: usize = 20_000;

/// Returns when the timer of this number is due: neither in order nor against it.
fn at(start: Instant, number: usize) -> Instant {
    let nanos = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    start + Duration::from_nanos(nanos)
}

pub(super) fn measure(options: Options, steps: &mut Steps<'_>) -> io::Result<Findings> {
    let passes = if options.quick { 3 } else { 7 };
    let mut rows = Rows::default();
    let mut stopped = false;
    'all: for pass in 0..passes {
        for (index, alive) in ALIVE.into_iter().enumerate() {
            let share = (pass * ALIVE.len() + index) as f64 / (passes * ALIVE.len()) as f64;
            if steps(share, &format!("{} alive", grouped(alive))).is_break() {
                stopped = true;
                break 'all;
            }
            reactor(alive, &mut rows)?;
            map(alive, &mut rows)?;
        }
    }
    if rows.is_empty() {
        return Ok(Findings::default());
    }
    let caption = "Nanoseconds to arm, to cancel and to fire a timer among so many that are alive. \
                   A map is the BTreeMap of the standard library, with the same closures.";
    Ok(Findings { stopped, ..rows.findings(caption, sentences(&rows)) })
}

fn reactor(alive: usize, rows: &mut Rows) -> io::Result<()> {
    let among = grouped(alive);
    let mut reactor = Reactor::builder().build_with(0_usize)?;
    let mut cx = reactor.context();
    let far = cx.now() + Duration::from_secs(7_200);
    for number in 0..alive {
        cx.set_timer(at(far, number), |_| ());
    }
    let mut ids = Vec::with_capacity(COUNT);
    let arm = timed(COUNT, || {
        ids.extend((0..COUNT).map(|number| cx.set_timer(at(far, alive + number), |_| ())));
        Ok(())
    })?;
    rows.add("arm", &among, arm);
    let cancel = timed(COUNT, || {
        for id in ids {
            cx.cancel_timer(id);
        }
        Ok(())
    })?;
    rows.add("cancel", &among, cancel);
    let due = cx.now() - Duration::from_secs(60);
    for number in 0..COUNT {
        let nanos = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        cx.set_timer(due + Duration::from_nanos(nanos), |cx| *cx.state += 1);
    }
    let fire = timed(COUNT, || {
        while *reactor.state() < COUNT {
            reactor.turn(Deadline::Now)?;
        }
        Ok(())
    })?;
    rows.add("fire", &among, fire);
    Ok(())
}

/// The same with a map from the time and a number to the closure.
fn map(alive: usize, rows: &mut Rows) -> io::Result<()> {
    type Job = Box<dyn FnOnce(&mut usize)>;
    let among = grouped(alive);
    let far = Instant::now() + Duration::from_secs(7_200);
    let job = || -> Job { Box::new(|fired| *fired += 1) };
    let mut timers: BTreeMap<(Instant, usize), Job> =
        (0..alive).map(|number| ((at(far, number), number), job())).collect();
    let keys: Vec<_> = (alive..alive + COUNT).map(|number| (at(far, number), number)).collect();
    let arm = timed(COUNT, || {
        for &key in &keys {
            timers.insert(key, job());
        }
        Ok(())
    })?;
    rows.add("arm, map", &among, arm);
    let cancel = timed(COUNT, || {
        for key in &keys {
            timers.remove(key);
        }
        Ok(())
    })?;
    rows.add("cancel, map", &among, cancel);
    let due = Instant::now();
    for number in 0..COUNT {
        let nanos = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        timers.insert((due + Duration::from_nanos(nanos), number), job());
    }
    let mut fired = 0;
    let fire = timed(COUNT, || {
        while fired < COUNT {
            if let Some((_, job)) = timers.pop_first() {
                job(&mut fired);
            }
        }
        Ok(())
    })?;
    rows.add("fire, map", &among, fire);
    Ok(())
}

fn sentences(rows: &Rows) -> Vec<String> {
    let most = grouped(ALIVE[ALIVE.len() - 1]);
    let each = |suffix: &str, among: &str| {
        let cost = |what: &str| rows.cpu(&format!("{what}{suffix}"), among);
        Some([cost("arm")?, cost("cancel")?, cost("fire")?])
    };
    let mut all = Vec::new();
    let ns = |cost: f64| grouped(cost.round() as usize);
    let text =
        |[arm, cancel, fire]: [f64; 3]| format!("{}, {} and {} ns", ns(arm), ns(cancel), ns(fire));
    if let (Some(few), Some(many)) = (each("", "0"), each("", &most)) {
        all.push(format!(
            "To arm, to cancel and to fire a timer costs {} among {most} others, and {} alone.",
            text(many),
            text(few)
        ));
    }
    if let Some(map) = each(", map", &most) {
        all.push(format!("A map of the standard library takes {} among {most}.", text(map)));
    }
    all.push(format!(
        "{} timers are armed, cancelled and fired at a time. No system call is among them: the reactor \
         sets its timer descriptor once a turn, whatever the backend.",
        grouped(COUNT)
    ));
    all
}
