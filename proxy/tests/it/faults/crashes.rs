//! F6 and F7: the daemon is killed, or finds its journal damaged.

use serde_json::json;

use super::{Before, ToxicProxy, Toxics, at};
use crate::app::App;
use crate::client::until;
use crate::daemon::Daemon;
use crate::killing::cuts::live_after;

async fn serves(daemon: &Daemon, release: &str) {
    assert_eq!(daemon.status().await["live"]["release"], release);
    let answer = daemon.client().await.get("/").await;
    assert_eq!(
        (answer.status, answer.field("x-release")),
        (200, Some(release))
    );
}

/// Begins a promote whose end nobody waits for.
async fn begin(daemon: &Daemon, release: &str, address: &str, strategy: &str) {
    let body = json!({
        "release": release, "instance": [address], "strategy": strategy, "detach": true,
        "drain_timeout": "20s",
    });
    daemon.verb("promote", body).await;
}

async fn phase(daemon: &Daemon, phase: &str) {
    let is_it = async || daemon.status().await["phase"] == phase;
    until(phase, is_it).await;
}

/// Each phase that can be told from outside lasts until the kill; those between are killed at random, and at each named step
/// where the build has those.
#[tokio::test]
async fn f06_killed_in_each_phase_of_a_swap_it_serves_exactly_the_old_or_exactly_the_new_release() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let toxic = ToxicProxy::start(new.address).await.unwrap();
    let address = toxic.address().to_string();
    let mut daemon = at(old.address, "").await;
    let before = Before::of(&daemon).await;
    let not_ready = || Toxics {
        blackhole: true,
        ..Toxics::default()
    };
    // The new release is not ready.
    for strategy in ["overlap", "hold"] {
        toxic.set(not_ready());
        begin(&daemon, "v2", &address, strategy).await;
        let booting = if strategy == "overlap" {
            "booting"
        } else {
            "holding"
        };
        phase(&daemon, booting).await;
        daemon.kill_and_start_again();
        serves(&daemon, "initial").await;
    }
    // The old one has a request that does not end.
    let _slow = daemon.asking("/slow/60000").await;
    until("it runs", async || {
        daemon.status().await["live"]["in_flight"] == 1
    })
    .await;
    begin(&daemon, "v2", &address, "hold").await;
    phase(&daemon, "holding").await;
    daemon.kill_and_start_again();
    serves(&daemon, "initial").await;

    toxic.set(Toxics::default());
    let _slow = daemon.asking("/slow/60000").await;
    until("it runs", async || {
        daemon.status().await["live"]["in_flight"] == 1
    })
    .await;
    begin(&daemon, "v2", &address, "overlap").await;
    phase(&daemon, "draining").await;
    daemon.kill_and_start_again();
    serves(&daemon, "v2").await;
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f07_a_damaged_journal_gives_the_last_good_state_or_a_refusal_and_never_no_release() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let mut daemon = at(old.address, "").await;
    let before = Before::of(&daemon).await;
    for (release, app) in [("v2", &new), ("v3", &old), ("v4", &new)] {
        daemon.promote(release, app, json!({})).await;
    }
    daemon.kill();
    let path = daemon.state().join("journal");
    let whole = std::fs::read(&path).unwrap();
    let refuses = |octets: &[u8], word: &str| {
        std::fs::write(&path, octets).unwrap();
        let said = daemon.refuses_to_start_again();
        assert!(said.contains("journal") && said.contains(word), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), octets, "left alone");
    };
    refuses(b"", "line 1");
    refuses(b"garbage\n", "line 1");
    refuses(&[0xff; 5000], "line 1");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    refuses(&damaged, "damaged at line");
    let newer = r#"{"v":7,"seq":1000,"what":"nobody knows yet"}"#;
    let line = format!("{:08x} {newer}\n", crc32fast::hash(newer.as_bytes()));
    refuses(
        &[&whole, line.as_bytes()].concat(),
        "newer version (format 7",
    );

    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let lives = live_after(&whole);
    let header = whole.iter().position(|octet| *octet == b'\n').unwrap() + 1;
    for _ in 0..8 {
        let cut = random.usize(header..whole.len());
        std::fs::write(&path, &whole[..cut]).unwrap();
        daemon.start_again();
        let whole_lines = lives.iter().take_while(|(end, _)| *end <= cut);
        let (_, live) = whole_lines.last().unwrap();
        eprintln!("cut at {cut}: {live}");
        serves(&daemon, live).await;
        daemon.kill();
    }
    std::fs::write(&path, &whole).unwrap();
    daemon.start_again();
    serves(&daemon, "v4").await;
    before.is_back(&daemon).await;
}
