//! RFC 9110 and RFC 9112, case by case, through the real proxy on real sockets.

mod answers;
pub(crate) mod case;
mod judge;
pub(crate) mod message;
mod neighbours;
pub(crate) mod origin;
mod talk;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::client;
use crate::daemon::Daemon;
use case::{Level, RequestCase};
use neighbours::Neighbour;
use origin::Origin;
use talk::Talk;

/// How many proxies share the cases.
const LANES: usize = 8;
/// How long an answer of another proxy may take to come that is not waited for longer by design.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long is listened for what must not come.
const QUIET: Duration = Duration::from_millis(150);

/// A proxy with an origin behind it.
struct Lane {
    origin: Origin,
    address: SocketAddr,
    proxy: Proxy,
}

/// What is tested.
enum Proxy {
    Holdfast { it: Daemon },
    Neighbour { _it: Neighbour },
    Transparent,
}

impl Lane {
    async fn new() -> Self {
        let origin = Origin::start().await;
        let upstream = format!("--upstream={}", origin.address);
        // One worker has one pool: whether a connection is used again is no matter of luck.
        let daemon = Daemon::start(&[&upstream, "--workers=1"], "").await;
        Self {
            origin,
            address: daemon.address,
            proxy: Proxy::Holdfast { it: daemon },
        }
    }

    async fn of(neighbour: &str) -> Self {
        let origin = Origin::start().await;
        let neighbour = Neighbour::start(neighbour, origin.address).await;
        Self {
            origin,
            address: neighbour.address,
            proxy: Proxy::Neighbour { _it: neighbour },
        }
    }

    /// A proxy that copies octets and checks nothing.
    async fn transparent() -> Self {
        let origin = Origin::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, behind) = (listener.local_addr().unwrap(), origin.address);
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut app = TcpStream::connect(behind).await.unwrap();
                tokio::spawn(
                    async move { tokio::io::copy_bidirectional(&mut client, &mut app).await },
                );
            }
        });
        Self {
            origin,
            address,
            proxy: Proxy::Transparent,
        }
    }

    /// A busy machine may keep ours waiting; others do not answer some cases at all.
    fn patience(&self) -> Duration {
        match &self.proxy {
            Proxy::Holdfast { .. } => client::PATIENCE,
            Proxy::Neighbour { .. } | Proxy::Transparent => PATIENCE,
        }
    }

    /// Waits until nothing of the case before can reach the origin any more.
    async fn settle(&self) {
        if let Proxy::Holdfast { it } = &self.proxy {
            let quiet = async {
                // Asks again; ends by the deadline.
                while it.status().await["live"]["in_flight"] != 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let quiet = tokio::time::timeout(client::PATIENCE, quiet);
            quiet.await.expect("nothing runs any more");
            self.origin.catch_up().await;
        }
    }

    /// Plays the case, and says what is wrong, if anything is.
    async fn play(&self, case: &RequestCase) -> Result<(), String> {
        self.settle().await;
        self.origin.take();
        let patience = case
            .timeout_s
            .map_or(self.patience(), |s| Duration::from_secs(s + 5));
        let mut talk = Talk::begin(self.address, &case.raw.0, case.half_close).await;
        let answers = match case.timeout_s {
            // It is about the end.
            Some(_) => usize::MAX,
            None => case.upstream_count.unwrap_or(1),
        };
        talk.until(answers, patience).await;
        let for_more = match case.must_close {
            true => self.patience(),
            false => QUIET,
        };
        talk.until(usize::MAX, for_more).await;
        judge::judge(case, &talk, &self.origin.take())
    }
}

/// By level: how many passed, how many there are.
#[derive(Default)]
struct Table(BTreeMap<Level, (usize, usize)>);

impl Table {
    fn count(&mut self, level: Level, passed: bool) {
        let (passes, all) = self.0.entry(level).or_default();
        *passes += usize::from(passed);
        *all += 1;
    }

    fn passes(&self) -> usize {
        self.0.values().map(|(passes, _)| passes).sum()
    }

    fn print(&self, what: &str) {
        for (level, (passes, all)) in &self.0 {
            eprintln!("{what}: {level:?} {passes} of {all}");
        }
    }
}

/// A case, and what was wrong with it.
type Played = (RequestCase, Result<(), String>);

/// Plays these cases through so many proxies of this kind: `None` is ours.
async fn play_all(
    neighbour: Option<&'static str>,
    cases: Vec<RequestCase>,
    lanes: usize,
) -> Vec<Played> {
    let lanes = lanes.min(cases.len());
    let mut playing = JoinSet::new();
    for number in 0..lanes {
        let mine: Vec<_> = cases.iter().skip(number).step_by(lanes).cloned().collect();
        playing.spawn(async move {
            let lane = match neighbour {
                None => Lane::new().await,
                Some(name) => Lane::of(name).await,
            };
            let mut results = Vec::new();
            for case in mine {
                let result = lane.play(&case).await;
                results.push((case, result));
            }
            results
        });
    }
    playing.join_all().await.into_iter().flatten().collect()
}

fn table(played: &[Played]) -> Table {
    let mut table = Table::default();
    for (case, result) in played {
        table.count(case.level, result.is_ok());
    }
    table
}

fn all_pass(played: &[Played]) {
    table(played).print("holdfast");
    let wrong = played.iter().filter_map(|(case, result)| {
        let RequestCase {
            id,
            description,
            rfc,
            level,
            ..
        } = case;
        let why = result.as_ref().err()?;
        Some(format!("{level:?} {id} ({description}; {rfc}): {why}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

fn quick() -> Vec<RequestCase> {
    let quick = case::requests().into_iter();
    quick.filter(|case| case.timeout_s.is_none()).collect()
}

#[tokio::test]
async fn every_request_has_the_outcome_that_the_rfcs_ask_for() {
    all_pass(&play_all(None, quick(), LANES).await);
}

#[tokio::test]
async fn no_neighbour_passes_more_cases() {
    let ours = table(&play_all(None, quick(), LANES).await).passes();
    for name in neighbours::there() {
        let theirs = table(&play_all(Some(name), quick(), LANES).await);
        theirs.print(name);
        assert!(
            theirs.passes() <= ours,
            "{name}: {}, holdfast: {ours}",
            theirs.passes()
        );
    }
}

#[tokio::test]
async fn a_proxy_that_checks_nothing_is_found_out() {
    let lane = Lane::transparent().await;
    let mut wrong = 0;
    for case in quick() {
        if case.expect.starts_with("400") && case.forbid_upstream.len() == 1 {
            wrong += usize::from(lane.play(&case).await.is_err());
        }
    }
    assert!(wrong > 30, "{wrong}");
}

#[tokio::test]
async fn whoever_is_slow_is_let_go_in_time() {
    let slow = case::requests().into_iter();
    let slow = slow.filter(|case| case.timeout_s.is_some());
    all_pass(&play_all(None, slow.collect(), usize::MAX).await);
}
