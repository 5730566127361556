//! The live app goes and comes back, and nobody tells the proxy: once as `systemctl restart` would have it, once killed.

use std::time::Duration;

use holdfast_load::app::App;
use holdfast_load::clock::Moment;
use holdfast_load::load::Load;
use holdfast_load::report::Report;
use holdfast_load::run::{Ending, Kind, Loss, Record};

use super::{Scenario, hold};
use crate::cli::Options;
use crate::stage::{APP_TIMEOUT, Opening, Seen, Stage, steady};
use crate::trouble::Trouble;

/// How long the app is away.
pub(super) const AWAY: Duration = Duration::from_millis(1_500);
/// How long the proxy may take to see that it is back.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// A request that was sent so long after the app went had nothing to do with it.
const AFTER: Duration = Duration::from_millis(500);
/// What an app takes with it, its client knows so soon.
pub(super) const SOON: Duration = Duration::from_secs(5);
/// So many may fail of those that met an app which had stopped listening and not yet said so on its connections.
const FEW: usize = 20;

/// When an app went: from the moment when it was told, or just before it was killed, until it was known to have ended. On a busy
/// machine these are not the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    from: Moment,
    until: Moment,
}

impl Gone {
    /// It went between this moment and now.
    pub(super) fn since(from: Moment) -> Self {
        let until = Moment::now();
        Self { from, until }
    }

    /// It went between these.
    #[cfg(test)]
    pub(super) fn between(from: Moment, until: Moment) -> Self {
        Self { from, until }
    }

    /// When it was there at last.
    pub(super) fn from(&self) -> Moment {
        self.from
    }

    /// When nobody could reach it any more.
    pub(super) fn until(&self) -> Moment {
        self.until
    }

    /// Whether what began and ended at these moments may have been with it.
    pub(super) fn met(&self, began: Moment, ended: Moment) -> bool {
        began <= self.until && ended >= self.from
    }
}

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening { mut stage, app } = Stage::open(options, "", "").await?;
    let port = app.address().port();
    let load = Load::start(stage.plan(500.0))?;
    let part = options.seconds(12) / 4;
    let mut gone = Vec::new();
    steady(part).await;

    load.mark("SIGTERM");
    let from = Moment::now();
    app.stop(APP_TIMEOUT).await?;
    gone.push(Gone::since(from));
    let app = back(&stage, &load, port).await?;
    steady(part).await;

    load.mark("SIGKILL");
    let from = Moment::now();
    app.kill().await?;
    gone.push(Gone::since(from));
    let _app = back(&stage, &load, port).await?;
    steady(part).await;

    let seen = stage.see(load.finish().await?)?;
    judge(&mut stage, &seen, &gone);
    hold::order(&mut stage.verdict, &seen);
    Ok(stage.report(Scenario::Down, seen))
}

/// After a while the same release is there again, and soon nobody waits any more.
async fn back(stage: &Stage, load: &Load, port: u16) -> Result<App, Trouble> {
    steady(AWAY).await;
    let mut app = stage.command("v1").port(port).start().await?;
    app.listening(APP_TIMEOUT).await?;
    open_again(stage, load).await?;
    Ok(app)
}

/// Waits until nobody is held any more.
pub(super) async fn open_again(stage: &Stage, load: &Load) -> Result<(), Trouble> {
    load.mark("it is back");
    let open = stage
        .swapctl
        .until("the hold is over", BACK_WITHIN, |status| {
            !status.hold.active
        });
    open.await?;
    Ok(())
}

/// Little may fail when the app goes without a word, and only what no proxy could save.
pub(super) fn judge(stage: &mut Stage, seen: &Seen, gone: &[Gone]) {
    let verdict = &mut stage.verdict;
    verdict.never_wrong(&seen.findings);
    let failed: Vec<&Record> = seen
        .run
        .records
        .iter()
        .filter(|it| has_failed(it))
        .collect();
    verdict.none(
        "other failure than of POSTs and answers under way",
        &inexcusable(seen, gone),
    );
    let at_risk = seen.run.records.iter().filter(|it| is_at_risk(it, gone));
    let at_risk = at_risk.count();
    verdict.must(
        "few failures beyond those under way",
        format!(
            "{} of {}, {at_risk} were under way",
            failed.len(),
            seen.findings.sent
        ),
        failed.len() < at_risk + FEW,
    );
    // While clients stand still, nobody comes who might wait.
    let paused = seen.run.paused(seen.run.began, seen.run.ended);
    verdict.must(
        "the others waited for the app",
        format!(
            "{} held, the longest for {:?}",
            seen.findings.held, seen.findings.longest_hold
        ),
        seen.findings.longest_hold + paused >= AWAY,
    );
}

/// What failed, and no app that went at these moments took it with it.
pub(super) fn inexcusable(seen: &Seen, gone: &[Gone]) -> Vec<String> {
    let failed = seen.run.records.iter().filter(|it| has_failed(it));
    let inexcusable = failed.filter(|it| !is_excused(it, gone));
    inexcusable.map(describe).collect()
}

pub(super) fn has_failed(record: &Record) -> bool {
    match record.ending {
        Ending::App { .. } | Ending::Left => false,
        Ending::Proxy { .. } | Ending::Lost(_) => true,
    }
}

/// Answers that had begun, and requests that must not be sent twice and may have been under way, may fail.
fn is_excused(record: &Record, gone: &[Gone]) -> bool {
    let under_way = |gone: &Gone| {
        let sent_before = record.sent.is_some_and(|sent| sent <= gone.until + AFTER);
        sent_before && record.ended >= gone.from && record.ended <= gone.until + SOON
    };
    let had_begun = record.ending == Ending::Lost(Loss::Truncated);
    // A handshake of a WebSocket opens something, and is not sent twice either.
    let sent_once = !record.kind.is_idempotent() || record.kind == Kind::Tunnel;
    (had_begun || sent_once) && gone.iter().any(under_way)
}

/// Whether it was with the app when that went. A busy machine has more of them than an idle one.
fn is_at_risk(record: &Record, gone: &[Gone]) -> bool {
    let met = |sent| gone.iter().any(|gone| gone.met(sent, record.ended));
    record.sent.is_some_and(met)
}

fn describe(record: &Record) -> String {
    let Record {
        number,
        kind,
        protocol,
        sent,
        ended,
        ending,
        ..
    } = record;
    format!("{number} {kind:?} in {protocol}, sent {sent:?}, ended {ended:?}: {ending:?}")
}
