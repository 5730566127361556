//! The app is restarted and nobody tells the proxy.

use crate::app::App;
use crate::daemon::Daemon;

#[tokio::test]
async fn requests_wait_while_the_live_release_is_down_and_go_on_by_themselves() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut before = daemon.client().await;
    assert_eq!(before.get("/").await.text(), "a 0");
    let address = app.kill().await;
    before
        .say("POST /one HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\none")
        .await;
    let mut fresh = daemon.client().await;
    fresh.say("GET /two HTTP/1.1\r\nHost: x.test\r\n\r\n").await;
    daemon.held(2).await;
    assert_eq!(daemon.status().await["hold"]["cause"], "down");
    let again = App::start_at("again", address).await;
    assert_eq!(before.answer().await.text(), "again 3");
    assert_eq!(fresh.answer().await.text(), "again 0");
    assert_eq!(again.targets().len(), 2);
    crate::client::until("open", async || {
        daemon.status().await["hold"]["active"] == false
    })
    .await;
}

#[tokio::test]
async fn with_when_down_off_the_answer_is_502_at_once() {
    let nobody = App::start("x").await.kill().await;
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.hold]\nwhen_down = false\n";
    let daemon = Daemon::start(&[&format!("--upstream={nobody}")], config).await;
    let answer = daemon.client().await.get("/").await;
    assert_eq!(answer.status, 502);
    assert!(
        answer
            .field("proxy-status")
            .unwrap()
            .contains("connect_refused")
    );
}

#[tokio::test]
async fn after_max_wait_a_down_app_costs_503_at_once_and_still_comes_back() {
    let nobody = App::start("x").await.kill().await;
    let config =
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.hold]\nmax_wait = \"300ms\"\n";
    let daemon = Daemon::start(&[&format!("--upstream={nobody}")], config).await;
    assert_eq!(daemon.client().await.get("/").await.status, 503);
    crate::client::until("refused at once", async || {
        let began = tokio::time::Instant::now();
        let status = daemon.client().await.get("/").await.status;
        status == 503 && began.elapsed() < std::time::Duration::from_millis(200)
    })
    .await;
    let _again = App::start_at("again", nobody).await;
    crate::client::until("back", async || {
        daemon.client().await.get("/").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_dead_instance_is_passed_over_while_another_lives() {
    let (lives, dies) = (App::start("lives").await, App::start("dies").await);
    let flags = [
        format!("--upstream={}", lives.address),
        format!("--upstream={}", dies.address),
    ];
    let daemon = Daemon::start(&[&flags[0], &flags[1]], "").await;
    dies.kill().await;
    for _ in 0..50 {
        assert_eq!(
            daemon.client().await.post("/", b"x").await.text(),
            "lives 1"
        );
    }
    assert_eq!(daemon.status().await["hold"]["active"], false);
}
