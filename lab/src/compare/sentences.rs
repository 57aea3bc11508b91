//! The answer in sentences.

use super::crossing::Segment;
use super::findings::{Cost, Line};
use super::plan::{Call, LeftOut};

/// A number with its thousands apart: `12,345`.
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

/// A share as `0.1%`, `25%`.
pub fn percent(part: usize, of: usize) -> String {
    let percent = part as f64 * 100.0 / of as f64;
    let digits = usize::from(percent < 9.95 && percent.fract() > 0.05);
    format!("{percent:.digits$}%")
}

/// "select and poll", "epoll (edge)".
fn who(calls: &[Call]) -> String {
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

/// "poll is cheapest up to 3 descriptors, too close to call at 4, epoll (edge) from 6 on".
///
/// `label` says where a point lies, `full` says it the first time.
fn clauses(
    segments: &[Segment],
    label: impl Fn(usize) -> String,
    full: impl Fn(usize) -> String,
) -> String {
    let Some(last) = segments.len().checked_sub(1) else { return "not measured".to_string() };
    let mut verb_said = false;
    let mut listed_before = false;
    let clauses: Vec<String> = segments
        .iter()
        .enumerate()
        .map(|(index, segment)| {
            let from = label(segment.from);
            let to = if index == 0 { full(segment.to) } else { label(segment.to) };
            let place = match (index == 0, index == last) {
                (true, true) if segment.from == segment.to => format!("at {to}"),
                (true, true) => format!("everywhere from {from} to {to}"),
                (true, false) => format!("up to {to}"),
                (false, true) => format!("from {from} on"),
                (false, false) if segment.from == segment.to => format!("at {from}"),
                (false, false) => format!("from {from} to {to}"),
            };
            if segment.cheapest.is_empty() {
                return format!("too close to call {place}");
            }
            let several = segment.cheapest.len() > 1 && segment.is_scanning();
            let verb = match (segment.is_scanning() && listed_before, verb_said, several) {
                (true, _, true) => " win again",
                (true, _, false) => " wins again",
                (_, true, _) => "",
                (_, false, true) => " are cheapest",
                (_, false, false) => " is cheapest",
            };
            verb_said = true;
            listed_before |= !segment.is_scanning();
            format!("{}{verb} {place}", who(&segment.cheapest))
        })
        .collect();
    clauses.join(", ")
}

/// A line along which more and more are watched.
fn one_ready(segments: &[Segment]) -> String {
    clauses(segments, grouped, |n| match n {
        1 => "1 descriptor".to_string(),
        n => format!("{} descriptors", grouped(n)),
    })
}

/// A line along which more and more of `n` are ready.
fn shares(segments: &[Segment], n: usize) -> String {
    clauses(segments, |ready| percent(ready, n), |ready| percent(ready, n) + " ready")
}

/// Everything that the figures say, most wanted first.
pub(super) fn sentences(
    [ours_one_ready, ours_shares]: [&Line; 2],
    [raw_one_ready, raw_shares]: [&Line; 2],
    watch: Option<(usize, f64)>,
    costs: &[Cost],
) -> Vec<String> {
    let fixed = ours_shares.fixed;
    let (n, ours) = (grouped(fixed), ours_shares.layer);
    let mut all = vec![
        format!(
            "On pipes, through the {ours}, with one descriptor ready: {}.",
            one_ready(&ours_one_ready.segments)
        ),
        format!(
            "On pipes, through the {ours}, with {n} watched: {}.",
            shares(&ours_shares.segments, fixed)
        ),
        format!(
            "The C library's calls by themselves, sleeping at once as most programs let them: with \
             one ready, {}; with {n} watched, {}.",
            one_ready(&raw_one_ready.segments),
            shares(&raw_shares.segments, fixed)
        ),
    ];
    all.extend(watch.map(|(n, times)| {
        let times =
            if times < 9.95 { format!("{times:.1}") } else { grouped(times.round() as usize) };
        format!(
            "Through the {ours}, with {} watched and a random one ready, writing, waiting by poll \
             and reading costs {times} times what it costs by epoll (edge).",
            grouped(n)
        )
    }));
    all.push(layer_sentence(ours, costs));
    all
}

/// What our layer costs over the bare loop of the same call.
fn layer_sentence(ours: &str, costs: &[Cost]) -> String {
    let list = |text: &dyn Fn(&Cost) -> Option<String>| {
        costs.iter().filter_map(text).collect::<Vec<_>>().join(", ")
    };
    let asleep = list(&|cost| match cost.to_raw_zero {
        None => Some(format!("{} {:.2}", cost.call, cost.to_raw.median)),
        Some(_) => None,
    });
    let asking = list(&|cost| Some(format!("{} {:.2}", cost.call, cost.to_raw_zero?.median)));
    let at_once = list(&|Cost { call, to_raw, to_raw_zero }| {
        to_raw_zero.map(|_| format!("{call} {:.2} to {:.2}", to_raw.least, to_raw.most))
    });
    format!(
        "What tripoll's {ours} costs where the bare C loop of the same call costs 1, the median \
         over the ring: {asleep}; {asking} if the bare loop asks before it sleeps, as ours do. If \
         it sleeps at once: {at_once}."
    )
}

/// What could not be measured, and why.
pub(super) fn left_out(row: &LeftOut, limit: u64, most: usize) -> String {
    format!(
        "Left out: N = {}, which needs {} descriptors and a few more; this process may have {}. \
         The most that fits is N = {}.",
        grouped(row.n),
        grouped(row.descriptors),
        grouped(limit as usize),
        grouped(most)
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
            "poll is cheapest up to 1 descriptor, epoll (edge) from 2 on"
        );
        let segments = [segment(1, 3, &[Call::POLL]), segment(4, 256, &[Call::EPOLL_EDGE])];
        assert_eq!(
            one_ready(&segments),
            "poll is cheapest up to 3 descriptors, epoll (edge) from 4 on"
        );
    }

    #[test]
    fn there_and_back_with_a_doubt_between() {
        let segments = [
            segment(1, 200, &[Call::EPOLL_EDGE]),
            segment(250, 250, &[]),
            segment(300, 1_000, &[Call::SELECT, Call::POLL]),
        ];
        assert_eq!(
            shares(&segments, 1_000),
            "epoll (edge) is cheapest up to 20% ready, too close to call at 25%, \
             select and poll win again from 30% on"
        );
    }

    #[test]
    fn no_crossing_and_no_answer() {
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
    fn numbers_are_written_to_be_read() {
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
