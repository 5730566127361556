//! One picture: for each workload a bar for each proxy, as long as the time it takes for a request.

use std::fmt::Write as _;

use super::{Report, Table};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 190.0;
const BAR: f64 = 16.0;
const GAP: f64 = 5.0;
const TITLE: f64 = 44.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#333}.h{font-weight:600}.s{fill:#777;font-size:11px}\
    rect{fill:#9aa5b1}.floor{fill:#d5d9de}.ours{fill:#1f6feb}line{stroke:#333}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#999}line{stroke:#ddd}}";

/// Writing to a `String` cannot fail, so results of `write!` are dropped.
pub(super) fn of(report: &Report) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    for table in &report.workloads {
        y = draw(&mut body, table, y);
    }
    let machine = &report.machine;
    let versions: Vec<_> = report.peers.iter().map(|it| it.version.as_str()).collect();
    for line in [
        format!(
            "commit {}, {}, Linux {}, {} cores; {} rounds of {} s, medians, least to most",
            machine.commit,
            machine.processor,
            machine.kernel,
            machine.cores,
            report.rounds,
            report.seconds
        ),
        versions.join(" · "),
    ] {
        y += 18.0;
        let line = escaped(&line);
        let _ = write!(body, r#"<text class="s" x="8" y="{y}">{line}</text>"#);
    }
    let height = y + 12.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="CPU time of proxies"><title>CPU time of proxies for each request</title><style>{STYLE}</style>{body}</svg>"#
    )
}

/// Draws a workload from `y` on, and says where the next may begin.
fn draw(body: &mut String, table: &Table, mut y: f64) -> f64 {
    let (about, unit) = (escaped(&table.about), escaped(&table.unit));
    let _ = write!(
        body,
        r#"<text class="h" x="8" y="{}">{about}: µs of a core for each {unit}</text>"#,
        y + 24.0
    );
    y += TITLE - 8.0;
    let longest = table.rows.iter().filter_map(|row| row.figures.as_ref());
    let longest = longest.map(|it| it.cpu_us.max).fold(0.001, f64::max);
    let px = |value: f64| value / longest * (WIDTH - LEFT - RIGHT);
    for row in &table.rows {
        let (name, base) = (escaped(&row.peer), y + BAR - 4.0);
        let _ = write!(
            body,
            r#"<text x="{}" y="{base}" text-anchor="end">{name}</text>"#,
            LEFT - 8.0
        );
        let class = match row.peer.as_str() {
            "floor" => "floor",
            ours if ours.starts_with("holdfast") => "ours",
            _ => "",
        };
        if let Some(figures) = &row.figures {
            let cpu = figures.cpu_us;
            let (width, middle) = (px(cpu.median), y + BAR / 2.0);
            let (from, to) = (LEFT + px(cpu.min), LEFT + px(cpu.max));
            let ratio = figures.to_best.as_ref();
            let ratio = ratio.map_or_else(String::new, |it| format!(" ({:.2} × best)", it.value));
            let _ = write!(
                body,
                r#"<rect class="{class}" x="{LEFT}" y="{y}" width="{width:.1}" height="{BAR}"/><line x1="{from:.1}" x2="{to:.1}" y1="{middle}" y2="{middle}"/><text x="{:.1}" y="{base}">{:.1}{ratio}</text>"#,
                to.max(LEFT + width) + 6.0,
                cpu.median
            );
        } else {
            let _ = write!(
                body,
                r#"<text class="s" x="{LEFT}" y="{base}">errors</text>"#
            );
        }
        y += BAR + GAP;
    }
    y + 6.0
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::samples;

    #[test]
    fn every_proxy_has_a_bar_and_no_text_is_markup() {
        let svg = samples::report().to_svg();
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains("A &lt;fast&gt; one") && svg.contains("errors"));
        assert!(svg.ends_with("</svg>"));
    }
}
