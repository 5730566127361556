//! The report for a terminal.

use std::fmt::Write as _;

use super::{Figure, Report};

pub(super) fn text(report: &Report) -> String {
    let width = report
        .figures
        .iter()
        .map(|it| it.name.chars().count())
        .max();
    let width = width.unwrap_or(0);
    let mut text = format!(
        "{}: {} (seed {})\n\n",
        report.name, report.about, report.seed
    );
    for Figure { name, value } in &report.figures {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    let _ = writeln!(text, "\n{}", report.verdict);
    text
}
