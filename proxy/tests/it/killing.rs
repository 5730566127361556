//! The daemon dies at each step: of a swap, of a start, of a write to its journal. It comes back with exactly the old or
//! exactly the new release, and what it has said stands.
//!
//! Where it can die is `holdfast_control::failpoint::POINTS`. Each play is gone through once to see by which points the
//! daemon comes, and how often; then once more for each of these passes, and there it dies.

mod crowd;
pub(crate) mod cuts;
mod moment;
mod play;
mod upgrades;
mod victim;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_control::failpoint::POINTS;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::app::App;
use crowd::{Asked, Crowd, ask, nobody_was_refused, nothing_was_done_twice};
use moment::{Moment, go_through};
use play::{Answered, Cast, Play};
use victim::Victim;

async fn cast() -> Cast {
    Cast {
        a: App::start("a").await,
        b: App::start("b").await,
    }
}

/// By which points a play comes, each with the passes that are the play's own.
async fn moments(play: Play) -> Vec<Moment> {
    let cast = cast().await;
    let mut victim = play.victim(&format!("{play:?}"), &cast);
    play.prepare(&mut victim, &cast).await;
    assert!(victim.start(None).await);
    let pid = victim.id();
    let before = match play.is_start() {
        true => BTreeMap::new(),
        false => victim.passes(pid),
    };
    let crowd = Crowd::come(victim.address, play.slow_ms());
    play.act(&victim, &cast).await;
    assert!(!victim.dies().await);
    let passes = victim.passes(pid);
    victim.kill().await;
    crowd.leave().await;
    Moment::all_after(&before, &passes, |point| play.passes_max(point))
}

/// The daemon dies at this moment of a play, and another one comes after it.
async fn dies_and_comes_back(play: Play, moment: Moment) {
    let cast = cast().await;
    let mut victim = play.victim(&format!("{play:?} {moment}"), &cast);
    play.prepare(&mut victim, &cast).await;
    let before = victim.left();
    let mut asked = Vec::new();
    let mut answered = Answered::default();
    if victim.start(Some(&moment.to_string())).await {
        let crowd = Crowd::come(victim.address, play.slow_ms());
        answered = play.act(&victim, &cast).await;
        dies(&mut victim, &moment).await;
        victim.kill().await;
        asked = crowd.leave().await;
    } else {
        dies(&mut victim, &moment).await;
    }
    let left = victim.left();
    assert!(left.generation >= before.generation);
    let was_seen = asked
        .iter()
        .filter_map(|it| it.got.as_ref()?.release.clone());
    must_be_one_of(play, &left.live, was_seen.collect());

    assert!(victim.start(None).await, "what it left cannot be read");
    let status = victim.status().await.unwrap()["apps"]["default"].clone();
    let live = status["live"]["release"].as_str().unwrap().to_owned();
    assert_eq!(live, left.live.clone().unwrap_or("initial".to_owned()));
    let generation = status["generation"].as_u64().unwrap();
    assert!(generation > left.generation, "{generation} after {left:?}");
    what_was_answered_stands(&victim, &status, &live, &answered).await;
    if play.serves() {
        must_serve(&victim, &live).await;
    }
    must_take_commands(&victim, &cast, generation).await;
    nothing_was_done_twice(&asked, &[&cast.a, &cast.b]);
    every_answer_is_of_one_release(&asked);
}

/// It dies at the first pass in any case; at another one, if it does not rest before.
async fn dies(victim: &mut Victim, moment: &Moment) {
    match moment.is_first {
        true => victim.must_die(&moment.to_string()).await,
        false => drop(victim.dies().await),
    }
}

/// What the journal says is one of the two, and whatever a client has seen is in the journal.
fn must_be_one_of(play: Play, left: &Option<String>, seen: BTreeSet<String>) {
    let [old, new] = play.releases();
    let left = left.as_deref().unwrap_or("initial");
    assert!(left == old || left == new, "{left} is neither");
    assert!(
        seen.iter().all(|seen| seen == old || seen == new),
        "{seen:?}"
    );
    if seen.contains(new) {
        assert_eq!(left, new, "it was seen, and is gone");
    }
}

/// Which app a release is.
fn app_of(release: &str) -> &'static str {
    match release {
        "initial" | "fresh" => "a",
        _ => "b",
    }
}

fn every_answer_is_of_one_release(asked: &[Asked]) {
    let answers = asked.iter().filter_map(|asked| asked.got.as_ref());
    for got in answers.filter(|got| got.status == 200) {
        let release = got.release.as_deref().unwrap();
        assert!(got.text.starts_with(app_of(release)), "{got:?}");
    }
}

async fn must_serve(victim: &Victim, live: &str) {
    for number in 0..4 {
        let got = ask(victim.address, "GET", &format!("/after/{number}")).await;
        let got = got.unwrap();
        assert_eq!((got.status, got.release.as_deref()), (200, Some(live)));
        assert!(got.text.starts_with(app_of(live)), "{got:?}");
    }
}

async fn what_was_answered_stands(
    victim: &Victim,
    status: &Value,
    live: &str,
    answered: &Answered,
) {
    for receipt in &answered.receipts {
        let path = format!("/v1/operations/{}", receipt["operation"].as_str().unwrap());
        let (_, operation) = victim.say("GET", &path, &json!({})).await.unwrap();
        assert_eq!(operation["receipt"], *receipt);
        if receipt["outcome"] == "done" && receipt["verb"] != "stage" {
            assert_eq!(receipt["to"], live, "it was said to be done");
        }
    }
    for (field, value) in &answered.stands {
        assert_eq!(status.pointer(field), Some(value), "{field} of {status}");
    }
}

/// Whatever else there is: a promote works.
async fn must_take_commands(victim: &Victim, cast: &Cast, generation: u64) {
    for verb in ["unblock", "resume"] {
        // Refused where there is nothing to end.
        victim.verb(verb, json!({})).await.unwrap();
    }
    let body = json!({"release": "fresh", "instance": [cast.a.address.to_string()]});
    let (status, receipt) = victim.verb("promote", body).await.unwrap();
    assert_eq!(
        (status, &receipt["outcome"]),
        (200, &json!("done")),
        "{receipt}"
    );
    must_serve(victim, "fresh").await;
    let status = victim.status().await.unwrap();
    let newer = status["apps"]["default"]["generation"].as_u64().unwrap();
    assert!(newer > generation);
}

async fn dies_everywhere(play: Play) {
    let local = LocalSet::new();
    let check = async move || {
        let moments = moments(play).await;
        let check = async move |moment| dies_and_comes_back(play, moment).await;
        go_through(&format!("{play:?}"), moments, check).await;
    };
    local.run_until(check()).await;
}

#[tokio::test]
async fn dying_at_any_step_of_a_swap_leaves_the_old_or_the_new_release() {
    for play in [Play::Overlap, Play::Hold, Play::Rollback] {
        dies_everywhere(play).await;
    }
}

#[tokio::test]
async fn dying_at_any_step_of_a_swap_that_fails_leaves_the_old_release() {
    for play in [Play::NeverReady, Play::Cut, Play::Relapse] {
        dies_everywhere(play).await;
    }
}

#[tokio::test]
async fn dying_at_any_step_of_another_command_leaves_what_was_answered() {
    for play in [Play::ByCommand, Play::Down] {
        dies_everywhere(play).await;
    }
}

#[tokio::test]
async fn dying_at_any_step_of_a_start_leaves_a_journal_to_start_with() {
    for play in [Play::FirstStart, Play::Restart, Play::Compaction] {
        dies_everywhere(play).await;
    }
}

#[tokio::test]
async fn every_point_to_die_at_is_come_by() {
    let local = LocalSet::new();
    let all = async move || {
        let mut reached = BTreeSet::new();
        for play in Play::ALL {
            reached.extend(moments(play).await.into_iter().map(|it| it.point));
        }
        let both = upgrades::moments_of_both().await;
        reached.extend(both.into_iter().map(|it| it.point));
        let is_missed = |point: &&&str| !reached.contains(**point);
        let never: Vec<_> = POINTS.iter().filter(is_missed).collect();
        eprintln!("{} of {} points", reached.len(), POINTS.len());
        assert!(never.is_empty(), "nobody comes by {never:?}");
    };
    local.run_until(all()).await;
}
