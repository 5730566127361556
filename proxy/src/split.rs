//! What a table says beside the live release: releases, each behind its own gate, and which clients get them. Immutable, like
//! the table; what is counted is in the tally, which may outlive it.

mod place;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use holdfast_config::{Canary, Sticky};

use crate::release::LiveRelease;
use place::Key;
pub(crate) use place::unit_of;
pub(crate) use tally::{Counted, Tally};

/// What is published beside the live release.
#[derive(Debug)]
pub(crate) struct Split {
    /// As the control plane said it.
    said: swap_core::Split,
    key: Key,
    /// In the order of `said.beside`.
    pub(crate) releases: Box<[Arc<LiveRelease>]>,
    pub(crate) tally: Arc<Tally>,
}

/// What a request gets: which release, and the arm in which it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Which of the releases beside the live one; none: the live one.
    pub(crate) beside: Option<usize>,
    /// None: it was not drawn, or into no slice.
    pub(crate) arm: Option<usize>,
}

impl Seat {
    /// The live release, uncounted.
    pub(crate) const LIVE: Self = Self {
        beside: None,
        arm: None,
    };
}

impl Split {
    /// Counts go on where those of `before` belong to the same arms.
    pub(crate) fn new(
        said: swap_core::Split,
        releases: Box<[Arc<LiveRelease>]>,
        settings: &Canary,
        workers: usize,
        before: Option<&Self>,
        now: Duration,
    ) -> Self {
        let names = || said.slices.iter().map(|slice| slice.arm.clone());
        // Who is known by something is known by it as long as the same is drawn for.
        let same = before.filter(|before| before.said.key == said.key);
        let sticky = same.map_or(settings.sticky, Self::sticky);
        let round = (said.key.as_str(), said.round);
        let kept = before.filter(|before| before.tally.goes_on(round, names(), sticky));
        let tally = match kept {
            Some(before) => before.tally.clone(),
            None => {
                let tally = Tally::new(round, names(), sticky, said.least, workers, now);
                Arc::new(tally)
            }
        };
        Self {
            key: Key::of(&said.key),
            said,
            releases,
            tally,
        }
    }

    /// The same under these settings.
    pub(crate) fn with_settings(&self, settings: &Canary, workers: usize, now: Duration) -> Self {
        let (said, releases) = (self.said.clone(), self.releases.clone());
        Self::new(said, releases, settings, workers, Some(self), now)
    }

    /// What who may always see the next release gets.
    pub(crate) fn preview(&self) -> Seat {
        Seat {
            beside: self.said.preview.filter(|at| *at < self.releases.len()),
            arm: None,
        }
    }

    /// Who is asked for what the live release does not find.
    pub(crate) fn fallback(&self) -> Option<usize> {
        self.said.fallback.filter(|at| *at < self.releases.len())
    }

    /// Whether whoever asks for the next release sees it.
    pub(crate) fn is_open_to_all(&self) -> bool {
        self.said.opt_in
    }

    /// Whether anybody is drawn.
    pub(crate) fn draws(&self) -> bool {
        !self.said.slices.is_empty()
    }

    /// By what clients are known again.
    pub(crate) fn sticky(&self) -> Sticky {
        self.tally.sticky
    }

    /// What the client that is known by this gets.
    pub(crate) fn seat(&self, unit: u64) -> Seat {
        let place = self.key.place(unit);
        let mut slices = self.said.slices.iter();
        let is_in = |slice: &swap_core::Slice| {
            (slice.from.as_millionths()..slice.to.as_millionths()).contains(&place)
        };
        let Some(at) = slices.position(is_in) else {
            return Seat::LIVE;
        };
        let beside = self.said.slices[at].beside;
        Seat {
            beside: beside.filter(|beside| *beside < self.releases.len()),
            arm: Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use swap_core::{Beside, GateId, Release, Share, Slice};

    use super::*;
    use crate::counters::PerWorker;

    fn per_cent(share: u32) -> Share {
        Share::millionths(share * 10_000)
    }

    /// A canary with this share and a control of the same size, as a rollout has them.
    fn canary(key: &str, round: u64, share: u32) -> swap_core::Split {
        let release: Release = Release {
            id: "two".parse().unwrap(),
            instances: vec!["127.0.0.1:3002".parse().unwrap()],
        };
        let share = per_cent(share);
        let slice = |arm: &str, from, to, beside| Slice {
            arm: arm.parse().unwrap(),
            from,
            to,
            beside,
        };
        let mut slices = vec![slice("canary", Share::NONE, share, Some(0))];
        if share <= share.rest() {
            slices.push(slice("control", share.rest(), Share::ALL, None));
        }
        swap_core::Split {
            key: key.to_owned(),
            round,
            beside: vec![Beside {
                gate: GateId(2),
                release,
            }],
            slices,
            preview: Some(0),
            opt_in: true,
            fallback: None,
            least: Duration::ZERO,
        }
    }

    fn split(said: swap_core::Split, before: Option<&Split>) -> Split {
        let live = |beside: &Beside| {
            let counters = Arc::new(PerWorker::new(1));
            Arc::new(LiveRelease::new(
                beside.release.clone(),
                beside.gate,
                1,
                counters,
            ))
        };
        let releases = said.beside.iter().map(live).collect();
        Split::new(
            said,
            releases,
            &Canary::default(),
            1,
            before,
            Duration::ZERO,
        )
    }

    #[test]
    fn who_is_in_stays_in_while_the_share_grows() {
        let clients: Vec<u64> = {
            let mut dice = fastrand::Rng::with_seed(11);
            (0..10_000).map(|_| dice.u64(..)).collect()
        };
        let mut inside = vec![false; clients.len()];
        for share in [1, 5, 25, 50, 100] {
            let split = split(canary("a rollout", u64::from(share), share), None);
            let mut count = 0;
            for (unit, was_in) in clients.iter().zip(&mut inside) {
                let is_in = split.seat(*unit).beside.is_some();
                assert!(is_in || !*was_in, "went back at {share} %");
                *was_in = is_in;
                count += u32::from(is_in);
            }
            // Four standard deviations.
            let (expected, part) = (share * 100, f64::from(share) / 100.0);
            let off = (10_000.0 * part * (1.0 - part)).sqrt() * 4.0;
            let is_near = (f64::from(count) - f64::from(expected)).abs() <= off;
            assert!(is_near, "{count} of 10,000 at {share} %");
        }
    }

    #[test]
    fn canary_and_control_are_equal_parts_and_never_the_same_client() {
        let split = split(canary("a rollout", 1, 25), None);
        let (mut canary, mut control) = (0_u32, 0_u32);
        for unit in 0..10_000 {
            match split.seat(unit) {
                Seat {
                    beside: Some(0),
                    arm: Some(0),
                } => canary += 1,
                Seat {
                    beside: None,
                    arm: Some(1),
                } => control += 1,
                seat => assert_eq!(seat, Seat::LIVE),
            }
        }
        assert!(canary.abs_diff(control) < 250, "{canary} and {control}");
        assert!((2300..2700).contains(&canary), "{canary}");
    }

    #[test]
    fn counts_go_on_when_the_table_changes_and_begin_anew_with_the_round() {
        let counted = Counted {
            unit: 1,
            received: Duration::ZERO,
            took: Duration::ZERO,
            erred: false,
        };
        let first = split(canary("a rollout", 1, 5), None);
        first.tally.count(0, 0, &counted);
        let requests = |split: &Split| split.tally.arms().arms[0].1.requests;
        let same = split(canary("a rollout", 1, 5), Some(&first));
        let sticky = same.with_settings(&Canary::default(), 1, Duration::ZERO);
        assert_eq!((requests(&same), requests(&sticky)), (1, 1));
        let next = split(canary("a rollout", 2, 25), Some(&same));
        let other = split(canary("another", 1, 5), Some(&same));
        assert_eq!((requests(&next), requests(&other)), (0, 0));
        // What is under way still lands in the round that it began in.
        same.tally.count(0, 0, &counted);
        assert_eq!((requests(&first), requests(&next)), (2, 0));
        let settings = Canary {
            sticky: Sticky::None,
            ..Canary::default()
        };
        let reloaded = same.with_settings(&settings, 1, Duration::ZERO);
        assert_eq!(
            (requests(&reloaded), reloaded.sticky()),
            (2, Sticky::Cookie)
        );
    }

    #[test]
    fn a_release_that_does_not_exist_is_nobodys() {
        let mut said = canary("a rollout", 1, 100);
        (said.beside, said.preview) = (Vec::new(), Some(3));
        let split = split(said, None);
        assert_eq!(split.preview(), Seat::LIVE);
        assert_eq!(split.seat(1).beside, None);
    }
}
