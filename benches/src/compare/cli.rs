//! What may be typed, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use rustix::thread::CpuSet;

use super::peers::{Peer, Programs};
use super::workload::Workload;

/// Lays Holdfast beside its peers: CPU time for each request, requests a second, latency at a fixed rate, memory.
///
/// The proxy has one core of its own, the load and the origin another. In each round every proxy has its turn, in an order
/// that is drawn anew. Peers that are not installed are left out, and named.
#[derive(Debug, Parser)]
#[command(name = "compare", max_term_width = 100)]
pub(super) struct Cli {
    /// What to play; several times for several [default: all]
    #[arg(long = "workload", value_name = "WORKLOAD", value_enum)]
    workloads: Vec<Workload>,
    /// Who takes part; several times for several [default: all that are there]
    #[arg(long = "peer", value_name = "PEER", value_enum)]
    peers: Vec<Peer>,
    /// How often each has its turn [default: 7, quick: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// How long a turn is counted, in seconds [default: 2, quick: 0.5]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Few short turns: figures to look at, not to cite
    #[arg(long)]
    quick: bool,
    /// Requests a second at which latency is measured [default: half of what the slowest of holdfast, haproxy and nginx does]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// No latency: half of the time
    #[arg(long)]
    no_latency: bool,
    /// The proxy's core [default: the last one]
    #[arg(long, value_name = "N")]
    proxy_core: Option<usize>,
    /// The core of the load and the origin [default: the first one]
    #[arg(long, value_name = "N")]
    load_core: Option<usize>,
    /// What everything random is drawn from [default: drawn, and printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Where to write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Where to draw them
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// Another `holdfast` than the one that is built in
    #[arg(long, value_name = "PATH")]
    holdfast: Option<PathBuf>,
    /// A `caddy` that is not on the path
    #[arg(long, value_name = "PATH")]
    caddy: Option<PathBuf>,
    /// A `traefik` that is not on the path
    #[arg(long, value_name = "PATH")]
    traefik: Option<PathBuf>,
    /// A `compare-pingora` that was built elsewhere than in `benches/pingora`
    #[arg(long, value_name = "PATH")]
    pingora: Option<PathBuf>,
    /// Say who and what there is, and end
    #[arg(long)]
    pub(super) list: bool,
}

/// What is played.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) workloads: Vec<Workload>,
    pub(super) peers: Vec<Peer>,
    pub(super) rounds: u32,
    pub(super) window: Duration,
    pub(super) warm: Duration,
    pub(super) latency: bool,
    pub(super) rate: Option<u32>,
    pub(super) seed: u64,
    pub(super) proxy_core: usize,
    pub(super) load_core: usize,
    pub(super) programs: Programs,
}

impl Cli {
    pub(super) fn options(&self) -> Options {
        let (rounds, window) = if self.quick {
            (3, Duration::from_millis(500))
        } else {
            (7, Duration::from_secs(2))
        };
        let window = self.seconds.unwrap_or(window);
        let (first, last) = cores();
        let or_all = |given: &[_], all: &[_]| {
            if given.is_empty() {
                all.to_vec()
            } else {
                given.to_vec()
            }
        };
        Options {
            workloads: or_all(&self.workloads, Workload::all()),
            peers: if self.peers.is_empty() {
                Peer::usual()
            } else {
                self.peers.clone()
            },
            rounds: self.rounds.unwrap_or(rounds),
            window,
            warm: (window / 4).max(Duration::from_millis(150)),
            latency: !self.no_latency,
            rate: self.rate,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
            proxy_core: self.proxy_core.unwrap_or(last),
            load_core: self.load_core.unwrap_or(first),
            programs: Programs {
                holdfast: self.holdfast.clone(),
                pingora: self.pingora.clone(),
                caddy: self.caddy.clone(),
                traefik: self.traefik.clone(),
            },
        }
    }
}

/// The first and the last of those that we may use.
fn cores() -> (usize, usize) {
    let Ok(ours) = rustix::thread::sched_getaffinity(None) else {
        return (0, 0);
    };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core));
    let first = cores.next().unwrap_or(0);
    (first, cores.next_back().unwrap_or(first))
}

/// At least a hundredth, at most ten minutes.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=600.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err("0.01 to 600".to_owned())
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
    fn quick_is_short_unless_told_otherwise() {
        let options = |arguments: &[&str]| {
            let all = [&["compare"], arguments].concat();
            Cli::try_parse_from(all).unwrap().options()
        };
        let quick = options(&["--quick", "--rounds", "2"]);
        assert_eq!((quick.rounds, quick.window.as_millis()), (2, 500));
        assert_eq!(options(&["--seconds", "0.1"]).window.as_millis(), 100);
        assert_eq!(quick.workloads.len(), Workload::all().len());
    }
}
