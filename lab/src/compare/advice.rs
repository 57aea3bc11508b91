//! The first sentence: which call to take, and how much it matters.

use super::crossing::Outcome;
use super::figures::Figures;
use super::format::{grouped, more, name, on_kind, place, repeatable, rounded_place, times};
use super::plan::{Call, Line, Plan};
use super::point::Point;
use super::statistics::{Estimate, NEGLIGIBLE, Verdict};

/// Returns the calls that can be recommended. The first of equal ones is taken.
fn candidates(plan: &Plan) -> [Call; 3] {
    let [poll, epoll] = plan.rivals();
    [epoll, poll, Call::SELECT]
}

/// Points with more watched descriptors do not serve as the example: few programs have so many.
const LARGEST_EXAMPLE: usize = 1_000;

/// Returns the recommendation, and by what it gains and loses.
///
/// The call is taken whose greatest loss is the least: at its worst point it costs less, compared with
/// the cheapest call there, than every other call at the worst point of that one.
pub(super) fn advice(plan: &Plan, figures: Figures<'_>) -> String {
    let Some((taken, worst)) = least_regret(plan, figures) else {
        return "Nothing was measured.".to_string();
    };
    let rival = if taken == Call::POLL { plan.rivals()[1] } else { Call::POLL };
    let ratios: Vec<(Point, Estimate)> = plan
        .ring()
        .filter_map(|point| Some((point, figures.ratio(point, [rival, taken], plan.layer)?)))
        .collect();
    let gain = ratios
        .iter()
        .filter(|(point, ratio)| point.n() <= LARGEST_EXAMPLE && ratio.verdict() == Verdict::Second)
        .max_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    let Some(&(point, ratio)) = gain else {
        return match worst < 1.0 + NEGLIGIBLE {
            true => "Take any of them: the differences are too close to call.".to_string(),
            false => format!(
                "Take {}, if any: the differences are small, or too close to call.",
                name(taken)
            ),
        };
    };
    // The first lines are of the plain load; others would make the answer long.
    let lines = plan.lines.iter().take(2);
    let losses: Vec<Loss> =
        lines.filter_map(|line| loss(line, plan, figures, [rival, taken])).collect();
    format!(
        "Take {}. At {}, {} costs {}{}.",
        name(taken),
        place(point),
        name(rival),
        more(repeatable(ratio.median)),
        of_losses(&losses, rival)
    )
}

/// Where the rival is cheaper.
struct Loss {
    /// The part of the line: "up to 6 watched".
    place: String,
    /// By how many per cent at most. `None` where another run would find another place, and another
    /// figure.
    saving: Option<f64>,
}

/// Formats where the rival is cheaper, and by how much: "; up to 6 watched poll is up to 20% cheaper".
fn of_losses(losses: &[Loss], rival: Call) -> String {
    let mut text = String::new();
    for Loss { place, saving } in losses {
        let rival = name(rival);
        text += &match (text.is_empty(), saving) {
            (true, Some(saving)) => format!("; {place} {rival} is up to {saving:.0}% cheaper"),
            (true, None) => format!("; {place} {rival} is cheaper"),
            (false, Some(saving)) => format!(", {place} up to {saving:.0}%"),
            (false, None) => format!(", {place}, too"),
        };
    }
    text
}

/// Returns the call whose greatest loss is the least, and that loss as a ratio.
fn least_regret(plan: &Plan, figures: Figures<'_>) -> Option<(Call, f64)> {
    let candidates = candidates(plan);
    let cost = |point, call| figures.ns(point, call, plan.layer);
    let regret = |call: Call| {
        plan.ring()
            .filter_map(|point| {
                let costs = candidates.into_iter().filter_map(|other| cost(point, other));
                Some(cost(point, call)? / costs.min_by(f64::total_cmp)?)
            })
            .max_by(f64::total_cmp)
    };
    let regrets: Vec<(Call, f64)> =
        candidates.into_iter().filter_map(|call| Some((call, regret(call)?))).collect();
    let least = regrets.iter().map(|&(_, regret)| regret).min_by(f64::total_cmp)?;
    regrets.into_iter().find(|&(_, regret)| regret <= least * (1.0 + NEGLIGIBLE))
}

/// Returns where on `line` the rival is cheaper.
fn loss(line: &Line, plan: &Plan, figures: Figures<'_>, [rival, taken]: [Call; 2]) -> Option<Loss> {
    let Outcome::Cross(crossing) = figures.meet(line, [rival, taken], plan.layer) else {
        return None;
    };
    let is_cheaper = |x: usize| (x as f64 <= crossing.at) == crossing.first_below;
    let cheapest = line
        .points()
        .filter(|&(x, _)| is_cheaper(x))
        .filter_map(|(_, point)| figures.ratio(point, [rival, taken], plan.layer))
        .map(|ratio| ratio.median)
        .min_by(f64::total_cmp)?;
    let at = rounded_place(crossing.at);
    // Where more and more are ready, the costs of the two calls come near each other slowly, and other
    // work on the machine moves the place.
    let is_named = crossing.is_sharp() && matches!(line, Line::Watched { .. });
    let amount = if crossing.first_below { "few" } else { "many" };
    let place = match (line, crossing.first_below) {
        (Line::Watched { .. }, _) if !is_named => format!("with {amount} watched"),
        (Line::Ready { n, .. }, _) => format!("with {amount} of {} ready", grouped(*n)),
        (Line::Watched { .. }, true) => format!("up to {at} watched"),
        (Line::Watched { .. }, false) => format!("with more than {at} watched"),
    };
    let place = place + on_kind(line.style().kind);
    // To five per cent, for the same reason.
    let saving = ((1.0 - cheapest) * 20.0).round().max(1.0) * 5.0;
    let loss = Loss { place, saving: is_named.then_some(saving) };
    (1.0 - cheapest >= NEGLIGIBLE).then_some(loss)
}

/// Formats what the widest watch table says: poll against epoll.
pub(super) fn widest(point: Point, ratio: f64) -> String {
    let place = place(point);
    match ratio >= 1.995 {
        true => format!(
            "With {place}, a write, a wait by poll and a read cost \
             {} what they cost by epoll.",
            times(ratio)
        ),
        false => format!(
            "With {place}, a wait by poll costs {ratio:.2} times \
             what it costs by epoll."
        ),
    }
}
