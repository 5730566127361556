//! What is published beside the live release: a canary's share, an experiment's arms, a staged release for who may see it
//! beforehand, or the release that served before, for what only it has.
//!
//! Whoever is in no slice meets the live release. While the door is shut, everybody waits at it, for whichever release; a
//! hold waits for what runs on those beside the live one as well.

use std::mem;
use std::time::Duration;

use crate::{
    App, Beside, Effect, GateId, Release, Share, Slice, Split, experiment::Experiment, turn::Turn,
    work::Work,
};

/// Who is to get what beside the live release; the gates are chosen when it is published.
pub(crate) struct Wanted {
    pub(crate) key: String,
    pub(crate) round: u64,
    pub(crate) least: Duration,
    pub(crate) releases: Vec<Release>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) preview: Option<usize>,
    pub(crate) opt_in: bool,
    pub(crate) fallback: Option<usize>,
}

impl Wanted {
    /// The live release for everybody.
    pub(crate) fn nothing(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            round: 0,
            least: Duration::ZERO,
            releases: Vec::new(),
            slices: Vec::new(),
            preview: None,
            opt_in: false,
            fallback: None,
        }
    }
}

impl Turn {
    /// Publishes `wanted` beside the live release, or else what is there without a rollout. A release that was beside it
    /// already keeps its gate, unless its clients were drawn and are let go. The gates of those who leave are closed, and
    /// what runs behind them may take until `drain` from now.
    pub(crate) fn split(&mut self, wanted: Option<Wanted>, drain: Duration) {
        let before = self.app.split.clone();
        let wanted = wanted.or_else(|| self.without_rollout());
        let after = wanted.map(|wanted| self.placed(wanted));
        if after != before {
            self.publish_split(after);
        }
        for left in before.into_iter().flat_map(|split| split.beside) {
            if !self.is_published(left.gate) {
                self.close_drained(left.gate, drain);
            }
        }
    }

    /// What nobody asked for and yet is to be seen: staged releases, since the limits may have changed meanwhile.
    pub(crate) fn look_beside(&mut self) {
        if let Work::Idle = self.app.work {
            self.split(None, self.app.limits.drain);
        }
    }

    /// Publishes what is beside the live release behind fresh gates, and says which they were.
    pub(crate) fn change_gates_beside(&mut self) -> Vec<GateId> {
        let Some(mut split) = self.app.split.clone() else {
            return Vec::new();
        };
        let mut change =
            |beside: &mut Beside| mem::replace(&mut beside.gate, self.app.gates.fresh());
        let old = split.beside.iter_mut().map(&mut change).collect();
        self.publish_split(Some(split));
        old
    }

    fn publish_split(&mut self, split: Option<Split>) {
        self.app.generation = self.app.generation.next();
        self.app.split.clone_from(&split);
        self.emit(Effect::Split {
            generation: self.app.generation,
            split,
        });
    }

    /// The gate of a release beside the live one.
    pub(crate) fn gate_beside(&self, release: &Release) -> Option<GateId> {
        let beside = self.app.split.iter().flat_map(|split| &split.beside);
        let mut found = beside.filter(|beside| beside.release == *release);
        found.next().map(|beside| beside.gate)
    }

    fn placed(&mut self, wanted: Wanted) -> Split {
        let are_let_go = |split: &Split| !split.slices.is_empty() && split.key != wanted.key;
        let stay = !self.app.split.as_ref().is_some_and(are_let_go);
        let place = |release: Release| {
            let known = self.gate_beside(&release).filter(|_| stay);
            Beside {
                gate: known.unwrap_or_else(|| self.app.gates.fresh()),
                release,
            }
        };
        Split {
            beside: wanted.releases.into_iter().map(place).collect(),
            key: wanted.key,
            round: wanted.round,
            least: wanted.least,
            slices: wanted.slices,
            preview: wanted.preview,
            opt_in: wanted.opt_in,
            fallback: wanted.fallback,
        }
    }

    /// Whether this is the gate of the live release, or of one beside it.
    fn is_published(&self, gate: GateId) -> bool {
        let mut beside = self.app.split.iter().flat_map(|split| &split.beside);
        gate == self.app.gates.current || beside.any(|beside| beside.gate == gate)
    }

    fn without_rollout(&self) -> Option<Wanted> {
        let wanted = match &self.app.experiment {
            Some(experiment) => Some(experiment.wanted(&self.app)),
            None => self.previewed(),
        };
        self.with_warm(wanted)
    }

    /// The release that was staged last, for those who may see it before it takes any traffic.
    fn previewed(&self) -> Option<Wanted> {
        let staged = self
            .app
            .staged
            .last()
            .filter(|_| self.app.limits.previews)?;
        self.app.live.as_ref()?;
        Some(Wanted {
            releases: vec![staged.clone()],
            preview: Some(0),
            ..Wanted::nothing("preview")
        })
    }
}

impl Experiment {
    /// Arms one behind the other; an arm of the live release is counted and gets nothing else.
    fn wanted(&self, app: &App) -> Wanted {
        let mut releases: Vec<Release> = Vec::new();
        let mut slices = Vec::new();
        let mut from = Share::NONE;
        for arm in &self.arms {
            let to = Share::millionths(from.as_millionths() + arm.weight.as_millionths());
            let is_staged = app.staged.iter().find(|staged| staged.id == arm.release);
            let beside = is_staged.map(|staged| {
                let at = releases.iter().position(|known| known == staged);
                at.unwrap_or_else(|| {
                    releases.push(staged.clone());
                    releases.len() - 1
                })
            });
            slices.push(Slice {
                arm: arm.name.clone(),
                from,
                to,
                beside,
            });
            from = to;
        }
        Wanted {
            releases,
            slices,
            ..Wanted::nothing(self.operation.as_str())
        }
    }
}
