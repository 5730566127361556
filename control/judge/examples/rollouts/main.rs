//! How often the judge is wrong, and how soon it is right: rollouts that are made up, many times over.
//!
//! `cargo run --release -p swap-judge --example rollouts`; with `HOLDFAST_SEED` the same once more, with
//! `HOLDFAST_ROLLOUTS` fewer (10,000 for each case of false alarms).

#![allow(clippy::print_stdout, reason = "it is there to print")]

mod peers;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use peers::{FixedSample, Flagger};
use swap_judge::{Judge, Place, Rules, Test};
use world::{Crowd, Kind, Paces, Release, Step};

/// Steps with a control in the default rollout: 1, 5, 25 and 50 %.
const STEPS: u32 = 4;
const SAME: [f64; 4] = [0.0, 0.001, 0.02, 0.2];
/// Those of the rollouts whose times are looked at: each is long enough for the p99.
const LONG_STEPS: u32 = 2;
/// Requests on the canary for each of Flagger's intervals: a minute at 1.7 rps.
const INTERVAL: u64 = 100;

fn main() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = given("HOLDFAST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let rollouts = given("HOLDFAST_ROLLOUTS").map_or(10_000, |rollouts| rollouts as usize);
    println!(
        "replay: HOLDFAST_SEED={seed} HOLDFAST_ROLLOUTS={rollouts} cargo run --release -p swap-judge --example rollouts"
    );
    let began = Instant::now();
    let all = All {
        seed,
        rollouts,
        paces: Paces::new(),
    };
    all.false_alarms();
    all.power();
    println!("\ntook {:.0} s", began.elapsed().as_secs_f64());
}

struct All {
    seed: u64,
    rollouts: usize,
    paces: Paces,
}

/// What became of one rollout. Requests on the canary until each said no.
#[derive(Clone, Copy, Default)]
struct Fate {
    judge: Option<u64>,
    by: Option<Test>,
    peeking: Option<u64>,
    once: bool,
    flagger: Option<u64>,
}

impl All {
    fn false_alarms(&self) {
        let alpha = Rules::default().alpha;
        println!(
            "\nFalse alarms: equal releases, {STEPS} steps ({LONG_STEPS} with times), looked at after every request; {} rollouts each, alpha {alpha}: at most {:.0} may fail",
            self.rollouts,
            alpha * self.rollouts as f64
        );
        println!(
            "{:<46} {:>7} {:>12} {:>10} {:>9}   the judge's by",
            "", "judge", "fixed sample", "the same,", "Flagger's"
        );
        println!(
            "{:<46} {:>7} {:>12} {:>10} {:>9}",
            "", "", "each request", "once", "rule"
        );
        for kind in equal() {
            let steps = if kind.times { LONG_STEPS } else { STEPS };
            let fates = self.fates(kind, steps, self.rollouts, true);
            let count = |holds: fn(&Fate) -> bool| fates.iter().filter(|fate| holds(fate)).count();
            println!(
                "{:<46} {:>7} {:>12} {:>10} {:>9}   {}",
                named(&kind),
                count(|fate| fate.judge.is_some()),
                count(|fate| fate.peeking.is_some()),
                count(|fate| fate.once),
                count(|fate| fate.flagger.is_some()),
                causes(&fates),
            );
        }
    }

    fn power(&self) {
        let rollouts = (self.rollouts / 10).max(1);
        println!(
            "\nPower: requests on the canary until it fails, in the first of {STEPS} steps; {rollouts} rollouts each"
        );
        println!(
            "{:<28} {:>7} {:>8} {:>8} {:>6}   {:>12}   {:>8} {:>6}",
            "", "most", "median", "90 %", "seen", "fixed sample", "Flagger", "seen"
        );
        for (name, kind, planned) in worse() {
            let fates = self.fates(kind, 1, rollouts, false);
            let judge = Sizes::of(fates.iter().map(|fate| fate.judge));
            let flagger = Sizes::of(fates.iter().map(|fate| fate.flagger));
            println!(
                "{name:<28} {:>7} {:>8} {:>8} {:>6}   {:>12}   {:>8} {:>6}",
                kind.requests / 2,
                told(judge.median),
                told(judge.most),
                judge.seen(),
                told(planned),
                told(flagger.median),
                flagger.seen(),
            );
        }
        println!(
            "fixed sample: the size for each arm that must be settled before, to see just this difference at alpha {} nine times in ten",
            Rules::default().alpha
        );
    }

    /// What becomes of many rollouts of a kind, on all processors.
    fn fates(&self, kind: Kind, steps: u32, rollouts: usize, is_null: bool) -> Vec<Fate> {
        let next = AtomicUsize::new(0);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || {
            let mut fates = Vec::new();
            loop {
                let rollout = next.fetch_add(1, Ordering::Relaxed);
                if rollout >= rollouts {
                    return fates;
                }
                fates.push(self.fate(kind, steps, rollout as u64, is_null));
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended.flat_map(Result::unwrap_or_default).collect()
        })
    }

    fn fate(&self, kind: Kind, steps: u32, rollout: u64, is_null: bool) -> Fate {
        let judge = Judge::new(
            Rules::default(),
            Place {
                steps: if is_null { steps } else { STEPS },
                attempt: 0,
            },
        );
        let fixed = FixedSample::new(Rules::default().alpha / f64::from(steps));
        let mut fate = Fate::default();
        for place in 0..steps {
            let mut flagger = Flagger::new(INTERVAL);
            let seed = mixed(self.seed, rollout * u64::from(STEPS) + u64::from(place));
            let mut step = Step::new(kind, &self.paces, seed);
            for _ in 0..kind.requests {
                let is_canary = step.request();
                let look = &step.look;
                let at = look.canary.requests;
                if fate.judge.is_none()
                    && let Some(ruling) = judge.alarm(look)
                {
                    fate.judge = Some(at);
                    fate.by = ruling.by;
                }
                if is_null && fate.peeking.is_none() && fixed.fails(look) {
                    fate.peeking = Some(at);
                }
                if is_canary && fate.flagger.is_none() && flagger.fails(look) {
                    fate.flagger = Some(at);
                }
                if !is_null && fate.judge.is_some() && (fate.flagger.is_some() || at > 20_000) {
                    break;
                }
            }
            fate.once |= fixed.fails(&step.look);
        }
        fate
    }
}

/// Another seed for each rollout.
fn mixed(seed: u64, rollout: u64) -> u64 {
    fastrand::Rng::with_seed(seed ^ rollout.wrapping_mul(0x9e37_79b9_7f4a_7c15)).u64(..)
}

/// Requests until something was seen.
struct Sizes {
    all: usize,
    found: usize,
    median: Option<u64>,
    most: Option<u64>,
}

impl Sizes {
    fn of(fates: impl Iterator<Item = Option<u64>>) -> Self {
        let mut sizes: Vec<_> = fates.map(|size| size.unwrap_or(u64::MAX)).collect();
        sizes.sort_unstable();
        let at = |part: f64| {
            let size = sizes.get((sizes.len() as f64 * part) as usize).copied();
            size.filter(|size| *size < u64::MAX)
        };
        Self {
            all: sizes.len(),
            found: sizes.iter().filter(|size| **size < u64::MAX).count(),
            median: at(0.5),
            most: at(0.9),
        }
    }

    fn seen(&self) -> String {
        format!(
            "{:.0} %",
            100.0 * self.found as f64 / self.all.max(1) as f64
        )
    }
}

/// `errors 12, guard 1`.
fn causes(fates: &[Fate]) -> String {
    let of = |test| fates.iter().filter(|fate| fate.by == Some(test)).count();
    let named = [
        ("guard", of(Test::Guard)),
        ("errors", of(Test::Errors)),
        ("p50", of(Test::P50)),
        ("p99", of(Test::P99)),
    ];
    let told = named.iter().filter(|(_, count)| *count > 0);
    told.map(|(name, count)| format!("{name} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn told(size: Option<u64>) -> String {
    size.map_or("-".to_owned(), |size| size.to_string())
}

const CROWDS: [Crowd; 4] = [Crowd::Plain, Crowd::Sessions, Crowd::Heavy, Crowd::Outages];

/// Equal releases, in all ways in which their traffic may be awkward.
fn equal() -> Vec<Kind> {
    let kind = |errors, crowd, slots, times, requests| Kind {
        canary: Release::failing(errors),
        control: Release::failing(errors),
        crowd,
        slots,
        times,
        requests,
    };
    let mut kinds = Vec::new();
    for crowd in CROWDS {
        let slots = [None, Some(1 << 12)].into_iter();
        // To draw each request by itself or each client: what is plain has no clients.
        for slots in slots.filter(|slots| slots.is_none() || crowd != Crowd::Plain) {
            kinds.extend(SAME.map(|errors| kind(errors, crowd, slots, false, 1200)));
        }
    }
    // Bitmaps that are full before the step is over.
    kinds.push(kind(0.2, Crowd::Sessions, Some(64), false, 1200));
    // Enough times in each arm for the p99.
    let crowds = [Crowd::Plain, Crowd::Sessions, Crowd::Outages];
    kinds.extend(crowds.map(|crowd| kind(0.02, crowd, None, true, 10_400)));
    kinds.push(kind(0.02, Crowd::Heavy, Some(1 << 12), true, 10_400));
    kinds
}

fn named(kind: &Kind) -> String {
    let slots = kind
        .slots
        .map_or("requests".to_owned(), |slots| format!("clients/{slots}"));
    let times = if kind.times { ", times" } else { "" };
    let errors = kind.canary.errors * 100.0;
    let crowd = format!("{:?}", kind.crowd).to_lowercase();
    format!("{errors} % {crowd}, by {slots}{times}, {}", kind.requests)
}

/// Canaries that are worse, and the size of the fixed sample that would see it.
fn worse() -> Vec<(&'static str, Kind, Option<u64>)> {
    let fixed = FixedSample::new(Rules::default().alpha);
    let fails = |from, to, crowd, slots, requests| {
        let kind = Kind {
            canary: Release::failing(to),
            control: Release::failing(from),
            crowd,
            slots,
            times: false,
            requests,
        };
        let planned = fixed.size(from, to);
        (kind, Some(planned).filter(|planned| *planned > 0))
    };
    let slow = |slower, tail, requests| Kind {
        canary: Release {
            errors: 0.02,
            slower,
            tail,
        },
        control: Release::failing(0.02),
        crowd: Crowd::Plain,
        slots: None,
        times: true,
        requests,
    };
    let row = |name, (kind, planned)| (name, kind, planned);
    vec![
        row("0 → 100 %", fails(0.0, 1.0, Crowd::Plain, None, 10_000)),
        row("2 → 15 %", fails(0.02, 0.15, Crowd::Plain, None, 10_000)),
        row(
            "2 → 15 %, by clients",
            fails(0.02, 0.15, Crowd::Sessions, Some(1 << 16), 20_000),
        ),
        row("0.1 → 1 %", fails(0.001, 0.01, Crowd::Plain, None, 40_000)),
        row("2 → 4 %", fails(0.02, 0.04, Crowd::Plain, None, 40_000)),
        row("20 → 25 %", fails(0.2, 0.25, Crowd::Plain, None, 40_000)),
        ("all times + 50 %", slow(1.5, 1.0, 40_000), None),
        ("p99 + 50 %, median the same", slow(1.0, 1.5, 200_000), None),
        ("p99 × 2, median the same", slow(1.0, 2.0, 100_000), None),
    ]
}
