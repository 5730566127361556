//! Real clients over TLS, while the apps that they talk to are swapped under them, with either strategy.

mod authority;
mod messages;
mod site;

use std::fs;
use std::time::Duration;

use holdfast_load::ledger::Ledger;
use holdfast_load::report::Report;
use holdfast_load::verdict::Verdict;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Scenario;
use crate::cli::Options;
use crate::client::{self, Client, Summary, Target};
use crate::daemon::{Daemon, Setting};
use crate::real::Kind;
use crate::stage::{Place, steady};
use crate::swapctl_child::Swapctl;
use crate::trouble::Trouble;
use messages::Messages;
use site::{Site, Swap};

/// Between the swaps of one app and those of the next one.
const STAGGER: Duration = Duration::from_millis(500);
const SECONDS: u64 = 36;
/// How much longer than that a run may take, on a slow machine.
const MORE: Duration = Duration::from_secs(300);
const SITES: [Kind; 4] = [Kind::Node, Kind::Ws, Kind::Websockets, Kind::Grpc];
/// How long all clients take until they are at work.
const WARM_UP: Duration = Duration::from_secs(2);

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let clients = Client::installed().await?;
    if clients.is_empty() {
        return Err(Trouble::Missing("none of the clients is installed".into()));
    }
    let place = Place::new(options)?;
    prepare(&place)?;
    let mut sites = Vec::new();
    for kind in SITES {
        if clients.iter().any(|client| client.app() == kind) {
            sites.push(Site::start(kind, place.path()).await?);
        }
    }
    let swapctl = Swapctl {
        program: options.swapctl.clone(),
        socket: place.path().join("control.sock"),
    };
    let setting = Setting {
        listen: authority::write(place.path(), &SITES.map(client::site))?,
        apps: sites.iter().map(Site::table).collect(),
        core: None,
    };
    let holdfast = options.holdfast.as_deref();
    let mut daemon = Daemon::start(holdfast, place.path(), &setting, &swapctl).await?;
    let target = target(&place, &daemon, options);
    let (summaries, swaps) = run(options, &clients, sites, &swapctl, &target).await?;

    let mut verdict = Verdict::default();
    for (client, summary) in &summaries {
        judge(&mut verdict, *client, summary);
    }
    swaps.iter().for_each(|swap| swap.judge(&mut verdict));
    held(&mut verdict, &swaps);
    account(&mut verdict, &place, &summaries)?;
    let alive = daemon.is_alive();
    verdict.must("the daemon still runs", alive, alive);
    let (scenario, seed) = (Scenario::RealClients, options.seed);
    let mut report = Report::of_others(scenario.to_string(), scenario.about(), seed, verdict);
    for (client, summary) in &summaries {
        report.figure(client.to_string(), summary);
    }
    Ok(report)
}

/// What the page is made of, and nothing of an earlier time.
fn prepare(place: &Place) -> Result<(), Trouble> {
    for old in ["stop", "report.json", "messages"] {
        let _ = fs::remove_file(place.path().join(old));
    }
    let page = include_str!("../../clients/page.html");
    let written = fs::write(place.path().join("page.html"), page);
    written.map_err(|why| Trouble::io("the page", why))
}

fn target(place: &Place, daemon: &Daemon, options: &Options) -> Target {
    let file = |name: &str| place.path().join(name);
    Target {
        port: daemon.address.port(),
        ca: file(authority::CA),
        stop: file("stop"),
        report: file("report.json"),
        directory: file("clients"),
        limit: options.seconds(SECONDS) + MORE,
    }
}

/// All clients from before the first swap until after the last one.
async fn run(
    options: &Options,
    clients: &[Client],
    sites: Vec<Site>,
    swapctl: &Swapctl,
    target: &Target,
) -> Result<(Vec<(Client, Summary)>, Vec<Swap>), Trouble> {
    let started = clients.iter().map(|client| client.start(target));
    let running: Vec<_> = started.collect::<Result<_, _>>()?;
    steady(WARM_UP).await;
    let every = options.seconds(SECONDS) / u32::try_from(site::SWAPS + 1).unwrap_or(u32::MAX);
    let mut began = Instant::now();
    let mut swapping = JoinSet::new();
    for site in sites {
        swapping.spawn(site.swap_all(swapctl.clone(), began, every));
        began += STAGGER;
    }
    let (mut kept, mut swaps) = (Vec::new(), Vec::new());
    while let Some(ended) = swapping.join_next().await {
        let ended = ended.map_err(|why| Trouble::io("the swaps", why.into()))?;
        let (site, of_site) = ended?;
        kept.push(site);
        swaps.extend(of_site);
    }
    steady(every / 2).await;
    let told = fs::write(&target.stop, "");
    told.map_err(|why| Trouble::io("the end", why))?;
    let mut summaries = Vec::new();
    for client in running {
        summaries.push((client.client, client.finish().await));
    }
    for site in kept {
        site.stop().await?;
    }
    Ok((summaries, swaps))
}

fn judge(verdict: &mut Verdict, client: Client, summary: &Summary) {
    let why = summary.why.join("; ");
    verdict.must(
        format!("{client}: nothing fails"),
        format!("{} ok, {} failed {why}", summary.ok, summary.failed),
        summary.ok > 0 && summary.failed == 0,
    );
    if client.has_tunnels() {
        let (again, resent) = (summary.reconnected, summary.resent);
        verdict.must(
            format!("{client}: WebSockets are closed with 1001 and opened again"),
            format!("{again} times, {resent} messages were or may have been on their way"),
            again >= site::SWAPS as u64,
        );
    }
}

/// The holds were holds.
fn held(verdict: &mut Verdict, swaps: &[Swap]) {
    let held: u64 = swaps.iter().map(|it| it.receipt.held).sum();
    let longest = swaps.iter().map(|it| it.receipt.longest_hold_ms).max();
    verdict.must(
        "requests were held",
        format!("{held}, the longest for {} ms", longest.unwrap_or(0)),
        held > 0,
    );
}

/// What was acknowledged had reached an app, and what must not come twice did not.
fn account(
    verdict: &mut Verdict,
    place: &Place,
    summaries: &[(Client, Summary)],
) -> Result<(), Trouble> {
    let messages = Messages::read(&place.path().join("messages"))?;
    for (client, summary) in summaries.iter().filter(|(it, _)| it.has_tunnels()) {
        messages.judge(verdict, *client, summary);
    }
    let ledger = Ledger::read([place.path().join("ledger")])?;
    let mut posts: Vec<&str> = Vec::new();
    let by_curl = |id: &&str| id.starts_with("curl-");
    let arrived = ledger.arrivals.iter().filter(|it| it.method == "POST");
    posts.extend(arrived.clone().map(|it| &*it.id).filter(by_curl));
    let all = posts.len();
    posts.sort_unstable();
    posts.dedup();
    if summaries.iter().any(|(it, _)| *it == Client::Curl) {
        verdict.must(
            "curl: no POST reaches the app twice",
            format!("{all} POSTs, {} of them different", posts.len()),
            all == posts.len() && all > 0,
        );
    }
    let mut of_h2load = summaries.iter().filter(|(it, _)| *it == Client::H2loadPost);
    if let Some((client, summary)) = of_h2load.next() {
        let arrived = arrived.filter(|it| it.id == "h2load-POST").count() as u64;
        verdict.must(
            format!("{client}: each reaches the app once"),
            format!("{} answered, {arrived} in the ledger", summary.ok),
            arrived == summary.ok,
        );
    }
    Ok(())
}
