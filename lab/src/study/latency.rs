//! How long an echo takes beside idle neighbours.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::time::Duration;

use hdrhistogram::Histogram;
use socket2::SockRef;
use tripoll::net::Address;
use tripoll::{Backend, Trigger, sys};

use super::chart::{Chart, numbers};
use super::echo_server::Server;
use super::options::{Options, Steps};
use super::report::{Figure, Findings};
use super::table::Table;
use crate::compare::format::grouped;
use crate::compare::statistics::median;
use crate::load::{Ask, Load, Outcome, Percentiles};

pub(super) const TITLE: &str = "How long an echo takes beside idle connections";

const BACKENDS: [Backend; 3] = [Backend::Select, Backend::Poll, Backend::Epoll];
/// The numbers of idle connections.
const IDLE: [usize; 5] = [0, 100, 1_000, 5_000, 15_000];
const QUICK: [usize; 2] = [0, 1_000];
/// The connections that send, and how many requests a second they send together.
const ACTIVE: usize = 16;
const RATE: f64 = 2_000.0;
/// Descriptors for all else.
const SPARE: usize = 200;

/// What was measured with one backend and so many idle connections.
struct Row {
    backend: Backend,
    idle: usize,
    /// All latencies, in nanoseconds.
    all: Histogram<u64>,
    /// The percentiles of each pass.
    passes: Vec<Percentiles>,
    /// Processor time and system calls of the server for a request, of each pass.
    cpu_us: Vec<f64>,
    calls: Vec<f64>,
    /// What a generator would have reported that waits for an answer before it sends again.
    uncorrected_p99: Vec<f64>,
    errors: u64,
}

impl Row {
    fn new(backend: Backend, idle: usize, outcome: &Outcome) -> Self {
        Row {
            backend,
            idle,
            all: Histogram::new_from(&outcome.latencies),
            passes: Vec::new(),
            cpu_us: Vec::new(),
            calls: Vec::new(),
            uncorrected_p99: Vec::new(),
            errors: 0,
        }
    }

    fn of_passes(&self, of: fn(&Percentiles) -> f64) -> Vec<f64> {
        self.passes.iter().map(of).collect()
    }

    /// Returns the median of the passes: a pass that other work has disturbed counts once.
    fn of(&self, of: fn(&Percentiles) -> f64) -> f64 {
        median(&self.of_passes(of))
    }
}

pub(super) fn measure(options: Options, steps: &mut Steps<'_>) -> io::Result<Findings> {
    let (passes, time) = if options.quick { (3, 300) } else { (3, 1_000) };
    let time = Duration::from_millis(time);
    let limit = sys::raise_descriptor_limit(20_000)?.soft as usize;
    let all: &[usize] = if options.quick { &QUICK } else { &IDLE };
    let idle: Vec<usize> =
        all.iter().copied().filter(|&idle| idle + ACTIVE + SPARE <= limit).collect();
    let count = (idle.len() * BACKENDS.len() * passes) as f64;
    let (mut rows, mut done, mut stopped) = (Vec::<Row>::new(), 0.0, false);
    'all: for _ in 0..passes {
        for &idle in &idle {
            for backend in BACKENDS {
                let text = format!("{backend}, {} idle", grouped(idle));
                if steps(done / count, &text).is_break() {
                    stopped = true;
                    break 'all;
                }
                stopped |= pass(backend, idle, time, &mut rows, steps, done / count)?;
                done += 1.0;
                if stopped {
                    break 'all;
                }
            }
        }
    }
    if rows.is_empty() {
        return Ok(Findings::default());
    }
    Ok(Findings { stopped, ..findings(&rows, time * passes as u32, all.len() > idle.len()) })
}

/// Measures one backend once, and returns whether it was stopped.
fn pass(
    backend: Backend,
    idle: usize,
    time: Duration,
    rows: &mut Vec<Row>,
    steps: &mut Steps<'_>,
    share: f64,
) -> io::Result<bool> {
    let mut server = Server::start(backend)?;
    let neighbours = connect(server.address, idle)?;
    // The caches are warm and the neighbours accepted when the load begins that counts.
    send(server.address, time / 10)?;
    let before = server.costs()?;
    let outcome = send(server.address, time)?;
    let after = server.costs()?;
    drop(neighbours);
    let requests = outcome.requests as f64;
    let index = rows.iter().position(|row| (row.backend, row.idle) == (backend, idle));
    let index = index.unwrap_or_else(|| {
        rows.push(Row::new(backend, idle, &outcome));
        rows.len() - 1
    });
    let row = &mut rows[index];
    row.all.add(&outcome.latencies).map_err(io::Error::other)?;
    row.passes.push(outcome.latency_us);
    row.uncorrected_p99.push(outcome.uncorrected_us.p99);
    row.cpu_us.push((after.cpu_ns - before.cpu_ns) as f64 / requests / 1e3);
    row.calls.push((after.calls - before.calls) as f64 / requests);
    row.errors += outcome.errors.requests();
    Ok(steps(share, "").is_break())
}

/// Opens connections that say nothing. They are reset when they are closed, and leave no port behind.
fn connect(to: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    let one = |_| {
        let stream = TcpStream::connect(to)?;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(stream)
    };
    (0..count).map(one).collect()
}

/// Sends the load.
fn send(to: SocketAddr, duration: Duration) -> io::Result<Outcome> {
    let load = Load {
        address: Address::Inet(to),
        ask: Ask::Line(64),
        connections: ACTIVE,
        active: ACTIVE,
        rate: RATE,
        duration,
        timeout: Duration::from_secs(10),
        backend: Backend::Epoll,
        trigger: Trigger::Edge,
    };
    load.run(|_| ControlFlow::Continue(()))
}

fn micros(value: f64) -> String {
    match value {
        ..100.0 => format!("{value:.0}"),
        _ => grouped(value.round() as usize),
    }
}

fn findings(rows: &[Row], time: Duration, left_out: bool) -> Findings {
    let mut findings = Findings { sentences: sentences(rows, time), ..Findings::default() };
    if left_out {
        findings.sentences.push(
            "The limit of descriptors leaves out the greatest numbers of idle connections (ulimit -n)."
                .to_string(),
        );
    }
    let mut table = Table::new(
        "Microseconds from when a request was due until its answer (the median of the passes, ± \
         has all), and for each request the server's processor time and its calls that wait or change what is watched.",
        2,
        &["", "idle", "p50", "p99", "p99.9", "most", "p99 ±", "CPU", "calls"],
    );
    for row in rows {
        let p99 = row.of_passes(|one| one.p99);
        let least = p99.iter().copied().fold(f64::INFINITY, f64::min);
        let most = p99.iter().copied().fold(0.0, f64::max);
        table.push(vec![
            row.backend.name().to_string(),
            grouped(row.idle),
            micros(row.of(|one| one.p50)),
            micros(row.of(|one| one.p99)),
            micros(row.of(|one| one.p99_9)),
            micros(Percentiles::of(&row.all).most),
            format!("{}%", ((most - least) / 2.0 / row.of(|one| one.p99) * 100.0).round()),
            format!("{:.1}", median(&row.cpu_us)),
            format!("{:.2}", median(&row.calls)),
        ]);
        let at = format!("tcp, {} idle, {ACTIVE} active, {RATE} a second", row.idle);
        let mut push = |what: &str, unit, samples: &[f64]| {
            let what = format!("{} {what}", row.backend.name());
            findings.figures.push(Figure::new(what, at.clone(), unit, samples));
        };
        push("p50", "us", &row.of_passes(|one| one.p50));
        push("p99", "us", &p99);
        push("p99.9", "us", &row.of_passes(|one| one.p99_9));
        push("p99 uncorrected", "us", &row.uncorrected_p99);
        push("server", "cpu_us", &row.cpu_us);
        push("server", "calls", &row.calls);
    }
    findings.tables.push(table);
    for (name, of) in [
        ("p50", (|one| one.p50) as fn(&Percentiles) -> f64),
        ("p99", |one: &Percentiles| one.p99),
        ("p99.9", |one: &Percentiles| one.p99_9),
    ] {
        findings.charts.push(chart(rows, name, of));
    }
    findings
}

/// Returns the chart of a percentile by the number of idle connections.
fn chart(rows: &[Row], name: &str, of: fn(&Percentiles) -> f64) -> Chart {
    let series = |backend: Backend| {
        let rows = rows.iter().filter(|row| row.backend == backend);
        // A logarithmic axis has no zero.
        let points = rows.map(|row| ((row.idle + 1) as f64, row.of(of)));
        (backend.name().to_string(), points.collect())
    };
    Chart {
        title: format!("Latency of an echo, {name}"),
        x_label: "idle connections, and one".into(),
        y_label: "microseconds".into(),
        x_names: numbers,
        series: BACKENDS.into_iter().map(series).collect(),
        sentence: "From when the request was due, so that a busy server cannot hide a delay."
            .into(),
    }
}

fn sentences(rows: &[Row], time: Duration) -> Vec<String> {
    let most = rows.iter().map(|row| row.idle).max().unwrap_or(0);
    let find =
        |backend, idle| rows.iter().find(|row: &&Row| (row.backend, row.idle) == (backend, idle));
    let mut all = Vec::new();
    let at = |idle: usize| {
        let [poll, epoll] = [Backend::Poll, Backend::Epoll].map(|backend| find(backend, idle));
        let (poll, epoll) = (poll?, epoll?);
        let of = |row: &Row| (row.of(|one| one.p50), row.of(|one| one.p99), median(&row.cpu_us));
        Some((of(poll), of(epoll)))
    };
    if let Some(((p50, p99, p_cpu), (e50, e99, e_cpu))) = at(most) {
        all.push(format!(
            "Beside {} idle connections an echo by epoll takes {} µs at the median and {} µs at p99; \
             by poll {} µs and {} µs.",
            grouped(most),
            micros(e50),
            micros(e99),
            micros(p50),
            micros(p99)
        ));
        all.push(format!(
            "There a request costs the server {p_cpu:.1} µs of processor time by poll and {e_cpu:.1} µs \
             by epoll. The latency is longer: it has the way through two sockets and two processes \
             that sleep and are woken."
        ));
    }
    if let Some(((p50, p99, _), (e50, e99, _))) = at(0).filter(|_| most > 0) {
        all.push(format!(
            "Without idle connections the calls are alike: {} µs by epoll and {} µs by poll at the \
             median, {} µs and {} µs at p99.",
            micros(e50),
            micros(p50),
            micros(e99),
            micros(p99)
        ));
    }
    let errors: u64 = rows.iter().map(|row| row.errors).sum();
    if errors > 0 {
        all.push(format!("{errors} requests were not answered."));
    }
    all.push(format!(
        "{} requests a second are due on {ACTIVE} TCP connections for {} s, whether answers come or \
         not (open loop), to a server in another process. Latency counts from when a request was due.",
        grouped(RATE as usize),
        time.as_secs_f32()
    ));
    all
}
