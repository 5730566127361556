//! Thousands of clients that connect and ask in one moment, before an app that accepts slowly and whose queue of
//! connections is shorter than that. None of them is to notice more than that it took a while.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_control::wire::{Event, What};
use holdfast_load::report::{Report, spell};
use holdfast_load::verdict::Verdict;

use super::Scenario;
use super::held::{Site, Size};
use crate::cli::Options;
use crate::lean::{App, Kind, Outcome};
use crate::stage::Place;
use crate::trouble::Trouble;

const CLIENTS: usize = 8_000;
/// Connections that the app accepts in a second: the last of them wait for four, half of them outside of its queue.
const ACCEPTS: u32 = 2_000;
/// The app answers who has got in at once, so there is no reason for a longer time in which nobody is answered.
const SILENCE_MAX: Duration = Duration::from_millis(250);
/// For a head; what is usual.
const HEAD: &str = "10s";
const LONG: Duration = Duration::from_secs(120);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let place = Place::new(options)?;
    let clients = u32::try_from(options.count.unwrap_or(CLIENTS)).unwrap_or(u32::MAX);
    let size = Size {
        connections: clients,
        requests: clients,
        batch: clients,
    };
    let app = App::start_slow(ACCEPTS).await?;
    let site = Site::before(app, options, &place, Kind::H1, size, HEAD).await?;
    let mut crowd = site.burst(size)?;
    crowd.child.hear("open", LONG).await?;
    crowd.child.tell("go").await?;
    crowd.child.hear("sent", LONG).await?;
    let sent = crowd.answered().await?;
    let told = site.swapctl.call(&["events"]).await?.expect_done()?;
    let events = told.stdout.lines();
    let events = events.filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let downs = events
        .filter(|event| matches!(event.what, What::Down))
        .count();

    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for one in &sent {
        *outcomes.entry(format!("{:?}", one.outcome)).or_default() += 1;
    }
    let mut ends: Vec<_> = sent.iter().map(|one| one.ended).collect();
    ends.sort_unstable();
    let gaps = ends.windows(2).map(|pair| pair[1].since(pair[0]));
    let silence = gaps.max().unwrap_or_default();
    let slowest = sent.iter().map(|one| one.ended.since(one.at)).max();
    let mut verdict = Verdict::default();
    let is_answered = |outcome| outcome == Outcome::Answered;
    verdict.must(
        "each is answered by the app",
        format!("{outcomes:?}"),
        sent.len() == clients as usize && sent.iter().all(|one| is_answered(one.outcome)),
    );
    verdict.must("the app never counts as down", downs, downs == 0);
    verdict.must(
        format!("never nobody is answered for {}", spell(SILENCE_MAX)),
        spell(silence),
        silence < SILENCE_MAX,
    );
    let (name, about) = (Scenario::Burst.to_string(), Scenario::Burst.about());
    let mut report = Report::of_others(name, about, options.seed, verdict);
    report.figure("clients", clients);
    report.figure("slowest answer", spell(slowest.unwrap_or_default()));
    report.figure("longest time without any", spell(silence));
    report.figure("times that the app counted as down", downs);
    Ok(report)
}
