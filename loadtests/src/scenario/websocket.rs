//! Tunnels stay where they are until the drain timeout, then they are closed and counted; with strategy hold, at once.

use std::time::Duration;

use holdfast_load::load::Load;
use holdfast_load::report::Report;
use holdfast_load::run::TunnelEnd;
use swap_core::Outcome;

use super::{Scenario, receipts};
use crate::cli::Options;
use crate::stage::{APP_TIMEOUT, Opening, Promoted, Seen, Stage, steady};
use crate::trouble::Trouble;

const TUNNELS: usize = 50;
const DRAIN: Duration = Duration::from_secs(2);
/// Exit code: done, but requests were cut.
const CUT: i32 = 8;

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening { mut stage, mut app } = Stage::open(options, "", "").await?;
    let mut plan = stage.plan(200.0);
    plan.tunnels = TUNNELS;
    let load = Load::start(plan)?;
    let part = options.seconds(9) / 3;
    steady(part).await;
    let mut promotes = Vec::new();
    for (release, strategy) in [("v2", "overlap"), ("v3", "hold")] {
        let next = stage.app(release).await?;
        let to = (release, next.address());
        let arguments = ["--strategy", strategy, "--drain-timeout", "2s"];
        promotes.push(stage.promote(&load, app.release(), to, &arguments).await?);
        std::mem::replace(&mut app, next).stop(APP_TIMEOUT).await?;
        steady(part).await;
    }
    let seen = stage.see(load.finish().await?)?;
    stage.verdict.nothing_lost(&seen.findings);
    judge(&mut stage, &seen, &promotes);
    Ok(stage.report(Scenario::Websocket, seen))
}

fn judge(stage: &mut Stage, seen: &Seen, promotes: &[Promoted]) {
    let verdict = &mut stage.verdict;
    for promoted in promotes {
        receipts::ended(verdict, promoted, CUT, Outcome::Done);
    }
    let cut: u64 = promotes.iter().map(|it| it.receipt.cut).sum();
    let ended = seen.findings.tunnels_ended_by_others();
    verdict.must(
        "the receipts count the tunnels that were closed",
        format!("{cut} cut, {ended} tunnels closed by the proxy"),
        cut == ended && ended >= TUNNELS as u64,
    );
    let corrupt = seen.findings.tunnels.get(&TunnelEnd::Corrupt).copied();
    let corrupt = corrupt.unwrap_or(0);
    verdict.must(
        "no octet of a tunnel lost or changed",
        corrupt,
        corrupt == 0,
    );
    if let [overlap, ..] = promotes {
        let took = overlap.ended.took;
        verdict.must(
            "with strategy overlap, tunnels had the drain timeout",
            format!("the promote took {took:?}"),
            took >= DRAIN * 9 / 10,
        );
    }
    let slowest = seen.run.tunnels.iter().map(|it| it.slowest_echo).max();
    let slowest = slowest.unwrap_or_default();
    verdict.must(
        "no echo waits for a swap",
        format!("the slowest took {slowest:?}"),
        slowest < Duration::from_secs(1),
    );
}
