//! Clients that take seconds for a request or an answer: a swap must wait for them, and cut none.

use holdfast_load::load::Load;
use holdfast_load::report::Report;
use holdfast_load::run::Kind;

use super::{Scenario, receipts};
use crate::cli::Options;
use crate::stage::{APP_TIMEOUT, Opening, Stage, steady};
use crate::trouble::Trouble;

const SLOW_CLIENTS: usize = 40;
/// Longer than any of them takes. By default a hold gives running requests 5 s, and would cut some.
const DRAIN: &str = "25s";

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening { mut stage, mut app } = Stage::open(options, "", "").await?;
    let mut plan = stage.plan(200.0);
    plan.slow_clients = SLOW_CLIENTS;
    let load = Load::start(plan)?;
    let part = options.seconds(12) / 4;
    steady(part).await;
    for (release, strategy) in [("v2", "overlap"), ("v3", "hold"), ("v4", "overlap")] {
        let next = stage.app(release).await?;
        let to = (release, next.address());
        let arguments = ["--strategy", strategy, "--drain-timeout", DRAIN];
        let promoted = stage.promote(&load, app.release(), to, &arguments).await?;
        receipts::done(&mut stage.verdict, &promoted);
        std::mem::replace(&mut app, next).stop(APP_TIMEOUT).await?;
        steady(part).await;
    }
    let seen = stage.see(load.finish().await?)?;
    stage.verdict.nothing_lost(&seen.findings);
    let slow = |kind| seen.run.records.iter().filter(|it| it.kind == kind).count();
    let (uploads, downloads) = (slow(Kind::Upload), slow(Kind::Download));
    stage.verdict.must(
        "there were slow clients",
        format!("{uploads} uploads, {downloads} downloads"),
        uploads > SLOW_CLIENTS && downloads > 0,
    );
    Ok(stage.report(Scenario::SlowClients, seen))
}
