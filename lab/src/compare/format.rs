//! Numbers, names and paragraphs as the report prints them.

use super::plan::Call;
use super::point::{Point, Style};
use crate::workload::Kind;

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

/// Rounds to two significant digits: more would differ from run to run.
pub fn rounded(number: f64) -> usize {
    let unit = 10_f64.powf((number.max(1.0).log10().floor() - 1.0).max(0.0));
    ((number / unit).round() * unit) as usize
}

/// Formats a factor: `1.4 times`, `28 times`, `340 times`.
pub fn times(factor: f64) -> String {
    match factor < 9.95 {
        true => format!("{factor:.1} times"),
        false => format!("{} times", grouped(rounded(factor))),
    }
}

/// Rounds a factor to a step that is seen again when the measurement is repeated: about a fifth, or five
/// per cent below two.
pub fn repeatable(factor: f64) -> f64 {
    const STEPS: [f64; 10] = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
    if factor < 1.9 {
        return (factor * 20.0).round() / 20.0;
    }
    let power = 10_f64.powf(factor.log10().floor());
    let far = |step: &f64| (step.ln() - factor.ln()).abs();
    let steps = STEPS.into_iter().chain([10.0]).map(|step| step * power);
    steps.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(factor)
}

/// Formats how much more something costs than another: "45% more", "28 times as much".
pub fn more(ratio: f64) -> String {
    match ratio < 1.995 {
        true => format!("{:.0}% more", (ratio - 1.0) * 100.0),
        false => format!("{} as much", times(ratio)),
    }
}

/// Formats the name of a call in a sentence. Level-triggered epoll is plain "epoll".
pub fn name(call: Call) -> String {
    match call {
        Call::EPOLL_LEVEL => "epoll".to_string(),
        Call::EPOLL_EDGE => "edge-triggered epoll".to_string(),
        other => other.name(),
    }
}

/// Formats a list: "a, b and c".
pub fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Formats a point: "1,000 watched and one ready".
pub fn place(point: Point) -> String {
    let ready = match point.ready() {
        _ if matches!(point, Point::Watch { .. }) => "a random one".to_string(),
        1 => "one".to_string(),
        ready => grouped(ready),
    };
    let style = match point.style() {
        None => on_kind(point.kind()).to_string(),
        Some(style) => of_style(style),
    };
    format!("{} watched and {ready} ready{style}", grouped(point.n()))
}

/// Formats what is special about a load: " with a change of interest an event".
pub fn of_style(style: Style) -> String {
    let on = on_kind(style.kind);
    match style {
        Style { sleeps: true, .. } => format!("{on} while the wait sleeps"),
        Style { changes: 0, .. } => on.to_string(),
        Style { changes: 1, .. } => format!("{on} with a change of interest an event"),
        Style { changes, .. } => format!("{on} with {changes} changes of interest an event"),
    }
}

/// Formats what is watched, if it is not pipes: " on TCP connections".
pub fn on_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Pipe => "",
        Kind::Unix => " on Unix sockets",
        Kind::Tcp => " on TCP connections",
    }
}

/// Formats the place of a crossing.
pub fn rounded_place(at: f64) -> String {
    grouped(rounded(at).max(1))
}

/// Breaks a paragraph into lines that fit a terminal.
pub fn wrapped(sentence: &str, most: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > most {
            text.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_agree_with_their_numbers() {
        assert_eq!(counted(1, "CPU"), "1 CPU");
        assert_eq!(counted(2, "CPU"), "2 CPUs");
        assert_eq!(counted(1_000, "pipe"), "1,000 pipes");
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

    #[test]
    fn factors_have_two_digits() {
        assert_eq!([0.4, 4.4, 12.6, 127.0, 1_234.0].map(rounded), [0, 4, 13, 130, 1_200]);
        let steps = [1.04, 1.33, 1.97, 2.3, 14.4, 15.2, 84.0, 97.0, 3_372.0].map(repeatable);
        assert_eq!(steps, [1.05, 1.35, 2.0, 2.5, 15.0, 15.0, 80.0, 100.0, 3_000.0]);
        assert_eq!(more(1.134), "13% more");
        assert_eq!(more(1.999), "2.0 times as much");
        assert_eq!(more(15.2), "15 times as much");
        assert_eq!(more(3_372.0), "3,400 times as much");
    }
}
