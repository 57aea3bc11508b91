//! The conclusions in sentences: the answer first, what tripoll itself costs last.

use super::advice::{advice, widest};
use super::crossing::Outcome;
use super::figures::Figures;
use super::findings::Cost;
use super::format::{grouped, listed, more, name, of_style, percent, place, rounded_place};
use super::machine::Machine;
use super::plan::{Call, LeftOut, Line, Plan};
use super::point::{Active, Point};
use super::statistics::{Estimate, Verdict, median};
use crate::workload::Kind;

/// So many single points have a sentence each; the others are in the table.
const MOST_POINTS: usize = 6;

/// A typical spread above this share makes the figures doubtful.
const BUSY: f64 = 0.1;

/// Formats what is the same along a line: "With one ready", "Of 1,000 watched".
fn fixed(line: &Line) -> String {
    let fixed = match *line {
        Line::Watched { active: Active::Count(1), .. } => "With one ready".to_string(),
        Line::Watched { active: Active::Count(count), .. } => {
            format!("With {} ready", grouped(count))
        }
        Line::Watched { active: Active::PerMille(share), .. } => {
            format!("With {} ready", percent(share, 1_000))
        }
        Line::Ready { n, .. } => format!("Of {} watched", grouped(n)),
    };
    fixed + &of_style(line.style())
}

/// Formats the conclusion about a line.
pub(super) fn about_line(line: &Line, outcome: &Outcome, calls: [Call; 2]) -> String {
    format!("{}, {}.", fixed(line), cross(line, outcome, calls))
}

/// Returns the title of the chart of a line.
pub(super) fn title(line: &Line) -> String {
    let fixed = fixed(line);
    match line {
        Line::Watched { .. } => format!("{fixed}: what a wait costs, by the number watched"),
        Line::Ready { .. } => format!("{fixed}: what a wait costs, by the number ready"),
    }
}

/// Formats how the calls compare at a point.
fn at_point(plan: &Plan, figures: Figures<'_>, point: Point) -> Option<String> {
    let [_, epoll] = plan.rivals();
    let other = |call: Call| {
        let Estimate { median, low, high } = figures.ratio(point, [call, epoll], plan.layer)?;
        Some(format!("{} costs {median:.2} ({low:.2} to {high:.2})", name(call)))
    };
    let others = plan.calls.iter().filter(|&&call| call != epoll);
    let others: Vec<String> = others.filter_map(|&call| other(call)).collect();
    let place = place(point);
    (!others.is_empty())
        .then(|| format!("At {place}, times {}: {}.", name(epoll), others.join(", ")))
}

/// Formats where two calls cross on a line: "epoll and poll cross at 6 (4 to 9) watched".
fn cross(line: &Line, outcome: &Outcome, [first, second]: [Call; 2]) -> String {
    let noun = match line {
        Line::Watched { .. } => "watched",
        Line::Ready { .. } => "ready",
    };
    let [first, second] = [name(first), name(second)];
    let range = || match (line.points().next(), line.points().last()) {
        (Some((from, _)), Some((to, _))) if from != to => {
            format!("from {} to {} {noun}", grouped(from), grouped(to))
        }
        (Some((at, _)), _) => format!("at {} {noun}", grouped(at)),
        _ => String::new(),
    };
    match outcome {
        Outcome::Cross(crossing) => {
            let (below, above) = match crossing.first_below {
                true => (&first, &second),
                false => (&second, &first),
            };
            let interval =
                format!("{} to {}", rounded_place(crossing.low), rounded_place(crossing.high));
            format!(
                "{second} and {first} cross at {} ({interval}) {noun}: {below} is cheaper below, \
                 {above} above",
                rounded_place(crossing.at)
            )
        }
        Outcome::First => format!("{first} is cheaper than {second} {}", range()),
        Outcome::Second => format!("{second} is cheaper than {first} {}", range()),
        Outcome::TooClose => format!("{second} and {first} are too close to call {}", range()),
    }
}

/// Formats how two calls compare over all points of the ring.
fn contest(plan: &Plan, figures: Figures<'_>, [a, b]: [Call; 2]) -> Option<String> {
    let ratios: Vec<(Point, Estimate)> = plan
        .ring()
        .filter_map(|point| Some((point, figures.ratio(point, [a, b], plan.layer)?)))
        .collect();
    let medians: Vec<f64> = ratios.iter().map(|(_, ratio)| ratio.median).collect();
    let typical = (!medians.is_empty()).then(|| Estimate::of(&medians))?;
    let [a, b] = [name(a), name(b)];
    // The first of equally wide ones.
    let widest = ratios
        .iter()
        .rev()
        .filter(|(_, ratio)| ratio.verdict() != Verdict::TooClose)
        .max_by(|(_, a), (_, b)| a.median.ln().abs().total_cmp(&b.median.ln().abs()));
    // The dearer call, and by how much.
    let dearer = |ratio: f64| match ratio >= 1.0 {
        true => (&a, &b, more(ratio)),
        false => (&b, &a, more(1.0 / ratio)),
    };
    let most = widest.map(|(point, ratio)| (place(*point), dearer(ratio.median)));
    let (dear, cheap, typically) = dearer(typical.median);
    Some(match (typical.verdict(), most) {
        (Verdict::TooClose, None) => format!("{a} and {b} are too close to call."),
        (Verdict::TooClose, Some((place, (dear, _, most)))) => format!(
            "{a} and {b} are too close to call at most points; at {place}, {dear} costs {most}."
        ),
        (_, Some((place, (same, _, most)))) if same == dear => format!(
            "{dear} costs {typically}, compared with {cheap} (the median of all points); at {place}, \
             {most}."
        ),
        _ => format!("{dear} costs {typically}, compared with {cheap} (the median of all points)."),
    })
}

/// Says that the machine was busy, if it was: the load, the spread, and what to do.
pub(crate) fn busy(machine: &Machine, spreads: &[f64]) -> Option<String> {
    let spread = (!spreads.is_empty()).then(|| median(spreads))?;
    if spread < BUSY {
        return None;
    }
    let load = machine.load.into_iter().chain(machine.load_after).max_by(f64::total_cmp);
    let load = load.map(|load| {
        let cpus = machine.cpus;
        let ending = if cpus == 1 { "" } else { "s" };
        format!("its load was {load:.1} on {cpus} processor{ending}, and ")
    });
    Some(format!(
        "This machine was busy: {}half of the figures vary by more than ±{:.0}%. Repeat when nothing \
         else runs; until then trust the order of the calls more than the factors.",
        load.unwrap_or_default(),
        spread * 100.0
    ))
}

/// Says that only some rounds were measured.
pub(super) fn stopped(rounds: usize, plan: &Plan) -> String {
    format!(
        "Stopped after {rounds} of {} rounds: with so few, the figures are a first impression.",
        plan.rounds
    )
}

/// Returns the conclusions about the calls, the most important first.
pub(super) fn about_calls(
    plan: &Plan,
    figures: Figures<'_>,
    warnings: Vec<String>,
    outcomes: &[Outcome],
) -> Vec<String> {
    let mut all = vec![advice(plan, figures)];
    all.extend(warnings);
    let kinds: Vec<String> = plan.kinds.iter().map(Kind::to_string).collect();
    all.push(format!(
        "All costs are processor time for an event on {}: its share of the wait, and the read \
             and the write of one byte. A range in brackets holds nine times out of ten.",
        listed(&kinds)
    ));
    let lines = plan.lines.iter().zip(outcomes);
    all.extend(lines.map(|(line, outcome)| about_line(line, outcome, plan.rivals())));
    if plan.lines.is_empty() {
        all.extend(
            plan.ring().take(MOST_POINTS).filter_map(|point| at_point(plan, figures, point)),
        );
    }
    all.extend(contest(plan, figures, [Call::SELECT, Call::POLL]));
    all.extend(contest(plan, figures, [Call::EPOLL_LEVEL, Call::EPOLL_EDGE]));
    all.extend(plan.kinds.iter().filter_map(|&kind| {
        let is_it = |point: &&Point| point.style().is_none() && point.kind() == kind;
        let point = *plan.points.iter().rfind(is_it)?;
        Some(widest(point, figures.ratio(point, plan.rivals(), plan.layer)?.median))
    }));
    all
}

/// Returns the conclusions about tripoll itself.
pub(super) fn about_tripoll(plan: &Plan, raw_outcomes: &[Outcome], costs: &[Cost]) -> Vec<String> {
    let crossings: Vec<String> = plan
        .lines
        .iter()
        .zip(raw_outcomes)
        .map(|(line, outcome)| {
            let fixed = fixed(line);
            let fixed = fixed.replacen('W', "w", 1).replacen('O', "o", 1);
            format!("{fixed}, {}", cross(line, outcome, plan.rivals()))
        })
        .collect();
    let cost = cost_sentence(plan.layer.name(), costs);
    if crossings.is_empty() {
        return vec![cost];
    }
    let bare = format!(
        "The figures above are of tripoll, which asks without sleeping before it sleeps, because \
         that is cheaper by select and poll. In a bare C loop that sleeps at once, {}.",
        crossings.join("; ")
    );
    vec![bare, cost]
}

/// Formats the cost of the layer relative to the bare loops of the same call.
fn cost_sentence(layer: &str, costs: &[Cost]) -> String {
    let list = |text: &dyn Fn(&Cost) -> Option<String>| {
        costs.iter().filter_map(text).collect::<Vec<_>>().join(", ")
    };
    let medians = list(&|cost| {
        let median = cost.to_raw_zero.unwrap_or(cost.to_raw).median;
        Some(format!("{} {median:.2}", cost.call))
    });
    let range = list(&|Cost { call, to_raw, to_raw_zero }| {
        to_raw_zero.map(|_| format!("{call} {:.2} to {:.2}", to_raw.least, to_raw.most))
    });
    format!(
        "What the {layer} of tripoll costs, beside a bare C loop that makes the same calls (1.00 is \
         equal, median of all points): {medians}. Beside one that sleeps at once: {range}."
    )
}

/// Formats a point that could not be measured, with the limit.
pub(super) fn left_out(row: &LeftOut, limit: u64, max: usize) -> String {
    format!(
        "Left out: {} watched, which needs {} descriptors and a few more; the limit of this process \
         is {}, enough for {}.",
        grouped(row.n),
        grouped(row.descriptors),
        grouped(limit as usize),
        grouped(max)
    )
}
