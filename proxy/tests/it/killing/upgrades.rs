//! One of the two processes of an upgrade dies, at each step: the other one serves, and if there is none, the next start.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::task::{JoinHandle, LocalSet};

use super::crowd::Crowd;
use super::moment::{Moment, go_through};
use super::play::{Cast, script};
use super::victim::{Victim, say};
use super::{
    cast, every_answer_is_of_one_release, must_serve, must_take_commands, nobody_was_refused,
    nothing_was_done_twice,
};
use crate::client::until;
use crate::daemon::is_gone;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

/// Who dies when: what each came by, when nobody does.
async fn moments(side: Side) -> Vec<Moment> {
    let (mut victim, cast) = stage(&format!("{side:?}"), None).await;
    let old = victim.id();
    let before = victim.passes(old);
    let crowd = Crowd::come(victim.address, 400);
    let (status, upgraded) = upgrade(&victim, None).await.unwrap();
    assert_eq!(status, 200, "{upgraded}");
    let new = upgraded["pid"].as_u64().unwrap();
    victim.succeeded_by(new);
    assert!(victim.ended().await.success());
    let (passes, before) = match side {
        Side::Old => (victim.passes(old), before),
        Side::New => {
            let is_alone = async || victim.passes(new).contains_key("inherit.alone");
            until("the new process is alone", is_alone).await;
            (victim.passes(new), BTreeMap::new())
        }
    };
    crowd.leave().await;
    drop((victim, cast));
    // It serves again and again, as long as it has to prove itself.
    let is_beat = |point: &str| point.ends_with(".serves");
    let max = |point: &str| if is_beat(point) { 2 } else { u64::MAX };
    Moment::all_after(&before, &passes, max)
}

pub(crate) async fn moments_of_both() -> Vec<Moment> {
    let mut moments = moments(Side::Old).await;
    moments.extend(self::moments(Side::New).await);
    moments
}

async fn stage(name: &str, dies_at: Option<&str>) -> (Victim, Cast) {
    let cast = cast().await;
    let flags = vec![format!("--upstream={}", cast.a.address)];
    let mut victim = Victim::new(name, flags);
    assert!(victim.start(dies_at).await);
    (victim, cast)
}

/// The same program takes over, and dies at that moment.
async fn upgrade(victim: &Victim, dies_at: Option<&str>) -> Option<(u16, Value)> {
    let dies_at = dies_at.map(|moment| format!("export HOLDFAST_DIES_AT={moment}"));
    let does = format!(
        "unset HOLDFAST_DIES_AT\n{}\nexec {} \"$@\"",
        dies_at.unwrap_or_default(),
        env!("CARGO_BIN_EXE_holdfast")
    );
    let body = json!({"binary": script(victim, &does)});
    victim.say("POST", "/v1/upgrade", &body).await
}

/// The highest generation that `status` has told, again and again.
fn watch_generation(victim: &Victim) -> (Rc<Cell<u64>>, JoinHandle<()>) {
    let highest = Rc::new(Cell::new(0));
    let (seen, socket) = (highest.clone(), victim.socket());
    let watching = tokio::task::spawn_local(async move {
        loop {
            let nothing = json!({});
            let status = say(socket.clone(), "GET", "/v1/status", &nothing).await;
            if let Some((_, status)) = status {
                let generation = status["apps"]["default"]["generation"].as_u64();
                seen.set(seen.get().max(generation.unwrap()));
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await; // Ends with its task.
        }
    });
    (highest, watching)
}

/// Whether the other process can serve when this one has died here.
fn leaves_somebody(side: Side, moment: &Moment) -> bool {
    match side {
        Side::Old => !matches!(
            &*moment.point,
            "lend.refuses_commands" | "lend.has_lock" | "lend.began" | "lend.said"
        ),
        // It was told that the other one leaves.
        Side::New => !matches!(&*moment.point, "inherit.may_stay" | "inherit.alone"),
    }
}

async fn dies(side: Side, moment: Moment) {
    let told = moment.to_string();
    let of_old = (side == Side::Old).then_some(&*told);
    let of_new = (side == Side::New).then_some(&*told);
    let (mut victim, cast) = stage(&format!("{side:?} {moment}"), of_old).await;
    let old = victim.id();
    let crowd = Crowd::come(victim.address, 400);
    let (highest, watching) = watch_generation(&victim);
    let answer = upgrade(&victim, of_new).await;
    let is_dead = match side {
        Side::Old => {
            victim.must_die(&told).await;
            old
        }
        Side::New => {
            let of_new = || victim.pids().into_iter().find(|pid| *pid != old);
            until("it has come by", async || of_new().is_some_and(is_gone)).await;
            of_new().unwrap()
        }
    };
    let asked;
    if leaves_somebody(side, &moment) {
        let serves = serving(&victim, is_dead).await;
        match side {
            Side::Old => victim.succeeded_by(serves),
            Side::New => {
                assert_eq!(serves, old);
                let (status, problem) = answer.unwrap();
                assert_eq!(status, 502, "{problem}");
                let why = problem["detail"].as_str().unwrap();
                assert!(why.contains("signal: 9"), "{why}");
            }
        }
        must_serve(&victim, "initial").await;
        asked = crowd.leave().await;
        nobody_was_refused(&asked);
    } else {
        asked = crowd.leave().await;
        victim.kill().await;
        assert!(victim.start(None).await, "what it left cannot be read");
        must_serve(&victim, "initial").await;
    }
    watching.abort();
    let generation = generation(&victim).await;
    let seen = highest.get();
    assert!(generation >= seen, "{generation} after {seen}");
    must_take_commands(&victim, &cast, generation).await;
    nothing_was_done_twice(&asked, &[&cast.a, &cast.b]);
    every_answer_is_of_one_release(&asked);
    // And what was promoted outlives this one too.
    victim.kill().await;
    assert!(victim.start(None).await, "what it left cannot be read");
    must_serve(&victim, "fresh").await;
}

async fn generation(victim: &Victim) -> u64 {
    let status = victim.status().await.unwrap();
    status["apps"]["default"]["generation"].as_u64().unwrap()
}

/// Who answers now, after one has died.
async fn serving(victim: &Victim, is_dead: u64) -> u64 {
    let pid = Cell::new(0);
    until("somebody else answers", async || {
        let status = victim.status().await;
        pid.set(status.map_or(0, |status| status["pid"].as_u64().unwrap()));
        pid.get() != 0 && pid.get() != is_dead
    })
    .await;
    pid.get()
}

async fn dies_everywhere(side: Side) {
    let local = LocalSet::new();
    let check = async move || {
        let moments = moments(side).await;
        let check = async move |moment| dies(side, moment).await;
        go_through(&format!("an upgrade, {side:?}"), moments, check).await;
    };
    local.run_until(check()).await;
}

#[tokio::test]
async fn if_the_old_process_of_an_upgrade_dies_at_any_step_the_new_one_serves() {
    dies_everywhere(Side::Old).await;
}

#[tokio::test]
async fn if_the_new_process_of_an_upgrade_dies_at_any_step_the_old_one_serves() {
    dies_everywhere(Side::New).await;
}
