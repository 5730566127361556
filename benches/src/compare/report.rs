//! The figures, as they are told: text, JSON, and one picture.

mod picture;
mod text;

use serde::{Deserialize, Serialize};

use super::load::{Latency, Outcome};
use super::machine::Machine;
use super::peers::Peer;
use super::statistics::{self, Ratio, Summary};
use super::trial::{Played, Rounds};
use super::workload::Unit;

/// A proxy that is less busy than this has been waiting for the load.
const BUSY_MIN: f64 = 0.9;
/// Of the fixed rate. One who answers less is behind more and more, and latencies only say for how long it was tried.
const KEPT_MIN: f64 = 0.95;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) seed: u64,
    pub(super) rounds: u32,
    pub(super) seconds: f64,
    pub(super) peers: Vec<Version>,
    pub(super) workloads: Vec<Table>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) peer: String,
    pub(super) version: String,
}

/// One workload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) about: String,
    /// What the time is divided by.
    pub(super) unit: String,
    /// Requests a second at which latency was measured.
    pub(super) rate: Option<f64>,
    pub(super) rows: Vec<Row>,
    pub(super) absent: Vec<Version>,
}

/// One proxy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) peer: String,
    /// None if anything went wrong: then there are no figures.
    pub(super) figures: Option<Figures>,
    /// Answers that were not as they should be.
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    /// Work that it does otherwise than the others.
    pub(super) differs: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Microseconds of a core for each unit, in a closed loop.
    pub(super) cpu_us: Summary,
    /// Units a second, in a closed loop.
    pub(super) rate: Summary,
    /// How much of the time the proxy ran or was ready to.
    pub(super) busy: f64,
    /// The load and the origin could not keep the proxy busy: `rate` says nothing of it.
    pub(super) load_was_the_limit: bool,
    /// Memory after the last round.
    pub(super) resident_kib: u64,
    /// Milliseconds of a core that it takes each second while nobody asks. They are in `cpu_us` too.
    pub(super) idle_ms: f64,
    pub(super) to_floor: Option<Ratio>,
    /// To the one of the others that takes least time.
    pub(super) to_best: Option<Ratio>,
    /// Of Holdfast with something more than by default: to Holdfast as it is.
    pub(super) to_plain: Option<Ratio>,
    /// Microseconds of a core for each unit at the fixed rate.
    pub(super) paced_cpu_us: Option<Summary>,
    /// Medians of the rounds.
    pub(super) latency_us: Option<Latency>,
    /// The rate was not kept up: latencies only say that.
    pub(super) overloaded: bool,
}

impl Outcome {
    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.answered as f64 / (self.window_ns as f64 / 1e9)
    }

    fn cpu_us(&self) -> f64 {
        self.proxy.cpu_ns as f64 / 1e3 / self.answered as f64
    }

    fn busy(&self) -> f64 {
        let ready = self.proxy.cpu_ns + self.proxy.wait_ns;
        (ready as f64 / self.window_ns as f64).min(1.0)
    }
}

impl Report {
    pub(super) fn to_text(&self) -> String {
        text::of(self)
    }

    pub(super) fn to_svg(&self) -> String {
        picture::of(self)
    }

    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl Table {
    pub(super) fn of(played: &Played, seed: u64) -> Self {
        let unit: Unit = played.workload.unit();
        let costs = |peer: Peer| {
            let row = played.rows.iter().find(|(it, _)| *it == peer);
            row.and_then(|(_, rounds)| rounds.costs())
        };
        let (floor, plain) = (costs(Peer::Floor), costs(Peer::Holdfast));
        let others = played.rows.iter().filter(|(peer, _)| peer.is_other());
        let others = others.filter_map(|(_, rounds)| rounds.costs());
        let best = others.min_by(|a, b| {
            let of = |costs: &[f64]| statistics::median(costs).unwrap_or(f64::INFINITY);
            of(a).total_cmp(&of(b))
        });
        let row = |(peer, rounds): &(Peer, Rounds)| {
            let first_error = rounds.all().find_map(|it| it.first_error.clone());
            let costs = rounds.costs();
            let ratio = |other: &Option<Vec<f64>>| {
                statistics::ratio(costs.as_deref()?, other.as_deref()?, seed)
            };
            let figures = rounds.figures(played.rate).map(|figures| Figures {
                to_floor: ratio(&floor),
                to_best: ratio(&best),
                to_plain: peer.has_more().then(|| ratio(&plain)).flatten(),
                ..figures
            });
            Row {
                peer: peer.name().to_owned(),
                figures,
                errors: rounds.all().map(|it| it.errors).sum(),
                first_error,
                differs: rounds.differs.clone(),
            }
        };
        let absent = played.absent.iter().map(|(peer, why)| Version {
            peer: peer.name().to_owned(),
            version: why.clone(),
        });
        Self {
            name: played.workload.name(),
            about: played.workload.about(),
            unit: unit.name().to_owned(),
            rate: played.rate,
            rows: played.rows.iter().map(row).collect(),
            absent: absent.collect(),
        }
    }
}

impl Rounds {
    fn all(&self) -> impl Iterator<Item = &Outcome> {
        self.full.iter().chain(&self.paced)
    }

    /// Time for each unit, by round. None if anything went wrong.
    fn costs(&self) -> Option<Vec<f64>> {
        let sound = |it: &Outcome| it.errors == 0 && it.answered > 0;
        let all = !self.full.is_empty() && self.all().all(sound);
        all.then(|| self.full.iter().map(Outcome::cpu_us).collect())
    }

    fn figures(&self, rate: Option<f64>) -> Option<Figures> {
        let costs = self.costs()?;
        let over = |what: fn(&Outcome) -> f64, outcomes: &[Outcome]| -> Vec<f64> {
            outcomes.iter().map(what).collect()
        };
        let busy = statistics::median(&over(Outcome::busy, &self.full))?;
        let latencies: Vec<Latency> = self.paced.iter().filter_map(|it| it.latency).collect();
        let latency = |what: fn(&Latency) -> f64| {
            let all: Vec<f64> = latencies.iter().map(what).collect();
            statistics::median(&all)
        };
        let latency_us = latency(|it| it.p50).and_then(|p50| {
            Some(Latency {
                p50,
                p99: latency(|it| it.p99)?,
                p999: latency(|it| it.p999)?,
            })
        });
        let kept = over(Outcome::rate, &self.paced);
        Some(Figures {
            cpu_us: Summary::of(&costs)?,
            rate: Summary::of(&over(Outcome::rate, &self.full))?,
            busy,
            load_was_the_limit: busy < BUSY_MIN,
            resident_kib: self.all().last().map_or(0, |it| it.resident_kib),
            idle_ms: self.idle_ms,
            to_floor: None,
            to_best: None,
            to_plain: None,
            paced_cpu_us: Summary::of(&over(Outcome::cpu_us, &self.paced)),
            overloaded: statistics::median(&kept)
                .zip(rate)
                .is_some_and(|(kept, rate)| kept < KEPT_MIN * rate),
            latency_us,
        })
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::super::usage::Usage;
    use super::super::workload::Workload;
    use super::*;

    /// A round in which each answer took so many microseconds, and the proxy was so busy.
    pub(crate) fn outcome(cpu_us: u64, busy: f64) -> Outcome {
        let answered = 1_000;
        let cpu_ns = answered * cpu_us * 1_000;
        Outcome {
            answered,
            window_ns: (cpu_ns as f64 / busy) as u64,
            proxy: Usage { cpu_ns, wait_ns: 0 },
            resident_kib: 2_048,
            ..Outcome::default()
        }
    }

    pub(crate) fn rounds(costs: &[u64], busy: f64) -> Rounds {
        Rounds {
            full: costs.iter().map(|cost| outcome(*cost, busy)).collect(),
            ..Rounds::default()
        }
    }

    pub(crate) fn report() -> Report {
        let mut broken = rounds(&[9, 9, 9], 1.0);
        broken.full[1].errors = 3;
        broken.full[1].first_error = Some("status 502, 5 octets".to_owned());
        let played = Played {
            workload: Workload::Small,
            rows: vec![
                (Peer::Floor, rounds(&[10, 10, 11], 0.5)),
                (Peer::Holdfast, rounds(&[40, 41, 39], 0.97)),
                (Peer::HoldfastCanary, rounds(&[42, 41, 40], 0.97)),
                (Peer::Haproxy, rounds(&[20, 20, 20], 0.96)),
                (Peer::Nginx, broken),
            ],
            rate: None,
            absent: vec![(Peer::HoldfastLog, "no disk".to_owned())],
        };
        Report {
            machine: Machine {
                commit: "abc1234".to_owned(),
                processor: "A <fast> one".to_owned(),
                kernel: "6.1".to_owned(),
                cores: 2,
            },
            seed: 1,
            rounds: 3,
            seconds: 2.0,
            peers: vec![Version {
                peer: "haproxy".to_owned(),
                version: "HAProxy version 2.6".to_owned(),
            }],
            workloads: vec![Table::of(&played, 1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: &str) -> Row {
        let report = samples::report();
        let mut rows = report.workloads[0].rows.iter();
        rows.find(|row| row.peer == peer).unwrap().clone()
    }

    #[test]
    fn ratios_are_to_the_floor_and_to_the_best_of_the_others() {
        let figures = row("holdfast").figures.unwrap();
        assert_eq!(figures.to_floor.unwrap().value, 4.0);
        assert_eq!(figures.to_best.unwrap().value, 2.0);
    }

    #[test]
    fn a_proxy_that_waited_for_the_load_was_not_the_limit() {
        assert!(row("floor").figures.unwrap().load_was_the_limit);
        assert!(!row("holdfast").figures.unwrap().load_was_the_limit);
    }

    #[test]
    fn a_row_with_errors_has_no_figures_and_is_nobodys_best() {
        let nginx = row("nginx");
        assert!(nginx.figures.is_none());
        assert_eq!(nginx.errors, 3);
        assert_eq!(nginx.first_error.as_deref(), Some("status 502, 5 octets"));
    }

    #[test]
    fn what_is_written_as_json_is_read_again() {
        let report = samples::report();
        let again: Report = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(again.to_text(), report.to_text());
    }
}
