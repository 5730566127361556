//! What is published beside the live release: a canary's share, an experiment's arms, or a staged release for who may
//! see it beforehand.

use crate::{
    Beside, Effect, GateId, Methods, Release, Share, Slice, Split, experiment::Experiment,
    turn::Turn,
};

/// Who is to get what beside the live release; the gates are chosen when it is published.
pub(crate) struct Wanted {
    pub(crate) key: String,
    pub(crate) round: u64,
    pub(crate) releases: Vec<Release>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) preview: Option<usize>,
    pub(crate) opt_in: bool,
}

impl Turn {
    /// Publishes `wanted` beside the live release, or else what is there without a rollout. A release that was beside it
    /// already keeps its gate. The gates of those who leave are closed, and what runs behind them may take until
    /// `drain` from now.
    pub(crate) fn split(&mut self, wanted: Option<Wanted>, drain: std::time::Duration) {
        let before = self.app.split.take();
        let after = wanted
            .or_else(|| self.without_rollout())
            .map(|wanted| self.placed(wanted, before.as_ref()));
        if after != before {
            self.app.generation = self.app.generation.next();
            self.emit(Effect::Split {
                generation: self.app.generation,
                split: after.clone(),
            });
        }
        self.app.split = after;
        for left in before.into_iter().flat_map(|split| split.beside) {
            self.leave(left.gate, drain);
        }
    }

    /// The gate of a release beside the live one.
    pub(crate) fn gate_beside(&self, release: &Release) -> Option<GateId> {
        let beside = self.app.split.iter().flat_map(|split| &split.beside);
        let mut found = beside.filter(|beside| beside.release == *release);
        found.next().map(|beside| beside.gate)
    }

    fn placed(&mut self, wanted: Wanted, before: Option<&Split>) -> Split {
        let known = |release: &Release| {
            let beside = before.into_iter().flat_map(|split| &split.beside);
            let mut found = beside.filter(|beside| beside.release == *release);
            found.next().map(|beside| beside.gate)
        };
        let place = |release: Release| Beside {
            gate: known(&release).unwrap_or_else(|| self.app.gates.fresh()),
            release,
        };
        Split {
            key: wanted.key,
            round: wanted.round,
            beside: wanted.releases.into_iter().map(place).collect(),
            slices: wanted.slices,
            preview: wanted.preview,
            opt_in: wanted.opt_in,
        }
    }

    /// Closes the gate of a release that was beside the live one, unless it still is, or has become it.
    fn leave(&mut self, gate: GateId, drain: std::time::Duration) {
        let beside = self.app.split.iter().flat_map(|split| &split.beside);
        let stays = beside.map(|beside| beside.gate).any(|known| known == gate);
        if stays || gate == self.app.gates.current {
            return;
        }
        self.emit(Effect::Close {
            gate,
            methods: Methods::ALL,
            tunnels_too: false,
        });
        self.app.gates.left(gate, self.now + drain);
    }

    fn without_rollout(&self) -> Option<Wanted> {
        match &self.app.experiment {
            Some(experiment) => Some(experiment.wanted(&self.app)),
            None => self.previewed(),
        }
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
            key: "preview".to_owned(),
            round: 0,
            releases: vec![staged.clone()],
            slices: Vec::new(),
            preview: Some(0),
            opt_in: false,
        })
    }
}

impl Experiment {
    /// Arms one behind the other; an arm of the live release is counted and gets nothing else.
    fn wanted(&self, app: &crate::App) -> Wanted {
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
            key: self.operation.to_string(),
            round: 0,
            releases,
            slices,
            preview: None,
            opt_in: false,
        }
    }
}
