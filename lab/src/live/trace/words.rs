//! The sentences of the page, and numbers for people.

use std::collections::BTreeMap;

use super::super::page;
use super::super::record::Both;

/// The language of sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

/// The sentences in one language.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) language: Language,
    sentences: BTreeMap<String, Both>,
}

impl Words {
    pub(super) fn new(language: Language) -> Self {
        // The tests of the page parse the file, so it is right.
        let sentences = serde_json::from_str(page::STRINGS).unwrap_or_default();
        Words { language, sentences }
    }

    /// Returns the text in this language.
    pub(super) fn of<'b>(&self, both: &'b Both) -> &'b str {
        match self.language {
            Language::English => &both.en,
            Language::Chinese => &both.zh,
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.sentences.contains_key(key)
    }

    /// Returns a sentence with its values. The key, where there is none.
    pub(super) fn say(&self, key: &str, values: &[(&str, String)]) -> String {
        let Some(both) = self.sentences.get(key) else { return key.to_string() };
        let fill = |text: String, (name, value): &(&str, String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        values.iter().fold(self.of(both).to_string(), fill)
    }

    /// Joins texts with the words of a key.
    pub(super) fn join(&self, texts: &[String], key: &str) -> String {
        texts.join(&self.say(key, &[]))
    }
}

/// Returns a number with its thousands marked.
pub(super) fn count(number: u64) -> String {
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
pub(super) fn time(ns: u64) -> String {
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
            [999, 1_500, 412_300, 2_000_000_000].map(time),
            ["999 ns", "1.5 µs", "412 µs", "2.0 s"]
        );
    }
}
