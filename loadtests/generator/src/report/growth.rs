//! How figures grow with a number: a picture with both axes by powers of ten, so that what grows in proportion is a line
//! that rises one decade a decade; or with time, both axes from zero, so that what does not grow is level.

use std::fmt::Write as _;

use serde::Serialize;

use super::chart::{Chart, escape};
use super::scale::Scale;

/// Classes of the lines, in their order.
const CLASSES: [&str; 6] = ["p50", "p99", "held", "refused", "lost", "max"];

/// Figures that depend on a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// What grows: `Time of the release`.
    pub heading: String,
    /// In which unit, and with what.
    pub words: String,
    /// Whether the number is the second of the run.
    pub over_time: bool,
    /// The things that are compared, at most six.
    pub lines: Vec<Line>,
}

/// One of the things that are compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The number, and the figure there; in order of the number, all above zero.
    pub points: Vec<(f64, f64)>,
}

impl Growth {
    /// Nothing yet.
    pub fn new(heading: impl Into<String>, words: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            words: words.into(),
            over_time: false,
            lines: Vec::new(),
        }
    }

    /// Nothing yet, of figures by second.
    pub fn over_time(heading: impl Into<String>, words: impl Into<String>) -> Self {
        Self {
            over_time: true,
            ..Self::new(heading, words)
        }
    }

    /// Adds what is compared.
    pub fn line(&mut self, name: impl Into<String>, points: Vec<(f64, f64)>) {
        self.lines.push(Line {
            name: name.into(),
            points,
        });
    }
}

/// The power with which the figure grows between the two greatest numbers: 1 is in proportion. None where there are not two.
pub fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let [.., (from, low), (to, high)] = points else {
        return None;
    };
    let power = (high / low).ln() / (to / from).ln();
    power.is_finite().then_some(power)
}

pub(super) fn sections(growths: &[Growth]) -> String {
    growths.iter().filter_map(section).collect()
}

fn section(growth: &Growth) -> Option<String> {
    let all = || growth.lines.iter().flat_map(|line| &line.points);
    let scale = if growth.over_time { from_zero } else { around };
    let across = scale(&mut all().map(|(x, _)| *x))?;
    let up = scale(&mut all().map(|(_, y)| *y))?;
    let title = format!("{}, {}", growth.heading, growth.words);
    let mut chart = Chart::new(&title, across, up, 260.0, false);
    chart.y_axis(number);
    chart.x_axis(number);
    let mut legend = String::new();
    for (line, class) in growth.lines.iter().zip(CLASSES) {
        let points = line.points.iter();
        chart.line(class, points.map(|(x, y)| (*x, Some(*y))));
        let name = escape(&line.name);
        // Writing to a String cannot fail.
        let _ = write!(
            legend,
            r#"<li><span class="swatch {class}"></span>{name}</li>"#
        );
    }
    Some(format!(
        r#"<section><h2>{}</h2><p>{}</p><ul class="legend">{legend}</ul><figure>{}</figure></section>
"#,
        escape(&growth.heading),
        escape(&growth.words),
        chart.finish(),
    ))
}

/// A scale that has them all.
fn around(values: &mut dyn Iterator<Item = f64>) -> Option<Scale> {
    let first = values.next()?;
    let (low, high) = values.fold((first, first), |(low, high), value| {
        (f64::min(low, value), f64::max(high, value))
    });
    Some(Scale::decades(low, high))
}

/// The same from zero on, with a little room.
fn from_zero(values: &mut dyn Iterator<Item = f64>) -> Option<Scale> {
    Some(Scale::linear(values.reduce(f64::max)? * 1.08))
}

fn number(value: f64) -> String {
    match value {
        value if value >= 0.999e6 => format!("{}M", value / 1e6),
        value if value >= 0.999e3 => format!("{}k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_in_proportion_has_the_power_one() {
        let power = exponent(&[(1.0, 9.0), (1e3, 2.0), (1e5, 200.0)]).unwrap();
        assert!((power - 1.0).abs() < 1e-9);
        let square = exponent(&[(10.0, 1.0), (20.0, 4.0)]).unwrap();
        assert!((square - 2.0).abs() < 1e-9);
        assert_eq!(exponent(&[(10.0, 1.0)]), None);
    }

    #[test]
    fn what_is_level_over_time_is_drawn_level_and_from_zero() {
        let mut growth = Growth::over_time("Memory", "MiB");
        growth.line("daemon", vec![(0.0, 30.0), (600.0, 30.0)]);
        let drawn = sections(&[growth]);
        let points = drawn.split("<p").filter(|it| it.contains("p50"));
        assert!(points.count() > 0 && drawn.contains("600"), "{drawn}");
    }

    #[test]
    fn a_growth_is_drawn_and_none_is_not() {
        let mut growth = Growth::new("Time", "seconds <by> requests");
        assert_eq!(sections(std::slice::from_ref(&growth)), "");
        growth.line("HTTP/2", vec![(1e3, 0.2), (1e5, 21.0)]);
        let drawn = sections(&[growth]);
        assert!(drawn.contains("&lt;by&gt;") && drawn.contains("HTTP/2") && drawn.contains("100k"));
    }
}
