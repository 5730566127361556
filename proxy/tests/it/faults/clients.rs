//! F10 to F12: clients that are too many, that leave, or that are slow.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Before, at, config};
use crate::app::App;
use crate::client::until;
use crate::daemon::Daemon;

#[tokio::test]
async fn f10_ten_times_as_many_as_a_hold_takes_cost_503_for_the_excess_only_and_the_rest_keeps_its_order()
 {
    const HELD: usize = 20;
    let app = App::start("a").await;
    let hold = "[app.default.hold]\nmax_requests = 20\nmax_share = 1.0\nresume_rate = 40";
    let upstream = format!("--upstream={}", app.address);
    // One worker: where the system stops one of two for longer than a release waits, the other goes on.
    let flags = [&upstream[..], "--workers=1"];
    let daemon = Daemon::start(&flags, &config(hold)).await;
    let before = Before::of(&daemon).await;
    daemon.verb("hold", json!({})).await;
    let mut held = Vec::new();
    for number in 0..HELD {
        held.push(daemon.asking(&format!("/{number}")).await);
        daemon.held(number as u64 + 1).await;
    }
    let mut longest = Duration::ZERO;
    for _ in 0..9 * HELD {
        let mut client = daemon.client().await;
        let began = Instant::now();
        let answer = client.get("/excess").await;
        longest = longest.max(began.elapsed());
        assert_eq!(answer.status, 503);
        let reason = answer.field("proxy-status").unwrap();
        assert!(reason.contains("hold_full"), "{reason}");
        assert!(answer.field("retry-after").is_some());
    }
    eprintln!("the slowest of {} refusals took {longest:?}", 9 * HELD);
    assert_eq!(daemon.status().await["hold"]["held"], HELD);
    let began = Instant::now();
    daemon.verb("resume", json!({})).await;
    for client in &mut held {
        assert_eq!(client.answer().await.status, 200);
    }
    // 40 a second: at once would be no release that is paced.
    assert!(
        began.elapsed() > Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
    let order: Vec<_> = (0..HELD).map(|number| format!("/{number}")).collect();
    assert_eq!(app.targets(), order);
    drop(held);
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f11_the_place_of_a_client_that_leaves_is_free_at_once_and_its_request_goes_nowhere() {
    let app = App::start("a").await;
    let daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    daemon.verb("hold", json!({})).await;
    for is_reset in [false, true] {
        let leaves = daemon.asking("/leaves").await;
        daemon.held(1).await;
        if is_reset {
            let socket = socket2::SockRef::from(&leaves.stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(leaves);
        let began = Instant::now();
        daemon.held(0).await;
        eprintln!("reset: {is_reset}; free after {:?}", began.elapsed());
    }
    daemon.verb("resume", json!({})).await;
    until("the door is open", async || {
        daemon.status().await["hold"]["active"] == false
    })
    .await;
    assert!(app.targets().is_empty());
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f12_uploads_octet_by_octet_during_a_hold_arrive_whole_after_the_swap() {
    const DRIPS: usize = 500;
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = at(old.address, "").await;
    let before = Before::of(&daemon).await;
    daemon.verb("hold", json!({})).await;
    let body: Vec<u8> = (0..3_000_000_usize)
        .map(|at| (at * 31 + at / 251) as u8)
        .collect();
    let head = format!(
        "POST /plain HTTP/1.1\r\nHost: x.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut plain = daemon.client().await;
    plain.say(head).await;
    let mut chunked = daemon.client().await;
    chunked
        .say("POST /chunked HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n")
        .await;
    daemon.held(2).await;
    for octet in body[..DRIPS].chunks(1) {
        plain.say(octet).await;
        chunked.say([b"1\r\n", octet, b"\r\n"].concat()).await;
    }
    daemon.promote("v2", &new, json!({})).await;
    daemon.verb("resume", json!({})).await;
    plain.say(&body[DRIPS..]).await;
    chunked.say("0\r\nX-Trailer: t\r\n\r\n").await;
    assert_eq!(plain.answer().await.text(), "new 3000000");
    assert_eq!(chunked.answer().await.text(), format!("new {DRIPS}"));
    let seen = new.seen();
    let of = |target: &str| seen.iter().find(|seen| seen.target == target).unwrap();
    assert!(of("/plain").body == body, "it differs");
    assert!(of("/chunked").body == body[..DRIPS], "it differs");
    assert_eq!(of("/chunked").trailers["x-trailer"], "t");
    assert!(old.targets().is_empty());
    drop((plain, chunked));
    before.is_back(&daemon).await;
}
