//! F26: the daemon replaces its own program while something else goes wrong. Clients notice neither. What the new program
//! may do wrong is in `upgrading.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rustix::io::Errno;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::disk::{SmallDisk, exhaust};
use super::shim::{Call, Shim};
use super::{Before, ToxicProxy, at, behind};
use crate::app::App;
use crate::client::{Client, until};
use crate::daemon::{Daemon, OPEN_FILES, is_gone};

/// Clients who ask for something all the time, each on connections of its own.
pub(super) struct Traffic {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub(super) fn of(daemon: &Daemon) -> Self {
        let (is_over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..4).map(|number| {
            let (is_over, answered, address) = (is_over.clone(), answered.clone(), daemon.address);
            tokio::spawn(async move {
                while !is_over.load(Relaxed) {
                    let mut client = Client::connect(address).await;
                    // Some ask once, some again until they are told to go.
                    for _ in 0..=number {
                        let answer = client.get("/traffic").await;
                        assert_eq!(answer.status, 200, "{}", answer.head);
                        answered.fetch_add(1, Relaxed);
                        if answer.field("connection") == Some("close") {
                            break;
                        }
                    }
                }
            })
        });
        Self {
            clients: clients.collect(),
            is_over,
            answered,
        }
    }

    /// Ends it: each request had its answer, and there were some.
    pub(super) async fn lost_nothing(self) {
        let enough = self.answered.load(Relaxed) + 20;
        until("a few more", async || {
            self.answered.load(Relaxed) >= enough
                || self.clients.iter().any(JoinHandle::is_finished)
        })
        .await;
        self.is_over.store(true, Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

async fn upgrade(daemon: &Daemon) -> (u16, Value) {
    daemon.say("POST", "/v1/upgrade", json!({})).await
}

/// The upgrade is done; waits until the process before has ended.
async fn upgraded(daemon: &mut Daemon) {
    let was = daemon.pid();
    let (status, answer) = upgrade(daemon).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["was"], was);
    daemon.succeeded_by(answer["pid"].as_u64().unwrap());
    until("the one before has ended", async || is_gone(was)).await;
}

#[tokio::test]
async fn f26_an_upgrade_is_refused_while_requests_are_held_and_those_are_answered() {
    let app = App::start("a").await;
    let mut daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    daemon.verb("hold", json!({})).await;
    let mut held = daemon.asking("/held").await;
    daemon.held(1).await;
    let (status, problem) = upgrade(&daemon).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("busy")),
        "{problem}"
    );
    assert_eq!(daemon.status().await["hold"]["held"], 1);
    daemon.verb("resume", json!({})).await;
    assert_eq!(held.answer().await.status, 200);
    drop(held);
    until("it stands still", async || {
        daemon.status().await["phase"] == "steady"
    })
    .await;
    upgraded(&mut daemon).await;
    before.is_back_after_an_upgrade(&daemon).await;
}

#[tokio::test]
async fn f26_reloads_during_an_upgrade_and_two_upgrades_at_once_are_not_noticed() {
    let app = App::start("a").await;
    let mut daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    let traffic = Traffic::of(&daemon);
    let was = daemon.pid();
    let (mut both, socket) = (tokio::task::JoinSet::new(), daemon.socket.clone());
    for _ in 0..2 {
        let socket = socket.clone();
        both.spawn(
            async move { crate::daemon::say(&socket, "POST", "/v1/upgrade", json!({})).await },
        );
    }
    for _ in 0..100 {
        daemon.signal(Signal::HUP);
        tokio::task::yield_now().await;
    }
    let answers = both.join_all().await;
    let done: Vec<_> = answers
        .iter()
        .filter(|(status, _)| *status == 200)
        .collect();
    let [(_, answer)] = done[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(answer["was"], was);
    daemon.succeeded_by(answer["pid"].as_u64().unwrap());
    assert!(daemon.predecessor_ended().await.success());
    // What each of them keeps does not add up.
    upgraded(&mut daemon).await;
    traffic.lost_nothing().await;
    before.is_back_after_an_upgrade(&daemon).await;
}

#[tokio::test]
async fn f26_an_upgrade_on_a_full_disk_is_not_noticed() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (app, next) = (App::start("a").await, App::start("b").await);
    let upstream = format!("--upstream={}", app.address);
    let mut daemon = Daemon::start(&[&upstream, &disk.flag()], "").await;
    let before = Before::of(&daemon).await;
    disk.fill();
    exhaust(&daemon).await;
    let traffic = Traffic::of(&daemon);
    upgraded(&mut daemon).await;
    traffic.lost_nothing().await;
    disk.make_room();
    daemon.verb("unblock", json!({})).await;
    daemon.promote("v2", &next, json!({})).await;
    before.is_back_after_an_upgrade(&daemon).await;
    drop(daemon);
}

#[tokio::test]
async fn f26_an_upgrade_on_a_disk_that_fails_is_done_or_refused_and_not_noticed() {
    let Some(shim) = Shim::new() else {
        return;
    };
    let (app, next) = (App::start("a").await, App::start("b").await);
    let upstream = format!("--upstream={}", app.address);
    let mut daemon = Daemon::start(&[&upstream, &shim.flag()], "").await;
    let before = Before::of(&daemon).await;
    let traffic = Traffic::of(&daemon);
    let fail = |error| [Call::Write, Call::Sync].map(|call| shim.fail(call, error));
    fail(Some(Errno::IO));
    let (status, answer) = upgrade(&daemon).await;
    eprintln!("{status} {answer}");
    if status == 200 {
        daemon.succeeded_by(answer["pid"].as_u64().unwrap());
    }
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    fail(None);
    until("commands are taken", async || {
        let block = json!({"reason": "look"});
        let blocked = daemon.say("POST", "/v1/apps/default/block", block).await;
        blocked.0 == 200
    })
    .await;
    daemon.verb("unblock", json!({})).await;
    traffic.lost_nothing().await;
    daemon.promote("v2", &next, json!({})).await;
    before.is_back_after_an_upgrade(&daemon).await;
}

#[tokio::test]
async fn f26_an_upgrade_at_the_limit_of_open_files_is_not_noticed() {
    let app = App::start("a").await;
    let upstream = format!("--upstream={}", app.address);
    let files = format!("{OPEN_FILES}200");
    let mut daemon = Daemon::start(&[&upstream, &files, "--workers=1"], "").await;
    let before = Before::of(&daemon).await;
    // All places that there are for clients, and some who wait for one.
    let mut clients = Vec::new();
    for _ in 0..36 {
        let mut client = daemon.client().await;
        assert_eq!(client.get("/").await.status, 200);
        clients.push(client);
    }
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(daemon.asking("/waiting").await);
    }
    upgraded(&mut daemon).await;
    for client in &mut waiting {
        assert_eq!(client.answer().await.status, 200);
    }
    drop((clients, waiting));
    before.is_back_after_an_upgrade(&daemon).await;
}

#[tokio::test]
async fn f26_an_upgrade_is_refused_while_the_app_is_down_and_those_who_wait_are_answered() {
    let app = App::start("a").await;
    let mut toxic = ToxicProxy::start(app.address).await.unwrap();
    let mut daemon = behind(&toxic, "").await;
    let before = Before::of(&daemon).await;
    toxic.down().await;
    let mut held = daemon.asking("/held").await;
    daemon.held(1).await;
    // The driver hears of it a moment after the door has shut itself.
    until("it is down", async || {
        daemon.status().await["phase"] == "holding"
    })
    .await;
    let (status, answer) = upgrade(&daemon).await;
    assert_eq!((status, &answer["code"]), (409, &json!("busy")), "{answer}");
    toxic.up().unwrap();
    assert_eq!(held.answer().await.status, 200);
    drop(held);
    until("it stands still", async || {
        daemon.status().await["phase"] == "steady"
    })
    .await;
    upgraded(&mut daemon).await;
    before.is_back_after_an_upgrade(&daemon).await;
}
