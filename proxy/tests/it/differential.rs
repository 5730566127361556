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
//! request is said on the same connection, as a proxy would that keeps it. (Never before: Holdfast does not pipeline,
//! and Puma 5.6 takes octets that came along with a body for a part of it.) A server disagrees if
//!
//! - it says that it saw another method, target or body than the strict reader;
//! - it waits for more after the whole request, or says more than one answer to it;
//! - it does not see the second request exactly as it is, although it kept the connection.
//!
//! A server may refuse a request, with any status or by ending the connection: a method that it does not know and a
//! `Host` that it dislikes are its own business. It may also answer by itself (`OPTIONS *`) without saying what it saw.
//! Neither changes what is read next, and the second request proves that. gunicorn takes every method for its upper
//! case (`gEt` is `GET` to it), although methods are case-sensitive (RFC 9110, 9.1): known, and no matter of framing.
//! Requests that Holdfast could not write to their end, because the client's had none, are left out: their connection
//! ends, and nothing comes behind them.
//!
//! Holdfast itself is wrong, whatever servers say, if the strict reader cannot read what it wrote, or finds a request
//! that does not carry its client's address in `X-Forwarded-For`, which Holdfast puts into each; or if a mutant is one
//! request to the strict reader, and Holdfast made more of it or another one.
//!
//! # How to run it
//!
//! `cargo test` plays a few hundred mutants of a new seed, and prints the seed. More of them, or the same again:
//!
//! ```text
//! HOLDFAST_SEED=1 HOLDFAST_MUTATIONS=20000 cargo test -p holdfast --test it differential -- --nocapture
//! ```

mod forwarded;
mod mutate;
mod origins;
mod recorder;
mod replay;
mod sloppy;
mod tally;
mod vary;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use forwarded::{Crop, Forwarded};
use mutate::Mutants;
use origins::RealOrigin;
use replay::{App, Taken, replay};
use tally::Tally;

/// So many mutants, unless HOLDFAST_MUTATIONS says otherwise.
const MUTATIONS: usize = 600;
/// So many go through one proxy.
const LOT: usize = 2_000;
/// How many connections a server has at once.
const LINES: usize = 6;
/// So many disagreements are told in full.
const TOLD_MAX: usize = 12;

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
    /// So many mutants had a request in them that was forwarded.
    passed: usize,
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
            passed: 0,
            cut: 0,
            wrong: Vec::new(),
        }
    }

    async fn go_on_with(&mut self, mut crop: Crop) {
        self.forwarded += crop.forwarded.len();
        self.passed += crop.authors();
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
            passed,
            known,
            ..
        } = self;
        let (share, differ) = (100 * passed / mutants, known.len());
        eprintln!(
            "{mutants} mutants, of which {passed} ({share} %) got past Holdfast, as {forwarded} requests ({differ} \
             differ); {cut} cut short"
        );
        eprintln!("{}", tally::HEAD);
        for (origin, tally) in self.origins.iter().zip(&self.tallies) {
            let server = format!("{:?}", origin.kind);
            eprintln!("{}", tally.row(&server, &origin.version));
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
    let is_vain = |tally: &&Tally| tally.told < enough || tally.next_told < enough;
    let vain = run.tallies.iter().find(is_vain);
    assert!(vain.is_none(), "{vain:?}");
    let (third, fifth) = (mutations * 3 / 10, mutations / 5);
    assert!(run.passed > third && run.known.len() > fifth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_reads_something_else_is_found_out() {
    let post = |target: &str, body: &str| {
        let len = body.len();
        format!("POST {target} HTTP/1.1\r\nHost: x.test\r\nContent-Length: {len}\r\n\r\n{body}")
    };
    let plain = post("/a", "hello");
    let behind = format!("{plain}{}", post("/smuggled", ""));
    let chunked = "POST /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    // What is said, and what it is held against.
    let forged = [
        (&*plain, post("/b", "hello")),
        (&*plain, plain.replace("POST", "PUT")),
        (&*plain, post("/a", "hullo")),
        (&*plain, post("/a", "hell")),
        (&*behind, plain.clone()),
        (chunked, post("/a", "5\r\nhello\r\n0\r\n\r\n")),
        (chunked, post("/a", "")),
    ]
    .map(|(said, read_as)| Forwarded::forged(said, &read_as));
    let true_ones = [&*plain, chunked].map(|said| Forwarded::forged(said, said));
    let run = Run::begin().await;
    for origin in &run.origins {
        for one in &true_ones {
            assert_eq!(
                replay(one, origin.app()).await.map(|it| it.taken),
                Ok(Taken::Told)
            );
        }
        for one in &forged {
            let (kind, verdict) = (origin.kind, replay(one, origin.app()).await);
            assert!(verdict.is_err(), "{kind:?} {verdict:?} {one:?}");
        }
    }
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
