//! The conclusions in sentences.

use super::crossing::Segment;
use super::findings::{Cost, Line};
use super::plan::{Call, LeftOut};

/// Formats a number with separators: `12,345`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number with its noun: `1 pipe`, `1,000 pipes`.
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(number))
}

/// Formats a share: `0.1%`, `25%`.
pub fn percent(part: usize, of: usize) -> String {
    let percent = part as f64 * 100.0 / of as f64;
    let digits = usize::from(percent < 9.95 && percent.fract() > 0.05);
    format!("{percent:.digits$}%")
}

/// Formats the names of some calls: "select and poll", "epoll (edge)".
fn names(calls: &[Call]) -> String {
    let name = |call: &Call| match *call {
        Call::EPOLL_LEVEL => "epoll (level)".to_string(),
        Call::EPOLL_EDGE => "epoll (edge)".to_string(),
        other => other.name(),
    };
    match calls {
        [Call::EPOLL_LEVEL, Call::EPOLL_EDGE] => "epoll (level or edge)".to_string(),
        calls => calls.iter().map(name).collect::<Vec<_>>().join(" and "),
    }
}

/// Formats segments: "poll is cheapest up to 3 descriptors, too close to call at 4, epoll (edge)
/// from 6 on".
///
/// `label` formats the position of a point, and `full` the first one, with its unit.
fn clauses(
    segments: &[Segment],
    label: impl Fn(usize) -> String,
    full: impl Fn(usize) -> String,
) -> String {
    let Some(last) = segments.len().checked_sub(1) else { return "not measured".to_string() };
    let mut verb_said = false;
    // A family wins again if it has won, and the other one after it.
    let mut winners = [false; 2];
    let clauses: Vec<String> = segments
        .iter()
        .enumerate()
        .map(|(index, segment)| {
            let from = label(segment.from);
            let to = if index == 0 { full(segment.to) } else { label(segment.to) };
            let place = match (index == 0, index == last) {
                _ if segment.from == segment.to => format!("at {to}"),
                (true, true) => format!("everywhere from {from} to {to}"),
                (true, false) => format!("up to {to}"),
                (false, true) => format!("from {from} on"),
                (false, false) => format!("from {from} to {to}"),
            };
            if segment.cheapest.is_empty() {
                return format!("too close to call {place}");
            }
            let several = segment.cheapest.len() > 1 && segment.is_scanning();
            let family = usize::from(segment.is_scanning());
            let wins_again = winners[family] && winners[1 - family];
            let verb = match (wins_again, verb_said, several) {
                (true, _, true) => " win again",
                (true, _, false) => " wins again",
                (_, true, _) => "",
                (_, false, true) => " are cheapest",
                (_, false, false) => " is cheapest",
            };
            verb_said = true;
            winners[family] = true;
            format!("{}{verb} {place}", names(&segment.cheapest))
        })
        .collect();
    clauses.join(", ")
}

/// Formats a line along which the number of watched descriptors grows.
fn one_ready(segments: &[Segment]) -> String {
    clauses(segments, grouped, |n| counted(n, "descriptor"))
}

/// Formats a line along which the number of ready descriptors of `n` grows.
fn shares(segments: &[Segment], n: usize) -> String {
    clauses(segments, |ready| percent(ready, n), |ready| percent(ready, n) + " ready")
}

/// Returns all conclusions, the most important first.
pub(super) fn sentences(
    [layer_one_ready, layer_shares]: [&Line; 2],
    [raw_one_ready, raw_shares]: [&Line; 2],
    watch: Option<(usize, f64)>,
    costs: &[Cost],
) -> Vec<String> {
    let fixed = layer_shares.fixed;
    let (n, layer) = (grouped(fixed), layer_shares.layer);
    let mut all = vec![
        format!(
            "On pipes, through the {layer}, with one descriptor ready: {}.",
            one_ready(&layer_one_ready.segments)
        ),
        format!(
            "On pipes, through the {layer}, with {n} watched: {}.",
            shares(&layer_shares.segments, fixed)
        ),
        format!(
            "The C library's calls alone, blocking at once as in most programs: with one ready, \
             {}; with {n} watched, {}.",
            one_ready(&raw_one_ready.segments),
            shares(&raw_shares.segments, fixed)
        ),
    ];
    all.extend(watch.map(|(n, times)| {
        let times =
            if times < 9.95 { format!("{times:.1}") } else { grouped(times.round() as usize) };
        format!(
            "Through the {layer}, with {} watched and a random one ready: a write, a wait by poll \
             and a read cost {times} times what they cost by epoll (edge).",
            grouped(n)
        )
    }));
    all.push(cost_sentence(layer, costs));
    all
}

/// Formats the cost of the layer relative to the raw loops of the same call.
fn cost_sentence(layer: &str, costs: &[Cost]) -> String {
    let list = |text: &dyn Fn(&Cost) -> Option<String>| {
        costs.iter().filter_map(text).collect::<Vec<_>>().join(", ")
    };
    let to_raw = list(&|cost| match cost.to_raw_zero {
        None => Some(format!("{} {:.2}", cost.call, cost.to_raw.median)),
        Some(_) => None,
    });
    let to_raw_zero = list(&|cost| Some(format!("{} {:.2}", cost.call, cost.to_raw_zero?.median)));
    let range = list(&|Cost { call, to_raw, to_raw_zero }| {
        to_raw_zero.map(|_| format!("{call} {:.2} to {:.2}", to_raw.least, to_raw.most))
    });
    format!(
        "Cost of the {layer} relative to the raw C loop of the same call, median over the ring: \
         {to_raw}. Relative to a raw loop that polls with a zero timeout before it blocks, as \
         tripoll does: {to_raw_zero}. Relative to one that blocks at once: {range}."
    )
}

/// Formats a point that could not be measured, with the limit.
pub(super) fn left_out(row: &LeftOut, limit: u64, max: usize) -> String {
    format!(
        "Left out: N = {}, which needs {} descriptors and a few more; the limit of this process is \
         {}, enough for N = {}.",
        grouped(row.n),
        grouped(row.descriptors),
        grouped(limit as usize),
        grouped(max)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(from: usize, to: usize, cheapest: &[Call]) -> Segment {
        Segment { from, to, cheapest: cheapest.to_vec() }
    }

    #[test]
    fn one_crossing() {
        let segments = [segment(1, 1, &[Call::POLL]), segment(2, 256, &[Call::EPOLL_EDGE])];
        assert_eq!(
            one_ready(&segments),
            "poll is cheapest at 1 descriptor, epoll (edge) from 2 on"
        );
        let segments = [segment(1, 3, &[Call::POLL]), segment(4, 256, &[Call::EPOLL_EDGE])];
        assert_eq!(
            one_ready(&segments),
            "poll is cheapest up to 3 descriptors, epoll (edge) from 4 on"
        );
    }

    #[test]
    fn two_crossings_with_a_doubt_between() {
        let segments = [
            segment(1, 200, &[Call::EPOLL_EDGE]),
            segment(250, 250, &[]),
            segment(300, 1_000, &[Call::SELECT, Call::POLL]),
        ];
        assert_eq!(
            shares(&segments, 1_000),
            "epoll (edge) is cheapest up to 20% ready, too close to call at 25%, \
             select and poll from 30% on"
        );
    }

    #[test]
    fn only_a_family_that_has_won_before_wins_again() {
        let segments = [
            segment(1, 3, &[Call::POLL]),
            segment(4, 100, &[Call::EPOLL_EDGE]),
            segment(200, 900, &[Call::SELECT, Call::POLL]),
        ];
        assert_eq!(
            shares(&segments, 1_000),
            "poll is cheapest up to 0.3% ready, epoll (edge) from 0.4% to 10%, \
             select and poll win again from 20% on"
        );
    }

    #[test]
    fn the_last_of_all_shares_is_a_point() {
        let segments = [segment(1, 900, &[Call::EPOLL_EDGE]), segment(1_000, 1_000, &[Call::POLL])];
        assert_eq!(
            shares(&segments, 1_000),
            "epoll (edge) is cheapest up to 90% ready, poll at 100%"
        );
    }

    #[test]
    fn nouns_agree_with_their_numbers() {
        assert_eq!(counted(1, "CPU"), "1 CPU");
        assert_eq!(counted(2, "CPU"), "2 CPUs");
        assert_eq!(counted(1_000, "pipe"), "1,000 pipes");
    }

    #[test]
    fn no_crossing_and_no_result() {
        let everywhere = [segment(1, 1_000, &[Call::EPOLL_LEVEL, Call::EPOLL_EDGE])];
        assert_eq!(
            one_ready(&everywhere),
            "epoll (level or edge) is cheapest everywhere from 1 to 1,000 descriptors"
        );
        let nowhere = [segment(1, 2, &[]), segment(3, 9, &[Call::POLL])];
        assert_eq!(
            one_ready(&nowhere),
            "too close to call up to 2 descriptors, poll is cheapest from 3 on"
        );
    }

    #[test]
    fn numbers_and_shares_are_formatted() {
        assert_eq!(
            [1, 999, 1_000, 9_990, 1_234_567].map(grouped).join(" "),
            "1 999 1,000 9,990 1,234,567"
        );
        assert_eq!(percent(1, 1_000), "0.1%");
        assert_eq!(percent(250, 1_000), "25%");
        assert_eq!(percent(1, 3), "33%");
        assert_eq!(percent(10, 1_000), "1%");
        assert_eq!(percent(1_000, 1_000), "100%");
    }
}
