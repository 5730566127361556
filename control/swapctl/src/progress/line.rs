//! Where an operation stands, in one line.

use std::fmt;

use holdfast_control::wire::{CanaryStatus, ControlStatus, Figures, What};

use crate::told::{self, canary::millis};
use crate::words::plain;

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(super) phase: String,
    counts: Counts,
    pub(super) probe: Option<String>,
}

/// What is counted meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Counts {
    Requests {
        in_flight: u64,
        held: u64,
    },
    /// Of a canary.
    Arms(String),
}

impl Stand {
    /// What an event says about that, if anything.
    pub(super) fn of(what: &What) -> Option<Self> {
        let (phase, counts, probe) = match what {
            What::Phase {
                phase,
                in_flight,
                held,
                ..
            } => (phase, Counts::requests(*in_flight, *held), None),
            What::Progress {
                phase,
                in_flight,
                held,
                probe,
                canary,
                control,
            } => match canary {
                Some(canary) => {
                    let arms = Counts::Arms(arms(canary, control.as_ref()));
                    let why = canary.paused.as_ref().or(canary.why.as_ref());
                    (phase, arms, why.cloned())
                }
                None => (phase, Counts::requests(*in_flight, *held), probe.clone()),
            },
            What::Ready
            | What::Published { .. }
            | What::Split { .. }
            | What::Verdict { .. }
            | What::Gate { .. }
            | What::Paused { .. }
            | What::Mishap { .. }
            | What::Suppressed { .. }
            | What::Held { .. }
            | What::Opened
            | What::Down
            | What::GaveUp
            | What::Receipt { .. }
            | What::Command { .. }
            | What::Missed { .. } => return None,
        };
        Some(Self {
            phase: phase.clone(),
            counts,
            probe,
        })
    }
}

impl Stand {
    /// Whether it tells of arms.
    pub(super) fn is_of_canary(&self) -> bool {
        matches!(self.counts, Counts::Arms(_))
    }
}

impl Counts {
    fn requests(in_flight: u64, held: u64) -> Self {
        Self::Requests { in_flight, held }
    }
}

/// `5 % · 37/410 failed, p99 88.0 ms · control 4/402, p99 80.1 ms`
fn arms(canary: &CanaryStatus, control: Option<&ControlStatus>) -> String {
    let one = |figures: &Figures| {
        let p99 = figures.p99_ms.map(|ms| format!(", p99 {}", millis(ms)));
        let Figures {
            requests, errors, ..
        } = figures;
        (format!("{errors}/{requests}"), p99.unwrap_or_default())
    };
    let (failed, p99) = one(&canary.figures);
    let mut text = format!("{} % · {failed} failed{p99}", canary.share);
    if let Some(control) = control {
        let (failed, p99) = one(&control.figures);
        text.push_str(&format!(" · control {failed}{p99}"));
    }
    text
}

/// What is said once, and stays to be read.
pub(super) fn news(what: &What) -> Option<String> {
    match what {
        What::Split { arms, .. } => {
            let mut arms = arms.iter();
            let canary = arms.find(|share| share.arm.as_str() == "canary")?;
            let release = canary.release.as_ref()?;
            Some(format!("{} % of the clients get {release}", canary.share))
        }
        What::Verdict {
            verdict,
            why,
            canary,
            ..
        } => Some(format!(
            "{} % · {}",
            canary.share,
            told::canary::verdict(*verdict, why)
        )),
        What::Gate { gate } => Some(format!("gate {}", told::canary::gate(gate))),
        What::Paused { why } => Some(format!("paused: {}", plain(why))),
        What::Ready
        | What::Phase { .. }
        | What::Progress { .. }
        | What::Published { .. }
        | What::Mishap { .. }
        | What::Suppressed { .. }
        | What::Held { .. }
        | What::Opened
        | What::Down
        | What::GaveUp
        | What::Receipt { .. }
        | What::Command { .. }
        | What::Missed { .. } => None,
    }
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = plain(&self.phase);
        match &self.counts {
            Counts::Requests { in_flight, held } => {
                write!(f, "{phase} · {in_flight} running · {held} held")
            }
            Counts::Arms(arms) => write!(f, "{phase} {arms}"),
        }
    }
}
