//! How evenly the ways to accept load several loops, and how long the slowest clients wait.

use std::{io, thread};

use rustix::thread::{CpuSet, sched_setaffinity};
use tripoll::net::loops::Distribution;
use tripoll::{Backend, Trigger};

use super::chart::{Chart, numbers};
use super::options::{Options, Steps};
use super::report::{Figure, Findings};
use super::table::Table;
use crate::balance::{Balance, Run};
use crate::compare::format::{grouped, listed};
use crate::compare::statistics::{Estimate, median};
use crate::load::Percentiles;

pub(super) const TITLE: &str = "How evenly the ways to accept load several loops";

/// The ways, with the names of what each asks of the kernel.
const WAYS: [(Distribution, &str); 3] = [
    (Distribution::LeastConnections, "one acceptor"),
    (Distribution::ReusePort, "SO_REUSEPORT"),
    (Distribution::SharedListener, "EPOLLEXCLUSIVE"),
];
const LOOPS: [usize; 3] = [2, 3, 4];
const QUICK: [usize; 2] = [2, 4];
/// The clients at a time.
const CLIENTS: usize = 8;
/// One connection of so many stays open.
const ONE_STAYS_OF: usize = 10;

/// A way on so many loops, with a sample from each pass.
struct Row {
    name: &'static str,
    loops: usize,
    accepted: Vec<f64>,
    open: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
}

impl Row {
    fn new(name: &'static str, loops: usize) -> Self {
        let [accepted, open, p50_us, p99_us] = [const { Vec::new() }; 4];
        Row { name, loops, accepted, open, p50_us, p99_us }
    }

    fn add(&mut self, run: &Run) {
        self.accepted.push(max_to_min(run.counters.loops.iter().map(|one| one.accepted)));
        self.open.push(max_to_min(run.counters.loops.iter().map(|one| one.alive as u64)));
        let Percentiles { p50, p99, .. } = Percentiles::of(&run.answers);
        self.p50_us.push(p50);
        self.p99_us.push(p99);
    }
}

/// Returns the most of some counts in terms of the least. A loop that has none counts as one
/// connection.
fn max_to_min(counts: impl Iterator<Item = u64> + Clone) -> f64 {
    let (most, least) = (counts.clone().max().unwrap_or(0), counts.min().unwrap_or(0));
    most.max(1) as f64 / least.max(1) as f64
}

pub(super) fn measure(options: Options, steps: &mut Steps<'_>) -> io::Result<Findings> {
    let (passes, connections) = if options.quick { (3, 500) } else { (5, 4_000) };
    let loops: &[usize] = if options.quick { &QUICK } else { &LOOPS };
    let mut rows: Vec<Row> = Vec::new();
    for &count in loops {
        rows.extend(WAYS.map(|(_, name)| Row::new(name, count)));
    }
    let all = passes * rows.len();
    let (mut done, mut stopped) = (0, false);
    'all: for _ in 0..passes {
        for (index, row) in rows.iter_mut().enumerate() {
            let text = format!("{}, {} loops", row.name, row.loops);
            if steps(done as f64 / all as f64, &text).is_break() {
                stopped = true;
                break 'all;
            }
            let (way, _) = WAYS[index % WAYS.len()];
            row.add(&everywhere(row.loops, connections, way)?);
            done += 1;
        }
    }
    rows.retain(|row| !row.accepted.is_empty());
    if rows.is_empty() {
        return Ok(Findings::default());
    }
    Ok(Findings { stopped, ..findings(&rows, connections) })
}

/// Measures a way on all processors: the thread that follows the measurement is pinned to one, and
/// its children would be, too.
fn everywhere(threads: usize, connections: usize, way: Distribution) -> io::Result<Run> {
    let balance = Balance {
        threads,
        connections,
        clients: CLIENTS,
        one_stays_of: ONE_STAYS_OF,
        backend: Backend::Epoll,
        trigger: Trigger::Level,
    };
    let run = move || {
        let mut all = CpuSet::new();
        (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
        let _ = sched_setaffinity(None, &all); // the kernel takes those that there are
        balance.measure(way)
    };
    let panicked = |_| Err(io::Error::other("the clients panicked"));
    thread::spawn(run).join().unwrap_or_else(panicked)
}

fn findings(rows: &[Row], connections: usize) -> Findings {
    let mut findings = Findings { sentences: sentences(rows, connections), ..Findings::default() };
    let mut table = Table::new(
        "max/min: connections of the loop that has the most, in terms of the one that has the \
         fewest; 1.00 is even. Microseconds from the call of connect until the answer.",
        2,
        &["", "loops", "accepted max/min", "open max/min", "±", "p50 µs", "p99 µs", "±"],
    );
    for row in rows {
        let spread = |samples: &[f64]| format!("{:.0}%", Estimate::of(samples).spread() * 100.0);
        let micros = |samples: &[f64]| grouped(median(samples).round() as usize);
        table.push(vec![
            row.name.to_string(),
            row.loops.to_string(),
            format!("{:.2}", median(&row.accepted)),
            format!("{:.2}", median(&row.open)),
            spread(&row.open),
            micros(&row.p50_us),
            micros(&row.p99_us),
            spread(&row.p99_us),
        ]);
        let at = format!("{} loops, {connections} connections, {CLIENTS} at a time", row.loops);
        for (what, unit, samples) in [
            ("accepted", "max/min", &row.accepted),
            ("open", "max/min", &row.open),
            ("p50", "us", &row.p50_us),
            ("p99", "us", &row.p99_us),
        ] {
            let what = format!("{} {what}", row.name);
            findings.figures.push(Figure::new(what, at.clone(), unit, samples));
        }
    }
    findings.tables.push(table);
    let charts = [
        chart(rows, "Open connections, the most in terms of the fewest", "max/min", |r| &r.open),
        chart(rows, "The answer of the slowest of 100 clients", "microseconds", |r| &r.p99_us),
    ];
    findings.charts.extend(charts);
    findings
}

fn chart(rows: &[Row], title: &str, y_label: &str, of: fn(&Row) -> &[f64]) -> Chart {
    let series = WAYS.iter().map(|(_, name)| {
        let rows = rows.iter().filter(|row| row.name == *name);
        let points = rows.map(|row| (row.loops as f64, median(of(row)))).collect();
        (name.to_string(), points)
    });
    Chart {
        title: title.into(),
        x_label: "loops".into(),
        y_label: y_label.into(),
        x_names: numbers,
        series: series.collect(),
        sentence: "Each loop is a thread; the clients are threads of the same process.".into(),
    }
}

fn sentences(rows: &[Row], connections: usize) -> Vec<String> {
    let most = rows.iter().map(|row| row.loops).max().unwrap_or(0);
    let widest: Vec<&Row> = rows.iter().filter(|row| row.loops == most).collect();
    let least = |of: fn(&Row) -> &[f64]| {
        widest.iter().copied().min_by(|a, b| median(of(a)).total_cmp(&median(of(b))))
    };
    let (Some(even), Some(quick)) = (least(|row| &row.open), least(|row| &row.p99_us)) else {
        return Vec::new();
    };
    let others = |best: &Row, text: &dyn Fn(&Row) -> String| {
        let others = widest.iter().filter(|row| row.name != best.name);
        listed(&others.map(|row| format!("{} by {}", text(row), row.name)).collect::<Vec<_>>())
    };
    let open = |row: &Row| format!("{:.2} times", median(&row.open));
    let micros = |row: &Row| format!("{} µs", grouped(median(&row.p99_us).round() as usize));
    vec![
        format!(
            "{} loads {most} loops the most evenly: the loop with the most open connections has {} \
             those of the loop with the fewest; {}.",
            capital(even.name),
            open(even),
            others(even, &open)
        ),
        format!(
            "There 99 of 100 clients are answered within {} by {}; {}. That counts from the call of \
             connect.",
            micros(quick),
            quick.name,
            others(quick, &micros)
        ),
        "One acceptor knows how many connections each loop has. With SO_REUSEPORT the kernel chooses \
         by a hash, which is even in the long run. With EPOLLEXCLUSIVE a loop that sleeps takes what \
         comes, and the kernel prefers some of them."
            .to_string(),
        format!(
            "{} TCP connections, {CLIENTS} at a time, each ask once; one of {ONE_STAYS_OF} stays open. \
             The loops are on epoll, and share the processors of this machine with the clients.",
            grouped(connections)
        ),
    ]
}

/// Returns a name as a sentence begins with it.
fn capital(name: &str) -> String {
    name.replacen("one", "One", 1)
}

#[cfg(test)]
mod tests {
    use super::max_to_min;

    #[test]
    fn a_loop_that_has_no_connection_counts_as_one() {
        assert_eq!(max_to_min([3, 2, 4].into_iter()), 2.0);
        assert_eq!(max_to_min([7, 0].into_iter()), 7.0);
        assert_eq!(max_to_min([0, 0].into_iter()), 1.0);
    }
}
