//! Columns for people.

use super::text::printable;

/// Rows under column names, each column as wide as its widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self { rows: vec![columns.map(str::to_owned).into()] }
    }

    /// Name and value pairs, without column names.
    pub(crate) fn pairs() -> Self {
        Self::default()
    }

    /// Adds a row; what could move the cursor is taken out.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let cell = |text: &str| if text.is_empty() { "-".to_owned() } else { printable(text) };
        self.rows.push(cells.map(cell).into());
    }

    /// The text; the last column is not padded.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let mut table = Table::new(["name", "state"]);
        table.row(["hello@0.service", "active"]);
        table.row(["db", ""]);
        assert_eq!(
            table.render(),
            "name             state\nhello@0.service  active\ndb               -\n"
        );
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        let mut table = Table::pairs();
        table.row(["a\u{1b}[2J", "b\nc"]);
        assert_eq!(table.render(), "a [2J  b c\n");
    }
}
