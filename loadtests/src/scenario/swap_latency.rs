//! What a swap does to the latency of those who notice nothing else: the same load with promotes and without, in turns.
//!
//! The promotes are between two apps that run all the time, and are commanded without a process of their own: what is
//! looked at is what the daemon does, not what it costs to start programs beside it, nor what it costs to command them: that
//! is done on the other core.

use std::time::Duration;

use holdfast_control::client::Client;
use holdfast_control::wire::{PromoteRequest, Receipt};
use holdfast_load::clock::Moment;
use holdfast_load::report::{Report, spell};
use holdfast_load::verdict::Verdict;
use tokio::time::{Instant, sleep, sleep_until};

use super::Scenario;
use crate::cli::Options;
use crate::daemon::{Daemon, Setting};
use crate::figures::Core;
use crate::lean::{App, Outcome, Paced, Sent, read_sent};
use crate::pinned::Pinned;
use crate::stage::Place;
use crate::statistics::{interval, median, quantile};
use crate::swapctl_child::Swapctl;
use crate::trouble::Trouble;

const ROUNDS: usize = 12;
/// Promotes in each period that has some, one after each such pause.
const PROMOTES: usize = 20;
const PAUSE: Duration = Duration::from_millis(200);
/// Between two periods, and before the first.
const SETTLE: Duration = Duration::from_millis(500);
/// So long is looked for how much can be done at most.
const SATURATION: Duration = Duration::from_secs(3);
/// Who is due so soon after a promote's begin meets it.
const BESIDE: Duration = Duration::from_millis(10);
const CONNECTIONS: u32 = 64;
/// p99 with promotes is at most so many times p99 without, in 95 of 100 redrawn sets of rounds.
const RATIO_MAX: f64 = 1.3;
const LONG: Duration = Duration::from_secs(60);

/// The daemon has a core of its own; apps, load and who commands share another.
const DAEMON_CORE: usize = 0;
const LOAD_CORE: usize = 1;

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let _here = Pinned::to(LOAD_CORE)?;
    let place = Place::new(options)?;
    let mut site = Site::open(options, &place).await?;
    let rounds = options.count.unwrap_or(ROUNDS);
    let most = site.saturation(&place).await?;
    let rate = options.rate.unwrap_or(most / 2.0).max(1.0);
    let load = site.load(&place, Some(rate));
    let mut clients = load.start(Some(LOAD_CORE))?;
    sleep(SETTLE * 4).await;
    let cores = [Core::of(DAEMON_CORE)?, Core::of(LOAD_CORE)?];
    let periods = site.periods(rounds, options.seed).await?;
    let busy = [
        Core::of(DAEMON_CORE)?.busy_percent_since(cores[0]),
        Core::of(LOAD_CORE)?.busy_percent_since(cores[1]),
    ];
    clients.tell("stop").await?;
    clients.hear("done", LONG).await?;
    let seen = Seen {
        most,
        rate,
        periods,
        promotes: site.promotes,
        sent: read_sent(&load.book)?,
        busy,
    };
    Ok(seen.report(options))
}

/// From when to when.
type Period = (Moment, Moment);

struct Site {
    daemon: Daemon,
    client: Client,
    apps: [App; 2],
    /// When each promote began.
    promotes: Vec<Moment>,
}

impl Site {
    async fn open(options: &Options, place: &Place) -> Result<Self, Trouble> {
        let apps = [
            App::start(1, Some(LOAD_CORE)).await?,
            App::start(1, Some(LOAD_CORE)).await?,
        ];
        let swapctl = Swapctl {
            program: options.swapctl.clone(),
            socket: place.path().join("control.sock"),
        };
        let mut setting = Setting::web(apps[0].addresses[0], "", "");
        setting.core = Some(DAEMON_CORE);
        let program = options.holdfast.as_deref();
        let daemon = Daemon::start(program, place.path(), &setting, &swapctl).await?;
        Ok(Self {
            daemon,
            client: Client::new(swapctl.socket),
            apps,
            promotes: Vec::new(),
        })
    }

    fn load(&self, place: &Place, rate: Option<f64>) -> Paced {
        Paced {
            address: self.daemon.address,
            connections: CONNECTIONS,
            rate,
            book: place.path().join("sent"),
        }
    }

    /// Requests a second, if each client asks again as soon as it is answered.
    async fn saturation(&self, place: &Place) -> Result<f64, Trouble> {
        let load = self.load(place, None);
        let mut clients = load.start(Some(LOAD_CORE))?;
        sleep(SATURATION).await;
        clients.tell("stop").await?;
        clients.hear("done", LONG).await?;
        let sent = read_sent(&load.book)?;
        let began = sent.iter().map(|one| one.at).min().unwrap_or_default();
        let ended = sent.iter().map(|one| one.ended).max().unwrap_or_default();
        let seconds = ended.since(began).as_secs_f64().max(1e-3);
        Ok(sent.len() as f64 / seconds)
    }

    /// So many pairs, with promotes and without.
    async fn periods(
        &mut self,
        rounds: usize,
        seed: u64,
    ) -> Result<Vec<(Period, Period)>, Trouble> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut periods = Vec::new();
        for _ in 0..rounds {
            let swaps_first = random.bool();
            let first = self.period(swaps_first).await?;
            let second = self.period(!swaps_first).await?;
            periods.push(if swaps_first {
                (first, second)
            } else {
                (second, first)
            });
        }
        Ok(periods)
    }

    /// So long, with promotes or without.
    async fn period(&mut self, with_swaps: bool) -> Result<Period, Trouble> {
        sleep(SETTLE).await;
        let (from, began) = (Moment::now(), Instant::now());
        for number in 1..=PROMOTES {
            if with_swaps {
                self.promote().await?;
            }
            sleep_until(began + PAUSE * number as u32).await;
        }
        Ok((from, Moment::now()))
    }

    async fn promote(&mut self) -> Result<(), Trouble> {
        self.promotes.push(Moment::now());
        let number = self.promotes.len();
        let instance = self.apps[number % 2].addresses[0];
        let request = PromoteRequest {
            release: format!("r{number}").parse().ok(),
            instance: vec![instance.to_string()],
            ..PromoteRequest::default()
        };
        let done: Result<Receipt, _> = self.client.post("/v1/apps/web/promote", &request).await;
        done.map(|_| ())
            .map_err(|why| Trouble::Missing(format!("promote: {why}")))
    }
}

fn is_within(one: &Sent, (from, to): Period) -> bool {
    one.at >= from && one.at < to
}

/// Whether it was due just after one of these moments, the earliest of which comes first.
fn is_beside(one: &Sent, promotes: &[Moment]) -> bool {
    let before = promotes.partition_point(|promote| *promote <= one.at);
    let last = before.checked_sub(1).map(|last| promotes[last]);
    last.is_some_and(|promote| one.at.since(promote) < BESIDE)
}

fn millis(one: &Sent) -> f64 {
    one.ended.since(one.at).as_secs_f64() * 1e3
}

fn spell_median<'a>(sent: impl Iterator<Item = &'a Sent>) -> String {
    let ms: Vec<f64> = sent.map(millis).collect();
    format!("{:.2} ms", median(&ms).unwrap_or_default())
}

/// What there is to report.
struct Seen {
    /// Requests a second in the closed loop, and as many as were asked.
    most: f64,
    rate: f64,
    periods: Vec<(Period, Period)>,
    promotes: Vec<Moment>,
    sent: Vec<Sent>,
    /// In percent: the daemon's core, and that of load and apps.
    busy: [f64; 2],
}

impl Seen {
    fn report(&self, options: &Options) -> Report {
        let p99s = self.periods.iter();
        let p99s = p99s.map(|(with, without)| (self.p99(*with), self.p99(*without)));
        let p99s: Vec<(f64, f64)> = p99s.collect();
        let (name, about) = (
            Scenario::SwapLatency.to_string(),
            Scenario::SwapLatency.about(),
        );
        let verdict = self.verdict(&p99s, options.seed);
        let mut report = Report::of_others(name, about, options.seed, verdict);
        report.figure("saturation", format!("{:.0} requests/s", self.most));
        report.figure("rate", format!("{:.0} requests/s", self.rate));
        report.figure("rounds", p99s.len());
        let ms = |figures: Vec<f64>| {
            let median = median(&figures).unwrap_or_default();
            spell(Duration::from_secs_f64(median / 1e3))
        };
        let (with, without) = p99s.iter().copied().unzip();
        report.figure("p99 with swaps, median of the rounds", ms(with));
        report.figure("p99 without, median of the rounds", ms(without));
        for (round, (with, without)) in p99s.iter().enumerate() {
            let value = format!("{with:.2} ms with, {without:.2} ms without");
            report.figure(format!("p99 in round {}", round + 1), value);
        }
        let is_beside = |one: &&Sent| is_beside(one, &self.promotes);
        let beside = spell_median(self.sent.iter().filter(is_beside));
        report.figure(
            format!("median within {} of a promote", spell(BESIDE)),
            beside,
        );
        let is_far = |one: &&Sent| {
            let mut periods = self.periods.iter();
            periods.any(|(_, without)| is_within(one, *without))
        };
        let far = spell_median(self.sent.iter().filter(is_far));
        report.figure("median without promotes", far);
        let [daemon, load] = self.busy;
        report.figure("the daemon's core", format!("{daemon:.0} % busy"));
        report.figure("that of load and apps", format!("{load:.0} % busy"));
        report
    }

    fn verdict(&self, p99s: &[(f64, f64)], seed: u64) -> Verdict {
        let mut verdict = Verdict::default();
        let lost = self.sent.iter();
        let lost = lost.filter(|one| one.outcome != Outcome::Answered).count();
        verdict.must(
            "no request lost",
            format!("{lost} of {}", self.sent.len()),
            lost == 0 && !self.sent.is_empty(),
        );
        let ratios = p99s.iter().map(|(with, without)| with / without);
        let ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
        let middle = median(&ratios).unwrap_or_default();
        let (low, high) = interval(&ratios, seed).unwrap_or((0.0, f64::INFINITY));
        verdict.must(
            format!("p99 with swaps is below {RATIO_MAX} times p99 without"),
            format!("{middle:.3} times, {low:.3} to {high:.3} in 95 of 100 redrawn sets of rounds"),
            high < RATIO_MAX && ratios.len() == p99s.len(),
        );
        verdict
    }

    fn p99(&self, period: Period) -> f64 {
        let within = self.sent.iter().filter(|one| is_within(one, period));
        let ms: Vec<f64> = within.map(millis).collect();
        quantile(&ms, 0.99).unwrap_or_default()
    }
}
