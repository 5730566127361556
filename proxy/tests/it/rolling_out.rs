//! Canaries in the real daemon: who gets them and who does not, as they grow, end, and go on in another process.

mod prometheus;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::app::App;
use crate::client::{Client, until};
use crate::daemon::Daemon;

/// A step ends when a test says so.
const BY_HAND: &str = "1h";

const STAFF: &str = "X-Staff: 5d41402abc4b2a76b9719d911017c592";

fn config() -> String {
    let cohort = "[[app.default.cohort]]\nname = \"staff\"\n\
        header = { name = \"X-Staff\", value = \"5d41402abc4b2a76b9719d911017c592\" }\n";
    format!("[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n{cohort}")
}

async fn before(app: &App) -> Daemon {
    let upstream = format!("--upstream={}", app.address);
    Daemon::start(&[&upstream], &config()).await
}

/// Promotes `app` as a canary, step by step by hand, and waits until it is one.
async fn canary(daemon: &Daemon, release: &str, app: &App, more: Value) -> String {
    let mut body = json!({
        "strategy": "canary", "steps": [1, 5, 25, 100], "step_time": BY_HAND, "watch": "0s", "detach": true,
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let begun = daemon.promote(release, app, body).await;
    until("a canary", async || {
        daemon.status().await["phase"] == "canary"
    })
    .await;
    begun["operation"].as_str().unwrap().to_owned()
}

/// How an operation has ended.
async fn receipt(daemon: &Daemon, operation: &str) -> Value {
    let path = format!("/v1/operations/{operation}");
    let ended = async || daemon.say("GET", &path, Value::Null).await.1;
    until("it has ended", async || ended().await["state"] == "ended").await;
    ended().await["receipt"].clone()
}

/// Clients that keep their cookies.
struct Crowd {
    cookies: Vec<Option<String>>,
}

impl Crowd {
    fn of(count: usize) -> Self {
        Self {
            cookies: vec![None; count],
        }
    }

    /// Each asks once; the numbers of those whom `release` has answered.
    async fn who_gets(&mut self, daemon: &Daemon, release: &str) -> BTreeSet<usize> {
        let mut parts = JoinSet::new();
        let part = self.cookies.len().div_ceil(8);
        for (index, cookies) in self.cookies.chunks(part).enumerate() {
            let (mut cookies, release) = (cookies.to_vec(), release.to_owned());
            let mut client = daemon.client().await;
            parts.spawn(async move {
                let mut got = Vec::new();
                for (number, cookie) in cookies.iter_mut().enumerate() {
                    if ask(&mut client, cookie).await == release {
                        got.push(index * part + number);
                    }
                }
                (index, cookies, got)
            });
        }
        let mut all = BTreeSet::new();
        while let Some(ended) = parts.join_next().await {
            let (index, cookies, got) = ended.unwrap();
            self.cookies[index * part..][..cookies.len()].clone_from_slice(&cookies);
            all.extend(got);
        }
        all
    }
}

/// One request of a client that keeps its cookie: which release has answered.
async fn ask(client: &mut Client, cookie: &mut Option<String>) -> String {
    let field = cookie
        .as_ref()
        .map_or(String::new(), |cookie| format!("Cookie: {cookie}\r\n"));
    client
        .say(format!("GET / HTTP/1.1\r\nHost: x.test\r\n{field}\r\n"))
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    if let Some(set) = answer.field("set-cookie") {
        *cookie = Some(set.split(';').next().unwrap().to_owned());
    }
    answer.field("x-release").unwrap().to_owned()
}

async fn as_staff(daemon: &Daemon) -> String {
    let mut client = daemon.client().await;
    let ask = format!("GET / HTTP/1.1\r\nHost: x.test\r\n{STAFF}\r\n\r\n");
    client.say(ask).await;
    client.answer().await.field("x-release").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_stays_in_as_the_share_grows_and_nobody_stays_after_a_rollback() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = before(&old).await;
    let mut crowd = Crowd::of(10_000);
    let operation = canary(&daemon, "v2", &new, json!({})).await;
    let mut before = BTreeSet::new();
    for share in [1, 5, 25, 100] {
        let got = crowd.who_gets(&daemon, "v2").await;
        assert!(got.is_superset(&before), "at {share} %");
        // Five standard deviations of so many draws.
        let (expected, count) = (100.0 * f64::from(share), got.len() as f64);
        let deviation = (expected * (1.0 - f64::from(share) / 100.0)).sqrt();
        assert!(
            (count - expected).abs() <= 5.0 * deviation,
            "{count} of 10,000 at {share} %"
        );
        assert_eq!(as_staff(&daemon).await, "v2", "at {share} %");
        assert_eq!(daemon.status().await["next"]["share"], share);
        before = got;
        if share < 100 {
            daemon.verb("advance", json!({})).await;
        }
    }
    daemon.verb("abort", json!({})).await;
    assert_eq!(receipt(&daemon, &operation).await["outcome"], "aborted");
    assert!(crowd.who_gets(&daemon, "v2").await.is_empty());
    assert_eq!(as_staff(&daemon).await, "initial");

    let other = canary(&daemon, "v3", &new, json!({"steps": [25, 100]})).await;
    let again = crowd.who_gets(&daemon, "v3").await;
    let both = again.intersection(&before).count();
    assert_eq!(both, again.len(), "everybody was in the last one");
    assert_ne!(operation, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rollout_draws_other_clients() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = before(&old).await;
    let mut crowd = Crowd::of(2_000);
    let mut drawn = Vec::new();
    for release in ["v2", "v3"] {
        let operation = canary(&daemon, release, &new, json!({"steps": [25, 100]})).await;
        drawn.push(crowd.who_gets(&daemon, release).await);
        daemon.verb("abort", json!({})).await;
        receipt(&daemon, &operation).await;
    }
    // A quarter of a quarter, if they are independent.
    let both = drawn[0].intersection(&drawn[1]).count();
    assert!((60..=200).contains(&both), "{both} of 2,000 in both");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_with_the_same_clients_after_a_crash_and_after_an_upgrade_in_each_step() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let mut daemon = before(&old).await;
    let mut crowd = Crowd::of(1_000);
    let operation = canary(&daemon, "v2", &new, json!({"steps": [5, 25, 50, 100]})).await;
    for share in [5, 25, 50, 100] {
        let got = crowd.who_gets(&daemon, "v2").await;
        assert!(!got.is_empty(), "at {share} %");
        daemon.kill_and_start_again();
        assert_eq!(
            crowd.who_gets(&daemon, "v2").await,
            got,
            "crashed at {share} %"
        );
        let status = daemon.status().await;
        assert_eq!(status["next"]["share"], share, "{status}");
        if share < 100 {
            daemon.verb("advance", json!({})).await;
        }
    }
    let (status, upgraded) = daemon.say("POST", "/v1/upgrade", json!({})).await;
    assert_eq!(status, 200, "{upgraded}");
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    assert_eq!(crowd.who_gets(&daemon, "v2").await.len(), 1_000);
    until("promotes are possible again", async || {
        let path = "/v1/apps/default/advance";
        daemon.say("POST", path, json!({})).await.0 < 300
    })
    .await;
    let receipt = receipt(&daemon, &operation).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    assert_eq!(daemon.status().await["live"]["release"], "v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_in_each_step_keeps_the_assignment() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let mut daemon = before(&old).await;
    let mut crowd = Crowd::of(1_000);
    canary(&daemon, "v2", &new, json!({"steps": [5, 25, 50, 100]})).await;
    for share in [5, 25, 50, 100] {
        let got = crowd.who_gets(&daemon, "v2").await;
        let (status, upgraded) = daemon.say("POST", "/v1/upgrade", json!({})).await;
        assert_eq!(status, 200, "{upgraded}");
        daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
        let again = crowd.who_gets(&daemon, "v2").await;
        assert_eq!(again, got, "upgraded at {share} %");
        assert_eq!(daemon.status().await["next"]["share"], share);
        // Not while the process before has requests to answer.
        until("it can be told to go on", async || {
            let path = "/v1/apps/default/advance";
            daemon.say("POST", path, json!({})).await.0 < 300
        })
        .await;
    }
    assert_eq!(daemon.status().await["live"]["release"], "v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_divides_the_clients_until_its_winner_has_them_all() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = before(&old).await;
    let body = json!({"release": "v2", "instance": [new.address.to_string()]});
    daemon.verb("stage", body).await;
    let arms = json!(["plain=initial:0.5", "fancy=v2:0.5"]);
    let body = json!({"name": "checkout", "arm": arms});
    daemon.verb("experiment/start", body).await;
    let mut crowd = Crowd::of(2_000);
    let fancy = crowd.who_gets(&daemon, "v2").await;
    assert!(
        (850..1_150).contains(&fancy.len()),
        "{} of 2,000",
        fancy.len()
    );
    assert_eq!(crowd.who_gets(&daemon, "v2").await, fancy, "a client stays");
    let experiment = daemon.status().await["experiment"].clone();
    let requests = |arm: usize| experiment["arms"][arm]["requests"].as_u64().unwrap();
    assert_eq!(requests(0) + requests(1), 4_000, "{experiment}");
    assert_eq!(requests(1), 2 * fancy.len() as u64, "{experiment}");
    let body = json!({"name": "checkout", "winner": "fancy"});
    daemon.verb("experiment/close", body).await;
    until("the winner is live", async || {
        daemon.status().await["live"]["release"] == "v2"
    })
    .await;
    assert_eq!(crowd.who_gets(&daemon, "v2").await.len(), 2_000);
}

#[tokio::test]
async fn staff_see_a_staged_release_before_it_takes_any_traffic_and_the_app_never_sees_their_secret()
 {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = before(&old).await;
    let body = json!({"release": "v2", "instance": [new.address.to_string()]});
    daemon.verb("stage", body).await;
    assert_eq!(as_staff(&daemon).await, "v2");
    let mut client = daemon.client().await;
    assert_eq!(client.get("/").await.field("x-release"), Some("initial"));
    let seen = new.seen();
    assert!(seen.iter().all(|seen| !seen.fields.contains_key("x-staff")));
    assert_eq!(new.targets(), ["/"]);
    daemon.verb("unstage", json!({"release": "v2"})).await;
    assert_eq!(as_staff(&daemon).await, "initial");
    assert!(
        !old.seen()
            .iter()
            .any(|seen| seen.fields.contains_key("x-staff"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_is_worse_is_rolled_back_and_promotes_are_blocked() {
    let (old, bad) = (App::start("old").await, App::start("bad").await);
    let daemon = before(&old).await;
    let operation = canary(&daemon, "v2", &bad, json!({"steps": [50, 100]})).await;
    let mut client = daemon.client().await;
    until("it has had enough of it", async || {
        client.get("/").await;
        daemon.status().await["phase"] != "canary"
    })
    .await;
    let receipt = receipt(&daemon, &operation).await;
    assert_eq!(receipt["outcome"], "rolled_back", "{receipt}");
    assert_eq!(receipt["judge"]["verdict"], "fail", "{receipt}");
    let status = daemon.status().await;
    assert_eq!(status["live"]["release"], "initial");
    assert!(status["blocked"]["reason"].is_string(), "{status}");
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let body = json!({"release": "v3", "instance": [old.address.to_string()]});
    let (refused, _) = daemon.say("POST", "/v1/apps/default/promote", body).await;
    assert_eq!(refused, 409);
    daemon.verb("unblock", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_canary_cannot_take_the_live_release_takes() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = before(&old).await;
    canary(&daemon, "v2", &new, json!({"steps": [50, 100]})).await;
    new.kill().await;
    let mut client = daemon.client().await;
    for _ in 0..40 {
        assert_eq!(client.get("/").await.status, 200);
        let posted = client.post("/", b"x").await;
        assert_eq!(posted.status, 200, "it was never sent to the dead one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_fails_its_smoke_test_gets_no_traffic() {
    let (old, bad) = (App::start("old").await, App::start("bad").await);
    let daemon = before(&old).await;
    let body = json!({
        "release": "v2", "instance": [bad.address.to_string()], "strategy": "canary", "smoke": ["/checkout"],
    });
    let receipt = daemon.verb("promote", body).await;
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    let why = receipt["why"].as_str().unwrap();
    assert!(why.contains("/checkout") && why.contains("500"), "{why}");
    assert_eq!(bad.targets(), ["/checkout"]);
    assert!(daemon.status().await["blocked"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_asked_for_it_by_a_link_sees_the_canary_until_they_ask_otherwise() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = before(&old).await;
    canary(&daemon, "v2", &new, json!({"steps": [1, 100]})).await;
    let mut client = daemon.client().await;
    let link = client.get("/.holdfast/next").await;
    assert_eq!((link.status, link.field("location")), (303, Some("/")));
    let cookie = link.field("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(ask(&mut client, &mut Some(cookie)).await, "v2");
    let off = client.get("/.holdfast/next/off").await;
    assert!(off.field("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_pages_find_their_files_for_a_while_after_a_swap() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let upstream = format!("--upstream={}", old.address);
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\naffinity = \"1h\"\n";
    let daemon = Daemon::start(&[&upstream], config).await;
    let receipt = daemon.promote("v2", &new, json!({})).await;
    assert_eq!(receipt["outcome"], "done", "nobody waits for it: {receipt}");
    let mut client = daemon.client().await;
    assert_eq!(client.get("/").await.text(), "new 0");
    let file = client.get("/only/old").await;
    assert_eq!((file.status, file.text().as_str()), (200, "old 0"));
    assert_eq!(file.field("x-release"), Some("initial"));
    assert_eq!(client.get("/only/nobody").await.status, 404);
    assert_eq!(
        client.post("/only/old", b"x").await.status,
        404,
        "a GET alone"
    );
    old.kill().await;
    let gone = client.get("/only/old").await;
    assert_eq!((gone.status, gone.field("x-release")), (404, Some("v2")));
}
