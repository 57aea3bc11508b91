//! An earlier report, and how the figures have changed since then.

use serde::{Deserialize, Serialize};

use super::figure::Figure;
use super::format::{listed, more};
use super::machine::Machine;
use super::point::Point;
use super::statistics::{Estimate, Verdict};
use crate::workload::Kind;

/// The newest format that can be read. The one before has all that is needed, too.
const SCHEMA: u32 = 5;

/// An earlier report, as it was written as JSON.
#[derive(Debug, Clone, Deserialize)]
pub struct Baseline {
    #[serde(default)]
    schema: Option<u32>,
    tripoll: String,
    date: String,
    machine: Place,
    config: Setting,
    cells: Vec<Earlier>,
    /// The name of its file.
    #[serde(skip)]
    name: String,
}

/// Where it was measured.
#[derive(Debug, Clone, Deserialize)]
struct Place {
    kernel: String,
    #[serde(default)]
    cpu: Option<String>,
    #[serde(default)]
    load: Option<f64>,
}

/// What was measured.
#[derive(Debug, Clone, Deserialize)]
struct Setting {
    kind: String,
}

/// The samples of one contender at one point.
#[derive(Debug, Clone, Deserialize)]
struct Earlier {
    #[serde(flatten)]
    point: Point,
    backend: String,
    trigger: String,
    layer: String,
    samples_cpu_ns: Vec<f64>,
}

impl Earlier {
    fn is(&self, point: Point, [layer, backend, trigger]: [&str; 3]) -> bool {
        self.point == point
            && self.layer == layer
            && self.backend == backend
            && self.trigger == trigger
            && !self.samples_cpu_ns.is_empty()
    }
}

impl Baseline {
    /// Reads a report from JSON. `name` is how it is called in sentences.
    ///
    /// # Errors
    ///
    /// The reason, if it is not a report of `compare`, or of a format that is not known.
    pub fn parse(name: &str, json: &str) -> Result<Self, String> {
        let baseline: Baseline = serde_json::from_str(json)
            .map_err(|error| format!("it is no report of `compare --export-json`: {error}"))?;
        match baseline.schema {
            Some(schema) if schema > SCHEMA => {
                Err(format!("its schema is {schema}; this program reads up to {SCHEMA}"))
            }
            _ => Ok(Baseline { name: name.to_string(), ..baseline.with_kinds() }),
        }
    }

    /// Adds the kind to the points of a report that has it in one place, as all had before there could
    /// be several.
    fn with_kinds(mut self) -> Self {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == self.config.kind);
        if let Some(kind) = kind {
            self.cells.iter_mut().for_each(|cell| cell.point = cell.point.on(kind));
        }
        self
    }

    /// Checks that it has been measured on one of these kinds of descriptors.
    ///
    /// # Errors
    ///
    /// The reason, if it has not.
    pub fn check(&self, kinds: &[Kind]) -> Result<(), String> {
        let is_there = |kind: &Kind| self.config.kind.split(',').any(|name| name == kind.name());
        let names = || kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",");
        match kinds.iter().any(is_there) {
            true => Ok(()),
            false => {
                Err(format!("it was measured with --kind {}, not {}", self.config.kind, names()))
            }
        }
    }

    /// Returns the samples of a contender at a point, in nanoseconds of processor time.
    pub(super) fn samples(&self, point: Point, contender: [&str; 3]) -> Option<&[f64]> {
        let earlier = self.cells.iter().find(|cell| cell.is(point, contender))?;
        Some(&earlier.samples_cpu_ns)
    }
}

/// How the figures have changed since an earlier report.
#[derive(Debug, Clone, Serialize)]
pub struct Changes {
    /// The file of the earlier report.
    pub file: String,
    /// The version of tripoll at that time.
    pub tripoll: String,
    /// When it was made.
    pub date: String,
    /// The load of the machine before it was measured.
    pub load: Option<f64>,
    /// Whether it was measured on another processor or kernel, with both.
    pub elsewhere: Option<[String; 2]>,
    /// The change of each call, through the layer of tripoll and in the bare loops.
    pub calls: Vec<Change>,
}

/// How the cost of a call has changed, at the points that both reports have.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The layer.
    pub layer: &'static str,
    /// The system call.
    pub backend: &'static str,
    /// The trigger.
    pub trigger: &'static str,
    /// The number of points.
    pub points: usize,
    /// The cost now in terms of the cost then.
    pub ratio: Estimate,
}

impl Change {
    fn call(&self) -> &'static str {
        if self.trigger == "edge" { "edge-triggered epoll" } else { self.backend }
    }
}

impl Changes {
    pub(super) fn new(
        layer: &'static str,
        machine: &Machine,
        cells: &[Figure],
        baseline: &Baseline,
    ) -> Self {
        let mut calls: Vec<Change> = Vec::new();
        let of_layers = cells.iter().filter(|cell| cell.layer == layer || cell.layer == "raw");
        for cell in of_layers {
            let Figure { layer, backend, trigger, .. } = *cell;
            let key = [layer, backend, trigger];
            let is_it = |figure: &&Figure| [figure.layer, figure.backend, figure.trigger] == key;
            let is_known = |call: &Change| [call.layer, call.backend, call.trigger] == key;
            if calls.iter().any(is_known) {
                continue;
            }
            let pair = |cell: &'_ Figure| baseline.samples(cell.point, key).map(<[f64]>::to_vec);
            let pairs: Vec<_> = cells
                .iter()
                .filter(is_it)
                .filter_map(|cell| Some((&cell.samples_cpu_ns[..], pair(cell)?)))
                .collect();
            let pairs: Vec<_> = pairs.iter().map(|(now, then)| (*now, &then[..])).collect();
            if !pairs.is_empty() {
                let ratio = Estimate::of_medians(&pairs);
                calls.push(Change { layer, backend, trigger, points: pairs.len(), ratio });
            }
        }
        let here = place(&machine.kernel, machine.cpu.as_deref());
        let there = place(&baseline.machine.kernel, baseline.machine.cpu.as_deref());
        // A report of the format before does not name its processor.
        let is_here = machine.kernel == baseline.machine.kernel
            && baseline.machine.cpu.as_ref().is_none_or(|cpu| Some(cpu) == machine.cpu.as_ref());
        calls.sort_by_key(|call| call.layer == "raw");
        Changes {
            file: baseline.name.clone(),
            tripoll: baseline.tripoll.clone(),
            date: baseline.date.clone(),
            load: baseline.machine.load,
            elsewhere: (!is_here).then_some([there, here]),
            calls,
        }
    }

    /// Formats the conclusions: the layer of tripoll, the bare loops, and another machine.
    pub(super) fn sentences(&self) -> Vec<String> {
        let load = self.load.map(|load| format!(", load {load:.2}")).unwrap_or_default();
        let then = format!("{} (tripoll {}, {}{load})", self.file, self.tripoll, self.date);
        if self.calls.is_empty() {
            return vec![format!("No point of this run is in {then}.")];
        }
        let mut all = Vec::new();
        let (raw, ours): (Vec<&Change>, Vec<&Change>) =
            self.calls.iter().partition(|call| call.layer == "raw");
        if let [first, ..] = ours[..] {
            let clauses: Vec<String> = ours.iter().map(|call| clause(call)).collect();
            all.push(format!(
                "Since {then}, through the {} of tripoll: {}.",
                first.layer,
                listed(&clauses)
            ));
        }
        if !raw.is_empty() {
            let ratios: Vec<String> = raw
                .iter()
                .map(|call| format!("{} {:.2}", call.call(), call.ratio.median))
                .collect();
            all.push(format!(
                "The bare C loops cost {} times what they cost then. They do not change with \
                 tripoll: so much is the machine's.",
                listed(&ratios)
            ));
        }
        if let Some([there, here]) = &self.elsewhere {
            all.push(format!("It was measured on another machine: {there}. This one is {here}."));
        }
        all
    }
}

/// Formats how the cost of a call has changed.
fn clause(change: &Change) -> String {
    let Estimate { median, low, high } = change.ratio;
    let interval = format!("{median:.2}, {low:.2} to {high:.2}");
    let call = change.call();
    match change.ratio.verdict() {
        Verdict::TooClose => format!("{call} too close to call ({interval})"),
        Verdict::Second => format!("{call} costs {} ({interval})", more(median)),
        Verdict::First => {
            format!("{call} costs {:.0}% less ({interval})", (1.0 - median) * 100.0)
        }
    }
}

fn place(kernel: &str, cpu: Option<&str>) -> String {
    match cpu {
        Some(cpu) => format!("{kernel}, {cpu}"),
        None => kernel.to_string(),
    }
}
