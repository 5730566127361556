//! `promote`: the new release takes over in one instant, the old one drains, the receipt says what happened.

use serde_json::json;

use crate::app::App;
use crate::daemon::Daemon;

#[tokio::test]
async fn overlap_moves_new_requests_and_lets_running_ones_end() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = Daemon::with(&old).await;
    let mut client = daemon.client().await;
    assert_eq!(client.get("/").await.text(), "old 0");
    let mut slow = daemon.client().await;
    slow.say("GET /slow/500 HTTP/1.1\r\nHost: x.test\r\n\r\n")
        .await;
    crate::client::until("running", async || old.targets().len() == 2).await;
    let receipt = daemon.promote("v2", &new, json!({})).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    assert_eq!(
        (&receipt["drained"], &receipt["lost"], &receipt["cut"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(
        (&receipt["from"], &receipt["to"]),
        (&json!("initial"), &json!("v2"))
    );
    assert_eq!(slow.answer().await.text(), "old 0");
    let answer = client.get("/").await;
    assert_eq!(
        (answer.text().as_str(), answer.field("x-release")),
        ("new 0", Some("v2"))
    );
}

#[tokio::test]
async fn a_burst_shares_the_few_connections_of_a_release_that_was_just_swapped_in() {
    let apps = [App::start("a").await, App::start("b").await];
    let flags = [&format!("--upstream={}", apps[0].address), "--workers=1"];
    let daemon = Daemon::start(&flags, "").await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(daemon.client().await);
    }
    let mut swaps = 0;
    // How late this thread is, who plays the app, is for the machine to say: each swap is another try.
    crate::client::until("shared", async || {
        swaps += 1;
        let new = &apps[swaps % 2];
        let receipt = daemon.promote(&format!("r{swaps}"), new, json!({})).await;
        assert_eq!(receipt["outcome"], "done", "{receipt}");
        let before = new.connections();
        for client in &mut clients {
            client.say("GET / HTTP/1.1\r\nhost: x.test\r\n\r\n").await;
        }
        for client in &mut clients {
            assert_eq!(client.answer().await.status, 200);
        }
        new.connections() - before < clients.len() / 2
    })
    .await;
}

#[tokio::test]
async fn hold_keeps_requests_while_the_old_release_is_gone() {
    let old = App::start("old").await;
    let daemon = std::sync::Arc::new(Daemon::with(&old).await);
    assert_eq!(daemon.client().await.get("/").await.text(), "old 0");
    let address = old.kill().await;
    let promote = tokio::spawn({
        let daemon = daemon.clone();
        async move {
            let body =
                json!({"release": "v2", "instance": [address.to_string()], "strategy": "hold"});
            daemon.verb("promote", body).await
        }
    });
    crate::client::until("held", async || {
        daemon.status().await["hold"]["active"] == true
    })
    .await;
    let mut client = daemon.client().await;
    client
        .say("POST /x HTTP/1.1\r\nHost: x.test\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    daemon.held(1).await;
    let new = App::start_at("new", address).await;
    assert_eq!(client.answer().await.text(), "new 5");
    let receipt = promote.await.unwrap();
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    let counts =
        ["held", "released", "waiting", "lost"].map(|count| receipt[count].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 0, 0], "{receipt}");
    assert_eq!(new.targets(), ["/x"]);
}

#[tokio::test]
async fn a_release_that_never_gets_ready_leaves_the_old_one_serving() {
    let old = App::start("old").await;
    let nobody = App::start("x").await.kill().await;
    let daemon = Daemon::with(&old).await;
    let body = json!({"release": "bad", "instance": [nobody.to_string()], "boot_timeout": "400ms"});
    let receipt = daemon.verb("promote", body).await;
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    let why = receipt["why"].as_str().unwrap();
    assert!(
        why.contains(&nobody.to_string()) && why.contains("refused"),
        "{why}"
    );
    assert_eq!(daemon.client().await.get("/").await.text(), "old 0");
}

#[tokio::test]
async fn with_hold_a_failed_boot_gives_the_held_requests_back_to_the_old_release() {
    let old = App::start("old").await;
    let nobody = App::start("x").await.kill().await;
    let daemon = std::sync::Arc::new(Daemon::with(&old).await);
    let promote = tokio::spawn({
        let daemon = daemon.clone();
        async move {
            let body = json!({"release": "bad", "instance": [nobody.to_string()],
                "strategy": "hold", "boot_timeout": "700ms"});
            daemon.verb("promote", body).await
        }
    });
    crate::client::until("held", async || {
        daemon.status().await["hold"]["active"] == true
    })
    .await;
    let mut client = daemon.client().await;
    assert_eq!(client.get("/x").await.text(), "old 0");
    let receipt = promote.await.unwrap();
    assert_eq!(
        (&receipt["outcome"], &receipt["held"]),
        (&json!("failed"), &json!(1)),
        "{receipt}"
    );
}

#[tokio::test]
async fn rollback_goes_to_the_release_before() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = Daemon::with(&old).await;
    daemon.promote("v2", &new, json!({})).await;
    let receipt = daemon.verb("rollback", json!({})).await;
    assert_eq!(receipt["to"], "initial", "{receipt}");
    assert_eq!(daemon.client().await.get("/").await.text(), "old 0");
}

#[tokio::test]
async fn many_swaps_under_traffic_lose_nothing() {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let daemon = std::sync::Arc::new(Daemon::with(&a).await);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let traffic: Vec<_> = (0..8)
        .map(|_| {
            let (daemon, stop) = (daemon.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut client, mut answered) = (daemon.client().await, 0);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(client.post("/w", b"body").await.status, 200);
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for round in 0..20 {
        let strategy = if round % 2 == 0 { "overlap" } else { "hold" };
        let app = if round % 2 == 0 { &b } else { &a };
        let receipt = daemon
            .promote(&format!("r{round}"), app, json!({"strategy": strategy}))
            .await;
        assert_eq!(receipt["outcome"], "done", "{receipt}");
        assert_eq!(
            (&receipt["lost"], &receipt["cut"]),
            (&json!(0), &json!(0)),
            "{receipt}"
        );
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut answered = 0;
    for client in traffic {
        answered += client.await.unwrap();
    }
    assert_eq!(
        a.targets().len() + b.targets().len(),
        answered,
        "each request came once"
    );
}
