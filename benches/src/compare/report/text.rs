//! The figures for who reads.

use std::fmt::Write as _;

use super::{Figures, Report, Row, Table};

/// Writing to a `String` cannot fail, so results of `write!` are dropped.
pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "commit {} · {} · Linux {} · {} cores, one for the proxy, one for load and origin",
        machine.commit, machine.processor, machine.kernel, machine.cores
    );
    let _ = writeln!(
        text,
        "{} rounds of {} s, in an order drawn with seed {}; medians (least to most)",
        report.rounds, report.seconds, report.seed
    );
    for version in &report.peers {
        let _ = writeln!(text, "  {:<13} {}", version.peer, version.version);
    }
    for table in &report.workloads {
        text.push('\n');
        write_table(&mut text, table);
    }
    text
}

fn write_table(text: &mut String, table: &Table) {
    let _ = writeln!(text, "{}: {}", table.name, table.about);
    let unit = format!("µs/{}", table.unit);
    let per_second = format!("{}/s", table.unit);
    let _ = write!(
        text,
        "  {:<13} {unit:>10} {:>17}  {:>18}  {:>18} {per_second:>10} {:>5} {:>9} {:>8}",
        "", "", "× floor [95 %]", "× best [95 %]", "busy", "idle ms/s", "MiB"
    );
    let _ = match table.rate {
        Some(rate) => writeln!(
            text,
            " │ at {rate:.0}/s: {:>7} {:>7} {:>8} {:>8}",
            "CPU µs", "p50 µs", "p99", "p99.9"
        ),
        None => writeln!(text),
    };
    for row in &table.rows {
        let _ = write!(text, "  {:<13}", row.peer);
        match &row.figures {
            Some(figures) => write_figures(text, figures, table.rate),
            None => write_errors(text, row),
        }
    }
    let limited = table.rows.iter().filter(|row| {
        let figures = row.figures.as_ref();
        figures.is_some_and(|it| it.load_was_the_limit)
    });
    let limited: Vec<_> = limited.map(|row| row.peer.as_str()).collect();
    if !limited.is_empty() {
        let _ = writeln!(
            text,
            "  *: the load was the limit, not the proxy; its time for each {} counts all the same",
            table.unit
        );
    }
    for row in &table.rows {
        let figures = row.figures.as_ref();
        if let Some(ratio) = figures.and_then(|it| it.to_plain) {
            let super::Ratio { value, low, high } = ratio;
            let _ = writeln!(
                text,
                "  {}: {value:.3} [{low:.3}, {high:.3}] × holdfast",
                row.peer
            );
        }
        for differs in &row.differs {
            let _ = writeln!(text, "  {} differs: {differs}", row.peer);
        }
    }
    for absent in &table.absent {
        let _ = writeln!(text, "  without {}: {}", absent.peer, absent.version);
    }
}

fn write_figures(text: &mut String, figures: &Figures, rate: Option<f64>) {
    let cpu = figures.cpu_us;
    let spread = format!("({:.1} to {:.1})", cpu.min, cpu.max);
    let ratio = |ratio: &Option<super::Ratio>| match ratio {
        Some(it) => format!("{:.2} [{:.2}, {:.2}]", it.value, it.low, it.high),
        None => String::new(),
    };
    let star = if figures.load_was_the_limit { "*" } else { " " };
    let _ = write!(
        text,
        " {:>10.2} {spread:>17}  {:>18}  {:>18} {:>9.0}{star} {:>4.0}% {:>9.1} {:>8.1}",
        cpu.median,
        ratio(&figures.to_floor),
        ratio(&figures.to_best),
        figures.rate.median,
        figures.busy * 100.0,
        figures.idle_ms,
        figures.resident_kib as f64 / 1024.0,
    );
    if let (Some(rate), Some(paced), Some(latency)) =
        (rate, &figures.paced_cpu_us, &figures.latency_us)
    {
        let width = 7 + 8 + format!("{rate:.0}").len();
        if figures.overloaded {
            let _ = write!(text, " │ {:>width$} overloaded", "");
        } else {
            let _ = write!(
                text,
                " │ {:>width$.2} {:>7.0} {:>8.0} {:>8.0}",
                paced.median, latency.p50, latency.p99, latency.p999
            );
        }
    }
    text.push('\n');
}

fn write_errors(text: &mut String, row: &Row) {
    let why = row.first_error.as_deref().unwrap_or("nothing was answered");
    let _ = writeln!(text, " no figures: {} errors, first: {why}", row.errors);
}

#[cfg(test)]
mod tests {
    use super::super::samples;

    #[test]
    fn the_text_says_who_was_measured_where_and_what_went_wrong() {
        let text = samples::report().to_text();
        for part in [
            "commit abc1234 · A <fast> one · Linux 6.1 · 2 cores",
            "haproxy       HAProxy version 2.6",
            "4.00 [",
            "no figures: 3 errors, first: status 502, 5 octets",
            "holdfast+canary: 1.025 [",
            "without holdfast+log: no disk",
            "the load was the limit",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
