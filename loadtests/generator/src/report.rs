//! What a load has shown, for people and for scripts: one HTML file that needs nothing else, JSON, and text.

mod chart;
mod growth;
mod page;
mod pictures;
mod scale;
mod text;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::findings::Findings;
use crate::ledger::Ledger;
use crate::run::Run;
use crate::series::{Percentiles, Series};
use crate::verdict::Verdict;
pub use growth::{Growth, Line, exponent};

/// Steps in a picture: more could not be told apart.
const STEPS_MAX: usize = 480;

/// What a load has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One word, for file names too: `overlap`.
    pub name: String,
    /// What was tried, in a sentence.
    pub about: String,
    /// Whether it is as it must be.
    pub pass: bool,
    /// What must hold, and what was seen.
    pub verdict: Verdict,
    /// Figures worth reading: name and value.
    pub figures: Vec<Figure>,
    /// What was found.
    pub findings: Findings,
    /// Latency of the timed requests that the app answered, from the intended start.
    pub latency: Vec<Latency>,
    /// Named instants.
    pub marks: Vec<MarkAt>,
    /// Figures over time.
    pub series: Series,
    /// Figures that depend on a number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub growths: Vec<Growth>,
    /// So that it can be run again.
    pub seed: u64,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// With its unit.
    pub value: String,
}

/// A point of the percentile curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Of 100 requests, so many take no longer.
    pub percent: f64,
    /// Microseconds.
    pub us: u64,
}

/// A named instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MarkAt {
    /// Milliseconds after the beginning.
    pub at_ms: u64,
    /// What happened.
    pub name: String,
}

impl Report {
    /// What this run has shown.
    pub fn of(
        name: impl Into<String>,
        about: impl Into<String>,
        run: &Run,
        ledger: &Ledger,
        findings: Findings,
        verdict: Verdict,
    ) -> Self {
        let marks = run.marks.iter().map(|mark| MarkAt {
            at_ms: millis(mark.at.since(run.began)),
            name: mark.name.clone(),
        });
        let mut report = Self {
            name: name.into(),
            about: about.into(),
            pass: verdict.passed(),
            verdict,
            figures: Vec::new(),
            latency: curve(&Percentiles::of(run)),
            marks: marks.collect(),
            series: Series::of(run, ledger, STEPS_MAX),
            growths: Vec::new(),
            seed: run.seed,
            findings,
        };
        report.usual_figures(run);
        report
    }

    /// What a load of others has shown: nothing is known of its single requests.
    pub fn of_others(
        name: impl Into<String>,
        about: impl Into<String>,
        seed: u64,
        verdict: Verdict,
    ) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
            pass: verdict.passed(),
            verdict,
            figures: Vec::new(),
            findings: Findings::default(),
            latency: Vec::new(),
            marks: Vec::new(),
            series: Series::default(),
            growths: Vec::new(),
            seed,
        }
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: impl Into<String>, value: impl ToString) {
        self.figures.push(Figure {
            name: name.into(),
            value: value.to_string(),
        });
    }

    /// The HTML file: inline SVG and CSS, no scripts, light and dark.
    pub fn to_html(&self) -> String {
        page::page(self)
    }

    /// One JSON object.
    pub fn to_json(&self) -> String {
        // Only numbers and text in it, so it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// A few lines for a terminal.
    pub fn to_text(&self) -> String {
        text::text(self)
    }

    /// Writes `NAME.html` and `NAME.json` into this directory, which is made if there is none. Returns where the HTML is.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        std::fs::write(
            directory.join(format!("{}.json", self.name)),
            self.to_json(),
        )?;
        let html = directory.join(format!("{}.html", self.name));
        std::fs::write(&html, self.to_html())?;
        Ok(html)
    }

    fn usual_figures(&mut self, run: &Run) {
        let found = self.findings.clone();
        let lasted = run.ended.since(run.began);
        self.figure("lasted", spell(lasted));
        self.figure("meant rate", format!("{} requests/s", run.rate));
        self.figure("sent", found.sent);
        self.figure("answered by the app", found.answered);
        for (release, count) in &found.by_release {
            self.figure(format!("answered by {release}"), count);
        }
        for (protocol, count) in found
            .by_protocol
            .iter()
            .filter(|_| found.by_protocol.len() > 1)
        {
            self.figure(format!("answered in {protocol}"), count);
        }
        for (status, count) in &found.by_status {
            self.figure(format!("answered with {status}"), count);
        }
        for (reason, count) in &found.refused {
            self.figure(format!("refused by the proxy: {reason}"), count);
        }
        for (why, count) in &found.lost {
            self.figure(format!("lost: {why}"), count);
        }
        if found.held > 0 {
            self.figure("held", found.held);
            self.figure("longest hold", spell(found.longest_hold));
            self.figure("longest release", spell(found.longest_release));
            self.figure(
                "overtaken by a later one, at worst",
                spell(found.worst_overtaking),
            );
            self.figure(
                "let go after a later one, at worst",
                spell(found.worst_let_go_overtaking),
            );
        }
        self.figure("idempotent requests repeated", found.repeated);
        if found.unprocessed > 0 {
            self.figure("streams not processed and sent again", found.unprocessed);
        }
        if !found.tunnels.is_empty() {
            self.figure("tunnels", found.tunnels.values().sum::<u64>());
            self.figure(
                "tunnels ended by the other side",
                found.tunnels_ended_by_others(),
            );
            self.figure("frames echoed", found.echoes);
        }
        for Latency { percent, us } in self.latency.clone() {
            if [50.0, 90.0, 99.0, 99.9, 100.0].contains(&percent) {
                let name = if percent == 100.0 {
                    "slowest".to_owned()
                } else {
                    format!("p{percent}")
                };
                self.figure(format!("latency, {name}"), spell(Duration::from_micros(us)));
            }
        }
        self.figure("clients' own delay, p50", spell(found.client_delay_p50));
        self.figure("clients' own delay, p99", spell(found.client_delay_p99));
        let connections = run.connections;
        self.figure("connections opened", connections.opened);
        self.figure(
            "connections at once",
            format!("{} of at most {}", connections.peak, connections.cap),
        );
        if connections.cap_waits > 0 {
            self.figure(
                "requests that waited for a connection of ours",
                connections.cap_waits,
            );
        }
    }
}

/// The percentile curve, finer towards the end.
fn curve(latencies: &Percentiles) -> Vec<Latency> {
    let mut percents = vec![0.0, 10.0, 25.0];
    let mut rest = 100.0;
    // As far as there are requests enough to tell: at p99.9, that is a thousand.
    while rest * latencies.count() as f64 > 100.5 {
        percents.extend([0.5, 0.3, 0.2, 0.15, 0.125].map(|of| round(100.0 - rest * of)));
        rest /= 10.0;
        percents.push(round(100.0 - rest));
    }
    percents.push(100.0);
    percents.sort_by(f64::total_cmp);
    percents.dedup();
    let point = |percent: f64| {
        let us = latencies.at(percent / 100.0)?;
        Some(Latency { percent, us })
    };
    percents.into_iter().filter_map(point).collect()
}

/// To a millionth, so that 99.9 is 99.9.
fn round(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e6
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration in three digits or so.
pub fn spell(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        0.0 => "0 ms".to_owned(),
        ms if ms < 1.0 => format!("{ms:.2} ms"),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1e3 => format!("{ms:.0} ms"),
        ms if ms < 1e4 => format!("{:.2} s", ms / 1e3),
        ms => format!("{:.1} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_as_far_as_there_are_requests() {
        let thousand = Percentiles::of_micros((1..=1000).collect());
        let points = curve(&thousand);
        let find = |percent| {
            points
                .iter()
                .find(|it| it.percent == percent)
                .map(|it| it.us)
        };
        assert_eq!(
            (find(50.0), find(99.0), find(99.9), find(100.0)),
            (Some(500), Some(990), Some(999), Some(1000))
        );
        assert_eq!(find(99.99), None);
        assert!(points.is_sorted_by_key(|it| it.us));
        assert_eq!(curve(&Percentiles::default()), []);
    }

    #[test]
    fn a_load_of_others_makes_a_page() {
        let mut report = Report::of_others("real", "tried", 7, Verdict::default());
        report.figure("curl", "3 ok");
        assert!(report.to_html().contains("curl") && !report.pass);
    }

    #[test]
    fn a_duration_is_spelled_in_three_digits() {
        let spelled = [0, 40, 1_260, 12_400, 1_234_567, 61_000_000]
            .map(|us| spell(Duration::from_micros(us)));
        assert_eq!(
            spelled,
            ["0 ms", "0.04 ms", "1.3 ms", "12 ms", "1.23 s", "61.0 s"]
        );
    }
}
