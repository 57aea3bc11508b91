//! What a metric is, and its values.

use std::fmt;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A number that only grows, until the process starts again. Its name ends with `_total`.
    Counter,
    /// A number that grows and shrinks.
    Gauge,
}

impl Kind {
    /// Returns the word of the format.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// The value of a sample: an integer, which is written with all its digits, or a float.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// An integer. Wide enough for every other one.
    Integer(i128),
    /// A float. The format has infinity and NaN, too.
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Integer(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Integer(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value.into())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Integer(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Value::Integer(value as i128) // wide enough for any machine
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(f64::INFINITY) => f.write_str("+Inf"),
            Value::Float(f64::NEG_INFINITY) => f.write_str("-Inf"),
            Value::Float(value) => write!(f, "{value}"), // `NaN` is Rust's word, too
        }
    }
}
