//! What a promote costs where the new release is ready, as the number of apps and of instances grows; and how soon after
//! its publish the first request is with the new release.

mod ladder;

use std::time::Duration;

use holdfast_load::report::{Growth, Report, spell};
use holdfast_load::verdict::Verdict;

use super::Scenario;
use crate::cli::Options;
use crate::stage::Place;
use crate::statistics::{median, quantile};
use crate::trouble::Trouble;
use ladder::Rung;

/// How many apps there are, and how many instances a release has.
const APPS: [usize; 3] = [1, 100, 5_000];
const INSTANCES: [usize; 2] = [1, 100];
const PROMOTES: usize = 20;
/// A promote of a release that is ready takes so long, the process of swapctl with it, in the median.
const OVERHEAD: Duration = Duration::from_millis(20);
/// From the publish to the first request on the new release, in the median.
const FIRST: Duration = Duration::from_millis(1);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let place = Place::new(options)?;
    let promotes = options.count.unwrap_or(PROMOTES);
    let apps_max = if options.count.is_some() { 100 } else { 5_000 };
    let mut verdict = Verdict::default();
    let mut figures = Vec::new();
    let mut whole = Growth::new(
        "Promote of a release that is ready",
        "Milliseconds from the start of swapctl to its end, the median, by how many apps there are",
    );
    let mut first = Growth::new(
        "First request on the new release",
        "Milliseconds after the publish, the median, by how many apps there are",
    );
    for instances in INSTANCES {
        let (mut wholes, mut firsts) = (Vec::new(), Vec::new());
        for apps in APPS.into_iter().filter(|apps| *apps <= apps_max) {
            let rung = Rung { apps, instances };
            let seen = ladder::climb(options, &place, rung, promotes).await?;
            let name = format!("{apps} apps, {instances} instances");
            let told = format!(
                "promote {}, of it {} within the daemon (boot {}, drain {}); without requests {}; first request {}; started within {}, {:.1} KiB for each app, \
                 {:.1} % of a core at rest",
                spread(&seen.promote_ms),
                spread(&seen.within_ms),
                spread(&seen.boot_ms),
                spread(&seen.drain_ms),
                spread(&seen.at_rest_ms),
                spread(&seen.first_ms),
                spell(seen.started),
                seen.kib_each_app,
                seen.idle_percent,
            );
            crate::say(&format!("{name}: {told}"));
            must_median(
                &mut verdict,
                format!("{name}: a promote takes less than {}", spell(OVERHEAD)),
                &seen.promote_ms,
                promotes,
                OVERHEAD,
            );
            must_median(
                &mut verdict,
                format!("{name}: the first request within {}", spell(FIRST)),
                &seen.first_ms,
                promotes,
                FIRST,
            );
            verdict.must(
                format!("{name}: nothing lost"),
                format!("{} of {} not answered", seen.unanswered, seen.sent),
                seen.unanswered == 0 && seen.sent > 0,
            );
            let point = |figures: &[f64]| (apps as f64, median(figures).unwrap_or(1e-3).max(1e-3));
            wholes.push(point(&seen.promote_ms));
            firsts.push(point(&seen.first_ms));
            figures.push((name, told));
        }
        whole.line(format!("{instances} instances"), wholes);
        first.line(format!("{instances} instances"), firsts);
    }
    let (name, about) = (
        Scenario::PromoteCost.to_string(),
        Scenario::PromoteCost.about(),
    );
    let mut report = Report::of_others(name, about, options.seed, verdict);
    for (name, value) in figures {
        report.figure(name, value);
    }
    report.growths = vec![whole, first];
    Ok(report)
}

fn must_median(
    verdict: &mut Verdict,
    what: String,
    figures: &[f64],
    count: usize,
    bound: Duration,
) {
    let is_below = median(figures).is_some_and(|median| median < bound.as_secs_f64() * 1e3);
    let seen = format!("{} of {} promotes", spread(figures), figures.len());
    verdict.must(what, seen, is_below && figures.len() == count);
}

/// Median and what nine of ten are not above.
fn spread(ms: &[f64]) -> String {
    match (median(ms), quantile(ms, 0.9)) {
        (Some(median), Some(most)) => format!("{median:.2} ms (p90 {most:.2})"),
        _ => "–".to_owned(),
    }
}
