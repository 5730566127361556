//! External gates: a real shell, and a server that answers as Prometheus does. Who cannot be asked has not said yes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::cast::{App, Daemon, Place};

struct Stage {
    daemon: Daemon,
    new: App,
    place: Place,
    _old: App,
}

impl Stage {
    /// The canary is good, as far as the judge can see.
    async fn new() -> Self {
        let place = Place::new();
        let (old, new) = (App::ready().await, App::ready().await);
        let daemon = place.start(&old.address);
        daemon.plane.count("canary", 5_000, 5);
        daemon.plane.count("control", 5_000, 5);
        Self {
            daemon,
            new,
            place,
            _old: old,
        }
    }

    async fn promote(&self, gates: Value) -> Value {
        let mut body = json!({
            "release": "r1", "instance": [self.new.address], "strategy": "canary", "steps": [50],
            "step_time": "200ms", "watch": "0s", "boot_timeout": "1500ms",
        });
        let Value::Object(gates) = gates else {
            panic!("fields were expected");
        };
        body.as_object_mut().unwrap().extend(gates);
        self.daemon.client.web("promote", body).await.ok()
    }
}

/// A server whose answers have these values; none answers 503. Says what it was asked.
async fn prometheus(value: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut octets = vec![0; 4096];
            let length = stream.read(&mut octets).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&octets[..length]).into_owned();
            let line = head.lines().next().unwrap_or_default().to_owned();
            noted.lock().unwrap().push(line);
            let (status, body) = match value {
                Some(value) => {
                    let series = json!({ "metric": {}, "value": [1_435_781_451.781, value] });
                    let data = json!({ "resultType": "vector", "result": [series] });
                    (
                        "200 OK",
                        json!({ "status": "success", "data": data }).to_string(),
                    )
                }
                None => ("503 Busy", String::new()),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_command_that_exits_0_lets_it_on_and_is_asked_before_each_next_step() {
    let stage = Stage::new().await;
    let file = stage.place.path().join("asked");
    let command = format!(
        "echo $HOLDFAST_APP $HOLDFAST_RELEASE $HOLDFAST_SHARE >> {}",
        file.display()
    );
    let receipt = stage.promote(json!({ "gate_exec": [command] })).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    let asked = std::fs::read_to_string(file).unwrap();
    assert_eq!(asked, "web r1 50\nweb r1 100\n");
}

#[tokio::test]
async fn a_command_that_does_not_rolls_it_back_with_its_last_words() {
    let stage = Stage::new().await;
    let command = "echo 'orders fell to 2' >&2; exit 3";
    let receipt = stage.promote(json!({ "gate_exec": [command] })).await;
    assert_eq!(receipt["outcome"], "rolled_back", "{receipt}");
    let why = "gate exec echo: exit status 3: orders fell to 2";
    assert_eq!(
        (&receipt["why"], &receipt["judge"]["verdict"]),
        (&json!(why), &json!("fail"))
    );
    assert_eq!(stage.daemon.client.status().await["blocked"]["reason"], why);
}

#[tokio::test]
async fn a_query_within_its_bound_lets_it_on() {
    let stage = Stage::new().await;
    let (url, asked) = prometheus(Some("0.004")).await;
    let gate = format!("{url}|rate(errors[1m])|< 0.01");
    let receipt = stage.promote(json!({ "gate_prometheus": [gate] })).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    let line = "GET /api/v1/query?query=rate%28errors%5B1m%5D%29 HTTP/1.1";
    assert!(
        asked.lock().unwrap().iter().all(|asked| asked == line),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_query_beyond_it_rolls_it_back() {
    let stage = Stage::new().await;
    let (url, _asked) = prometheus(Some("2")).await;
    let gate = format!("{url}|sum(rate(orders_total[1m]))|> 3");
    let receipt = stage.promote(json!({ "gate_prometheus": [gate] })).await;
    assert_eq!(receipt["outcome"], "rolled_back", "{receipt}");
    let why = "gate prometheus sum(rate(orders_total[1m])) > 3: the value is 2, not > 3";
    assert_eq!(receipt["why"], why);
}

#[tokio::test]
async fn a_gate_that_cannot_be_asked_is_no_yes_and_the_words_say_so() {
    let stage = Stage::new().await;
    let (busy, _asked) = prometheus(None).await;
    let nowhere = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (url, words) in [(busy, "answered 503"), (nowhere, "refuses connections")] {
        for on_quiet in ["wait", "advance"] {
            let gates =
                json!({ "gate_prometheus": [format!("{url}|up|> 0")], "on_quiet": on_quiet });
            let receipt = stage.promote(gates).await;
            assert_eq!(receipt["outcome"], "failed", "{receipt}");
            let judge = &receipt["judge"];
            assert_eq!(judge["verdict"], "not_enough_traffic");
            assert!(judge["why"].as_str().unwrap().contains(words), "{receipt}");
            assert_eq!(stage.daemon.client.live().await, "r0");
        }
    }
}
