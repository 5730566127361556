//! Everything that may be done to the proxy, and everything that may happen to what is behind it, at random, one after
//! the other, under the mixed crowd.
//!
//! Its own program is replaced at the beginning and at the end only: what one process takes is watched in between, while
//! all other things go on.

mod deck;
mod deeds;
mod judge;
mod watch;

use std::time::Duration;

use holdfast_control::wire::Upgraded;
use holdfast_load::load::Load;
use holdfast_load::report::Report;
use tokio::time::{Instant, sleep};

use super::Scenario;
use crate::cli::Options;
use crate::mixed::{self, Site};
use crate::stage::{Opening, Stage, steady};
use crate::trouble::Trouble;
use deck::{Deck, Deed};
use deeds::Play;
use watch::{Most, Watch};

const SECONDS: u64 = 600;
const RATE: f64 = 250.0;
const FRESH: f64 = 0.3;
/// Clients keep their WebSockets for so many milliseconds, so that drains end without cutting all of them.
const TUNNEL_LIFE_MS: std::ops::RangeInclusive<u64> = 200..=5_000;
/// Nobody's share of a hold is small here: all clients have one address.
const HOLD: &str = "max_wait = \"40s\"\nmax_share = 1.0";
/// Longer than any request takes, on a busy machine too.
const TIMEOUTS: &str = "drain = \"30s\"\ndrain_held = \"30s\"";
/// From here to there, in parts of the whole, the process stays the same.
const ONE_PROCESS: (f64, f64) = (0.3, 0.9);
/// Until clients have gone and allocators have given back what they do.
const REST: Duration = Duration::from_secs(2);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let (Opening { mut stage, app }, site) = mixed::open(options, HOLD, TIMEOUTS).await?;
    let at_rest = rest_after_warm_up(&mut stage, &site, options).await?;
    let mut plan = site.plan(&stage, RATE, FRESH);
    plan.tunnel_life = Some(TUNNEL_LIFE_MS);
    let load = Load::start(plan)?;
    let watch = Watch::start(stage.daemon.pid());
    let whole = options.seconds(SECONDS);
    let mut deck = Deck::new(options.seed);
    let mut play = Play::new(&mut stage, &load, app, options.seed);
    let began = Instant::now();
    while began.elapsed() < whole {
        let part = began.elapsed().as_secs_f64() / whole.as_secs_f64();
        let (from, to) = ONE_PROCESS;
        let deed = deck.draw(!(from..to).contains(&part));
        watch.keeps_process(from <= part && part < to);
        crate::say(&format!("{:6.0} s: {deed}", began.elapsed().as_secs_f64()));
        play.carry_out(deed).await?;
        watch.look_at(play.pid());
        steady(play.pause()).await;
    }
    let played = play.end();
    let series = watch.finish();
    let seen = stage.see(load.finish().await?)?;
    let most = Most {
        before: at_rest,
        upgraded: played.deeds.contains_key(&Deed::Upgrade),
    };
    let afterwards = watch::calm(&stage, most).await?;
    judge::judge(&mut stage, &seen, &played);
    judge::flat(&mut stage, &series, most, afterwards);
    let mut report = stage.report(Scenario::Soak, seen);
    judge::figures(&mut report, &played);
    report.growths = series.pictures();
    Ok(report)
}

/// What the daemon takes when it has seen all kinds of clients, and they have gone. It has a socket or two more when another process was
/// there before it, so there was one.
async fn rest_after_warm_up(
    stage: &mut Stage,
    site: &Site,
    options: &Options,
) -> Result<crate::figures::Figures, Trouble> {
    let upgraded: Upgraded = stage
        .swapctl
        .call(&["upgrade"])
        .await?
        .expect_done()?
        .read()?;
    stage.daemon.succeeded_by(upgraded.pid);
    let warm_up = Load::start(site.plan(stage, RATE, FRESH))?;
    steady(options.seconds(SECONDS).min(Duration::from_secs(10)) / 2).await;
    warm_up.finish().await?;
    sleep(REST).await;
    stage.daemon.figures()
}
