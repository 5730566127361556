//! Restarts: exactly what was acknowledged stands, whatever happened to the end of the journal; anything else that is
//! wrong with it is a refusal with a clear word, never an empty routing.

use std::fs;

use serde_json::{Value, json};
use swap_core::{Cause, Methods};

use crate::cast::{App, Call, Daemon, Place, config, config_of};

/// A journal with some history, and the app that it tells of.
async fn with_history() -> (Place, App) {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    daemon.client.promote("r1", &app.address).await.ok();
    let stage = json!({ "release": "s1", "instance": [app.address] });
    daemon.client.web("stage", stage).await.ok();
    daemon.client.promote("r2", &app.address).await.ok();
    daemon
        .client
        .web("block", json!({ "reason": "enough" }))
        .await
        .ok();
    drop(daemon);
    (place, app)
}

async fn refusal(place: &Place, app: &App) -> String {
    match place.try_start(config(&app.address)) {
        Ok(_) => panic!("it started"),
        Err(why) => why,
    }
}

fn lines(journal: &[u8]) -> Vec<&[u8]> {
    journal.split_inclusive(|octet| *octet == b'\n').collect()
}

/// What is lasting of an app's status.
async fn lasting(daemon: &Daemon) -> Value {
    let status = daemon.client.status().await;
    json!({
        "live": status["live"]["release"], "since": status["live"]["since"],
        "previous": status["previous"], "staged": status["staged"], "blocked": status["blocked"],
    })
}

#[tokio::test]
async fn everything_that_lasts_is_there_after_a_restart() {
    let (place, app) = with_history().await;
    let daemon = place.start("127.0.0.1:9");
    let before = lasting(&daemon).await;
    assert_eq!(
        before["live"], "r2",
        "the journal wins over the configuration"
    );
    assert_eq!(
        (&before["previous"], &before["staged"]),
        (&json!("r1"), &json!(["s1"]))
    );
    assert_eq!(before["blocked"]["reason"], "enough");
    let history = daemon.client.get("/v1/history").await.ok();
    assert_eq!(history.as_array().unwrap().len(), 3);
    drop(daemon);
    let daemon = place.start(&app.address);
    assert_eq!(lasting(&daemon).await, before);
    assert_eq!(daemon.client.get("/v1/history").await.ok(), history);
}

#[tokio::test]
async fn generations_grow_across_restarts() {
    let place = Place::new();
    let app = App::ready().await;
    let mut last = 0;
    for round in 0..5 {
        let daemon = place.start(&app.address);
        daemon
            .client
            .promote(&format!("r{round}"), &app.address)
            .await
            .ok();
        for generation in daemon.plane.generations("web") {
            assert!(generation > last, "{generation} after {last}");
            last = generation;
        }
    }
}

#[tokio::test]
async fn a_hold_by_command_holds_again() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    daemon
        .client
        .web("hold", json!({ "methods": ["POST", "PUT"] }))
        .await
        .ok();
    drop(daemon);
    let daemon = place.start(&app.address);
    let methods = Methods::one("POST").and(Methods::one("PUT"));
    assert_eq!(daemon.plane.calls()[0], Call::Hold(Cause::Command, methods));
    daemon.client.web("resume", json!({})).await.ok();
}

#[tokio::test]
async fn an_operation_that_was_under_way_has_ended_interrupted() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let never = App::answering(503).await;
    let body =
        json!({ "release": "r1", "instance": [never.address], "operation": "op", "detach": true });
    daemon.client.web("promote", body.clone()).await;
    drop(daemon);
    for _ in 0..2 {
        let daemon = place.start(&app.address);
        let ended = daemon.client.get("/v1/operations/op").await.ok();
        assert_eq!(ended["receipt"]["outcome"], "interrupted");
        assert_eq!(daemon.client.live().await, "r0");
        let again = daemon.client.web("promote", body.clone()).await;
        assert_eq!(again.body["operation"], "op", "it is known");
    }
}

#[tokio::test]
async fn cut_at_any_octet_the_journal_gives_the_last_good_state() {
    let (place, app) = with_history().await;
    let journal = fs::read(place.journal()).unwrap();
    let lines = lines(&journal);
    // What is live after so many lines.
    let live: Vec<Value> = lines[1..]
        .iter()
        .map(|line| {
            let json: Value = serde_json::from_slice(&line[9..]).unwrap();
            json["saved"]["live"]["id"].clone()
        })
        .collect();
    let header = lines[0].len();
    let mut checked = 0;
    let (mut whole, mut end) = (0, header);
    for cut in header..=journal.len() {
        while whole < live.len() && cut >= end + lines[whole + 1].len() {
            end += lines[whole + 1].len();
            whole += 1;
        }
        // Each octet of the first two and the last two records, and some of those between.
        let is_edge = whole < 2 || whole + 2 >= live.len() || cut <= end + 1;
        if !is_edge && cut % 37 != 0 {
            continue;
        }
        fs::write(place.journal(), &journal[..cut]).unwrap();
        let daemon = place.start(&app.address);
        let expected = match whole {
            // Before the first record there is only the configuration.
            0 => json!("r0"),
            whole => live[whole - 1].clone(),
        };
        let published = json!(daemon.plane.published("web"));
        assert_eq!(
            published,
            json!([expected]),
            "cut at {cut} of {}",
            journal.len()
        );
        drop(daemon);
        checked += 1;
    }
    println!("{checked} cuts of a journal of {} octets", journal.len());
}

#[tokio::test]
async fn what_was_torn_is_cut_before_anything_is_appended() {
    let (place, app) = with_history().await;
    let mut torn = fs::read(place.journal()).unwrap();
    // Longer than whatever is written in its place.
    torn.extend_from_slice(b"0badc0de {\"v\":1,\"seq\":99,\"at\":\"20");
    torn.resize(torn.len() + 64 * 1024, b'~');
    fs::write(place.journal(), &torn).unwrap();
    for release in ["r3", "r4"] {
        let daemon = place.start(&app.address);
        daemon.client.web("unblock", json!({})).await.ok();
        daemon.client.promote(release, &app.address).await.ok();
        drop(daemon);
    }
    let daemon = place.start(&app.address);
    assert_eq!(daemon.client.live().await, "r4");
    let journal = fs::read_to_string(place.journal()).unwrap();
    assert!(!journal.contains("0badc0de") && !journal.contains("~"));
}

#[tokio::test]
async fn damage_that_is_no_torn_tail_is_a_refusal_that_names_the_line() {
    let (place, app) = with_history().await;
    let journal = fs::read(place.journal()).unwrap();
    let lines = lines(&journal);
    for damaged in 0..lines.len() - 1 {
        let mut copy = lines.iter().map(|line| line.to_vec()).collect::<Vec<_>>();
        let middle = copy[damaged].len() / 2;
        copy[damaged][middle] ^= 0x01;
        fs::write(place.journal(), copy.concat()).unwrap();
        let why = refusal(&place, &app).await;
        let expected = format!("is damaged at line {}", damaged + 1);
        assert!(why.contains(&expected), "{why}");
        assert_eq!(
            fs::read(place.journal()).unwrap(),
            copy.concat(),
            "it is left alone"
        );
    }
}

#[tokio::test]
async fn what_is_no_journal_is_refused_and_left_alone() {
    let (place, app) = with_history().await;
    let journal = fs::read(place.journal()).unwrap();
    let header = lines(&journal)[0];
    for (content, word) in [
        (&b""[..], "it is empty"),
        (b"\n", "no checksum"),
        (b"hello, this is not a journal\n", "checksum"),
        (&[0; 4096][..], "cut off"),
        (&header[..header.len() - 1], "cut off"),
        (&header[..3], "cut off"),
        (&journal[header.len()..], "line 1"),
    ] {
        fs::write(place.journal(), content).unwrap();
        let why = refusal(&place, &app).await;
        assert!(
            why.contains("is damaged at line 1") && why.contains(word),
            "{why}"
        );
        assert!(why.contains("move it away to begin anew"), "{why}");
        assert_eq!(fs::read(place.journal()).unwrap(), content);
    }
    fs::remove_file(place.journal()).unwrap();
    let daemon = place.start(&app.address);
    assert_eq!(
        daemon.client.live().await,
        "r0",
        "moved away, it begins anew"
    );
}

#[tokio::test]
async fn a_newer_version_is_refused_by_its_name() {
    let (place, app) = with_history().await;
    let mut journal = fs::read(place.journal()).unwrap();
    let newer = r#"{"v":7,"seq":1000,"what":"nobody knows yet"}"#;
    let line = format!("{:08x} {newer}\n", crc32fast::hash(newer.as_bytes()));
    journal.extend_from_slice(line.as_bytes());
    fs::write(place.journal(), &journal).unwrap();
    let why = refusal(&place, &app).await;
    assert!(
        why.contains("newer version (format 7, this one reads up to 1)"),
        "{why}"
    );
}

#[tokio::test]
async fn a_journal_grows_only_so_far() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let reason = |number: usize| format!("{number:01000}");
    let length = || fs::metadata(place.journal()).unwrap().len();
    let mut longest = 0;
    for number in 0..2000 {
        let body = json!({ "reason": reason(number) });
        daemon.client.web("block", body).await.ok();
        longest = length().max(longest);
    }
    println!("2,000 records of more than 1,000 octets, and never more than {longest} octets");
    // The record that makes it too long may be gone before anybody looks: it is rewritten at once.
    let full = (1 << 20) - 2_000;
    assert!(longest > full && longest < 3 << 19, "{longest}");
    assert!(length() < 1 << 20, "it was rewritten");
    drop(daemon);
    let daemon = place.start(&app.address);
    assert_eq!(
        daemon.client.status().await["blocked"]["reason"],
        reason(1999)
    );
}

#[tokio::test]
async fn an_app_that_is_not_configured_now_is_kept() {
    let (place, app) = with_history().await;
    drop(place.try_start(config_of("other", None)).unwrap());
    let daemon = place.start(&app.address);
    assert_eq!(daemon.client.live().await, "r2");
}

#[tokio::test]
async fn a_second_daemon_is_told_the_first_ones_pid() {
    let place = Place::new();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let why = refusal(&place, &app).await;
    let expected = format!("in use by another daemon (pid {})", std::process::id());
    assert!(why.contains(&expected), "{why}");
    assert_eq!(daemon.client.live().await, "r0");
}

/// A journal as version 1 wrote it loads for ever.
#[tokio::test]
async fn the_golden_journal_of_format_1_loads() {
    let place = Place::new();
    let app = App::ready().await;
    fs::create_dir(place.state()).unwrap();
    fs::write(place.journal(), include_str!("../golden/journal-v1")).unwrap();
    let daemon = place.start(&app.address);
    let lasting = lasting(&daemon).await;
    assert_eq!(
        (&lasting["live"], &lasting["previous"]),
        (&json!("r2"), &json!("r1"))
    );
    assert_eq!(
        (&lasting["staged"], &lasting["blocked"]["reason"]),
        (&json!(["s1"]), &json!("enough"))
    );
    let history = daemon.client.get("/v1/history").await.ok();
    let outcomes: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["outcome"])
        .collect();
    assert_eq!(outcomes, ["done", "done", "done"]);
}
