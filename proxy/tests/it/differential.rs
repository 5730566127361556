//! Whether what Holdfast forwards means the same to everybody: mutants of the conformance cases go through the real
//! proxy, and what comes out goes to real servers, which say what they read.
//!
//! A smuggled request lives from two programs in a row that read the same octets as different requests. That one of
//! them is Holdfast is tested by `conformance`; this asks the other one. The octets that Holdfast wrote to an app of
//! ours are kept and said again to each server, so that one run through the proxy serves them all. The strict reader
//! (`conformance/message.rs`) says what the octets mean; it refuses what leaves room for doubt.
//!
//! # What is a disagreement
//!
//! Each request that Holdfast wrote whole is said on a connection of its own. Once it is answered, a plain second
//! request is said on the same connection, as a proxy would that keeps it. A server disagrees if
//!
//! - it says that it saw another method, target or body than the strict reader;
//! - it waits for more after the whole request, or says more than one answer to it;
//! - it does not see the second request exactly as it is, although it kept the connection.
//!
//! A server may refuse a request, with any status or by ending the connection: a method that it does not know and a
//! `Host` that it dislikes are its own business. It may also answer by itself (`OPTIONS *`) without saying what it saw.
//! Neither changes what is read next, and the second request proves that. gunicorn takes every method for its upper
//! case (`gEt` is `GET` to it), although methods are case-sensitive (RFC 9110, 9.1): known, and no matter of framing. Requests that Holdfast could not write to
//! their end, because the client's had none, are left out: their connection ends, and nothing comes behind them.
//!
//! Holdfast itself is wrong, whatever servers say, if the strict reader cannot read what it wrote, or finds a request
//! that does not carry its client's address in `X-Forwarded-For`, which Holdfast puts into each.

mod forwarded;
mod mutate;
mod origins;
mod recorder;
mod replay;
mod sloppy;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use forwarded::{Crop, Forwarded};
use mutate::Mutants;
use origins::RealOrigin;
use replay::{App, Taken, replay};

/// So many mutants, unless HOLDFAST_MUTATIONS says otherwise.
const MUTATIONS: usize = 1_500;
/// So many go through one proxy.
const LOT: usize = 2_000;
/// How many connections a server has at once.
const LINES: usize = 6;
/// So many disagreements are told in full.
const TOLD_MAX: usize = 12;

/// What a server made of everything.
#[derive(Debug, Default)]
struct Tally {
    told: usize,
    /// By status.
    untold: BTreeMap<u16, usize>,
    dropped: usize,
    next_told: usize,
    disagreements: Vec<String>,
}

impl Tally {
    fn count(&mut self, one: &Forwarded, verdict: Result<replay::Verdict, String>) {
        match verdict {
            Ok(verdict) => {
                match verdict.taken {
                    Taken::Told => self.told += 1,
                    Taken::Untold(status) => *self.untold.entry(status).or_default() += 1,
                    Taken::Dropped => self.dropped += 1,
                }
                self.next_told += usize::from(verdict.next_told);
            }
            Err(why) => self.disagreements.push(format!(
                "{why}\n  mutant    {}\n  forwarded {}",
                one.mutant.escape_ascii(),
                one.octets.escape_ascii()
            )),
        }
    }

    fn add(&mut self, other: Self) {
        self.told += other.told;
        for (status, count) in other.untold {
            *self.untold.entry(status).or_default() += count;
        }
        self.dropped += other.dropped;
        self.next_told += other.next_told;
        self.disagreements.extend(other.disagreements);
    }
}

/// Plays these to one server.
async fn play(forwarded: &Arc<Vec<Forwarded>>, to: App) -> Tally {
    let mut lines = JoinSet::new();
    for number in 0..LINES {
        let mine = forwarded.clone();
        lines.spawn(async move {
            let mut tally = Tally::default();
            for one in mine.iter().skip(number).step_by(LINES) {
                tally.count(one, replay(one, to).await);
            }
            tally
        });
    }
    let mut tally = Tally::default();
    for part in lines.join_all().await {
        tally.add(part);
    }
    tally
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Everything, server by server.
struct Run {
    origins: Vec<RealOrigin>,
    tallies: Vec<Tally>,
    known: HashSet<Vec<u8>>,
    forwarded: usize,
    cut: usize,
    wrong: Vec<String>,
}

impl Run {
    async fn begin() -> Self {
        let mut origins = Vec::new();
        for kind in origins::installed() {
            origins.push(RealOrigin::start(kind).await);
        }
        for origin in &origins {
            origin.listens().await;
        }
        Self {
            tallies: origins.iter().map(|_| Tally::default()).collect(),
            origins,
            known: HashSet::new(),
            forwarded: 0,
            cut: 0,
            wrong: Vec::new(),
        }
    }

    async fn go_on_with(&mut self, mut crop: Crop) {
        self.forwarded += crop.forwarded.len();
        self.cut += crop.cut;
        self.wrong.append(&mut crop.wrong);
        crop.keep_new(&mut self.known);
        let forwarded = Arc::new(crop.forwarded);
        let mut playing = JoinSet::new();
        for (number, origin) in self.origins.iter().enumerate() {
            let (forwarded, app) = (forwarded.clone(), origin.app());
            playing.spawn(async move { (number, play(&forwarded, app).await) });
        }
        for (number, tally) in playing.join_all().await {
            self.tallies[number].add(tally);
        }
    }

    fn print(&self, mutants: usize) {
        let Self {
            forwarded,
            cut,
            known,
            ..
        } = self;
        let differ = known.len();
        eprintln!("{mutants} mutants: {forwarded} forwarded ({differ} differ), {cut} cut short");
        for (origin, tally) in self.origins.iter().zip(&self.tallies) {
            let Tally {
                told,
                untold,
                dropped,
                next_told,
                disagreements,
            } = tally;
            let disagreements = disagreements.len();
            eprintln!(
                "{:?}: {told} told, {untold:?} untold, {dropped} dropped; {next_told} next told; \
                 {disagreements} disagreements",
                origin.kind
            );
        }
    }

    /// What is wrong, and with whom.
    fn findings(&self) -> Vec<String> {
        let ours = self.wrong.iter().map(|why| format!("Holdfast wrote {why}"));
        let tallies = self.origins.iter().zip(&self.tallies);
        let theirs = tallies.flat_map(|(origin, tally)| {
            let name = origin.kind;
            tally
                .disagreements
                .iter()
                .map(move |why| format!("{name:?} {why}"))
        });
        ours.chain(theirs).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_reads_what_is_forwarded_as_the_strict_reader_does() {
    let seed = number("HOLDFAST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mutations = number("HOLDFAST_MUTATIONS").map_or(MUTATIONS, |it| it.try_into().unwrap());
    eprintln!(
        "replay: HOLDFAST_SEED={seed} HOLDFAST_MUTATIONS={mutations} \
         cargo test -p holdfast --test it differential -- --nocapture"
    );
    let mut run = Run::begin().await;
    let mut mutants = Mutants::of_seed(seed);
    let mut left = mutations;
    while left > 0 {
        let lot: Vec<_> = mutants.by_ref().take(left.min(LOT)).collect();
        left -= lot.len();
        run.go_on_with(forwarded::forward(&lot).await).await;
    }
    run.print(mutations);
    let findings = run.findings();
    let told = findings.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>();
    assert!(
        findings.is_empty(),
        "{}\n{} wrong",
        told.join("\n"),
        findings.len()
    );
    // Who refuses everything compares nothing.
    let enough = run.known.len() / 2;
    let vain = run
        .tallies
        .iter()
        .find(|it| it.told < enough || it.next_told < enough);
    assert!(run.forwarded > mutations / 10 && vain.is_none(), "{vain:?}");
}

#[tokio::test]
async fn a_server_that_takes_bodies_for_requests_is_found_out() {
    let sloppy = sloppy::start().await;
    let body = "POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 38\r\n\r\n\
                GET /b HTTP/1.1\r\nHost: smuggled.test\r\n\r\n";
    let part = "POST /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let plain = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";
    let mutants = [body, part, plain].map(|text| text.as_bytes().to_vec());
    let crop = forwarded::forward(&mutants).await;
    let forwarded = Arc::new(crop.forwarded);
    assert_eq!(forwarded.len(), mutants.len());
    let sloppy = App {
        address: sloppy,
        folds_methods: false,
    };
    let tally = play(&forwarded, sloppy).await;
    assert_eq!((tally.told, tally.disagreements.len()), (1, 2), "{tally:?}");
}
