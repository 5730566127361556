//! Canaries that are worse, that die, that are slow, that are as good, and that nobody asks: what the judge says of each,
//! how soon, and who pays for it.

use std::time::Duration;

use holdfast_control::wire::Phase;
use holdfast_load::app::AppCommand;
use holdfast_load::load::{Load, Mix};
use holdfast_load::report::Report;
use swap_core::Outcome;
use tokio::time::sleep;

use super::{Scenario, receipts};
use crate::cli::Options;
use crate::daemon::Setting;
use crate::stage::{Place, Promoted, Seen, Stage, start, steady};
use crate::trouble::Trouble;

/// Exit codes, as CONTRACT has them.
const DONE: i32 = 0;
const GATE_FAILED: i32 = 4;
const ROLLED_BACK: i32 = 5;
const REFUSED: i32 = 6;

/// So many answers of a sound release are errors, as in any real app.
const USUAL: f64 = 0.02;
/// So many of a bad one.
const BAD: f64 = 0.15;
/// So many answers take longer than the others, by so much, or by so much where the release is slow.
const TAIL: f64 = 0.03;
const USUAL_TAIL: Duration = Duration::from_millis(20);
const SLOW_TAIL: Duration = Duration::from_millis(50);
/// Each answer takes so long: what a busy machine adds is little beside it.
const WORK: Duration = Duration::from_millis(10);

/// Within so long a bad release has to be gone, and so many requests may have met it until then.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const MET_MAX: usize = 400;

/// Below so many requests a second the shares are large, and nothing is said of the slowest of a hundred.
const FULL_RATE: f64 = 1_000.0;

/// How the canaries go.
struct Course {
    /// The first share, in per cent.
    first: &'static str,
    is_full: bool,
}

impl Course {
    fn at(rate: f64) -> Self {
        let is_full = rate >= FULL_RATE;
        Self {
            first: if is_full { "5" } else { "50" },
            is_full,
        }
    }
}

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let rate = options.rate.unwrap_or(1_500.0);
    let course = Course::at(rate);
    let mut stage = open(options, &course).await?;
    let mut plan = stage.plan(rate);
    plan.mix = Mix::PLAIN;
    plan.watched = 0;
    let load = Load::start(plan)?;
    steady(Duration::from_secs(1)).await;
    is_bad(&mut stage, &load, &course).await?;
    dies(&mut stage, &load, &course).await?;
    if course.is_full {
        is_slow(&mut stage, &load).await?;
    }
    is_good(&mut stage, &load, &course).await?;
    let seen = stage.see(load.finish().await?)?;
    is_not_asked(&mut stage).await?;
    stage.verdict.nothing_lost(&seen.findings);
    few_met_it(&mut stage, &seen);
    Ok(stage.report(Scenario::Canary, seen))
}

async fn open(options: &Options, course: &Course) -> Result<Stage, Trouble> {
    let place = Place::new(options)?;
    let first = AppCommand::new("v1", place.path().join("ledger"));
    let first = start(usual(first)).await?;
    let mut setting = Setting::web(first.address(), "", "");
    let min_effect = if course.is_full { 0.02 } else { 0.08 };
    setting.apps.push_str(&format!(
        "[app.web.canary]\nmin_effect = {min_effect}\nmax_latency_increase = 1.5\n"
    ));
    let mut stage = Stage::with(place, options, &setting).await?;
    stage.apps.push(first);
    Ok(stage)
}

/// A release as sound as any.
fn usual(command: AppCommand) -> AppCommand {
    command.work(WORK).errors(USUAL).tail(TAIL, USUAL_TAIL)
}

/// A canary of this app, which takes these arguments too.
async fn promote(
    stage: &mut Stage,
    load: &Load,
    command: AppCommand,
    more: &[&str],
) -> Result<Promoted, Trouble> {
    let app = start(command).await?;
    let (release, address) = (app.release().to_owned(), app.address());
    stage.apps.push(app);
    let mut arguments = vec!["--strategy", "canary"];
    arguments.extend(more);
    stage
        .promote(load, "v1", (&release, address), &arguments)
        .await
}

/// Rolled back within seconds, and blocked.
async fn is_bad(stage: &mut Stage, load: &Load, course: &Course) -> Result<(), Trouble> {
    let steps = format!("{},100", course.first);
    let bad = usual(stage.command("bad")).errors(BAD);
    let more = ["--steps", &steps, "--step-time", "60s"];
    let promoted = promote(stage, load, bad, &more).await?;
    rolled_back(stage, &promoted);
    stage.verdict.must(
        format!("a canary with {BAD} errors instead of {USUAL} is gone within {GONE_WITHIN:?}"),
        format!("{:?}", promoted.ended.took),
        promoted.ended.took <= GONE_WITHIN,
    );
    let again = ["promote", "--release", "bad", "--instance", "127.0.0.1:9"];
    let refused = stage.swapctl.call(&again).await?;
    stage.verdict.must(
        "promotes are blocked afterwards, with the reason",
        format!("exit {}: {}", refused.code, refused.stderr),
        refused.code == REFUSED,
    );
    unblock(stage).await
}

/// Its clients get their answers from the old release.
async fn dies(stage: &mut Stage, load: &Load, course: &Course) -> Result<(), Trouble> {
    let steps = format!("{},100", course.first);
    let app = start(usual(stage.command("dies"))).await?;
    let address = app.address();
    let swapctl = stage.swapctl.clone();
    let dying = async {
        let within = Duration::from_secs(20);
        let is_canary = |status: &holdfast_control::wire::AppStatus| status.phase == Phase::Canary;
        swapctl.until("a canary", within, is_canary).await?;
        sleep(Duration::from_secs(1)).await;
        app.kill().await.map_err(Trouble::from)
    };
    let more = [
        "--strategy",
        "canary",
        "--steps",
        &steps,
        "--step-time",
        "60s",
    ];
    let promoting = stage.promote(load, "v1", ("dies", address), &more);
    let (promoted, died) = tokio::join!(promoting, dying);
    died?;
    rolled_back(stage, &promoted?);
    unblock(stage).await
}

/// As many errors, but the slowest of its answers take twice as long.
async fn is_slow(stage: &mut Stage, load: &Load) -> Result<(), Trouble> {
    let slow = usual(stage.command("slow")).tail(TAIL, SLOW_TAIL);
    let more = ["--steps", "50,100", "--step-time", "60s"];
    let promoted = promote(stage, load, slow, &more).await?;
    rolled_back(stage, &promoted);
    let why = promoted.receipt.why.clone().unwrap_or_default();
    stage.verdict.must(
        "it is said to be slow",
        &why,
        why.contains("p99") || why.contains("slower"),
    );
    unblock(stage).await
}

/// Everybody gets it in the end.
async fn is_good(stage: &mut Stage, load: &Load, course: &Course) -> Result<(), Trouble> {
    let steps = if course.is_full {
        "5,25,50,100"
    } else {
        "50,100"
    };
    let good = usual(stage.command("good"));
    let more = ["--steps", steps, "--step-time", "2s", "--watch", "2s"];
    let promoted = promote(stage, load, good, &more).await?;
    receipts::ended(&mut stage.verdict, &promoted, DONE, Outcome::Done);
    steady(Duration::from_secs(1)).await;
    // If it was not: what follows is to be seen all the same.
    unblock(stage).await
}

/// Nobody can say anything of it.
async fn is_not_asked(stage: &mut Stage) -> Result<(), Trouble> {
    let app = start(stage.command("quiet")).await?;
    let address = app.address().to_string();
    stage.apps.push(app);
    let arguments = [
        "promote",
        "--release",
        "quiet",
        "--instance",
        &address,
        "--strategy",
        "canary",
        "--steps",
        "5,100",
        "--step-time",
        "1s",
        "--watch",
        "1s",
        "--boot-timeout",
        "2s",
    ];
    let ended = stage.swapctl.call(&arguments).await?;
    let receipt = ended.receipt()?;
    let why = receipt.why.unwrap_or_default();
    stage.verdict.must(
        "without traffic there is no verdict, and the old release serves",
        format!("exit {} after {:?}: {why}", ended.code, ended.took),
        ended.code == GATE_FAILED && why.contains("not enough traffic"),
    );
    Ok(())
}

fn rolled_back(stage: &mut Stage, promoted: &Promoted) {
    receipts::ended(
        &mut stage.verdict,
        promoted,
        ROLLED_BACK,
        Outcome::RolledBack,
    );
}

async fn unblock(stage: &mut Stage) -> Result<(), Trouble> {
    stage.swapctl.call(&["unblock"]).await?.expect_done()?;
    Ok(())
}

fn few_met_it(stage: &mut Stage, seen: &Seen) {
    let arrivals = seen.ledger.arrivals.iter();
    let met = arrivals
        .filter(|arrival| &*arrival.release == "bad")
        .count();
    stage.verdict.must(
        format!("at most {MET_MAX} requests met the bad release"),
        met,
        (1..=MET_MAX).contains(&met),
    );
}
