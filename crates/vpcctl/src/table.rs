//! Small tables for the terminal.

/// Rows under a head: the first column to the left, numbers to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells =
        |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let widest = rows.iter().map(|row| cells(row, column)).max();
            title.len().max(widest.unwrap_or(0))
        })
        .collect();
    let is_number = |column: usize| {
        !rows.is_empty()
            && rows.iter().all(|row| {
                row.get(column)
                    .is_some_and(|cell| cell.parse::<u64>().is_ok())
            })
    };
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let width = widths.get(column).copied().unwrap_or(0);
            let padded = if is_number(column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            };
            if column > 0 {
                line.push_str("  ");
            }
            line.push_str(&padded);
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    };
    let mut text = line(head.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// `1 pod`, `2 pods`.
pub(crate) fn count(number: u32, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() {
        let rows = [["eni-1", "7"], ["primary", "12"]].map(|row| row.map(str::to_owned).to_vec());
        let text = table(&["ENI", "pods"], &rows);
        assert_eq!(text, "ENI      pods\neni-1       7\nprimary    12\n");
    }
}
