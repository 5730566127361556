//! Certificates from a real ACME authority: issued, renewed and kept, whatever the apps do meanwhile.

mod pebble;

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use crate::app::App;
use crate::client::{Client, until, until_within};
use crate::daemon::Daemon;
use crate::tls::{ask, shake_over, shown};
use pebble::{NAME, Pebble, is_there};

/// A try that failed is made again after 5 s, then after 10: with an authority that has just started, this is enough.
const ISSUED_MAX: Duration = Duration::from_secs(60);
const LONG: u32 = 90 * 24 * 60 * 60;
const PLACE: &str = "/.well-known/acme-challenge/abc";

fn daemon(app: &App, config: &str) -> Daemon {
    Daemon::start_as_configured(&[&format!("--upstream={}", app.address)], config)
}

async fn issued(pebble: &Pebble) {
    until_within(ISSUED_MAX, "a certificate is issued", async || {
        pebble.shown().await.is_some()
    })
    .await;
}

#[tokio::test]
async fn http_01_is_answered_while_the_app_is_held_by_an_authority_that_was_down_at_first() {
    if !is_there() {
        return;
    }
    let app = App::start("a").await;
    let mut pebble = Pebble::down();
    let daemon = daemon(&app, &pebble.config("http-01", "redirect = true", ""));
    daemon.verb("hold", json!({})).await;

    let client = pebble.private.client(None);
    let stream = TcpStream::connect(("127.0.0.1", pebble.https)).await;
    let refused = shake_over(stream.unwrap(), client, NAME).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("AccessDenied"), "{refused}");
    let answer = daemon.client().await.get(PLACE).await;
    assert_eq!(answer.status, 308, "plain HTTP works as it did");

    pebble.start(LONG).await;
    issued(&pebble).await;
    let mut stream = pebble.secure(None).await.unwrap();
    let asking = async { ask(&mut stream, NAME).await.unwrap() };
    let resuming = async {
        daemon.held(1).await;
        daemon.verb("resume", json!({})).await;
    };
    let (answer, ()) = tokio::join!(asking, resuming);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(app.targets(), ["/"], "the authority met no app");
    let answer = daemon.client().await.get(PLACE).await;
    assert_eq!(answer.status, 308, "nothing is pending any more");
}

#[tokio::test]
async fn tls_alpn_01_is_answered_while_swaps_run_and_others_have_to_show_a_certificate() {
    if !is_there() {
        return;
    }
    let (a, b) = (App::start("a").await, App::start("b").await);
    let pebble = Pebble::up(LONG).await;
    pebble.private.issue("alice", "alice.test");
    let more = format!(", client_ca = {:?}", pebble.private.file("ca", "pem"));
    let daemon = daemon(&a, &pebble.config("tls-alpn-01", "", &more));
    let done = Cell::new(false);
    let issuing = async {
        until_within(ISSUED_MAX, "a certificate is issued", async || {
            pebble.secure(Some("alice")).await.is_ok()
        })
        .await;
        done.set(true);
    };
    let ((), swaps, requests) = tokio::join!(issuing, swap(&daemon, &a, &b, &done), async {
        requests(&daemon, &done).await
    });
    assert!(swaps > 0 && requests > 0, "{swaps} {requests}");

    let mut stream = pebble.secure(Some("alice")).await.unwrap();
    let answer = ask(&mut stream, NAME).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut nobody = pebble.secure(None).await;
    if let Ok(stream) = &mut nobody {
        assert!(ask(stream, NAME).await.is_err());
    }
    let mut client = pebble.private.client(Some("alice"));
    client.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", pebble.https)).await;
    let refused = shake_over(stream.unwrap(), client, NAME).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_ends_while_swaps_run() {
    if !is_there() {
        return;
    }
    let (a, b) = (App::start("a").await, App::start("b").await);
    let pebble = Pebble::up(20).await;
    let daemon = daemon(&a, &pebble.config("http-01", "", ""));
    issued(&pebble).await;
    let done = Cell::new(false);
    let renewing = async {
        for _ in 0..2 {
            let old = pebble.shown().await.unwrap();
            until_within(ISSUED_MAX, "it is renewed", async || {
                let new = pebble.shown().await;
                new.expect("there is a good one at every moment") != old
            })
            .await;
        }
        done.set(true);
    };
    let ((), swaps, requests) = tokio::join!(renewing, swap(&daemon, &a, &b, &done), async {
        requests(&daemon, &done).await
    });
    assert!(swaps > 0 && requests > 0, "{swaps} {requests}");
}

/// Promotes one app after the other until it is done; returns how often.
async fn swap(daemon: &Daemon, a: &App, b: &App, done: &Cell<bool>) -> u32 {
    let mut swaps = 0;
    while !done.get() {
        let (app, strategy) = [(b, "hold"), (a, "overlap")][swaps as usize % 2];
        let release = format!("r{swaps}");
        let more = json!({ "strategy": strategy });
        let receipt = daemon.promote(&release, app, more).await;
        assert_eq!(receipt["lost"], 0, "{receipt}");
        swaps += 1;
    }
    swaps
}

/// Asks one thing after the other until it is done; returns how often.
async fn requests(daemon: &Daemon, done: &Cell<bool>) -> u32 {
    let mut requests = 0;
    let mut client = daemon.client().await;
    while !done.get() {
        assert_eq!(client.get("/").await.status, 200);
        requests += 1;
        // Leaves the cores to the others.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    requests
}

#[tokio::test]
async fn a_restart_and_a_reload_keep_the_account_and_the_certificate() {
    if !is_there() {
        return;
    }
    let app = App::start("a").await;
    let pebble = Pebble::up(LONG).await;
    let mut daemon = daemon(&app, &pebble.config("http-01", "", ""));
    issued(&pebble).await;
    let first = pebble.shown().await.unwrap();
    let store = store(&daemon.state());
    let (account, certificate) = (
        store.join("account.json"),
        store.join("certificates/shop.test.pem"),
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // The certificate serves a moment before it is stored.
    until("it is stored", async || certificate.is_file()).await;
    assert_eq!((mode(&account), mode(&certificate)), (0o600, 0o600));
    assert_eq!(
        (mode(&store), mode(store.parent().unwrap())),
        (0o700, 0o700)
    );
    let known = fs::read_to_string(&account).unwrap();

    let (status, said) = daemon.say("POST", "/v1/reload", json!({})).await;
    assert!(status < 300, "{said}");
    assert_eq!(pebble.shown().await.unwrap(), first);
    daemon.kill_and_start_again();
    assert_eq!(pebble.shown().await.unwrap(), first, "at once");
    assert_eq!(daemon.client().await.get(PLACE).await.status, 200);
    assert_eq!(app.targets(), [PLACE], "nobody waits for such a token");

    fs::remove_file(&certificate).unwrap();
    daemon.kill_and_start_again();
    issued(&pebble).await;
    let second = pebble.shown().await.unwrap();
    assert_ne!(second, first);
    assert_eq!(fs::read_to_string(&account).unwrap(), known);

    until("it is stored", async || certificate.is_file()).await;
    for file in [&account, &certificate] {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, &text[..text.len() / 2]).unwrap();
    }
    daemon.kill_and_start_again();
    issued(&pebble).await;
    assert_ne!(pebble.shown().await.unwrap(), second);
    assert_ne!(fs::read_to_string(&account).unwrap(), known);
    assert!(store.join("account.json.old").is_file());
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_certificate_and_is_tried_again() {
    if !is_there() {
        return;
    }
    let app = App::start("a").await;
    let mut pebble = Pebble::up(20).await;
    let daemon = daemon(&app, &pebble.config("tls-alpn-01", "", ""));
    issued(&pebble).await;
    let root = pebble.root().await;
    let old = pebble.shown().await.unwrap();
    pebble.stop();
    let failed = ["no new certificate of shop.test", "the old one serves"];
    until_within(ISSUED_MAX, "it cannot be renewed", async || {
        daemon.has_said(&failed)
    })
    .await;
    let stream = pebble.secure_by(&root, None).await.unwrap();
    assert_eq!(shown(&stream), old);
    pebble.start(LONG).await;
    issued(&pebble).await;
}

#[tokio::test]
async fn what_the_authority_has_against_a_proof_is_in_the_log() {
    if !is_there() {
        return;
    }
    let app = App::start("a").await;
    let mut pebble = Pebble::down();
    let config = pebble.config("http-01", "", "");
    // It asks where nobody listens.
    pebble.http = pebble::free_port();
    pebble.start(LONG).await;
    let daemon = daemon(&app, &config);
    let words = [
        "no new certificate of shop.test",
        "not convinced by http-01",
        "connection refused",
        "tried again in",
    ];
    until_within(ISSUED_MAX, "the cause is told", async || {
        daemon.has_said(&words)
    })
    .await;
    assert_eq!(daemon.client().await.get("/").await.status, 200);
}

/// The directory of the only authority.
fn store(state: &Path) -> std::path::PathBuf {
    let mut entries = fs::read_dir(state.join("acme")).unwrap();
    entries.next().unwrap().unwrap().path()
}

#[tokio::test]
async fn an_account_that_the_authority_has_forgotten_is_made_anew() {
    if !is_there() {
        return;
    }
    let app = App::start("a").await;
    let mut pebble = Pebble::up(LONG).await;
    let mut daemon = daemon(&app, &pebble.config("http-01", "", ""));
    issued(&pebble).await;
    let store = store(&daemon.state());
    let certificate = store.join("certificates/shop.test.pem");
    until("it is stored", async || certificate.is_file()).await;
    let known = fs::read_to_string(store.join("account.json")).unwrap();
    // It keeps nothing.
    pebble.stop();
    pebble.start(LONG).await;
    fs::remove_file(certificate).unwrap();
    daemon.kill_and_start_again();
    until_within(ISSUED_MAX, "another account", async || {
        let now = fs::read_to_string(store.join("account.json"));
        now.is_ok_and(|now| now != known)
    })
    .await;
    issued(&pebble).await;
}

#[tokio::test]
async fn until_there_is_a_certificate_a_file_beside_it_serves_and_is_in_the_metrics() {
    let app = App::start("a").await;
    let pebble = Pebble::down();
    pebble.private.issue("shop", NAME);
    let file = |end| pebble.private.file("shop", end);
    let more = format!(", certificate = {:?}, key = {:?}", file("pem"), file("key"));
    let admin = pebble::free_port();
    let config = pebble.config("http-01", "", &more);
    let flags = [
        format!("--upstream={}", app.address),
        format!("--admin=127.0.0.1:{admin}"),
    ];
    let _daemon = Daemon::start_as_configured(&flags.each_ref().map(String::as_str), &config);
    let stream = TcpStream::connect(("127.0.0.1", pebble.https)).await;
    let client = pebble.private.client(None);
    let stream = shake_over(stream.unwrap(), client, NAME).await.unwrap();
    assert!(!shown(&stream).is_empty());
    let mut client = Client::connect(([127, 0, 0, 1], admin).into()).await;
    let page = client.get("/metrics").await.text();
    let expiry = "holdfast_certificate_expiry_timestamp_seconds{name=\"shop.test\"} ";
    assert_eq!(page.matches(expiry).count(), 1, "{page}");
}
