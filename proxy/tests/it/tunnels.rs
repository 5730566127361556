//! A WebSocket is a tunnel: octets both ways, and it holds its lease.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::app::App;
use crate::daemon::Daemon;

pub(crate) const ASK: &str = "GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Answers 101 to everything but `/up`, says `hi` right behind it, then echoes.
pub(crate) async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                if head.starts_with(b"GET /up ") {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        .await;
                    return;
                }
                let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi";
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn octets_go_both_ways_and_the_end_is_passed_on() {
    let daemon = Daemon::start(&[&format!("--upstream={}", echo().await)], "").await;
    let mut client = daemon.client().await;
    client.say(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.octets(2).await, b"hi");
    for octet in 0..=255_u8 {
        client.say([octet]).await;
        assert_eq!(client.octets(1).await, [octet]);
    }
    client.stream.shutdown().await.unwrap();
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_tunnel_keeps_its_release_until_the_drain_timeout_and_is_counted_as_cut() {
    let new = App::start("new").await;
    let daemon = Daemon::start(&[&format!("--upstream={}", echo().await)], "").await;
    let mut client = daemon.client().await;
    client.say(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    client.octets(2).await;
    let receipt = daemon
        .promote("v2", &new, json!({"drain_timeout": "400ms"}))
        .await;
    assert_eq!(receipt["cut"], 1, "{receipt}");
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_502() {
    let daemon = Daemon::start(&[&format!("--upstream={}", echo().await)], "").await;
    assert_eq!(daemon.client().await.get("/").await.status, 502);
}
