//! An app of which only one copy may run: the command stops the old one, the new one takes two seconds to boot at the same
//! address.

use std::time::Duration;

use holdfast_load::app::App;
use holdfast_load::load::Load;
use holdfast_load::report::Report;
use holdfast_load::verdict::Verdict;

use super::{Scenario, receipts};
use crate::cli::Options;
use crate::stage::{APP_TIMEOUT, Opening, Seen, Stage, steady};
use crate::trouble::Trouble;

const BOOT: Duration = Duration::from_secs(2);
/// Several are let go at once, on several threads, and each has to find its connection: so the order in which they reach
/// the app has a grain.
const ORDER_GRAIN: Duration = Duration::from_millis(50);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening { mut stage, app } = Stage::open(options, "", "").await?;
    let load = Load::start(stage.plan(500.0))?;
    let part = options.seconds(12) / 4;
    steady(part).await;
    let to = ("v2", app.address());
    let next = stage
        .command("v2")
        .port(app.address().port())
        .boot_delay(BOOT);
    let stop = stop(app.pid());
    let command = ["--strategy", "hold", "--", "sh", "-c", &stop];
    let (promoted, next) = tokio::join!(stage.promote(&load, "v1", to, &command), async {
        app.ended(APP_TIMEOUT).await?;
        load.mark("v1 has ended");
        let mut next = next.start().await?;
        next.listening(APP_TIMEOUT).await?;
        load.mark("v2 listens");
        Ok::<App, Trouble>(next)
    });
    let (promoted, _next) = (promoted?, next?);
    steady(part * 2).await;
    let seen = stage.see(load.finish().await?)?;
    stage.verdict.nothing_lost(&seen.findings);
    receipts::done(&mut stage.verdict, &promoted);
    receipts::hold(&mut stage.verdict, &promoted, &seen, None);
    order(&mut stage.verdict, &seen);
    let longest = seen.findings.longest_hold;
    stage.verdict.must(
        "requests were held while the app booted",
        format!("{} held, the longest for {longest:?}", seen.findings.held),
        longest >= BOOT,
    );
    Ok(stage.report(Scenario::Hold, seen))
}

/// A shell line that stops a process and waits for its end.
fn stop(pid: Option<u32>) -> String {
    let pid = pid.unwrap_or_default();
    format!("kill -TERM {pid} && exec tail --pid={pid} -s 0.02 -f /dev/null")
}

/// Held requests reach the app in the order in which they came, but for the grain. If they went at random, or the last
/// one first, the worst overtaking would be as long as the release.
pub(super) fn order(verdict: &mut Verdict, seen: &Seen) {
    let (worst, release) = (
        seen.findings.worst_overtaking,
        seen.findings.longest_release,
    );
    verdict.must(
        "first come, first served",
        format!("one came {worst:?} after a later one, at worst, in a release of {release:?}"),
        in_order(worst, release),
    );
}

/// The same where nothing but the door makes them wait, whatever order the app's own queue has: each is let go after those
/// that came before it. (Whoever was with the app before it waited has come to the door later than it was sent.)
pub(super) fn order_at_the_door(verdict: &mut Verdict, seen: &Seen) {
    let (worst, release) = (
        seen.findings.worst_let_go_overtaking,
        seen.findings.longest_release,
    );
    verdict.must(
        "first come, first let go",
        format!(
            "one was let go {worst:?} after a later one, at worst, in a release of {release:?}"
        ),
        in_order(worst, release),
    );
}

pub(super) fn in_order(worst: Duration, release: Duration) -> bool {
    worst <= ORDER_GRAIN || worst <= release * 3 / 4
}
