//! With nothing in between, nothing is wrong.

use std::time::Duration;

use holdfast_load::clock::Moment;
use holdfast_load::findings::{Findings, Reigns};
use holdfast_load::load::{Load, Mix};
use holdfast_load::run::{Ending, Kind, TunnelEnd};
use holdfast_load::verdict::Verdict;
use tokio::time::timeout;

use crate::stage::{LONG, Stage, load, plan};

#[tokio::test]
async fn a_good_app_is_found_to_be_one() {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let mut plan = plan(app.address());
    plan.slow_clients = 2;
    plan.tunnels = 3;
    plan.sources = 3;
    let run = load(plan).await;
    app.stop(LONG).await.unwrap();
    let findings = Findings::of(&run, &stage.ledger(), &Reigns::default());
    let mut verdict = Verdict::default();
    verdict.nothing_lost(&findings);
    assert!(verdict.passed(), "{verdict}\n{findings:#?}");
    assert_eq!(findings.answered, findings.sent);
    assert_eq!(findings.tunnels_ended_by_others(), 0);
    assert!(findings.echoes > 0);
    for kind in [
        Kind::Get,
        Kind::Post,
        Kind::Watched,
        Kind::Upload,
        Kind::Tunnel,
    ] {
        let found = run.records.iter().any(|record| record.kind == kind);
        assert!(found, "no {kind:?}");
    }
    let scheduled = run
        .records
        .iter()
        .filter(|it| it.kind.is_timed() || matches!(it.kind, Kind::Slow | Kind::Streamed));
    assert_eq!(scheduled.count(), 300);
}

#[tokio::test]
async fn latency_counts_from_the_intended_start() {
    let stage = Stage::new();
    let work = Duration::from_millis(100);
    let mut app = stage.command("v1").work(work).start().await.unwrap();
    app.listening(LONG).await.unwrap();
    let mut plan = plan(app.address());
    plan.mix = Mix::PLAIN;
    plan.watched = 0;
    plan.rate = 100.0;
    // Each takes 100 ms and there is one at a time, so they fall behind by 90 ms with each.
    plan.max_connections = 1;
    plan.duration = Some(Duration::from_millis(100));
    let run = load(plan).await;
    let latest = run.records.last().unwrap();
    assert!(latest.latency() >= Duration::from_millis(900), "{latest:?}");
    assert_eq!(run.connections.opened, 1);
    assert!(run.connections.cap_waits >= 8, "{:?}", run.connections);
}

#[tokio::test]
async fn clients_leave_when_told_and_are_no_loss() {
    let stage = Stage::new();
    let work = Duration::from_secs(2);
    let mut app = stage.command("v1").work(work).start().await.unwrap();
    app.listening(LONG).await.unwrap();
    let mut plan = plan(app.address());
    plan.rate = 1_000.0;
    plan.duration = Some(Duration::from_millis(100));
    plan.watched = 0;
    let load = Load::start(plan).unwrap();
    timeout(LONG, async {
        while load.progress().waiting() < 100 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let left = load.leave(50).await;
    let run = load.complete().await.unwrap();
    assert_eq!(left, 50);
    let count = run
        .records
        .iter()
        .filter(|it| it.ending == Ending::Left)
        .count();
    assert_eq!(count, 50);
    let findings = Findings::of(&run, &stage.ledger(), &Reigns::default());
    assert_eq!((findings.left, findings.lost()), (50, 0), "{findings:#?}");
    app.stop(LONG).await.unwrap();
    let broken = stage
        .ledger()
        .arrivals
        .iter()
        .filter(|it| it.completed.is_none())
        .count();
    assert_eq!(broken, 50, "the app sees them leave");
}

#[tokio::test]
async fn a_killed_app_is_seen_from_every_side() {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let mut plan = plan(app.address());
    plan.duration = None;
    plan.tunnels = 2;
    let load = Load::start(plan).unwrap();
    timeout(LONG, async {
        while load.progress().answered < 100 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    load.mark("killed");
    app.kill().await.unwrap();
    timeout(LONG, async {
        while load.progress().lost < 20 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let run = load.finish().await.unwrap();
    let findings = Findings::of(&run, &stage.ledger(), &Reigns::default());
    assert!(findings.lost["connect refused"] > 0, "{findings:#?}");
    assert!(findings.unannounced_closes > 0, "{findings:#?}");
    let ended = |end| findings.tunnels.get(&end).copied().unwrap_or(0);
    assert_eq!(ended(TunnelEnd::Closed) + ended(TunnelEnd::Reset), 2);
    assert_eq!(run.marks[0].name, "killed");
}

#[tokio::test]
async fn a_request_to_a_release_whose_reign_is_over_is_found() {
    let stage = Stage::new();
    let app = stage.app("old").await;
    let run = load(plan(app.address())).await;
    let middle = Moment::from_micros((run.began.micros() + run.ended.micros()) / 2);
    let mut reigns = Reigns::default();
    reigns.begin_at("old", run.began);
    reigns.end_at("old", middle);
    let findings = Findings::of(&run, &stage.ledger(), &reigns);
    let wrong = findings.wrong_release.len() as u64;
    assert!(
        wrong > 50 && wrong < findings.sent,
        "{wrong} of {}",
        findings.sent
    );
}
