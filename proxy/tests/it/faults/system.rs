//! F15 and F16: the system gives no more files, no more memory.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use rustix::process::{Pid, Resource, Rlimit};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Before, at, config};
use crate::app::App;
use crate::client::until;
use crate::daemon::{Daemon, OPEN_FILES};

/// Limits what the daemon may have of something from now on; what it might have before.
fn limit(daemon: &Daemon, what: Resource, most: Option<u64>) -> Option<u64> {
    let pid = Pid::from_raw(daemon.pid().try_into().unwrap());
    let limit = Rlimit {
        current: most,
        maximum: rustix::process::getrlimit(what).maximum,
    };
    rustix::process::prlimit(pid, what, limit).unwrap().current
}

/// Ticks of 10 ms that the daemon takes while a second passes.
async fn ticks_of_a_second(daemon: &Daemon) -> u64 {
    let before = daemon.ticks();
    let second = std::future::pending::<()>();
    let _ = timeout(Duration::from_secs(1), second).await;
    daemon.ticks() - before
}

#[tokio::test]
async fn f15_at_the_limit_of_open_files_accepting_pauses_and_recovers_alone() {
    let app = App::start("a").await;
    let daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    let mut served = daemon.client().await;
    assert_eq!(served.get("/").await.status, 200);
    // Those that it has it keeps; there is no next one.
    let allowed = limit(&daemon, Resource::Nofile, Some(5));
    let mut waits = daemon.client().await;
    let early = timeout(Duration::from_millis(500), waits.get("/waits")).await;
    assert!(early.is_err(), "there is no file for it");
    until("it is said", async || daemon.has_said(&["accept paused"])).await;
    let spent = ticks_of_a_second(&daemon).await;
    assert!(spent < 50, "{spent} ticks of 100 while nothing happens");
    limit(&daemon, Resource::Nofile, allowed);
    assert_eq!(waits.answer().await.status, 200);
    assert_eq!(served.get("/still").await.status, 200);
    drop((served, waits));
    before.is_back(&daemon).await;
}

/// With a limit that is there from the start, clients get no more than half of it, so that commands always find a file.
#[tokio::test]
async fn f15_when_clients_have_all_the_files_that_they_may_have_commands_are_answered() {
    let app = App::start("a").await;
    let upstream = format!("--upstream={}", app.address);
    let files = format!("{OPEN_FILES}200");
    let daemon = Daemon::start(&[&upstream, &files, "--workers=1"], "").await;
    let before = Before::of(&daemon).await;
    let mut clients = Vec::new();
    for _ in 0..150 {
        clients.push(daemon.client().await);
    }
    let next = App::start("b").await;
    daemon.promote("v2", &next, json!({})).await;
    let spent = ticks_of_a_second(&daemon).await;
    assert!(spent < 50, "{spent} ticks of 100 while nothing happens");
    drop(clients);
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f16_a_hold_refuses_before_memory_runs_out() {
    // 200 MiB would come, 1 MiB is held, and more than 100 MiB the kernel does not give.
    const CONNECTIONS: usize = 32;
    const STREAMS: usize = 100;
    let app = App::start("a").await;
    let upstream = format!("--upstream={}", app.address);
    let hold = config("[app.default.hold]\nmax_bytes = \"1MiB\"\nmax_share = 1.0");
    let flags = [&upstream[..], "--workers=1", "--admin=127.0.0.1:0"];
    let daemon = Daemon::start(&flags, &hold).await;
    let before = Before::of(&daemon).await;
    let has = daemon.in_status("VmData:") << 10;
    limit(&daemon, Resource::Data, Some(has + (100 << 20)));
    daemon.verb("hold", json!({})).await;
    let body = bytes::Bytes::from(vec![b'x'; 64 << 10]);
    let mut asking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let sender = crate::http2::connect(&daemon).await;
        for _ in 0..STREAMS {
            let (mut sender, body) = (sender.clone(), body.clone());
            asking.spawn(async move {
                let request = Request::post("http://x.test/")
                    .body(Full::new(body))
                    .unwrap();
                let answer = sender.send_request(request).await.ok()?;
                let (head, body) = answer.into_parts();
                let _ = body.collect().await;
                Some(head.status.as_u16())
            });
        }
    }
    let shed = async || daemon.metric("holdfast_shed_total").await;
    until("the excess is refused", async || {
        let held = daemon.status().await["hold"]["held"].as_u64().unwrap();
        shed().await as u64 + held == (CONNECTIONS * STREAMS) as u64
    })
    .await;
    let hold = daemon.status().await["hold"].clone();
    assert!(hold["held_bytes"].as_u64().unwrap() <= 1 << 20, "{hold}");
    assert!(shed().await > (CONNECTIONS * STREAMS / 2) as f64, "{hold}");
    let has_now = daemon.in_status("VmData:") << 10;
    eprintln!("{has} octets of data at first, {has_now} now");
    daemon.verb("resume", json!({})).await;
    let answers = asking.join_all().await;
    let of = |status| {
        answers
            .iter()
            .filter(|answer| **answer == Some(status))
            .count()
    };
    assert_eq!(
        of(200) + of(503),
        CONNECTIONS * STREAMS,
        "{} without an answer",
        of(0)
    );
    before.is_back(&daemon).await;
}
