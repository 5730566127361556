//! The pictures: latency, hold and answers over time, and the percentile curve.

use std::time::Duration;

use super::chart::Chart;
use super::scale::Scale;
use super::{Latency, Report, spell};
use crate::series::Step;

/// A picture with its words.
pub(super) struct Picture {
    pub(super) heading: &'static str,
    pub(super) words: &'static str,
    /// Class and name of each thing that is drawn.
    pub(super) legend: &'static [(&'static str, &'static str)],
    pub(super) svg: String,
}

/// All that there is something to see in.
pub(super) fn pictures(report: &Report) -> Vec<Picture> {
    let all = [
        latency(report),
        hold(report),
        answers(report),
        curve(report),
    ];
    all.into_iter().flatten().collect()
}

impl Report {
    /// Steps with the second in which they begin.
    fn over_time(&self) -> impl Iterator<Item = (f64, &Step)> + Clone {
        let step = self.step();
        let steps = self.series.steps.iter().enumerate();
        steps.map(move |(index, figures)| (index as f64 * step, figures))
    }

    /// Seconds in a step.
    fn step(&self) -> f64 {
        self.series.step_ms as f64 / 1e3
    }

    fn time_scale(&self) -> Scale {
        Scale::linear(self.series.steps.len() as f64 * self.step())
    }

    fn draw_marks(&self, chart: &mut Chart) {
        let marks = self.marks.iter();
        let marks: Vec<_> = marks
            .map(|it| (it.at_ms as f64 / 1e3, it.name.as_str()))
            .collect();
        chart.marks(&marks);
    }
}

fn latency(report: &Report) -> Option<Picture> {
    let ms = |us: Option<u64>| us.map(|us| us as f64 / 1e3);
    let all = || report.series.steps.iter();
    let low = all().filter_map(|step| ms(step.p50_us)).reduce(f64::min)?;
    let high = all().filter_map(|step| ms(step.max_us)).reduce(f64::max)?;
    let middle = report.step() / 2.0;
    let steps = report.over_time().map(|(at, step)| (at + middle, step));
    let title = format!(
        "Latency over time, in milliseconds on a logarithmic axis. Slowest request: {high:.1} ms."
    );
    let mut chart = Chart::new(
        &title,
        report.time_scale(),
        Scale::decades(low, high),
        300.0,
        true,
    );
    chart.y_axis(milliseconds);
    chart.x_axis(seconds);
    let bands: Vec<_> = steps
        .clone()
        .filter_map(|(at, step)| Some((at, ms(step.p50_us)?, ms(step.p99_us)?)))
        .collect();
    chart.band("p99", &bands);
    chart.line("max", steps.clone().map(|(at, step)| (at, ms(step.max_us))));
    chart.line("p99", steps.clone().map(|(at, step)| (at, ms(step.p99_us))));
    chart.line("p50", steps.map(|(at, step)| (at, ms(step.p50_us))));
    report.draw_marks(&mut chart);
    let tip = |(at, step): (f64, &Step)| (at, latency_tip(at, step));
    chart.tips(report.step(), report.over_time().map(tip));
    Some(Picture {
        heading: "Latency over time",
        words: "From the instant at which a request was meant to start, whatever became of those before it; drawn where it \
                was meant to start.",
        legend: &[
            ("p50", "half of the requests"),
            ("p99", "99 of 100"),
            ("max", "the slowest"),
        ],
        svg: chart.finish(),
    })
}

fn latency_tip(at: f64, step: &Step) -> String {
    let say = |us: Option<u64>| us.map_or("–".to_owned(), |us| spell(Duration::from_micros(us)));
    let (p50, p99, max) = (say(step.p50_us), say(step.p99_us), say(step.max_us));
    format!(
        "at {at:.1} s: p50 {p50}, p99 {p99}, slowest {max}, {} held",
        step.held
    )
}

fn hold(report: &Report) -> Option<Picture> {
    let most = report.series.steps.iter().map(|step| step.held).max()?;
    if most == 0 {
        return None;
    }
    let title = format!("Requests held at once, over time. The most: {most}.");
    let y = Scale::linear(most as f64 * 1.08);
    let mut chart = Chart::new(&title, report.time_scale(), y, 170.0, true);
    chart.y_axis(count);
    chart.x_axis(seconds);
    let bars = report.over_time().map(|(at, step)| (at, step.held as f64));
    chart.bars("held", report.step(), bars);
    report.draw_marks(&mut chart);
    let tip = |(at, step): (f64, &Step)| (at, format!("at {at:.1} s: {} held", step.held));
    chart.tips(report.step(), report.over_time().map(tip));
    Some(Picture {
        heading: "Hold depth",
        words: "Requests that waited at the door at once, as told by the app's ledger.",
        legend: &[("held", "held")],
        svg: chart.finish(),
    })
}

fn answers(report: &Report) -> Option<Picture> {
    let per_second = |count: u64| count as f64 / report.step();
    let of = |step: &Step| {
        step.started
            .max(step.answered)
            .max(step.refused)
            .max(step.lost)
    };
    let most = report.series.steps.iter().map(of).max()?;
    let title = "Requests started, answered by the app, refused by the proxy and lost, a second, over time.";
    let y = Scale::linear(per_second(most) * 1.08);
    let mut chart = Chart::new(title, report.time_scale(), y, 170.0, true);
    chart.y_axis(count);
    chart.x_axis(seconds);
    let over_time = |of: fn(&Step) -> u64| {
        let steps = report.over_time();
        steps.map(move |(at, step)| (at, per_second(of(step))))
    };
    chart.bars("refused", report.step(), over_time(|step| step.refused));
    chart.bars("lost", report.step(), over_time(|step| step.lost));
    let middle = report.step() / 2.0;
    let line = |of| over_time(of).map(move |(at, rate)| (at + middle, Some(rate)));
    chart.line("max", line(|step| step.started));
    chart.line("p50", line(|step| step.answered));
    report.draw_marks(&mut chart);
    Some(Picture {
        heading: "Answers a second",
        words: "A hold shows as a gap in the answers, and the end of the hold as a peak.",
        legend: &[
            ("p50", "answered by the app"),
            ("max", "started"),
            ("refused", "refused by the proxy"),
            ("lost", "lost"),
        ],
        svg: chart.finish(),
    })
}

/// Of how many requests one is slower: 100 for p99. So equal steps are from p90 to p99 to p99.9.
fn one_in(percent: f64) -> f64 {
    100.0 / (100.0 - percent).max(1e-6)
}

fn curve(report: &Report) -> Option<Picture> {
    let points = || report.latency.iter();
    let last = points().rfind(|it| it.percent < 100.0)?;
    let slowest = points().next_back()?;
    let ms = |it: &Latency| it.us as f64 / 1e3;
    let (low, high) = (ms(points().next()?), ms(slowest));
    // The slowest request is one step beyond what can be told.
    let end = (one_in(last.percent) * 2.0).max(100.0);
    let title =
        format!("Latency by percentile, both axes logarithmic. Slowest of all: {high:.1} ms.");
    let x = Scale::decades(1.0, end);
    let mut chart = Chart::new(&title, x, Scale::decades(low, high), 240.0, false);
    chart.y_axis(milliseconds);
    let percents = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
    let ticks: Vec<f64> = percents
        .into_iter()
        .map(one_in)
        .filter(|it| *it <= end)
        .collect();
    chart.x_axis_at(&ticks, percentile);
    let place = |it: &Latency| {
        if it.percent < 100.0 {
            one_in(it.percent)
        } else {
            end
        }
    };
    chart.line("p50", points().map(|it| (place(it), Some(ms(it)))));
    Some(Picture {
        heading: "Latency by percentile",
        words: "Of the timed requests that the app answered, held ones included. The line ends with the slowest of all.",
        legend: &[],
        svg: chart.finish(),
    })
}

fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 1000.0 => format!("{} s", ms / 1000.0),
        ms if ms >= 1.0 => format!("{ms:.0} ms"),
        ms => format!("{:.3}", ms).trim_end_matches('0').to_owned() + " ms",
    }
}

fn seconds(s: f64) -> String {
    let s = (s * 10.0).round() / 10.0;
    format!("{s} s")
}

fn count(count: f64) -> String {
    format!("{count:.0}")
}

fn percentile(one_in: f64) -> String {
    let percent = super::round(100.0 - 100.0 / one_in);
    format!("p{percent}")
}
