//! Text in columns.

use std::fmt;

/// Rows of cells under a heading, columns as wide as their widest cell.
pub struct Table {
    /// Whether each column is flush left, as text is, rather than right.
    left: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of nothing but its heading; columns whose title starts with `<` are flush left.
    pub fn new<S: AsRef<str>>(titles: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self {
            left: Vec::new(),
            rows: Vec::new(),
        };
        let mut heading = Vec::new();
        for title in titles {
            let title = title.as_ref();
            let left = title.strip_prefix('<');
            table.left.push(left.is_some());
            heading.push(left.unwrap_or(title).to_string());
        }
        table.rows.push(heading);
        table
    }

    /// Adds a row of as many cells as there are columns.
    pub fn row<S: ToString>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows
            .push(cells.into_iter().map(|cell| cell.to_string()).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.left.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), &left) in row.iter().zip(&widths).zip(&self.left) {
                line.push_str("  ");
                line.push_str(&if left {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_flush_left_and_numbers_are_flush_right() {
        let mut table = Table::new(["<name", "count"]);
        table.row(["a".to_string(), 7.to_string()]);
        table.row(["longer".to_string(), 1234.to_string()]);
        let expected = "  name    count\n  a           7\n  longer   1234\n";
        assert_eq!(table.to_string(), expected);
    }
}
