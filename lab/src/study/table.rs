//! A table of texts, for the terminal, for Markdown and for HTML.

use std::fmt::Write;

use crate::compare::escaped;

/// A table. The first columns name the row, and are repeated where the table is divided.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What the figures are.
    pub(super) caption: String,
    /// How many columns name the row.
    keys: usize,
    /// The heads, then the rows.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table with these heads, of which the first `keys` are of the names.
    pub(super) fn new(caption: impl Into<String>, keys: usize, heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| head.to_string()).collect();
        Table { caption: caption.into(), keys, rows: vec![heads] }
    }

    /// Appends a row.
    pub(super) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.rows[0].len(), "{row:?}");
        self.rows.push(row);
    }

    /// Returns whether it has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Returns the width of a column.
    fn width_of(&self, column: usize) -> usize {
        self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    }

    /// Formats the table. If it is wider than `width` columns, it is divided.
    pub(super) fn text(&self, width: usize) -> String {
        let keys: Vec<usize> = (0..self.keys).collect();
        let used = |columns: &[usize]| -> usize {
            columns.iter().map(|&column| self.width_of(column) + 2).sum::<usize>() - 2
        };
        let mut rest: Vec<usize> = (self.keys..self.rows[0].len()).collect();
        let mut text = String::new();
        while !rest.is_empty() {
            let fitting = |&count: &usize| used(&keys) + 3 + used(&rest[..count]) <= width;
            let count = (1..=rest.len()).take_while(fitting).last().unwrap_or(1);
            let block: Vec<usize> = rest.drain(..count).collect();
            if !text.is_empty() {
                text.push('\n');
            }
            for (index, row) in self.rows.iter().enumerate() {
                let line = self.line(row, &keys, &block);
                if index == 1 {
                    let rule = self.line(&self.rows[0], &keys, &block);
                    let rule = rule.chars().map(|c| if c == '│' { '┼' } else { '─' });
                    let _ = writeln!(text, "{}", rule.collect::<String>());
                }
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
        text
    }

    fn line(&self, row: &[String], keys: &[usize], block: &[usize]) -> String {
        let cell = |&column: &usize| {
            let (text, width) = (&row[column], self.width_of(column));
            // The first column has names, the others have figures.
            if column == 0 { format!("{text:<width$}") } else { format!("{text:>width$}") }
        };
        let join = |columns: &[usize]| columns.iter().map(cell).collect::<Vec<_>>().join("  ");
        format!("{} │ {}", join(keys), join(block))
    }

    /// Formats the table as Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if index == 0 {
                let _ = writeln!(text, "|---|{}", "---:|".repeat(row.len() - 1));
            }
        }
        text
    }

    /// Formats the table as HTML.
    pub(super) fn html(&self) -> String {
        let mut html = String::from("<div class=\"table\"><table>\n");
        for (index, row) in self.rows.iter().enumerate() {
            html.push_str("<tr>");
            for (column, cell) in row.iter().enumerate() {
                let name = if index == 0 || column < self.keys { "th" } else { "td" };
                let _ = write!(html, "<{name}>{}</{name}>", escaped(cell));
            }
            html.push_str("</tr>\n");
        }
        html + "</table></div>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_table_that_is_too_wide_is_divided_and_repeats_its_names() {
        let mut table = Table::new("", 1, &["name", "first", "second"]);
        table.push(["a", "1", "2"].map(String::from).to_vec());
        let whole = "name │ first  second\n─────┼──────────────\na    │     1       2\n";
        assert_eq!(table.text(20), whole);
        let divided = "name │ first\n─────┼──────\na    │     1\n\nname │ second\n─────┼───────\na    │      2\n";
        assert_eq!(table.text(19), divided);
        assert_eq!(table.markdown(), "| name | first | second |\n|---|---:|---:|\n| a | 1 | 2 |\n");
    }
}
