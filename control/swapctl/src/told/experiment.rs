//! How the arms of an experiment compare.

use std::fmt::Write;

use anstyle::Style;
use holdfast_control::wire::{ArmStatus, ExperimentStatus, Finding};
use swap_core::AppName;

use super::canary::figures;
use crate::words::{BAD, GOOD, NAME, Styled, plain};

/// A block of lines.
pub(crate) fn text(app: &AppName, experiment: &ExperimentStatus) -> String {
    let ExperimentStatus { name, by, .. } = experiment;
    let mut text = format!(
        "{} experiment {name} · by {}\n",
        Styled(NAME, app),
        plain(by)
    );
    for line in lines(experiment) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// A line for each arm, and one for how it compares.
pub(crate) fn lines(experiment: &ExperimentStatus) -> Vec<String> {
    experiment.arms.iter().flat_map(arm).collect()
}

fn arm(arm: &ArmStatus) -> Vec<String> {
    let ArmStatus {
        name,
        release,
        weight,
        figures: counted,
        finding,
        why,
    } = arm;
    let mut lines = vec![format!("{name} {release} {weight} · {}", figures(counted))];
    if let (Some(finding), Some(why)) = (finding, why) {
        let (word, style) = word(*finding);
        lines.push(format!(
            "  {} {}",
            Styled(style, format!("{word}:")),
            plain(why)
        ));
    }
    lines
}

fn word(finding: Finding) -> (&'static str, Style) {
    match finding {
        Finding::Better => ("better", GOOD),
        Finding::Worse => ("worse", BAD),
        Finding::NoSignificantDifference => ("no significant difference", Style::new()),
    }
}
