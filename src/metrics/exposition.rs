//! The text format of Prometheus, version 0.0.4.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::measures::Measures;
use super::value::{Kind, Value};

/// The `Content-Type` with which an [`Exposition`] is served.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics as text. See the [module](super).
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    text: String,
    names: HashSet<String>,
}

impl Exposition {
    /// Returns an exposition without metrics.
    pub fn new() -> Self {
        Exposition::default()
    }

    /// Begins a metric: writes its `HELP` and `TYPE`. Its samples must follow, before another metric
    /// begins, which the result sees to.
    ///
    /// # Panics
    ///
    /// Panics if `name` is not the name of a metric (letters, digits, `_` and `:`, and no digit first), or
    /// if the exposition has a metric of this name already. Both are faults of the program: scrapers refuse
    /// the whole text then.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        assert!(is_name(name, true), "{name:?} is not the name of a metric");
        assert!(self.names.insert(name.to_owned()), "the exposition has a metric {name} already");
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        push_escaped(&mut self.text, help, false);
        let kind = kind.name();
        let _ = writeln!(self.text, "\n# TYPE {name} {kind}"); // a string takes everything
        Family { text: &mut self.text, name: name.to_owned() }
    }

    /// Adds the metrics of one or several things of a kind, each with its labels: the counters of several
    /// loops, for example.
    ///
    /// # Panics
    ///
    /// Panics if they were added before, and as [`Family::sample`].
    pub fn add<'a, M: Measures>(
        &mut self,
        measured: impl IntoIterator<Item = (impl AsRef<[(&'a str, &'a str)]>, M)>,
    ) {
        let all: Vec<_> = measured.into_iter().map(|(labels, of)| (labels, of.values())).collect();
        for (at, measure) in M::MEASURES.iter().enumerate() {
            let mut family = self.family(measure.name, measure.kind, measure.help);
            for (labels, values) in &all {
                family.sample(labels.as_ref(), values[at]);
            }
        }
    }

    /// Returns the text so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the text.
    pub fn into_string(self) -> String {
        self.text
    }
}

/// One metric of an [`Exposition`], which takes its samples.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Family<'_> {
    /// Adds a sample with its labels, names and values. A value may have any characters.
    ///
    /// # Panics
    ///
    /// Panics if one of the names is not the name of a label: letters, digits and `_`, no digit first, and
    /// not two `_` first, which are reserved.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) -> &mut Self {
        self.text.push_str(&self.name);
        for (at, (name, value)) in labels.iter().enumerate() {
            let is_label = is_name(name, false) && !name.starts_with("__");
            assert!(is_label, "{name:?} is not the name of a label");
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            push_escaped(self.text, value, true);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let value = value.into();
        let _ = writeln!(self.text, " {value}"); // a string takes everything
        self
    }
}

fn is_name(name: &str, with_colons: bool) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || with_colons && c == ':';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_part)
}

/// Appends a text. A backslash and the end of a line are escaped, and quotes in the value of a label.
fn push_escaped(to: &mut String, text: &str, is_label: bool) {
    for c in text.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '"' if is_label => to.push_str("\\\""),
            c => to.push(c),
        }
    }
}
