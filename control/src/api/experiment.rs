//! Experiments: between which releases, and how clients are divided.

use swap_core::{CloseExperiment, Event, ExperimentArm, Share, StartExperiment};

use super::Addressed;
use super::commands::{Ask, chosen, needed};
use crate::problem::usage;
use crate::wire::{CloseExperimentRequest, Problem, StartExperimentRequest};

/// The machine allows fewer; nobody reads more.
const ARMS_MAX: usize = 64;

pub(super) fn start(ask: StartExperimentRequest, to: &Addressed) -> Result<Event, Problem> {
    let StartExperimentRequest {
        name,
        arm,
        operation,
    } = ask;
    if arm.len() > ARMS_MAX {
        return Err(usage(format!("arm: {} are too many", arm.len())));
    }
    let arms: Result<_, _> = arm.iter().map(|text| self::arm(text)).collect();
    Ok(Event::StartExperiment(StartExperiment {
        operation: chosen(operation, &to.conditions)?,
        name: needed("name", name)?,
        arms: arms?,
        by: to.by.clone(),
    }))
}

pub(super) fn close(ask: CloseExperimentRequest, to: &Addressed) -> Result<Ask, Problem> {
    let CloseExperimentRequest {
        name,
        winner,
        operation,
        detach,
    } = ask;
    let event = Event::CloseExperiment(CloseExperiment {
        operation: chosen(operation, &to.conditions)?,
        name: needed("name", name)?,
        winner,
        by: to.by.clone(),
    });
    Ok(Ask {
        event,
        detach,
        command: false,
    })
}

/// `NAME=RELEASE:WEIGHT`
fn arm(text: &str) -> Result<ExperimentArm, Problem> {
    let wrong = |why: String| {
        let text: String = text.chars().take(200).collect();
        usage(format!(
            "arm: {text:?} {why}; NAME=RELEASE:WEIGHT, such as enhanced=9f3c1a2:0.5"
        ))
    };
    let parts = text.split_once('=');
    let parts = parts.and_then(|(name, rest)| Some((name, rest.rsplit_once(':')?)));
    let (name, (release, weight)) = parts.ok_or_else(|| wrong("has no three parts".to_owned()))?;
    let bad = |error: swap_core::BadName| wrong(format!("is wrong: {error}"));
    Ok(ExperimentArm {
        name: name.parse().map_err(bad)?,
        release: release.parse().map_err(bad)?,
        weight: self::weight(weight)
            .ok_or_else(|| wrong("has no weight from 0.000001 to 1".to_owned()))?,
    })
}

/// `0.5`, with at most six decimals.
fn weight(text: &str) -> Option<Share> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_written = matches!(whole, "0" | "1") && decimals.len() <= 6 && digits(decimals);
    if !is_written || text.ends_with('.') {
        return None;
    }
    let millionths: u32 = format!("{whole}{decimals:0<6}").parse().ok()?;
    (1..=1_000_000)
        .contains(&millionths)
        .then(|| Share::millionths(millionths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_is_a_name_a_release_and_a_weight() {
        let found = arm("enhanced=9f3c1a2:0.25").unwrap();
        assert_eq!(found.name.as_str(), "enhanced");
        assert_eq!(found.release.as_str(), "9f3c1a2");
        assert_eq!(found.weight.as_millionths(), 250_000);
        for wrong in [
            "enhanced",
            "enhanced=9f3c1a2",
            "enhanced=9f3c1a2:",
            "enhanced=9f3c1a2:0",
            "enhanced=9f3c1a2:1.1",
            "enhanced=9f3c1a2:1.",
            "enhanced=9f3c1a2:50%",
            "=9f3c1a2:0.5",
        ] {
            let problem = arm(wrong).unwrap_err();
            assert!(problem.detail.starts_with("arm: "), "{problem:?}");
        }
    }
}
