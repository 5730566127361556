//! What a hold and idle connections take, and that it is given back.

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::client::{Client, until_within};
use crate::daemon::Daemon;

const CLIENTS: usize = 600;
/// The daemon looks every ten seconds, and at the most that there was in between.
const PATIENCE: Duration = Duration::from_secs(90);

const ASK: &str = "GET / HTTP/1.1\r\nHost: x.test\r\n\r\n";

async fn many(daemon: &Daemon) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = daemon.client().await;
        client.say(ASK).await;
        clients.push(client);
    }
    clients
}

async fn answers(clients: &mut [Client]) {
    for client in clients {
        assert_eq!(client.answer().await.status, 200);
    }
}

/// Waits until it takes at most so much.
async fn falls_to(daemon: &Daemon, most: u64) {
    let what = format!("{most} KiB");
    until_within(PATIENCE, &what, async || daemon.resident_kib() <= most).await;
}

#[tokio::test]
async fn what_a_hold_took_is_given_back_when_it_is_over() {
    let app = App::start("a").await;
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address), "--workers=1"], "").await;
    daemon.client().await.get("/").await;
    let before = daemon.resident_kib();
    daemon.verb("hold", json!({})).await;
    let mut clients = many(&daemon).await;
    daemon.held(CLIENTS as u64).await;
    daemon.verb("resume", json!({})).await;
    answers(&mut clients).await;
    let most = daemon.resident_kib();
    assert!(most * 5 > before * 6, "{before} KiB before, {most} at most");
    drop(clients);
    falls_to(&daemon, before * 6 / 5).await;
}

#[tokio::test]
async fn connections_that_rest_take_less_than_half_and_are_served_again() {
    let app = App::start("a").await;
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address), "--workers=1"], "").await;
    daemon.client().await.get("/").await;
    let before = daemon.resident_kib();
    let mut clients = many(&daemon).await;
    answers(&mut clients).await;
    let most = daemon.resident_kib();
    assert!(most * 5 > before * 6, "{before} KiB before, {most} at most");
    falls_to(&daemon, before + (most - before) / 2).await;
    for client in &mut clients {
        client.say(ASK).await;
    }
    answers(&mut clients).await;
}
