//! The daemon's own program is replaced, again and again, under a mixed load.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_control::wire::Upgraded;
use holdfast_load::load::Load;
use holdfast_load::report::Report;
use holdfast_load::run::{TunnelEnd, UnannouncedClose};
use holdfast_load::verdict::Verdict;

use super::Scenario;
use crate::cli::Options;
use crate::mixed;
use crate::stage::{Opening, Seen, Stage, steady};
use crate::trouble::Trouble;

const UPGRADES: usize = 100;
const RATE: f64 = 500.0;
/// Of the requests, on connections of their own: two hundred connects a second.
const FRESH: f64 = 0.4;
/// An idle connection is kept so long by a process that ends.
const IDLE: Duration = Duration::from_secs(5);
/// Clients and the daemon look at the clock at different moments.
const GRAIN: Duration = Duration::from_millis(250);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let (opening, site) = mixed::open(options, "", "").await?;
    let Opening {
        mut stage,
        app: _app,
    } = opening;
    let load = Load::start(site.plan(&stage, RATE, FRESH))?;
    steady(options.seconds(2) / 2).await;
    let upgrades = options.count.unwrap_or(UPGRADES);
    let (mut processes, mut slowest) = (BTreeSet::new(), Duration::ZERO);
    for number in 1..=upgrades {
        load.mark(format!("upgrade {number}"));
        // Waits for the process before, if that still answers its last requests.
        let ended = stage.swapctl.call(&["upgrade"]).await?.expect_done()?;
        let upgraded: Upgraded = ended.read()?;
        stage.daemon.succeeded_by(upgraded.pid);
        processes.insert(upgraded.pid);
        slowest = slowest.max(Duration::from_millis(upgraded.took_ms));
    }
    // The last one takes commands when the one before it has ended.
    for command in [&["block", "--reason", "upgraded"][..], &["unblock"]] {
        stage.swapctl.call(command).await?.expect_done()?;
    }
    steady(options.seconds(2) / 2).await;
    let seen = stage.see(load.finish().await?)?;
    stage.verdict.must(
        "each upgrade has another process",
        format!("{} of {upgrades}", processes.len()),
        processes.len() == upgrades,
    );
    stage.verdict.must(
        "each is done within ten seconds, once the process before has ended",
        format!("{slowest:?} at most"),
        slowest < Duration::from_secs(10),
    );
    judge(&mut stage, &seen);
    mixed::was_mixed(&mut stage, &seen);
    Ok(stage.report(Scenario::Upgrades, seen))
}

/// A process that ends closes what nobody uses, and nothing that somebody has just used.
pub(super) fn closes(verdict: &mut Verdict, seen: &Seen) {
    let run = &seen.run;
    // A client that stood still sees an answer, and then the end of its connection, that much later.
    let idle = |it: &UnannouncedClose| {
        let before = it.at.minus(it.idle + IDLE);
        it.idle + run.paused(before, it.at)
    };
    let soonest = run.closes.iter().map(idle).min();
    let paused = run.paused(run.began, run.ended);
    verdict.must(
        "connections that were closed without a word had been idle for five seconds",
        format!(
            "{} closed, the soonest after {soonest:?}; the clients stood still for {paused:?} in all",
            run.closes.len()
        ),
        soonest.is_none_or(|idle| idle + GRAIN >= IDLE),
    );
}

fn judge(stage: &mut Stage, seen: &Seen) {
    let verdict = &mut stage.verdict;
    verdict.nothing_lost_but_idle(&seen.findings);
    closes(verdict, seen);
    let ends = &seen.findings.tunnels;
    let count = |end| ends.get(&end).copied().unwrap_or(0);
    verdict.must(
        "no octet of a tunnel lost or changed, and none was reset",
        format!("{ends:?}, {} echoes", seen.findings.echoes),
        count(TunnelEnd::Corrupt) == 0 && count(TunnelEnd::Reset) == 0 && seen.findings.echoes > 0,
    );
}
