//! The rows of the table, by descriptor.

use std::collections::BTreeMap;

use super::super::record::{Row, Turn};

pub(super) type Rows = BTreeMap<i32, Row>;

pub(super) fn by_descriptor(rows: &[Row]) -> Rows {
    rows.iter().map(|row| (row.fd, row.clone())).collect()
}

/// Returns the row of a descriptor: that of this turn, or that before it.
pub(super) fn row<'r>(turn: &'r Turn, before: &'r Rows, fd: i32) -> Option<&'r Row> {
    turn.sources.iter().find(|row| row.fd == fd).or_else(|| before.get(&fd))
}
