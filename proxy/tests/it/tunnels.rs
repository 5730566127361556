//! A WebSocket is a tunnel: octets both ways, and it holds its lease.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::app::App;
use crate::client::PATIENCE;
use crate::daemon::Daemon;

pub(crate) const ASK: &str = "GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Opens a WebSocket, says `hi` right behind the 101, then echoes.
pub(crate) async fn echo() -> SocketAddr {
    echo_after(b"hi").await
}

pub(crate) async fn echo_after(greeting: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, greeting));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, greeting: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8(head).unwrap();
    let plain = |status| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    let answer = match head.split(' ').nth(1).unwrap() {
        "/up" | "/plain" => plain("200 OK"),
        "/forbidden" => plain("403 Forbidden"),
        path => {
            let accept = accept(&head, path == "/wrong");
            let head =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
            format!("{head}Sec-WebSocket-Accept: {accept}\r\nX-Path: {path}\r\n\r\n")
        }
    };
    stream.write_all(answer.as_bytes()).await?;
    if answer.starts_with("HTTP/1.1 101") {
        stream.write_all(greeting).await?;
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await?;
    }
    Ok(())
}

/// What `Sec-WebSocket-Accept` must be (RFC 6455, 4.2.2), or the same for another key.
fn accept(head: &str, wrong: bool) -> String {
    let key = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        let is_key = name.eq_ignore_ascii_case("sec-websocket-key");
        is_key.then(|| value.to_owned())
    };
    let key = head.lines().find_map(key).unwrap_or_default();
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .chain_update(if wrong { "x" } else { "" });
    STANDARD.encode(hash.finalize())
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

/// An unmasked text frame: `hi`.
pub(crate) const HI: &[u8] = b"\x81\x02hi";
/// `Close`, 1001: going away.
pub(crate) const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";

#[tokio::test]
async fn tunnels_that_are_cut_are_told_so_and_do_not_all_end_in_the_same_moment() {
    let new = App::start("new").await;
    let daemon = Daemon::start(&[&format!("--upstream={}", echo_after(HI).await)], "").await;
    let mut clients = tokio::task::JoinSet::new();
    let mut tunnels = Vec::new();
    for _ in 0..30 {
        let mut client = daemon.client().await;
        client.say(ASK).await;
        assert_eq!(client.answer().await.status, 101);
        assert_eq!(client.octets(HI.len()).await, HI);
        tunnels.push(client);
    }
    for mut client in tunnels {
        clients.spawn(async move {
            assert_eq!(client.octets(GOING_AWAY.len()).await, GOING_AWAY);
            let told = Instant::now();
            assert!(client.ends().await);
            told
        });
    }
    let receipt = daemon
        .promote("v2", &new, json!({"drain_timeout": "100ms"}))
        .await;
    assert_eq!(receipt["cut"], 30, "{receipt}");
    let told = clients.join_all().await;
    let (first, last) = (told.iter().min().unwrap(), told.iter().max().unwrap());
    assert!(
        *last - *first > Duration::from_secs(1),
        "{:?}",
        *last - *first
    );
}

#[tokio::test]
async fn a_daemon_that_stops_tells_tunnels_so_and_waits_for_none() {
    let daemon = Daemon::start(&[&format!("--upstream={}", echo_after(HI).await)], "").await;
    let mut client = daemon.client().await;
    client.say(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.octets(HI.len()).await, HI);
    daemon.terminate();
    assert_eq!(client.octets(GOING_AWAY.len()).await, GOING_AWAY);
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_tunnel_in_the_middle_of_a_frame_just_ends() {
    let new = App::start("new").await;
    let half = &HI[..3];
    let daemon = Daemon::start(&[&format!("--upstream={}", echo_after(half).await)], "").await;
    let mut client = daemon.client().await;
    client.say(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.octets(half.len()).await, half);
    let receipt = daemon
        .promote("v2", &new, json!({"drain_timeout": "100ms"}))
        .await;
    assert_eq!(receipt["cut"], 1, "{receipt}");
    assert!(client.ends().await, "and nothing before that");
}

#[tokio::test]
async fn random_octets_pass_both_ways_at_once_unchanged() {
    let daemon = Daemon::start(&[&format!("--upstream={}", echo().await)], "").await;
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let octets: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(3_000_000)
        .collect();
    let mut client = daemon.client().await;
    // Right behind the request, before the 101.
    client.say([ASK.as_bytes(), b"early"].concat()).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.octets(7).await, b"hiearly");
    let (mut read, mut write) = client.stream.split();
    let writing = async {
        for part in octets.chunks(random.usize(1..100_000)) {
            write.write_all(part).await.unwrap();
        }
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, read.read_to_end(&mut back));
    let ((), read) = tokio::join!(writing, reading);
    read.unwrap().unwrap();
    assert!(back == octets, "{} octets came back", back.len());
}
