//! A hold that is full: who does not fit is told at once, who leaves makes room, and who waits is served in turn.

use std::collections::HashSet;
use std::time::Duration;

use holdfast_load::load::{Load, Plan};
use holdfast_load::report::{Report, spell};
use holdfast_load::run::{Ending, Record, Run};
use holdfast_load::series::Percentiles;
use holdfast_load::verdict::Verdict;

use super::{Scenario, hold};
use crate::cli::Options;
use crate::stage::{Opening, Seen, Stage};
use crate::trouble::Trouble;

const HELD: usize = 3_000;
/// Requests a second when the door opens again.
const RESUME_RATE: u32 = 1_000;
/// A refusal comes so soon after the request was sent.
const REFUSED_WITHIN: Duration = Duration::from_millis(50);
/// The place of who leaves is free so soon.
const FREE_WITHIN: Duration = Duration::from_secs(1);
/// Resident memory for each held request, at most.
const KIB_MAX: f64 = 20.0;
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let held = options.count.unwrap_or(HELD);
    // One after the other at a steady pace, so that their order can be seen at the app.
    let limits = format!(
        "max_requests = {held}\nmax_share = 1.0\nmax_wait = \"120s\"\nresume_rate = {RESUME_RATE}"
    );
    let Opening {
        mut stage,
        app: _app,
    } = Stage::open(options, &limits, "").await?;
    Load::start(burst(&stage, 200, 0))?.complete().await?;
    let before = stage.daemon.figures()?;

    let hold = stage.swapctl.call(&["hold", "--timeout", "100s"]).await?;
    hold.expect_done()?;
    let load = Load::start(single(burst(&stage, held, 1)))?;
    load.mark("hold");
    until(&stage, "the hold is full", |now| now >= held as u64).await?;
    let grown = stage
        .daemon
        .figures()?
        .resident_kib
        .saturating_sub(before.resident_kib);

    load.mark("as many again");
    let excess = Load::start(burst(&stage, held, 2))?.complete().await?;
    let full = stage.swapctl.status().await?.hold.held;

    let third = held / 3;
    load.mark("a third leaves");
    let left = load.leave(third).await;
    let rest = (held - third) as u64;
    let freed = until(&stage, "their places are free", |now| now <= rest).await?;
    load.mark("others come");
    let newcomers = Load::start(burst(&stage, third, 3))?;
    until(&stage, "the hold is full again", |now| now >= held as u64).await?;
    load.mark("resume");
    stage.swapctl.call(&["resume"]).await?.expect_done()?;
    let (run, newcomers) = (load.finish().await?, newcomers.finish().await?);

    let seen = stage.see(run)?;
    let excess = stage.see(excess)?;
    let newcomers = stage.see(newcomers)?;
    let verdict = &mut stage.verdict;
    verdict.must(
        "exactly as many are held as may be",
        full,
        full == held as u64,
    );
    refusals(verdict, &excess, held);
    leaving(verdict, &seen, (left, third), freed);
    let answered = newcomers.findings.answered;
    verdict.must(
        "who comes after them gets their places",
        format!("{answered} of {third} answered"),
        answered == third as u64,
    );
    for part in [&seen, &excess, &newcomers] {
        verdict.answered_or_refused(&part.findings);
    }
    hold::order(verdict, &seen);
    let each = grown as f64 / held as f64;
    verdict.must(
        format!("at most {KIB_MAX} KiB of memory for each held request"),
        format!("{each:.2} KiB"),
        each <= KIB_MAX,
    );
    let mut report = stage.report(Scenario::Overflow, seen);
    report.figure(
        "memory for each held GET with 12 fields",
        format!("{each:.2} KiB"),
    );
    report.figure("places of those who left were free after", spell(freed));
    Ok(report)
}

/// So many requests, of all kinds that are answered at once, and nothing else.
fn burst(stage: &Stage, count: usize, seed: u64) -> Plan {
    let mut plan = stage.plan(1_500.0);
    plan.seed = plan.seed.wrapping_add(seed);
    plan.duration = Some(Duration::from_secs_f64(count as f64 / plan.rate));
    plan.mix.slow = 0.0;
    plan.mix.streamed = 0.0;
    plan.watched = 0;
    plan.timeout = Duration::from_secs(120);
    plan
}

/// GETs only, so that what each takes can be told.
fn single(mut plan: Plan) -> Plan {
    plan.mix.posts = 0.0;
    plan
}

/// Polls how many are held until it is so. Returns how long that took.
async fn until(
    stage: &Stage,
    what: &str,
    is_so: impl Fn(u64) -> bool,
) -> Result<Duration, Trouble> {
    let is_so = |status: &holdfast_control::wire::AppStatus| is_so(status.hold.held);
    stage.swapctl.until(what, LONG, is_so).await
}

fn refusals(verdict: &mut Verdict, seen: &Seen, held: usize) {
    let refused: Vec<u64> = refused(&seen.run).map(wait_micros).collect();
    let count = refused.len();
    verdict.must(
        "the excess is refused, and only that",
        format!("{count} refused: {:?}", seen.findings.refused),
        count == held && seen.findings.refused.get("hold_full") == Some(&(count as u64)),
    );
    let without = seen.findings.without_retry_after;
    verdict.must(
        "each refusal says when to come back",
        format!("{without} do not"),
        without == 0,
    );
    let waits = Percentiles::of_micros(refused);
    let wait = |share| Duration::from_micros(waits.at(share).unwrap_or_default());
    verdict.must(
        format!("each refusal comes within {REFUSED_WITHIN:?}"),
        format!(
            "p50 {:?}, p99 {:?}, slowest {:?}",
            wait(0.5),
            wait(0.99),
            wait(1.0)
        ),
        count > 0 && wait(1.0) <= REFUSED_WITHIN,
    );
}

fn refused(run: &Run) -> impl Iterator<Item = &Record> {
    let is_refused = |it: &&Record| matches!(it.ending, Ending::Proxy { .. });
    run.records.iter().filter(is_refused)
}

/// From when it was sent: the generator's own lag is not the proxy's.
fn wait_micros(record: &Record) -> u64 {
    let wait = record.ended.since(record.sent.unwrap_or(record.intended));
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
}

fn leaving(verdict: &mut Verdict, seen: &Seen, (left, meant): (usize, usize), freed: Duration) {
    verdict.must(
        "a third leaves",
        format!("{left} of {meant}"),
        left == meant,
    );
    verdict.must(
        format!("their places are free within {FREE_WITHIN:?}"),
        format!("{freed:?}"),
        freed <= FREE_WITHIN,
    );
    let gone = seen
        .run
        .records
        .iter()
        .filter(|it| it.ending == Ending::Left);
    let gone: HashSet<u64> = gone.map(|it| it.number).collect();
    let arrived = seen
        .ledger
        .arrivals
        .iter()
        .filter_map(|it| seen.run.number(&it.id));
    let arrived: Vec<u64> = arrived.filter(|it| gone.contains(it)).collect();
    verdict.none("request of theirs that reaches the app", &arrived);
}
