//! Bodies arrive octet for octet, also when their request was held.

use serde_json::json;

use crate::app::App;
use crate::client::Client;
use crate::daemon::Daemon;

fn noise(length: usize) -> Vec<u8> {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect()
}

async fn through_a_hold(head: String, octets: &[u8], sent: &[u8]) {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    daemon.verb("hold", json!({})).await;
    let mut client = daemon.client().await;
    client.say(head).await;
    let Client { stream, .. } = &mut client;
    let (mut read, mut write) = stream.split();
    let writing = tokio::io::AsyncWriteExt::write_all(&mut write, octets);
    let resuming = async {
        daemon.held(1).await;
        daemon.verb("resume", json!({})).await;
        let mut answer = vec![0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut read, &mut answer)
            .await
            .unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
    };
    let (written, ()) = tokio::join!(writing, resuming);
    written.unwrap();
    let seen = app
        .seen()
        .into_iter()
        .find(|seen| seen.target == "/up/load")
        .unwrap();
    assert_eq!(
        seen.body,
        sent,
        "{} octets of {}",
        seen.body.len(),
        sent.len()
    );
}

#[tokio::test]
async fn an_upload_with_a_length_survives_a_hold() {
    let body = noise(3_000_000);
    let head = format!(
        "PUT /up/load HTTP/1.1\r\nHost: x.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    through_a_hold(head, &body, &body).await;
}

#[tokio::test]
async fn a_chunked_upload_survives_a_hold() {
    let body = noise(500_000);
    let mut chunked = Vec::new();
    for chunk in body.chunks(7_919) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let head = "PUT /up/load HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    through_a_hold(head.into(), &chunked, &body).await;
}

#[tokio::test]
async fn a_client_that_expects_100_keeps_its_body_while_held() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    daemon.verb("hold", json!({})).await;
    let mut client = daemon.client().await;
    client
        .say("PUT /x HTTP/1.1\r\nHost: x.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        .await;
    daemon.held(1).await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(100), client.more()).await;
    assert!(early.is_err(), "nothing is said while it is held");
    daemon.verb("resume", json!({})).await;
    assert_eq!(client.octets(25).await, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.say("ok").await;
    assert_eq!(client.answer().await.text(), "a 2");
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_body_gets_408() {
    let app = App::start("a").await;
    let config =
        "[limits]\nbody_pause = \"1s\"\n[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n";
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], config).await;
    let mut client = daemon.client().await;
    client
        .say("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 10\r\n\r\nhell")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 408);
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(app.targets().is_empty(), "no whole request reaches the app");
}
