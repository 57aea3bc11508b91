//! Numbers for people.

use std::time::Duration;

/// Returns a number with its thousands marked.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a time with its unit.
pub fn time(time: Duration) -> String {
    let ns = time.as_nanos();
    if ns < 1_000 {
        return format!("{ns} ns");
    }
    for (unit, size) in [("µs", 1e3), ("ms", 1e6), ("s", 1e9)] {
        let number = ns as f64 / size;
        if number < 999.5 || unit == "s" {
            return match number < 10.0 {
                true => format!("{number:.1} {unit}"),
                false => format!("{number:.0} {unit}"),
            };
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            (count(0), count(999), count(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
        assert_eq!(
            [999, 1_500, 412_300, 2_000_000_000].map(|ns| time(Duration::from_nanos(ns))),
            ["999 ns", "1.5 µs", "412 µs", "2.0 s"]
        );
    }
}
