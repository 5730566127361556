//! F8 and F9: those who command die in the middle, or are many at once.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::{Before, ToxicProxy, Toxics, at};
use crate::app::App;
use crate::client::until;

#[tokio::test]
async fn f08_an_operation_goes_on_when_whoever_asked_for_it_dies_and_locks_nothing() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let toxic = ToxicProxy::start(new.address).await.unwrap();
    let daemon = at(old.address, "").await;
    let before = Before::of(&daemon).await;
    for strategy in ["overlap", "hold"] {
        toxic.set(Toxics {
            blackhole: true,
            ..Toxics::default()
        });
        let body = json!({
            "release": strategy, "instance": [toxic.address().to_string()], "strategy": strategy,
            "operation": format!("op-{strategy}"),
        });
        let body = body.to_string();
        let head = "POST /v1/apps/default/promote HTTP/1.1\r\nHost: x\r\nContent-Length";
        let mut dies = UnixStream::connect(&daemon.socket).await.unwrap();
        let ask = format!("{head}: {}\r\n\r\n{body}", body.len());
        dies.write_all(ask.as_bytes()).await.unwrap();
        let path = format!("/v1/operations/op-{strategy}");
        until("it is under way", async || {
            daemon.say("GET", &path, Value::Null).await.0 == 200
        })
        .await;
        drop(dies);
        toxic.set(Toxics::default());
        let path = format!("{path}?wait=true");
        let (_, ended) = daemon.say("GET", &path, Value::Null).await;
        assert_eq!(ended["receipt"]["outcome"], "done", "{ended}");
        assert_eq!(daemon.client().await.get("/").await.text(), "new 0");
    }
    daemon.promote("again", &old, json!({})).await;
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f09_of_fifty_that_promote_at_once_one_wins_and_the_others_are_told_which() {
    let (old, new) = (App::start("old").await, App::start("new").await);
    let daemon = std::sync::Arc::new(at(old.address, "").await);
    let before = Before::of(&daemon).await;
    for round in 0..3 {
        let (live, app) = if round % 2 == 0 {
            (&old, &new)
        } else {
            (&new, &old)
        };
        // The one that wins waits for this one, until all the others have been answered.
        let mut slow = daemon.asking("/wait").await;
        live.asked(round / 2 + 1).await;
        let mut promoting = JoinSet::new();
        for number in 0..50 {
            let (daemon, address) = (daemon.clone(), app.address.to_string());
            let body = json!({
                "release": format!("r{round}-{number}"), "instance": [address],
                "operation": format!("op-{round}-{number}"),
            });
            promoting.spawn(async move {
                let path = "/v1/apps/default/promote";
                let (status, answer) = daemon.say("POST", path, body).await;
                (format!("op-{round}-{number}"), status, answer)
            });
        }
        let mut answers = Vec::new();
        while answers.len() < 49 {
            answers.push(promoting.join_next().await.unwrap().unwrap());
        }
        live.let_go();
        answers.push(promoting.join_next().await.unwrap().unwrap());
        assert_eq!(slow.answer().await.status, 200);
        let won: Vec<_> = answers
            .iter()
            .filter(|(_, status, _)| *status == 200)
            .collect();
        let [(winner, _, receipt)] = won[..] else {
            panic!("{} have won", won.len());
        };
        assert_eq!(receipt["outcome"], "done", "{receipt}");
        for (_, status, problem) in answers.iter().filter(|(name, ..)| name != winner) {
            assert_eq!(
                (*status, &problem["code"]),
                (409, &json!("busy")),
                "{problem}"
            );
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(winner.as_str()), "{detail}");
        }
    }
    before.is_back(&daemon).await;
}
