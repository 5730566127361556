//! What may be typed, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::lean;
use crate::real::{self, Kind};
use crate::scenario::Scenario;

/// Puts load on Holdfast, does to it what the scenario says, and gives a verdict: exit 0, or 1 if something that must
/// hold did not, or 2 if the scenario could not be played.
#[derive(Debug, Parser)]
#[command(name = "loadtests", max_term_width = 100)]
pub(crate) struct Cli {
    /// What to play
    #[arg(value_enum)]
    what: What,
    /// How long the load lasts at least, in seconds [default: what the scenario needs]
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The same in minutes
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// Requests a second [default: the scenario's]
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// What everything random is drawn from [default: drawn, and printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Requests held in `overflow`, at most in `held`, clients in `burst`, promotes in `thousand-swaps`, in
    /// each row of `promote-cost`, rounds of `swap-latency`, upgrades in `upgrades` [default: 3000;
    /// 100000; 8000; 1000; 20; 12; 100]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Only these ways of asking, in `held`
    #[arg(long, value_enum, value_name = "KIND", default_values_t = lean::Kind::ALL)]
    kind: Vec<lean::Kind>,
    /// Where to write SCENARIO.html and SCENARIO.json
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// The report on standard output as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Another `holdfast` than the one that is built in
    #[arg(long, value_name = "PATH")]
    holdfast: Option<PathBuf>,
    /// Another `swapctl` than the one that is built in
    #[arg(long, value_name = "PATH")]
    swapctl: Option<PathBuf>,
    /// Keep logs and ledgers in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Promotes with strategy overlap
    Overlap,
    /// A promote with strategy hold: the old app is stopped, the new one takes two seconds to boot
    Hold,
    /// The live app is restarted and killed, and nobody says so
    Down,
    /// Releases that never get ready, and a command that fails
    NeverReady,
    /// More requests than a hold takes, and clients that leave
    Overflow,
    /// Promotes in a row
    ThousandSwaps,
    /// The daemon's own program replaced, again and again
    Upgrades,
    /// Canaries that are worse, that die, that are slow, that are as good, and that nobody asks
    Canary,
    /// Promotes among clients that send and read a few octets at a time
    SlowClients,
    /// Promotes with WebSockets open
    Websocket,
    /// All of it at random, for ten minutes or as long as is said
    Soak,
    /// Up to 100,000 requests held at once, over each protocol, and let go
    Held,
    /// What a promote costs, with 1 to 5,000 apps and 1 or 100 instances
    PromoteCost,
    /// Each of these, in small
    AllShort,
    /// p99 with promotes and without, at half of what can be done
    SwapLatency,
    /// Thousands of clients that connect and ask in one moment
    Burst,
    /// Attacks of thirteen kinds, among honest clients
    Attacks,
    /// A real nginx behind it: either strategy, an untold restart and kill, and wrk
    RealNginx,
    /// The same with gunicorn
    RealGunicorn,
    /// The same with Node
    RealNode,
    /// The same with Puma
    RealPuma,
    /// Each of these four, as far as they are installed (with HOLDFAST_TEST_ALL=1: all)
    RealApps,
    /// curl, h2load, Chromium, gRPC and WebSocket libraries over TLS, through swaps of the apps that they talk to
    RealClients,
}

/// What a scenario is played with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seconds: Option<u64>,
    pub(crate) rate: Option<f64>,
    pub(crate) seed: u64,
    pub(crate) count: Option<usize>,
    pub(crate) kinds: Vec<lean::Kind>,
    pub(crate) holdfast: Option<PathBuf>,
    pub(crate) swapctl: Option<PathBuf>,
    pub(crate) keep: Option<PathBuf>,
}

impl Cli {
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let one = match self.what {
            What::AllShort => return Scenario::ALL.to_vec(),
            What::RealApps => return real::installed().map(Scenario::RealApp).collect(),
            What::Attacks => Scenario::Attacks,
            What::RealClients => Scenario::RealClients,
            What::RealNginx => Scenario::RealApp(Kind::Nginx),
            What::RealGunicorn => Scenario::RealApp(Kind::Gunicorn),
            What::RealNode => Scenario::RealApp(Kind::Node),
            What::RealPuma => Scenario::RealApp(Kind::Puma),
            What::Overlap => Scenario::Overlap,
            What::Hold => Scenario::Hold,
            What::Down => Scenario::Down,
            What::NeverReady => Scenario::NeverReady,
            What::Overflow => Scenario::Overflow,
            What::ThousandSwaps => Scenario::ThousandSwaps,
            What::Upgrades => Scenario::Upgrades,
            What::Canary => Scenario::Canary,
            What::SlowClients => Scenario::SlowClients,
            What::Websocket => Scenario::Websocket,
            What::Soak => Scenario::Soak,
            What::Held => Scenario::Held,
            What::PromoteCost => Scenario::PromoteCost,
            What::SwapLatency => Scenario::SwapLatency,
            What::Burst => Scenario::Burst,
        };
        vec![one]
    }

    pub(crate) fn options(&self, scenario: Scenario) -> Options {
        let mut options = Options {
            seconds: self.seconds.or(self.minutes.map(|it| it * 60)),
            rate: self.rate,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
            count: self.count,
            kinds: self.kind.clone(),
            holdfast: self.holdfast.clone(),
            swapctl: self.swapctl.clone(),
            keep: self.keep.as_ref().map(|it| it.join(scenario.to_string())),
        };
        if self.what == What::AllShort {
            options.seconds.get_or_insert(scenario.small_seconds());
            options.rate.get_or_insert(200.0);
            options.count.get_or_insert(scenario.small_count());
        }
        options
    }
}

impl Options {
    /// How long the load lasts, where the scenario would have it last `usual`.
    pub(crate) fn seconds(&self, usual: u64) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_typed_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn all_short_is_every_scenario_in_small() {
        let cli = Cli::try_parse_from(["loadtests", "all-short", "--rate", "50"]).unwrap();
        assert_eq!(cli.scenarios().len(), 12);
        let options = cli.options(Scenario::ThousandSwaps);
        assert_eq!((options.count, options.rate), (Some(20), Some(50.0)));
    }
}
