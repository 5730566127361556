//! What the daemon takes, looked at once a second while everything goes on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_load::report::Growth;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep};

use crate::figures::Figures;
use crate::stage::Stage;
use crate::trouble::Trouble;

const EVERY: Duration = Duration::from_secs(1);
/// How long it may take until the daemon takes no more than before.
const CALM_WITHIN: Duration = Duration::from_secs(40);
const CALM_POLL: Duration = Duration::from_millis(200);
/// Memory may be so much more: allocators give back what they like.
pub(super) const RESIDENT_MORE_KIB: u64 = 8 << 10;
/// A process that took another one's place keeps the socket on which it did, and a second handle of it.
const OF_AN_UPGRADE: usize = 2;
/// Threads that waited for a name or for a file stay for a while, and others wait on them then.
const IDLE_THREADS: u64 = 2;

/// Looks at the daemon until it is dropped.
pub(super) struct Watch {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    pid: AtomicU32,
    keeps_process: AtomicBool,
    looks: Mutex<Vec<Look>>,
}

/// What the daemon may take when all have gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) before: Figures,
    /// Whether another process has taken its place since.
    pub(super) upgraded: bool,
}

/// What was seen at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) second: f64,
    pub(super) figures: Figures,
    /// Whether its process was meant to stay.
    pub(super) keeps_process: bool,
}

/// All looks.
pub(super) struct Looks(pub(super) Vec<Look>);

impl Watch {
    pub(super) fn start(pid: u32) -> Self {
        let shared = Arc::<Shared>::default();
        shared.pid.store(pid, Relaxed);
        let task = tokio::spawn(look_on(shared.clone()));
        Self { shared, task }
    }

    /// From now on this process is looked at.
    pub(super) fn look_at(&self, pid: u32) {
        self.shared.pid.store(pid, Relaxed);
    }

    /// Whether the process is meant to stay.
    pub(super) fn keeps_process(&self, keeps: bool) {
        self.shared.keeps_process.store(keeps, Relaxed);
    }

    pub(super) fn finish(self) -> Looks {
        let mut looks = self.shared.looks.lock();
        let looks = looks
            .as_mut()
            .map_or_else(|_| Vec::new(), |it| std::mem::take(&mut **it));
        Looks(looks)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look_on(shared: Arc<Shared>) {
    let began = Instant::now();
    let mut beat = interval(EVERY);
    loop {
        beat.tick().await;
        // A process that has just been replaced is not there.
        if let Ok(figures) = Figures::of(shared.pid.load(Relaxed)) {
            let look = Look {
                second: began.elapsed().as_secs_f64(),
                figures,
                keeps_process: shared.keeps_process.load(Relaxed),
            };
            let looks = shared.looks.lock();
            looks.unwrap_or_else(PoisonError::into_inner).push(look);
        }
    }
}

impl Looks {
    /// While one process was kept, without its first quarter: then it warms up.
    pub(super) fn of_one_process(&self) -> &[Look] {
        let kept = |look: &Look| look.keeps_process;
        let from = self.0.iter().position(kept).unwrap_or(self.0.len());
        let kept = self.0[from..].partition_point(kept);
        &self.0[from + kept / 4..from + kept]
    }

    pub(super) fn pictures(&self) -> Vec<Growth> {
        let picture = |heading: &str, words: &str, of: fn(&Figures) -> f64| {
            let mut growth = Growth::over_time(heading, words);
            let points = self.0.iter().map(|it| (it.second, of(&it.figures)));
            growth.line(heading, points.collect());
            growth
        };
        vec![
            picture("Memory of the daemon", "MiB resident, by second", |it| {
                it.resident_kib as f64 / 1024.0
            }),
            picture("Descriptors of the daemon", "open, by second", |it| {
                it.descriptors as f64
            }),
        ]
    }
}

impl Most {
    pub(super) fn descriptors(self) -> usize {
        self.before.descriptors + if self.upgraded { OF_AN_UPGRADE } else { 0 }
    }

    pub(super) fn threads(self) -> u64 {
        self.before.threads + IDLE_THREADS
    }

    pub(super) fn resident_kib(self) -> u64 {
        self.before.resident_kib + RESIDENT_MORE_KIB
    }

    fn holds(self, now: Figures) -> bool {
        now.descriptors <= self.descriptors()
            && now.threads <= self.threads()
            && now.resident_kib <= self.resident_kib()
    }
}

/// Waits until the daemon takes no more than this, or time is up.
pub(super) async fn calm(stage: &Stage, most: Most) -> Result<Figures, Trouble> {
    let began = Instant::now();
    loop {
        let now = stage.daemon.figures()?;
        if most.holds(now) || began.elapsed() > CALM_WITHIN {
            return Ok(now);
        }
        sleep(CALM_POLL).await;
    }
}
