//! What the arms of a split have counted. Each worker has cells of its own, which nobody else writes (`counters.rs`); they are
//! merged when somebody asks. A stage of a rollout that begins anew begins with a new tally: what is under way still counts in
//! the one that it began with.

use std::time::Duration;

use holdfast_config::Sticky;
use holdfast_control::plane::Arms;
use swap_core::ArmName;
use swap_judge::{Arm, BUCKETS, Times, bucket};

use super::place::slot;
use crate::counters::{Cell, PerWorker};

/// A bitmap of clients has 2^16 slots.
const SLOT_BITS: u32 = 16;
const SLOTS: usize = 1 << SLOT_BITS;
/// What a release does at first is slower than what it does later, for so long at most.
const WARM_UP_MAX: Duration = Duration::from_secs(10);

/// The arms' counters.
#[derive(Debug)]
pub(crate) struct Tally {
    key: String,
    round: u64,
    pub(super) sticky: Sticky,
    arms: Box<[ArmName]>,
    /// Requests that began before are counted, and their times are not.
    warm_from: Duration,
    cells: PerWorker<Box<[Cells]>>,
}

/// What is said of a request when it has ended.
pub(crate) struct Counted {
    /// Whose.
    pub(crate) unit: u64,
    pub(crate) received: Duration,
    pub(crate) took: Duration,
    pub(crate) erred: bool,
}

impl Tally {
    pub(super) fn new(
        (key, round): (&str, u64),
        arms: impl Iterator<Item = ArmName>,
        sticky: Sticky,
        least: Duration,
        workers: usize,
        now: Duration,
    ) -> Self {
        let arms: Box<[_]> = arms.collect();
        let slots = if sticky == Sticky::None { 0 } else { SLOTS };
        let cells = || arms.iter().map(|_| Cells::new(slots)).collect();
        Self {
            key: key.to_owned(),
            round,
            sticky,
            warm_from: now + (least / 10).min(WARM_UP_MAX),
            cells: PerWorker::each(workers, cells),
            arms,
        }
    }

    /// Whether what comes under these names belongs to what has been counted here.
    pub(super) fn goes_on(
        &self,
        (key, round): (&str, u64),
        mut arms: impl Iterator<Item = ArmName>,
        sticky: Sticky,
    ) -> bool {
        let same_arms = self
            .arms
            .iter()
            .all(|arm| arms.next().as_ref() == Some(arm));
        same_arms
            && arms.next().is_none()
            && self.key == key
            && self.round == round
            && self.sticky == sticky
    }

    /// To be called by the worker itself.
    pub(crate) fn count(&self, worker: usize, arm: usize, counted: &Counted) {
        if let Some(cells) = self.cells.of(worker).get(arm) {
            cells.count(counted, counted.received >= self.warm_from);
        }
    }

    /// The name of an arm.
    pub(crate) fn name(&self, arm: usize) -> Option<&ArmName> {
        self.arms.get(arm)
    }

    /// All workers' together.
    pub(crate) fn arms(&self) -> Arms {
        let arms = self.arms.iter().enumerate();
        Arms {
            key: self.key.clone(),
            round: self.round,
            slots: (self.sticky != Sticky::None).then_some(SLOTS as u64),
            arms: arms
                .map(|(at, name)| (name.clone(), self.merged(at)))
                .collect(),
        }
    }

    fn merged(&self, arm: usize) -> Arm {
        let cells = || self.cells.iter().map(|cells| &cells[arm]);
        let sum = |of: fn(&Cells) -> &Cell| cells().map(|cells| of(cells).read()).sum();
        // Workers go on meanwhile: nobody is to see more errors than requests.
        let requests: u64 = sum(|cells| &cells.requests);
        let errors = requests.min(sum(|cells| &cells.errors));
        let (units, erred) = if self.sticky == Sticky::None {
            (requests, errors)
        } else {
            let units = united(cells().map(|cells| &cells.seen));
            (units, units.min(united(cells().map(|cells| &cells.erred))))
        };
        let mut times = Times::default();
        for (bucket, cell) in cells().flat_map(|cells| cells.times.iter().enumerate()) {
            times.add(bucket, cell.read());
        }
        Arm {
            requests,
            errors,
            units,
            erred,
            times,
        }
    }
}

/// One arm, as one worker counts it.
#[derive(Debug)]
#[repr(align(128))]
struct Cells {
    requests: Cell,
    errors: Cell,
    /// Clients who were here.
    seen: Bitmap,
    /// Those of whom a request has failed.
    erred: Bitmap,
    /// Those whose time is counted.
    timed: Bitmap,
    times: [Cell; BUCKETS],
}

impl Cells {
    fn new(slots: usize) -> Self {
        Self {
            requests: Cell::default(),
            errors: Cell::default(),
            seen: Bitmap::new(slots),
            erred: Bitmap::new(slots),
            timed: Bitmap::new(slots),
            times: std::array::from_fn(|_| Cell::default()),
        }
    }

    fn count(&self, counted: &Counted, is_warm: bool) {
        let slot = slot(counted.unit, SLOT_BITS);
        self.requests.add(1);
        self.seen.insert(slot);
        if counted.erred {
            self.errors.add(1);
            self.erred.insert(slot);
        }
        if is_warm && self.timed.insert(slot) {
            let us = u64::try_from(counted.took.as_micros()).unwrap_or(u64::MAX);
            self.times[bucket(us)].add(1);
        }
    }
}

/// A set of slots. Without any, because each request is drawn for itself, each is a new one.
#[derive(Debug)]
struct Bitmap {
    words: Box<[Cell]>,
    /// How many slots are in it.
    len: Cell,
}

impl Bitmap {
    fn new(slots: usize) -> Self {
        Self {
            words: (0..slots / BITS).map(|_| Cell::default()).collect(),
            len: Cell::default(),
        }
    }

    /// Whether it was not in it.
    fn insert(&self, slot: usize) -> bool {
        let Some(word) = self.words.get(slot / BITS) else {
            return true;
        };
        let is_new = word.set(1 << (slot % BITS));
        if is_new {
            self.len.add(1);
        }
        is_new
    }
}

const BITS: usize = u64::BITS as usize;

/// In how many slots anybody has somebody. Most have nobody who has met an error, and where only one worker has, it has counted.
fn united<'a>(bitmaps: impl Iterator<Item = &'a Bitmap>) -> u64 {
    let mut bitmaps = bitmaps.filter(|it| it.len.read() > 0);
    let (Some(one), next) = (bitmaps.next(), bitmaps.next()) else {
        return 0;
    };
    let Some(other) = next else {
        return one.len.read();
    };
    let mut all = [0; SLOTS / BITS];
    for bitmap in [one, other].into_iter().chain(bitmaps) {
        for (all, word) in all.iter_mut().zip(&bitmap.words) {
            *all |= word.read();
        }
    }
    all.iter()
        .map(|word: &u64| u64::from(word.count_ones()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_TIME: Duration = Duration::from_secs(60);
    /// Behind the warm-up.
    const WARM: Duration = Duration::from_secs(6);

    fn tally(sticky: Sticky) -> Tally {
        let arms = ["canary", "control"].map(|name| name.parse::<ArmName>().unwrap());
        Tally::new(
            ("key", 1),
            arms.into_iter(),
            sticky,
            STEP_TIME,
            2,
            Duration::ZERO,
        )
    }

    fn counted(unit: u64, erred: bool) -> Counted {
        Counted {
            unit,
            received: WARM,
            took: Duration::from_millis(unit),
            erred,
        }
    }

    fn arm(tally: &Tally, at: usize) -> Arm {
        tally.arms().arms.swap_remove(at).1
    }

    #[test]
    fn a_client_is_one_unit_however_often_it_comes_and_to_whichever_worker() {
        let tally = tally(Sticky::Cookie);
        for worker in [0, 1] {
            tally.count(worker, 0, &counted(1, false));
            tally.count(worker, 0, &counted(2, worker == 1));
            tally.count(worker, 0, &counted(2, worker == 1));
        }
        let canary = arm(&tally, 0);
        assert_eq!((canary.requests, canary.errors), (6, 2));
        assert_eq!((canary.units, canary.erred), (2, 1));
        assert_eq!(
            canary.times.total(),
            4,
            "the first one of each, in each worker"
        );
        assert_eq!(arm(&tally, 1), Arm::default());
        assert_eq!(tally.arms().slots, Some(65_536));
    }

    #[test]
    fn without_clients_each_request_is_a_unit() {
        let tally = tally(Sticky::None);
        (0..5).for_each(|nth| tally.count(0, 1, &counted(7, nth == 0)));
        let control = arm(&tally, 1);
        assert_eq!((control.units, control.erred), (5, 1));
        assert_eq!(control.times.total(), 5);
        assert_eq!(tally.arms().slots, None);
    }

    #[test]
    fn in_the_warm_up_errors_count_and_times_do_not() {
        let tally = tally(Sticky::Client);
        let early = Counted {
            received: WARM - Duration::from_nanos(1),
            ..counted(9, true)
        };
        tally.count(0, 0, &early);
        assert_eq!((arm(&tally, 0).erred, arm(&tally, 0).times.total()), (1, 0));
        tally.count(0, 0, &counted(9, false));
        let canary = arm(&tally, 0);
        assert_eq!(canary.units, 1);
        assert_eq!(
            canary.times.counts()[bucket(9_000)],
            1,
            "its first one since"
        );
    }

    #[test]
    fn the_warm_up_is_a_tenth_of_the_step_and_ten_seconds_at_most() {
        let warm_from = |step_s| {
            let arms = ["canary".parse().unwrap()].into_iter();
            let step = Duration::from_secs(step_s);
            let now = Duration::from_secs(100);
            Tally::new(("", 0), arms, Sticky::None, step, 1, now).warm_from
        };
        assert_eq!(warm_from(60), Duration::from_secs(106));
        assert_eq!(warm_from(3600), Duration::from_secs(110));
    }

    #[test]
    fn slots_are_hardly_ever_shared_by_few_clients() {
        let tally = tally(Sticky::Cookie);
        (0..1000).for_each(|unit| tally.count(0, 0, &counted(unit, false)));
        let seen = arm(&tally, 0).units;
        assert!((980..=1000).contains(&seen), "{seen}");
    }

    #[test]
    fn it_goes_on_only_under_the_same_names() {
        let tally = tally(Sticky::Cookie);
        let arms = |names: &[&'static str]| {
            let arms: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
            arms.into_iter()
        };
        let both = ["canary", "control"];
        assert!(tally.goes_on(("key", 1), arms(&both), Sticky::Cookie));
        assert!(!tally.goes_on(("key", 2), arms(&both), Sticky::Cookie));
        assert!(!tally.goes_on(("other", 1), arms(&both), Sticky::Cookie));
        assert!(!tally.goes_on(("key", 1), arms(&both), Sticky::Client));
        for other in [
            &["canary"][..],
            &["control", "canary"],
            &["canary", "control", "x"],
        ] {
            assert!(
                !tally.goes_on(("key", 1), arms(other), Sticky::Cookie),
                "{other:?}"
            );
        }
    }
}
