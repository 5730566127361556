//! Where an operation stands, in one line.

use std::fmt;

use holdfast_control::wire::What;

use crate::words::plain;

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(super) phase: String,
    in_flight: u64,
    held: u64,
    pub(super) probe: Option<String>,
}

impl Stand {
    /// What an event says about that, if anything.
    pub(super) fn of(what: &What) -> Option<Self> {
        let (phase, in_flight, held, probe) = match what {
            What::Phase {
                phase,
                in_flight,
                held,
                ..
            } => (phase, in_flight, held, None),
            What::Progress {
                phase,
                in_flight,
                held,
                probe,
            } => (phase, in_flight, held, probe.clone()),
            What::Ready
            | What::Published { .. }
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
            in_flight: *in_flight,
            held: *held,
            probe,
        })
    }
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            phase,
            in_flight,
            held,
            probe: _,
        } = self;
        write!(f, "{} · {in_flight} running · {held} held", plain(phase))
    }
}
