//! A daemon with so many apps, one of which is promoted again and again between two processes that stay.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use holdfast_control::wire::{Event, What};
use holdfast_load::clock::Moment;
use tokio::time::sleep;

use crate::cli::Options;
use crate::daemon::{Daemon, Setting};
use crate::lean::{App, Arrival, HOST, Outcome, Paced, read_sent};
use crate::stage::Place;
use crate::swapctl_child::{Ended, Swapctl};
use crate::trouble::Trouble;

/// The light load: so many connections are busy with so many requests a second.
const CONNECTIONS: u32 = 64;
const RATE: f64 = 4_000.0;
/// The others have their instance at one of so many ports: at a single one their probes alone would overflow its queue.
const PORTS: usize = 50;
/// Between two promotes.
const PAUSE: Duration = Duration::from_millis(100);
/// At rest, for the look at what it takes.
const REST: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(30);

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rung {
    pub(super) apps: usize,
    pub(super) instances: usize,
}

/// What was seen.
pub(super) struct Seen {
    /// Each promote before there were requests, from the start of swapctl to its end.
    pub(super) at_rest_ms: Vec<f64>,
    /// Each promote beside them, from the start of swapctl to its end.
    pub(super) promote_ms: Vec<f64>,
    /// The same, as its receipt has it.
    pub(super) within_ms: Vec<f64>,
    /// Of that, until the new release was ready, and until the old one had drained.
    pub(super) boot_ms: Vec<f64>,
    pub(super) drain_ms: Vec<f64>,
    /// From each publish to the first request on the new release.
    pub(super) first_ms: Vec<f64>,
    /// Until the daemon was there.
    pub(super) started: Duration,
    pub(super) kib_each_app: f64,
    /// Of a core, without requests.
    pub(super) idle_percent: f64,
    pub(super) sent: usize,
    pub(super) unanswered: usize,
}

pub(super) async fn climb(
    options: &Options,
    place: &Place,
    rung: Rung,
    promotes: usize,
) -> Result<Seen, Trouble> {
    let directory = place
        .path()
        .join(format!("{}-{}", rung.apps, rung.instances));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).map_err(|why| Trouble::io("no directory", why))?;
    let mut apps = [
        App::start(rung.instances, None).await?,
        App::start(rung.instances, None).await?,
    ];
    let others = App::start(PORTS, None).await?;
    let swapctl = Swapctl {
        program: options.swapctl.clone(),
        socket: directory.join("control.sock"),
    };
    let setting = Setting {
        listen: String::new(),
        apps: tables(rung.apps, &apps[0].addresses, &others.addresses),
        core: None,
    };
    let began = Instant::now();
    let program = options.holdfast.as_deref();
    let daemon = Daemon::start(program, &directory, &setting, &swapctl).await?;
    let started = began.elapsed();
    let before = daemon.figures()?;
    sleep(REST).await;
    let rested = daemon.figures()?;
    let at_rest = promote_each(&swapctl, &apps, 0..promotes).await?;
    let load = Paced {
        address: daemon.address,
        connections: CONNECTIONS,
        rate: Some(RATE),
        book: directory.join("sent"),
    };
    let mut clients = load.start(None)?;
    sleep(PAUSE * 5).await;
    let mut seen = Seen {
        at_rest_ms: at_rest.iter().map(|it| milliseconds(it.took)).collect(),
        promote_ms: Vec::new(),
        within_ms: Vec::new(),
        boot_ms: Vec::new(),
        drain_ms: Vec::new(),
        first_ms: Vec::new(),
        started,
        kib_each_app: rested.resident_kib as f64 / rung.apps as f64,
        idle_percent: (rested.cpu.saturating_sub(before.cpu)).as_secs_f64() * 100.0
            / REST.as_secs_f64(),
        sent: 0,
        unanswered: 0,
    };
    for ended in promote_each(&swapctl, &apps, promotes..promotes * 2).await? {
        seen.promote_ms.push(milliseconds(ended.took));
        let receipt = ended.receipt()?;
        seen.within_ms.push(receipt.took_ms as f64);
        seen.boot_ms.extend(receipt.boot_ms.map(|ms| ms as f64));
        seen.drain_ms.extend(receipt.drain_ms.map(|ms| ms as f64));
    }
    let told = swapctl.call(&["events"]).await?.expect_done()?;
    clients.tell("stop").await?;
    clients.hear("done", LONG).await?;
    clients.end(LONG).await?;
    let sent = read_sent(&load.book)?;
    seen.sent = sent.len();
    let is_answered = |outcome| outcome == Outcome::Answered;
    seen.unanswered = sent.iter().filter(|one| !is_answered(one.outcome)).count();
    let arrivals = [
        apps[0].arrivals(&directory).await?,
        apps[1].arrivals(&directory).await?,
    ];
    for number in promotes..promotes * 2 {
        let at = published(&told.stdout, &release(number));
        let first = at.and_then(|at| first_behind(&arrivals[(number + 1) % 2], at));
        seen.first_ms.extend(first.map(milliseconds));
    }
    Ok(seen)
}

/// Goes to the other app with each number.
async fn promote_each(
    swapctl: &Swapctl,
    apps: &[App; 2],
    numbers: Range<usize>,
) -> Result<Vec<Ended>, Trouble> {
    let mut all = Vec::with_capacity(numbers.len());
    for number in numbers {
        let next = &apps[(number + 1) % 2];
        let mut arguments = vec!["promote".to_owned(), "web".to_owned()];
        arguments.extend(["--release".to_owned(), release(number)]);
        for address in &next.addresses {
            arguments.extend(["--instance".to_owned(), address.to_string()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        all.push(swapctl.call(&arguments).await?.expect_done()?);
        sleep(PAUSE).await;
    }
    Ok(all)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn release(number: usize) -> String {
    format!("r{number}")
}

/// `web` gets the requests. The others have hosts of their own, and a release that is there.
fn tables(apps: usize, instances: &[SocketAddr], others: &[SocketAddr]) -> String {
    let all: Vec<String> = instances.iter().map(|it| format!("\"{it}\"")).collect();
    let mut tables = format!(
        "[app.web]\nhosts = [\"{HOST}\"]\nrelease = {{ id = \"v1\", instances = [{}] }}\n",
        all.join(", ")
    );
    for other in 1..apps {
        let instance = others[other % others.len()];
        // Writing to a String cannot fail.
        let _ = write!(
            tables,
            "\n[app.other{other}]\nhosts = [\"other{other}.test\"]\nrelease = {{ id = \"v1\", instances = [\"{instance}\"] }}\n"
        );
    }
    tables
}

/// Just before requests went to this release, as the events have it.
fn published(events: &str, wanted: &str) -> Option<Moment> {
    let events = events.lines().rev();
    let mut events = events.filter_map(|line| serde_json::from_str::<Event>(line).ok());
    events.find_map(|event| match event.what {
        What::Published {
            release: Some(release),
            monotonic_us,
            ..
        } if release.to_string() == wanted => Some(Moment::from_micros(monotonic_us)),
        _ => None,
    })
}

fn first_behind(arrivals: &[Arrival], published: Moment) -> Option<Duration> {
    let behind = arrivals.iter().filter(|arrival| arrival.at >= published);
    let first = behind.map(|arrival| arrival.at).min()?;
    Some(first.since(published))
}
