//! Three deploys in a row, each with an app that needs a moment to boot.

use std::time::Duration;

use holdfast_load::load::Load;
use holdfast_load::report::Report;

use super::{Scenario, receipts};
use crate::cli::Options;
use crate::stage::{APP_TIMEOUT, Opening, Stage, steady};
use crate::trouble::Trouble;

const BOOT: Duration = Duration::from_millis(500);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening { mut stage, mut app } = Stage::open(options, "", "").await?;
    let load = Load::start(stage.plan(500.0))?;
    let quarter = options.seconds(12) / 4;
    steady(quarter).await;
    for release in ["v2", "v3", "v4"] {
        let next = stage.command(release).boot_delay(BOOT).start().await?;
        let to = (release, next.address());
        let promoted = stage.promote(&load, app.release(), to, &[]).await?;
        receipts::done(&mut stage.verdict, &promoted);
        // As a deploy script would, on the next line.
        std::mem::replace(&mut app, next).stop(APP_TIMEOUT).await?;
        steady(quarter).await;
    }
    let seen = stage.see(load.finish().await?)?;
    stage.verdict.nothing_lost(&seen.findings);
    Ok(stage.report(Scenario::Overlap, seen))
}
