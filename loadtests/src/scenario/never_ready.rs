//! Deploys that must fail, and nobody must notice but who deploys.

use std::net::SocketAddr;

use holdfast_load::app::NeverReady;
use holdfast_load::load::Load;
use holdfast_load::report::Report;
use swap_core::Outcome;

use super::{Scenario, receipts};
use crate::cli::Options;
use crate::stage::{Opening, Promoted, Stage, steady};
use crate::trouble::Trouble;

/// Exit code: the gate failed, the old release serves.
const GATE_FAILED: i32 = 4;

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening { mut stage, app } = Stage::open(options, "", "").await?;
    let load = Load::start(stage.plan(300.0))?;
    let part = options.seconds(8) / 8;
    steady(part).await;
    let mut holds = Vec::new();
    let ways = [
        NeverReady::Refuse,
        NeverReady::Hang,
        NeverReady::Error,
        NeverReady::Drip,
    ];
    for how in ways {
        let release = format!("bad-{}", how.word());
        let bad = stage.command(&release).never_ready(how).start().await?;
        let to = (release.as_str(), bad.address());
        let overlap = promote(&mut stage, &load, to, &["--boot-timeout", "1s"]).await?;
        receipts::ended(&mut stage.verdict, &overlap, GATE_FAILED, Outcome::Failed);
        steady(part).await;
        let hold = ["--strategy", "hold", "--boot-timeout", "1s"];
        holds.push(promote(&mut stage, &load, to, &hold).await?);
        steady(part).await;
    }
    let to = ("bad-command", app.address());
    let fails = ["--strategy", "hold", "--", "sh", "-c", "sleep 0.5; exit 3"];
    holds.push(promote(&mut stage, &load, to, &fails).await?);
    steady(part).await;
    let status = stage.swapctl.status().await?;
    let seen = stage.see(load.finish().await?)?;
    let verdict = &mut stage.verdict;
    for (index, hold) in holds.iter().enumerate() {
        receipts::ended(verdict, hold, GATE_FAILED, Outcome::Failed);
        let until = holds.get(index + 1).map(|next| next.began);
        receipts::hold(verdict, hold, &seen, until);
    }
    verdict.nothing_lost(&seen.findings);
    let live = status.live.map(|live| live.release.to_string());
    verdict.must(
        "v1 is still live",
        format!("{live:?}"),
        live.as_deref() == Some("v1"),
    );
    Ok(stage.report(Scenario::NeverReady, seen))
}

/// A promote that is to fail: its release must not get a single request.
async fn promote(
    stage: &mut Stage,
    load: &Load,
    to: (&str, SocketAddr),
    arguments: &[&str],
) -> Result<Promoted, Trouble> {
    stage.reigns.never(to.0);
    stage.promote(load, "v1", to, arguments).await
}
