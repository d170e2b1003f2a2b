//! A table of words: columns as wide as they have to be, no lines, nothing cut off.

/// Lays out rows under their heads; without rows, says so.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]], none: &str) -> String {
    if rows.is_empty() {
        return none.to_owned();
    }
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([heads[column].chars().count()]).max()
    };
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |cells: [&str; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(heads)];
    lines.extend(rows.iter().map(|row| {
        // A cell is on one line, whatever the server says.
        let cells: [String; N] = std::array::from_fn(|column| row[column].replace(['\n', '\r'], " "));
        line(std::array::from_fn(|column| cells[column].as_str()))
    }));
    lines.join("\n")
}

/// Names and values, one a line.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:<width$}  {value}");
    facts.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["a".to_owned(), "x\ny".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(table(["ID", "NAME"], &rows, "none"), "ID      NAME\na       x y\nlonger");
        assert_eq!(table(["ID"], &[], "No keys."), "No keys.");
        assert_eq!(facts(&[("id", "1".into()), ("name", "x".into())]), "id    1\nname  x");
    }
}
