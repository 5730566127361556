//! A workload, played: every proxy has its turn in every round, in an order that is drawn anew for each.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::certificate::Certificate;
use super::cli::Options;
use super::hidden;
use super::load::{Outcome, Plan};
use super::origin::Addresses;
use super::peers::{Back, Front, Peer, Place, Running, Setting, free_address};
use super::usage::Usage;
use super::workload::Workload;
use crate::trouble::{Trouble, While as _};

/// How long a proxy may take until it answers as it should.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long nobody asks before the rounds begin.
const IDLE: Duration = Duration::from_secs(1);
/// How long it is tried each time.
const READY_WINDOW_MS: u64 = 50;

/// What came of the rounds of one proxy.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Closed loop.
    pub(super) full: Vec<Outcome>,
    /// Open loop.
    pub(super) paced: Vec<Outcome>,
    /// What it takes of a core while nobody asks, in milliseconds a second.
    pub(super) idle_ms: f64,
    pub(super) differs: Vec<String>,
}

/// What came of a workload.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) workload: Workload,
    pub(super) rows: Vec<(Peer, Rounds)>,
    /// Requests a second at which latency was measured.
    pub(super) rate: Option<f64>,
    pub(super) absent: Vec<(Peer, String)>,
}

/// An origin. Dropping it ends it. Each proxy has one of its own: together they keep more connections than one process
/// may have, and those who have no turn cost nothing.
struct Origin {
    child: Child,
    addresses: Addresses,
}

impl Origin {
    fn start(core: usize, certificate: &Certificate) -> Result<Self, Trouble> {
        let words = |why: serde_json::Error| Trouble::Words(format!("the origin: {why}"));
        let certificate = serde_json::to_string(certificate).map_err(words)?;
        let own = hidden::own().while_doing("this program")?;
        let mut command = hidden::pinned(core, own);
        let command = command
            .arg(hidden::ORIGIN)
            .arg(certificate)
            .stdout(Stdio::piped());
        let mut child = command.spawn().while_doing("the origin")?;
        let output = child.stdout.take();
        let mut line = String::new();
        if let Some(output) = output {
            let mut lines = std::io::BufReader::new(output);
            std::io::BufRead::read_line(&mut lines, &mut line).while_doing("the origin")?;
        }
        let addresses = serde_json::from_str(&line).map_err(words)?;
        Ok(Self { child, addresses })
    }
}

impl Addresses {
    /// Where `peer` finds what it is to speak to. The floor changes nothing: what comes in has to be understood there.
    fn of(&self, peer: Peer, setting: Setting) -> SocketAddr {
        let as_is = peer == Peer::Floor;
        match (setting.front, setting.back) {
            (Front::Tls, _) if as_is => self.tls,
            (Front::Http2, _) if as_is => self.http2,
            (_, Back::Http1) => self.http1,
            (_, Back::Http2) => self.http2,
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A proxy, and what is behind it.
struct Pair {
    proxy: Running,
    origin: Origin,
}

/// Looks on for a while without asking.
fn idle(proxies: &[(Peer, Pair)]) -> Result<BTreeMap<usize, Rounds>, Trouble> {
    let usages = || -> io::Result<Vec<Usage>> {
        let processes = proxies.iter().map(|(_, pair)| pair.proxy.process());
        processes.map(Usage::of).collect()
    };
    let began = Instant::now();
    let before = usages().while_doing("a proxy's time")?;
    thread::sleep(IDLE);
    let after = usages().while_doing("a proxy's time")?;
    let seconds = began.elapsed().as_secs_f64();
    let rounds = before.into_iter().zip(after).map(|(before, after)| Rounds {
        idle_ms: (after - before).cpu_ns as f64 / 1e6 / seconds,
        ..Rounds::default()
    });
    Ok(rounds.enumerate().collect())
}

pub(super) struct Trial<'a> {
    pub(super) options: &'a Options,
    pub(super) directory: &'a Path,
    pub(super) certificate: &'a Certificate,
    pub(super) peers: &'a [Peer],
}

impl Trial<'_> {
    /// Plays `workload` with everybody who can do it.
    pub(super) fn play(&self, workload: Workload) -> Result<Played, Trouble> {
        let mut proxies: Vec<(Peer, Pair)> = Vec::new();
        let mut absent = Vec::new();
        for &peer in self.peers {
            if let Some(why) = peer.lacks(workload.setting()) {
                absent.push((peer, why.to_owned()));
                continue;
            }
            match self.start(peer, workload) {
                Ok(pair) => proxies.push((peer, pair)),
                Err(why) => absent.push((peer, why.to_string())),
            }
        }
        let mut rows = idle(&proxies)?;
        let mut random = fastrand::Rng::with_seed(self.options.seed);
        let mut order: Vec<usize> = (0..proxies.len()).collect();
        for _ in 0..self.options.rounds {
            random.shuffle(&mut order);
            for &place in &order {
                let outcome =
                    self.load(&self.plan(workload, &proxies[place].1, None, random.u64(..)))?;
                rows.entry(place).or_default().full.push(outcome);
            }
        }
        let rate = self.rate(&proxies, &rows);
        for _ in 0..if rate.is_some() {
            self.options.rounds
        } else {
            0
        } {
            random.shuffle(&mut order);
            // All of them meet the same times in a round.
            let seed = random.u64(..);
            for &place in &order {
                let outcome = self.load(&self.plan(workload, &proxies[place].1, rate, seed))?;
                rows.entry(place).or_default().paced.push(outcome);
            }
        }
        let rows = proxies
            .into_iter()
            .enumerate()
            .map(|(place, (peer, pair))| {
                let mut rounds = rows.remove(&place).unwrap_or_default();
                rounds.differs.clone_from(&pair.proxy.differs);
                (peer, rounds)
            });
        Ok(Played {
            workload,
            rows: rows.collect(),
            rate,
            absent,
        })
    }

    /// Starts a proxy, and waits until it answers as it should.
    fn start(&self, peer: Peer, workload: Workload) -> Result<Pair, Trouble> {
        let origin = Origin::start(self.options.load_core, self.certificate)?;
        let directory = self.directory.join(workload.name()).join(peer.name());
        let proxy = peer.start(&Place {
            core: self.options.proxy_core,
            listen: free_address().while_doing("no free port")?,
            origin: origin.addresses.of(peer, workload.setting()),
            directory: &directory,
            setting: workload.setting(),
            certificate: self.certificate,
            programs: &self.options.programs,
        })?;
        let mut pair = Pair { proxy, origin };
        let began = Instant::now();
        let few = Plan {
            connections: 1,
            warm_ms: 0,
            window_ms: READY_WINDOW_MS,
            ..self.plan(workload, &pair, None, self.options.seed)
        };
        loop {
            let outcome = self.load(&few)?;
            if outcome.errors == 0 && outcome.answered > 0 {
                break;
            }
            if began.elapsed() > READY_TIMEOUT {
                let why = outcome.first_error.unwrap_or_default();
                return Err(Trouble::Words(format!("no answer as it should be: {why}")));
            }
        }
        // With TLS and HTTP/2 it does the same work, by the same configuration.
        if peer != Peer::Floor && workload.setting().front == Front::Plain {
            pair.proxy.check();
        }
        Ok(pair)
    }

    fn plan(&self, workload: Workload, pair: &Pair, rate: Option<f64>, seed: u64) -> Plan {
        let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        Plan {
            target: pair.proxy.address,
            manner: workload.manner(),
            ask: workload.ask(),
            certificate: self.certificate.certificate.clone(),
            connections: workload.connections(),
            hosts: workload.setting().hosts,
            clients: workload.clients(),
            rate,
            warm_ms: millis(self.options.warm),
            window_ms: millis(self.options.window),
            proxy: pair.proxy.process(),
            origin: pair.origin.child.id(),
            seed,
        }
    }

    /// Has a process do what the plan says.
    fn load(&self, plan: &Plan) -> Result<Outcome, Trouble> {
        let own = hidden::own().while_doing("this program")?;
        let text = serde_json::to_string(plan).map_err(|why| Trouble::Words(why.to_string()))?;
        let mut command = hidden::pinned(self.options.load_core, own);
        let command = command.arg(hidden::LOAD);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().while_doing("the load")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes()).while_doing("the load")?;
        }
        let output = child.wait_with_output().while_doing("the load")?;
        serde_json::from_slice(&output.stdout)
            .map_err(|why| Trouble::Words(format!("the load: {}, {why}", output.status)))
    }

    /// Half of what the slowest of the three does that everybody knows.
    fn rate(&self, proxies: &[(Peer, Pair)], rows: &BTreeMap<usize, Rounds>) -> Option<f64> {
        if !self.options.latency {
            return None;
        }
        if let Some(rate) = self.options.rate {
            return Some(f64::from(rate));
        }
        let known = [Peer::Holdfast, Peer::Haproxy, Peer::Nginx];
        let all = proxies.iter().enumerate();
        let rates = all.filter(|(_, (peer, _))| known.contains(peer));
        let rates = rates.filter_map(|(place, _)| {
            let rates: Vec<f64> = rows.get(&place)?.full.iter().map(Outcome::rate).collect();
            super::statistics::median(&rates)
        });
        let slowest = rates.reduce(f64::min)? / 2.0;
        (slowest >= 1.0).then_some(slowest)
    }
}
