//! Figures as people read them.

use crate::{Arm, Look};

/// `1 %`, `0.25 %`: three digits that count at most.
pub(crate) fn percent(part: f64) -> String {
    format!("{} %", short(part * 100.0))
}

/// Percentage points.
pub(crate) fn points(part: f64) -> String {
    format!("{} percentage points", short(part * 100.0))
}

/// A time in microseconds.
pub(crate) fn ms(us: u64) -> String {
    format!("{} ms", short(us as f64 / 1000.0))
}

/// `1.25`, `0.0031`, `412`: without zeros that say nothing.
pub(crate) fn short(figure: f64) -> String {
    let places = match figure.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        size if size >= 0.001 => 4,
        _ => 6,
    };
    let text = format!("{figure:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `canary failed 37 of 410, control 4 of 402`; with clients, if those were counted.
pub(crate) fn failed(look: &Look) -> String {
    let one = |arm: &Arm| {
        let clients = look.slots.map(|_| {
            let (erred, units) = (arm.erred, arm.units);
            format!(" ({erred} of {units} clients)")
        });
        let (errors, requests) = (arm.errors, arm.requests);
        format!("{errors} of {requests}{}", clients.unwrap_or_default())
    };
    format!(
        "canary failed {}, control {}",
        one(&look.canary),
        one(&look.control)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(percent(0.01), "1 %");
        assert_eq!(percent(0.0025), "0.25 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(points(0.0134), "1.34 percentage points");
        assert_eq!(percent(0.000_005), "0.0005 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(ms(412_345), "412 ms");
        assert_eq!(ms(1_250), "1.25 ms");
    }
}
