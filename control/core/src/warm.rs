//! Affinity: for a while after a swap the old release stays beside the new one, for what only it has. Pages that it has
//! delivered ask for its files.
//!
//! It is best effort. Nobody waits for it: the swap ends as if it were not there, and if the old release is stopped, what
//! is asked of it fails and the new one's answer stands. It does not outlive the process.

use std::time::Duration;

use crate::{App, Moment, Release, splitting::Wanted, turn::Turn, work::Work};

/// An end that could not be journalled is tried again after so long.
const AGAIN: Duration = Duration::from_secs(5);

/// The release that served before, while it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Warm {
    pub(crate) release: Release,
    pub(crate) until: Moment,
}

impl App {
    /// Until when the old release is kept. While something is under way it stays, and nobody need look.
    pub(crate) fn warm_until(&self) -> Option<Moment> {
        let warm = self.warm.as_ref()?;
        matches!(self.work, Work::Idle).then_some(warm.until)
    }
}

impl Turn {
    /// `old` was replaced by `next`. Where that runs at the same address, the old one is gone.
    pub(crate) fn keep_warm(&mut self, old: &Release, next: &Release) {
        let affinity = self.app.limits.affinity;
        let is_gone = old.instances.iter().any(|at| next.instances.contains(at));
        self.app.warm = (!affinity.is_zero() && !is_gone).then(|| Warm {
            release: old.clone(),
            until: self.now + affinity,
        });
    }

    /// Its end could not be journalled, so it has not ended.
    pub(crate) fn warm_again(&mut self) {
        let later = self.now + AGAIN;
        if let Some(warm) = &mut self.app.warm {
            warm.until = warm.until.max(later);
        }
    }

    /// It has been kept for long enough. What is published follows.
    pub(crate) fn warm_late(&mut self) {
        if self.app.warm_until().is_some_and(|until| until <= self.now) {
            self.app.warm = None;
        }
    }

    /// What is to be beside the live release, and the old one with it.
    pub(crate) fn with_warm(&self, wanted: Option<Wanted>) -> Option<Wanted> {
        let Some(Warm { release, .. }) = &self.app.warm else {
            return wanted;
        };
        let mut wanted = wanted.unwrap_or_else(|| Wanted::nothing("affinity"));
        let known = wanted.releases.iter().position(|known| known == release);
        wanted.fallback = Some(known.unwrap_or(wanted.releases.len()));
        if known.is_none() {
            wanted.releases.push(release.clone());
        }
        Some(wanted)
    }
}
