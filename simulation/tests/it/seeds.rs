//! Runs of many seeds, and of one.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{Played, play};
use crate::seam::Mutant;

/// Steps of a run, unless `HOLDFAST_STEPS` says more.
const STEPS: u64 = 50;
/// Runs, unless `HOLDFAST_SEEDS` says more; fewer if the machine is slow.
const SEEDS: u64 = 3000;
/// So long may those take that nobody asked for.
const TIME_MAX: Duration = Duration::from_secs(30);

/// In so many runs everything happens.
const ENOUGH: u64 = 800;
/// What happens in any such number of runs: else something is not tried any more.
const HAPPENS: &[&str] = &[
    "COMMAND ended",
    "COMMAND failed",
    "action: Become(Booting)",
    "action: Become(Down)",
    "action: Become(Failing)",
    "action: Become(Flapping)",
    "action: Become(Hanging)",
    "action: ClockJumps",
    "action: Kill",
    "action: PowerLoss",
    "action: Reload",
    "answer: 200 app",
    "answer: 500 app",
    "answer: 502 connect_refused",
    "answer: 502 cut",
    "answer: 502 upstream_reset",
    "answer: 503 hold_full",
    "answer: 503 hold_share",
    "answer: 503 hold_timeout",
    "answer: 504 upstream_timeout",
    "app: broke off",
    "app: reset",
    "cut",
    "disk fails: Create",
    "disk fails: Cut",
    "disk fails: Rename",
    "disk fails: Sync",
    "disk fails: SyncNames",
    "disk fails: Write",
    "done: Abort",
    "done: Block",
    "done: Resume",
    "done: Unblock",
    "done: Unstage",
    "ended: hold Done",
    "ended: promote Aborted",
    "ended: promote AlreadyLive",
    "ended: promote Done",
    "ended: promote Failed",
    "ended: rollback Done",
    "ended: stage Done",
    "ended: stage Failed",
    "give up",
    "hold: Command",
    "hold: Down",
    "hold: Empty",
    "hold: Swap",
    "refused: blocked",
    "refused: busy",
    "refused: journal",
    "signal: live down",
    "disk: Rename",
    "the power fails",
    "upgrade: failed",
];

fn asked(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

fn steps() -> u64 {
    asked("HOLDFAST_STEPS").unwrap_or(STEPS)
}

/// What many runs came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    steps: u64,
    virtual_ms: u64,
    tally: BTreeMap<String, u64>,
    states: BTreeSet<u64>,
    broken: Vec<Played>,
}

impl Sum {
    fn add(&mut self, played: Played) {
        self.seeds += 1;
        self.steps += played.steps;
        self.virtual_ms += played.virtual_ms;
        self.states.extend(&played.states);
        for (what, times) in &played.tally {
            *self.tally.entry(what.clone()).or_default() += times;
        }
        if let Some(broken) = &played.broken {
            println!("seed {}: {broken:?}", played.seed);
            self.broken.push(played);
        }
    }

    fn join(mut self, other: Self) -> Self {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.virtual_ms += other.virtual_ms;
        self.states.extend(other.states);
        for (what, times) in other.tally {
            *self.tally.entry(what).or_default() += times;
        }
        self.broken.extend(other.broken);
        self
    }
}

/// Plays seeds from `first` on, on every core.
fn play_many(first: u64, count: u64, time: Option<Duration>) -> Sum {
    let (next, began) = (AtomicU64::new(first), Instant::now());
    let work = || {
        let mut sum = Sum::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_late = time.is_some_and(|time| began.elapsed() > time);
            if seed >= first + count || is_late || sum.broken.len() >= 5 {
                return sum;
            }
            sum.add(play(seed, steps(), Mutant::None));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let sums = threads
            .into_iter()
            .map(|thread| thread.join().expect("a run"));
        sums.fold(Sum::default(), Sum::join)
    })
}

fn tell(sum: &Sum, took: Duration) {
    let minutes = took.as_secs_f64() / 60.0;
    println!(
        "{} seeds in {:.1} s ({:.0} a minute), {} steps, {} s of made-up time, {} states",
        sum.seeds,
        took.as_secs_f64(),
        sum.seeds as f64 / minutes,
        sum.steps,
        sum.virtual_ms / 1000,
        sum.states.len()
    );
    for (what, times) in &sum.tally {
        println!("{times:>9} {what}");
    }
}

fn tell_story(played: &Played) {
    for line in &played.story {
        println!("{line}");
    }
    let seed = played.seed;
    println!(
        "seed {seed}: {} steps, {} lines, trace {:016x}",
        played.steps, played.told, played.hash
    );
    if let Some(broken) = &played.broken {
        println!("seed {seed}, step {}: {}", broken.step, broken.words);
        println!(
            "again: HOLDFAST_SEED={seed} HOLDFAST_STEPS={} cargo test -p simulation --test it one_seed -- --nocapture",
            steps()
        );
    }
}

#[test]
fn many_seeds_keep_every_promise() {
    let began = Instant::now();
    let wanted = asked("HOLDFAST_SEEDS");
    let first = asked("HOLDFAST_SEED").unwrap_or(0);
    let time = wanted.is_none().then_some(TIME_MAX);
    let sum = play_many(first, wanted.unwrap_or(SEEDS), time);
    tell(&sum, began.elapsed());
    sum.broken.iter().take(1).for_each(tell_story);
    assert!(
        sum.broken.is_empty(),
        "{} seeds broke a promise",
        sum.broken.len()
    );
    let never = HAPPENS
        .iter()
        .filter(|what| !sum.tally.contains_key(**what));
    let never: Vec<_> = never.collect();
    assert!(sum.seeds < ENOUGH || never.is_empty(), "never: {never:?}");
}

#[test]
fn one_seed() {
    let seed = asked("HOLDFAST_SEED").unwrap_or(1);
    let played = play(seed, steps(), Mutant::None);
    tell_story(&played);
    assert!(played.broken.is_none());
}

#[test]
fn the_same_seed_has_the_same_trace() {
    for seed in 0..20 {
        let one = play(seed, steps(), Mutant::None);
        let other = play(seed, steps(), Mutant::None);
        assert_eq!(one.hash, other.hash, "seed {seed}");
    }
}
