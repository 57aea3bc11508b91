//! What was published about the calls since 2001, beside what is measured here.

use std::io;
use std::time::Duration;

use tripoll::{Backend, Trigger};

use super::cells::{Cells, Load};
use super::chart::{Chart, numbers};
use super::options::{Options, Steps};
use super::report::{Figure, Findings};
use super::table::Table;
use crate::compare::format::{counted, grouped, listed};
use crate::compare::statistics::Estimate;
use crate::workload::{Kind, Pipes};

pub(super) const TITLE: &str =
    "What was published about select, poll and epoll, and what is true here";

/// Table 63-9 of *The Linux Programming Interface* (2010): the number watched, and the processor time
/// of 100,000 operations by poll and by epoll, in seconds.
const TLPI: [(usize, f64, f64); 4] =
    [(10, 0.61, 0.41), (100, 2.9, 0.42), (1_000, 35.0, 0.53), (10_000, 990.0, 0.66)];

/// The shares of 1,000 at which select and epoll are compared, in percent.
const SHARES: [usize; 6] = [5, 10, 20, 30, 50, 100];
const MANY: usize = 1_000;

type Call = (Load, Backend, Trigger);

fn level(load: Load, backend: Backend) -> Call {
    (load, backend, Trigger::Level)
}

fn ring(n: usize, active: usize) -> Load {
    Load::Ring { n, active, changes: 0 }
}

/// Whether a claim is true here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    StillTrue,
    NoLonger,
    NeverWas,
    TooClose,
}

impl Verdict {
    const fn text(self) -> &'static str {
        match self {
            Verdict::StillTrue => "still true",
            Verdict::NoLonger => "no longer",
            Verdict::NeverWas => "never was",
            Verdict::TooClose => "too close",
        }
    }
}

/// A claim beside what is measured.
struct Claim {
    /// Where it is from, and what is measured.
    key: String,
    published: String,
    here: String,
    verdict: Verdict,
    /// The claim in words, for the list of those that are not true.
    says: &'static str,
}

impl Claim {
    /// Creates a claim that a cost is in a range. `otherwise` is the verdict if it is not.
    fn new(
        (key, published): (impl Into<String>, impl Into<String>),
        cost: Estimate,
        (least, most): (f64, f64),
        otherwise: Verdict,
        says: &'static str,
    ) -> Self {
        let verdict = if cost.low >= least && cost.high <= most {
            Verdict::StillTrue
        } else if cost.high < least || cost.low > most {
            otherwise
        } else {
            Verdict::TooClose
        };
        let (key, published) = (key.into(), published.into());
        Claim { key, published, here: shown(cost), verdict, says }
    }
}

/// Formats a cost with its interval.
fn shown(Estimate { median, low, high }: Estimate) -> String {
    format!("{} ({} to {})", factor(median), factor(low), factor(high))
}

fn factor(cost: f64) -> String {
    match cost {
        ..10.0 => format!("{cost:.2}"),
        10.0..100.0 => format!("{cost:.0}"),
        _ => grouped(cost.round() as usize),
    }
}

/// The measured costs, and the greatest number watched.
struct Measured {
    cells: Cells,
    max: usize,
}

impl Measured {
    /// Says what has to be measured.
    fn new(max: usize) -> Self {
        let mut measured = Measured { cells: Cells::default(), max };
        for (n, ..) in TLPI {
            if let Some(n) = measured.size(n) {
                for backend in [Backend::Poll, Backend::Epoll] {
                    measured.want(level(Load::Watch(n), backend));
                }
            }
        }
        for n in [100, 10_000] {
            let n = measured.size(n).unwrap_or(max);
            measured.want(level(ring(n, 100), Backend::Poll));
            measured.want(level(ring(n, 100), Backend::Epoll));
        }
        for n in [4, 32] {
            measured.want(level(ring(n, 1), Backend::Poll));
            measured.want(level(ring(n, 1), Backend::Epoll));
        }
        for share in SHARES {
            measured.want(level(ring(MANY, MANY * share / 100), Backend::Select));
            measured.want(level(ring(MANY, MANY * share / 100), Backend::Epoll));
        }
        measured.want(level(ring(MANY, MANY), Backend::Poll));
        measured.want((ring(MANY, 100), Backend::Epoll, Trigger::Edge));
        let changing = Load::Ring { n: MANY, active: 100, changes: 1 };
        measured.want(level(changing, Backend::Epoll));
        for backend in [Backend::Select, Backend::Poll, Backend::Epoll] {
            measured.want(level(Load::Watch(max), backend));
        }
        measured
    }

    fn want(&mut self, (load, backend, trigger): Call) {
        self.cells.want(load, backend, trigger);
    }

    /// Returns a number of watched descriptors, or a little less if the descriptors end before it.
    fn size(&self, n: usize) -> Option<usize> {
        match n {
            _ if n <= self.max => Some(n),
            _ if n <= self.max + self.max / 10 => Some(self.max),
            _ => None,
        }
    }

    fn ratio(&self, of: Call, to: Call) -> Estimate {
        self.cells.ratio(of, to)
    }

    /// Returns the share of 1,000, in percent, from which on select costs no more than epoll.
    fn crossing(&self) -> Option<f64> {
        let ratio = |share: usize| {
            let load = ring(MANY, MANY * share / 100);
            self.ratio(level(load, Backend::Select), level(load, Backend::Epoll)).median
        };
        let ratios = SHARES.map(ratio);
        let after = ratios.iter().position(|&ratio| ratio <= 1.0)?;
        let Some(before) = after.checked_sub(1) else { return Some(SHARES[0] as f64) };
        let (low, high) = (SHARES[before] as f64, SHARES[after] as f64);
        let part = ratios[before].ln() / (ratios[before] / ratios[after]).ln();
        Some(low * (high / low).powf(part))
    }
}

pub(super) fn measure(options: Options, steps: &mut Steps<'_>) -> io::Result<Findings> {
    let (rounds, millis) = if options.quick { (3, 4) } else { (9, 20) };
    let max = Pipes::max()?.min(10_000);
    if max < MANY {
        let message = format!(
            "the history needs {} pipes, and the limit of descriptors allows {}: raise it (ulimit -n)",
            grouped(MANY),
            grouped(max)
        );
        return Err(io::Error::other(message));
    }
    let pipes = Pipes::open_kind(Kind::Pipe, max)?;
    let mut measured = Measured::new(max);
    let stopped = measured.cells.measure(rounds, Duration::from_millis(millis), &pipes, steps)?;
    if measured.cells.all().any(|(_, _, samples)| samples.is_empty()) {
        return Ok(Findings::default());
    }
    Ok(Findings { stopped, ..findings(&measured) })
}

fn claims(measured: &Measured) -> Vec<Claim> {
    use Backend::{Epoll, Poll, Select};
    use Verdict::{NeverWas, NoLonger};
    const ANY: f64 = f64::INFINITY;
    let mut claims = Vec::new();
    for (n, poll, epoll) in TLPI {
        let Some(at) = measured.size(n) else { continue };
        let load = Load::Watch(at);
        claims.push(Claim::new(
            (format!("TLPI: poll/epoll, {} watched", grouped(n)), factor(poll / epoll)),
            measured.ratio(level(load, Poll), level(load, Epoll)),
            (1.0, ANY),
            NoLonger,
            "poll costs more than epoll when one of 10 to 10,000 is ready",
        ));
    }
    let most = measured.max;
    let most_text = grouped(if most > 9_000 { 10_000 } else { most });
    let [few, many] = [10, most].map(Load::Watch);
    let growth = |load: fn(usize) -> Load, from: usize, backend: Backend| {
        measured.ratio(level(load(most), backend), level(load(from), backend))
    };
    claims.push(Claim::new(
        (format!("TLPI: epoll, {most_text}/10 watched"), "1.61"),
        measured.ratio(level(many, Epoll), level(few, Epoll)),
        (0.0, 4.0),
        NoLonger,
        "epoll costs the same for 10 and for 10,000 watched",
    ));
    claims.push(Claim::new(
        (format!("libevent: poll, {most_text}/100"), "grows"),
        growth(|n| ring(n, 100), 100, Poll),
        (5.0, ANY),
        NoLonger,
        "poll grows with what is watched when 100 are ready",
    ));
    claims.push(Claim::new(
        (format!("libevent: epoll, {most_text}/100"), "flat"),
        growth(|n| ring(n, 100), 100, Epoll),
        (0.0, 4.0),
        NoLonger,
        "epoll stays flat when 100 are ready",
    ));
    let few = ring(4, 1);
    claims.push(Claim::new(
        ("libev: epoll/poll, 4 watched", "> 1"),
        measured.ratio(level(few, Epoll), level(few, Poll)),
        (1.0, ANY),
        NoLonger,
        "for few descriptors epoll is a little slower than poll",
    ));
    let crossing = measured.crossing();
    claims.push(Claim {
        key: "Chandra: select = epoll, of 1,000".into(),
        published: "if dense".into(),
        here: crossing.map_or("nowhere".into(), |share| format!("from {share:.0}% ready")),
        verdict: if crossing.is_some() { Verdict::StillTrue } else { NoLonger },
        says: "select holds its own where each call does enough work",
    });
    let all = ring(MANY, MANY);
    claims.push(Claim::new(
        ("Gammo: select/epoll, none idle", "about 1"),
        measured.ratio(level(all, Select), level(all, Epoll)),
        (0.7, 1.3),
        NoLonger,
        "without idle connections select and epoll cost about the same",
    ));
    let ten_percent = ring(MANY, 100);
    let changing = Load::Ring { n: MANY, active: 100, changes: 1 };
    claims.push(Claim::new(
        ("Gammo: epoll, a change an event", "> 1"),
        measured.ratio(level(changing, Epoll), level(ten_percent, Epoll)),
        (1.03, ANY),
        NoLonger,
        "changes of interest cost epoll a lot",
    ));
    claims.push(Claim::new(
        ("Gammo: edge/level, 10% ready", "just < 1"),
        measured.ratio((ten_percent, Epoll, Trigger::Edge), level(ten_percent, Epoll)),
        (0.75, 1.02),
        NoLonger,
        "the edge trigger helps slightly",
    ));
    claims.push(Claim::new(
        ("tutorials: epoll/poll, all ready", "< 1"),
        measured.ratio(level(all, Epoll), level(all, Poll)),
        (0.0, 1.0),
        NeverWas,
        "epoll is always faster than poll (tutorials)",
    ));
    claims.push(Claim {
        key: "tutorials: select watches at most".into(),
        published: "1,024".into(),
        here: format!("{} and more", grouped(most)),
        verdict: if most > 1_024 { NeverWas } else { Verdict::TooClose },
        says: "select watches at most 1,024 (tutorials; it is the C library's fd_set, not the call)",
    });
    let sparse = ring(32, 1);
    claims.push(Claim::new(
        ("QEMU: poll/epoll, 32 watched", "< 1"),
        measured.ratio(level(sparse, Poll), level(sparse, Epoll)),
        (0.0, 1.0),
        NeverWas,
        "below 64 watched poll is cheaper (QEMU's rule)",
    ));
    claims.push(Claim::new(
        ("QEMU: epoll/poll, 1,000 all ready", "< 1"),
        measured.ratio(level(all, Epoll), level(all, Poll)),
        (0.0, 1.0),
        NeverWas,
        "from 64 watched epoll is cheaper (QEMU's rule)",
    ));
    claims
}

fn findings(measured: &Measured) -> Findings {
    let claims = claims(measured);
    let mut findings = Findings { sentences: sentences(measured, &claims), ..Findings::default() };
    let mut table = Table::new(
        "Published beside here, in terms of each other (a/b: what a costs in terms of b); the range \
         has nine of ten medians.",
        1,
        &["", "published", "here", "true here?"],
    );
    for Claim { key, published, here, verdict, .. } in claims {
        table.push(vec![key, published, here, verdict.text().to_string()]);
    }
    findings.tables.push(table);
    findings.charts.push(chart(measured));
    for (what, at, samples) in measured.cells.all() {
        findings.figures.push(Figure::new(what, at, "cpu_ns", samples));
    }
    findings
}

/// Returns the chart of table 63-9, published and here.
fn chart(measured: &Measured) -> Chart {
    let published = |of: fn(&(usize, f64, f64)) -> f64| {
        TLPI.iter().map(move |row| (row.0 as f64, of(row) * 1e4)).collect()
    };
    let here = |backend: Backend| {
        let sizes = TLPI.iter().filter_map(|&(n, ..)| measured.size(n));
        let cost = |n| measured.cells.ns(Load::Watch(n), backend, Trigger::Level);
        sizes.map(|n| (n as f64, cost(n))).collect()
    };
    let growth = |backend: Backend| {
        let [few, many] = [10, measured.max].map(|n| level(Load::Watch(n), backend));
        factor(measured.ratio(many, few).median)
    };
    Chart {
        title: "One random descriptor is ready: poll and epoll in 2010 and here".into(),
        x_label: "watched".into(),
        y_label: "nanoseconds".into(),
        x_names: numbers,
        series: vec![
            ("poll, here".into(), here(Backend::Poll)),
            ("epoll, here".into(), here(Backend::Epoll)),
            ("poll, 2010".into(), published(|row| row.1)),
            ("epoll, 2010".into(), published(|row| row.2)),
        ],
        sentence: format!(
            "From 10 to {} watched, poll grows {}-fold and epoll {}-fold. In 2010 it was 1,623-fold \
             and 1.61-fold.",
            grouped(measured.max),
            growth(Backend::Poll),
            growth(Backend::Epoll)
        ),
    }
}

fn sentences(measured: &Measured, claims: &[Claim]) -> Vec<String> {
    let count = |verdict: Verdict, is: [&str; 2]| {
        let count = claims.iter().filter(|claim| claim.verdict == verdict).count();
        (count > 0).then(|| format!("{count} {}", is[usize::from(count > 1)]))
    };
    let counts = [
        count(Verdict::StillTrue, ["is still true", "are still true"]),
        count(Verdict::NoLonger, ["is no longer true", "are no longer true"]),
        count(Verdict::NeverWas, ["never was", "never were"]),
        count(Verdict::TooClose, ["is too close to call", "are too close to call"]),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let figures = counted(claims.len(), "published figure");
    let mut all = vec![format!("Of {figures} since 2001, {} on this machine.", listed(&counts))];
    let is_not = |claim: &&Claim| matches!(claim.verdict, Verdict::NoLonger | Verdict::NeverWas);
    let not: Vec<String> =
        claims.iter().filter(is_not).map(|claim| claim.says.to_string()).collect();
    if !not.is_empty() {
        all.push(format!("Not true here: {}.", not.join("; ")));
    }
    let tlpi = Load::Watch(MANY);
    let ratio = measured.ratio(level(tlpi, Backend::Poll), level(tlpi, Backend::Epoll)).median;
    let ns = measured.cells.ns(tlpi, Backend::Epoll, Trigger::Level);
    all.push(format!(
        "Kerrisk's table (The Linux Programming Interface, 63-9, 2010) has poll at 66 times epoll with \
         1,000 watched; here it is {} times. An operation by epoll took 5,300 ns; here {} ns.",
        factor(ratio),
        grouped(ns.round() as usize)
    ));
    if let Some(share) = measured.crossing() {
        all.push(format!(
            "Chandra and Mosberger (2001) wrote that even a server on select is fast where each call \
             does enough work. As a number: from {share:.0}% of 1,000 ready."
        ));
    }
    let changing = Load::Ring { n: MANY, active: 100, changes: 1 };
    let changed =
        measured.ratio(level(changing, Backend::Epoll), level(ring(MANY, 100), Backend::Epoll));
    all.push(format!(
        "Gammo and others (2004) saw epoll lose its time in epoll_ctl: here a change of interest in \
         each event makes it {:.2} times as dear.",
        changed.median
    ));
    all.push(
        "The graphs of libevent (2003) and libev (2011) show 100 ready of many. QEMU uses poll below \
         64 watched, else epoll, whatever is ready."
            .to_string(),
    );
    all.push(
        "All figures are of bare loops over the C library, on pipes, in processor time; an event has \
         its read and its write. Processors have changed since, so only ratios are compared."
            .to_string(),
    );
    all
}
