//! Promotes in a row: nothing lost, and the daemon is as it was before.

use std::time::Duration;

use holdfast_load::load::Load;
use holdfast_load::report::Report;
use tokio::time::{Instant, sleep};

use super::Scenario;
use crate::cli::Options;
use crate::figures::Figures;
use crate::stage::{Opening, Stage};
use crate::trouble::Trouble;

const SWAPS: usize = 1_000;
const RATE: f64 = 400.0;
/// Swaps before the first look at what the daemon takes.
const WARM_UP: usize = 20;
/// How long it may take until it takes no more than before.
const CALM_WITHIN: Duration = Duration::from_secs(20);
const CALM_POLL: Duration = Duration::from_millis(100);
/// Memory may be so much more: allocators give back what they like.
const RESIDENT_MORE_KIB: u64 = 8 << 10;

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening { mut stage, app } = Stage::open(options, "", "").await?;
    let apps = [app, stage.app("v2").await?, stage.app("v3").await?];
    let instances = apps.each_ref().map(|it| it.address().to_string());
    let mut swaps = Swaps {
        live: 0,
        done: 0,
        instances,
        cut: 0,
        lost: 0,
        slowest: Duration::ZERO,
    };
    let warm_up = Load::start(stage.plan(RATE))?;
    for _ in 0..WARM_UP {
        swaps.swap(&mut stage).await?;
    }
    warm_up.finish().await?;
    sleep(CALM_POLL * 20).await;
    let before = stage.daemon.figures()?;

    let load = Load::start(stage.plan(RATE))?;
    let count = options.count.unwrap_or(SWAPS);
    for number in 0..count {
        if number.is_multiple_of((count / 10).max(1)) {
            load.mark(format!("{number} swaps"));
        }
        swaps.swap(&mut stage).await?;
    }
    let seen = stage.see(load.finish().await?)?;
    let after = calm(&stage, before).await?;
    let verdict = &mut stage.verdict;
    verdict.nothing_lost(&seen.findings);
    verdict.must(
        "no swap cuts or loses anything",
        format!("{} cut, {} lost", swaps.cut, swaps.lost),
        swaps.cut == 0 && swaps.lost == 0,
    );
    verdict.must(
        "descriptors are back to where they were",
        format!("{} before, {} after", before.descriptors, after.descriptors),
        after.descriptors <= before.descriptors,
    );
    verdict.must(
        "threads are back to where they were",
        format!("{} before, {} after", before.threads, after.threads),
        after.threads <= before.threads,
    );
    verdict.must(
        "memory is back to where it was",
        format!(
            "{} KiB before, {} KiB after",
            before.resident_kib, after.resident_kib
        ),
        after.resident_kib <= before.resident_kib + RESIDENT_MORE_KIB,
    );
    let mut report = stage.report(Scenario::ThousandSwaps, seen);
    report.figure("swaps", count);
    report.figure("slowest swap", format!("{:?}", swaps.slowest));
    Ok(report)
}

/// Promotes around three apps, with either strategy by turns.
struct Swaps {
    live: usize,
    done: usize,
    instances: [String; 3],
    cut: u64,
    lost: u64,
    slowest: Duration,
}

impl Swaps {
    async fn swap(&mut self, stage: &mut Stage) -> Result<(), Trouble> {
        let (old, new) = (self.live, (self.live + 1) % 3);
        let release = format!("n{}", self.done);
        let strategy = if self.done.is_multiple_of(2) {
            "overlap"
        } else {
            "hold"
        };
        stage.reigns.begin(app(new));
        let ended = stage
            .swapctl
            .call(&[
                "promote",
                "--release",
                &release,
                "--instance",
                &self.instances[new],
                "--strategy",
                strategy,
            ])
            .await?;
        // 8: done, but something was cut or lost, which is for the verdict.
        let ended = if ended.code == 8 {
            ended
        } else {
            ended.expect_done()?
        };
        stage.reigns.end(app(old));
        let receipt = ended.receipt()?;
        self.cut += receipt.cut;
        self.lost += receipt.lost;
        self.slowest = self.slowest.max(ended.took);
        self.live = new;
        self.done += 1;
        Ok(())
    }
}

/// What the app at this place calls itself; the releases that it is promoted as change.
fn app(place: usize) -> &'static str {
    ["v1", "v2", "v3"][place]
}

/// Waits until the daemon takes no more than before, or time is up.
async fn calm(stage: &Stage, before: Figures) -> Result<Figures, Trouble> {
    let began = Instant::now();
    loop {
        let now = stage.daemon.figures()?;
        let is_calm = now.descriptors <= before.descriptors
            && now.threads <= before.threads
            && now.resident_kib <= before.resident_kib + RESIDENT_MORE_KIB;
        if is_calm || began.elapsed() > CALM_WITHIN {
            return Ok(now);
        }
        sleep(CALM_POLL).await;
    }
}
