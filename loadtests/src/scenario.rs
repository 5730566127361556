//! The scenarios: what is done to the daemon, and what must hold meanwhile.

mod attacks;
mod burst;
mod canary;
mod down;
mod held;
mod hold;
mod never_ready;
mod order;
mod overflow;
mod overlap;
mod promote_cost;
mod real_app;
mod real_clients;
mod receipts;
mod slow_clients;
mod soak;
mod swap_latency;
mod thousand_swaps;
mod upgrades;
mod websocket;

use std::fmt;

use holdfast_load::report::Report;

use crate::cli::Options;
use crate::real::Kind;
use crate::trouble::Trouble;

/// What can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Overlap,
    Hold,
    Down,
    NeverReady,
    Overflow,
    ThousandSwaps,
    Upgrades,
    Canary,
    SlowClients,
    Soak,
    Websocket,
    RealApp(Kind),
    RealClients,
    Attacks,
    Held,
    PromoteCost,
    SwapLatency,
    Burst,
}

impl Scenario {
    /// All that need nothing but this binary.
    pub(crate) const ALL: [Self; 12] = [
        Self::Overlap,
        Self::Hold,
        Self::Down,
        Self::NeverReady,
        Self::Overflow,
        Self::SlowClients,
        Self::Websocket,
        Self::ThousandSwaps,
        Self::Upgrades,
        Self::Canary,
        Self::Held,
        Self::Soak,
    ];

    /// What is tried, in a sentence.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Overlap => "three promotes with strategy overlap, the old app stopped after each",
            Self::Hold => {
                "a promote with strategy hold: the command stops the old app, the new one takes 2 s to boot"
            }
            Self::Down => {
                "the live app is restarted, then killed and started again, and nobody tells the proxy"
            }
            Self::NeverReady => {
                "promotes of releases that never get ready, with either strategy, and a command that fails"
            }
            Self::Overflow => {
                "twice as many requests as a hold takes, and a third of the held ones leave"
            }
            Self::ThousandSwaps => "promotes in a row, with either strategy",
            Self::Upgrades => {
                "the daemon's own program replaced again and again under a mixed load"
            }
            Self::Canary => {
                "canaries that are worse, that die, that are slow, that are as good, and that nobody asks"
            }
            Self::SlowClients => {
                "promotes with either strategy among clients that send and read slowly"
            }
            Self::Soak => {
                "everything that may be done and happen, at random, one after the other, under the mixed crowd"
            }
            Self::Websocket => "promotes with either strategy while WebSockets are open",
            Self::Attacks => "thirteen attacks, one after the other, while honest clients go on",
            Self::Held => {
                "up to 100,000 requests held at once, over HTTP/1.1 and HTTP/2, with and without TLS, and let go"
            }
            Self::PromoteCost => {
                "promotes of a release that is ready, with up to 5,000 apps and 100 instances"
            }
            Self::SwapLatency => {
                "p99 at half of what can be done, with twenty promotes in each period and without"
            }
            Self::Burst => "8,000 clients that connect and ask in one moment",
            Self::RealClients => {
                "real clients over TLS, while each of their apps is swapped six times, with either strategy"
            }
            Self::RealApp(_) => {
                "a real app: promotes with either strategy, a restart and a kill that nobody tells, and wrk"
            }
        }
    }

    /// Its `--count` when it is to be short.
    pub(crate) fn small_count(self) -> usize {
        match self {
            Self::ThousandSwaps => 20,
            Self::Upgrades => 2,
            Self::Overflow => 300,
            Self::Held => 200,
            Self::PromoteCost
            | Self::Overlap
            | Self::Hold
            | Self::Down
            | Self::NeverReady
            | Self::Canary
            | Self::SlowClients
            | Self::Soak
            | Self::Websocket
            | Self::RealApp(_)
            | Self::RealClients
            | Self::Attacks
            | Self::SwapLatency
            | Self::Burst => 0,
        }
    }

    /// Its `--seconds` when it is to be short.
    pub(crate) fn small_seconds(self) -> u64 {
        match self {
            Self::Soak => 20,
            _ => 4,
        }
    }

    /// Plays it. A report whose verdict is a failure is no trouble.
    pub(crate) async fn play(self, options: &Options) -> Result<Report, Trouble> {
        match self {
            Self::Overlap => overlap::play(options).await,
            Self::Hold => hold::play(options).await,
            Self::Down => down::play(options).await,
            Self::NeverReady => never_ready::play(options).await,
            Self::Overflow => overflow::play(options).await,
            Self::ThousandSwaps => thousand_swaps::play(options).await,
            Self::Upgrades => upgrades::play(options).await,
            Self::Canary => canary::play(options).await,
            Self::SlowClients => slow_clients::play(options).await,
            Self::Soak => soak::play(options).await,
            Self::Websocket => websocket::play(options).await,
            Self::RealApp(kind) => real_app::play(options, kind).await,
            Self::RealClients => real_clients::play(options).await,
            Self::Attacks => attacks::play(options).await,
            Self::Held => held::play(options).await,
            Self::PromoteCost => promote_cost::play(options).await,
            Self::SwapLatency => swap_latency::play(options).await,
            Self::Burst => burst::play(options).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlap => "overlap",
            Self::Hold => "hold",
            Self::Down => "down",
            Self::NeverReady => "never-ready",
            Self::Overflow => "overflow",
            Self::ThousandSwaps => "thousand-swaps",
            Self::Upgrades => "upgrades",
            Self::Canary => "canary",
            Self::SlowClients => "slow-clients",
            Self::Soak => "soak",
            Self::Websocket => "websocket",
            Self::RealApp(kind) => return write!(f, "real-{kind}"),
            Self::RealClients => "real-clients",
            Self::Attacks => "attacks",
            Self::Held => "held",
            Self::PromoteCost => "promote-cost",
            Self::SwapLatency => "swap-latency",
            Self::Burst => "burst",
        })
    }
}
