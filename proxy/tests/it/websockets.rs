//! WebSockets of clients in HTTP/2 (RFC 8441): one stream each, beside the other requests of the connection.

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::App;
use crate::client::{PATIENCE, until, until_shut};
use crate::daemon::Daemon;
use crate::tunnels::{GOING_AWAY, HI, echo, echo_after};

type Sender = SendRequest<Empty<bytes::Bytes>>;
type Socket = TokioIo<Upgraded>;

async fn daemon(app: std::net::SocketAddr) -> Daemon {
    Daemon::start(&[&format!("--upstream={app}")], "").await
}

/// A connection on which the server has said that it takes WebSockets.
async fn connect(daemon: &Daemon) -> Sender {
    let stream = TcpStream::connect(daemon.address).await.unwrap();
    let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = shaking.await.unwrap();
    tokio::spawn(connection);
    // Its SETTINGS come before any answer.
    let first = Request::get("http://x.test/up").body(Empty::new()).unwrap();
    let answer = sender.clone().send_request(first).await.unwrap();
    assert_eq!(answer.status(), 200);
    sender
}

async fn ask(sender: &Sender, path: &str, protocol: Option<&'static str>) -> Response<Incoming> {
    let mut request = Request::connect(format!("http://x.test{path}"))
        .header("sec-websocket-version", "13")
        .body(Empty::new())
        .unwrap();
    if let Some(protocol) = protocol {
        let protocol = Protocol::from_static(protocol);
        request.extensions_mut().insert(protocol);
    } else {
        *request.uri_mut() = "x.test:443".parse().unwrap();
    }
    let mut sender = sender.clone();
    let answer = timeout(PATIENCE, sender.send_request(request)).await;
    answer.expect("an answer in time").unwrap()
}

/// An open one, and the head of its answer.
async fn open(sender: &Sender, path: &str) -> (Socket, http::HeaderMap) {
    let mut answer = ask(sender, path, Some("websocket")).await;
    assert_eq!(answer.status(), 200);
    let fields = answer.headers().clone();
    let upgraded = hyper::upgrade::on(&mut answer).await.unwrap();
    (TokioIo::new(upgraded), fields)
}

async fn octets(socket: &mut Socket, count: usize) -> Vec<u8> {
    let mut octets = vec![0; count];
    let reading = socket.read_exact(&mut octets);
    timeout(PATIENCE, reading).await.expect("in time").unwrap();
    octets
}

/// What comes until the end.
async fn rest(socket: &mut Socket) -> Vec<u8> {
    let mut octets = Vec::new();
    let reading = socket.read_to_end(&mut octets);
    timeout(PATIENCE, reading).await.expect("an end").unwrap();
    octets
}

async fn running(daemon: &Daemon, count: u64) {
    let what = format!("{count} requests run");
    until(&what, async || {
        daemon.status().await["live"]["in_flight"] == count
    })
    .await;
}

#[tokio::test]
async fn the_handshake_is_made_for_the_client_and_octets_go_both_ways() {
    let daemon = daemon(echo().await).await;
    let sender = connect(&daemon).await;
    let (mut socket, fields) = open(&sender, "/chat?room=1").await;
    assert_eq!(fields["x-path"], "/chat?room=1");
    for gone in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!fields.contains_key(gone), "{gone}");
    }
    assert_eq!(octets(&mut socket, 2).await, b"hi");
    for octet in 0..=255_u8 {
        socket.write_all(&[octet]).await.unwrap();
        assert_eq!(octets(&mut socket, 1).await, [octet]);
    }
    socket.shutdown().await.unwrap();
    assert!(rest(&mut socket).await.is_empty());
    running(&daemon, 0).await;
}

#[tokio::test]
async fn random_octets_pass_unchanged_on_many_streams_at_once() {
    let daemon = daemon(echo().await).await;
    let sender = connect(&daemon).await;
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut talking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (mut socket, _) = open(&sender, "/").await;
        assert_eq!(octets(&mut socket, 2).await, b"hi");
        let mut said = vec![0; random.usize(..500_000)];
        random.fill(&mut said);
        talking.spawn(async move {
            let (mut read, mut write) = tokio::io::split(socket);
            let mut back = Vec::new();
            let writing = async {
                write.write_all(&said).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let reading = timeout(PATIENCE, read.read_to_end(&mut back));
            let ((), read) = tokio::join!(writing, reading);
            read.unwrap().unwrap();
            assert!(back == said, "{} of {} octets", back.len(), said.len());
        });
    }
    talking.join_all().await;
    running(&daemon, 0).await;
}

#[tokio::test]
async fn one_that_does_not_read_stops_no_other_stream() {
    let daemon = daemon(echo().await).await;
    let sender = connect(&daemon).await;
    let (stuck, _) = open(&sender, "/").await;
    let (mut read, mut write) = tokio::io::split(stuck);
    let flooding = tokio::spawn(async move {
        let octets = vec![b'x'; 1 << 20];
        while write.write_all(&octets).await.is_ok() {}
    });
    let mut octet = [0];
    read.read_exact(&mut octet).await.unwrap();
    for _ in 0..20 {
        let (mut socket, _) = open(&sender, "/").await;
        assert_eq!(octets(&mut socket, 2).await, b"hi");
        socket.write_all(b"there").await.unwrap();
        assert_eq!(octets(&mut socket, 5).await, b"there");
        socket.shutdown().await.unwrap();
        rest(&mut socket).await;
    }
    flooding.abort();
}

#[tokio::test]
async fn a_drain_tells_and_counts_it() {
    let new = App::start("new").await;
    let daemon = daemon(echo_after(HI).await).await;
    let sender = connect(&daemon).await;
    let (mut socket, _) = open(&sender, "/").await;
    assert_eq!(octets(&mut socket, HI.len()).await, HI);
    let receipt = daemon
        .promote("v2", &new, json!({"drain_timeout": "100ms"}))
        .await;
    assert_eq!(receipt["cut"], 1, "{receipt}");
    assert_eq!(rest(&mut socket).await, GOING_AWAY);
    let after = Request::get("http://x.test/").body(Empty::new()).unwrap();
    let answer = sender.clone().send_request(after).await.unwrap();
    assert_eq!(answer.status(), 200, "its connection goes on");
}

#[tokio::test]
async fn a_stop_of_the_daemon_lets_each_go_on_until_it_ends_or_is_told() {
    const AGAIN: &[u8] = b"still there";
    let mut daemon = daemon(echo_after(HI).await).await;
    let sender = connect(&daemon).await;
    let mut sockets = Vec::new();
    // Each is told at a moment of its own, within seconds: some have time to speak, whatever the machine does.
    for _ in 0..16 {
        let (mut socket, _) = open(&sender, "/").await;
        assert_eq!(octets(&mut socket, HI.len()).await, HI);
        sockets.push(socket);
    }
    daemon.terminate();
    until_shut(daemon.address).await;
    let mut went_on = 0;
    for mut socket in sockets {
        // Whoever has been told is not heard.
        let said = async {
            socket.write_all(AGAIN).await?;
            socket.shutdown().await
        };
        let said = said.await;
        let heard = rest(&mut socket).await;
        let echoed = heard.strip_prefix(AGAIN);
        went_on += usize::from(echoed.is_some());
        match echoed.unwrap_or(&heard) {
            b"" => assert!(said.is_ok() && echoed.is_some(), "{said:?}"),
            told => assert_eq!(told, GOING_AWAY),
        }
    }
    assert!(went_on > 0);
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn a_hold_keeps_it_waiting_and_who_leaves_frees_everything() {
    let daemon = daemon(echo().await).await;
    let sender = connect(&daemon).await;
    daemon.verb("hold", json!({})).await;
    let opening = {
        let sender = sender.clone();
        tokio::spawn(async move { open(&sender, "/").await.0 })
    };
    daemon.held(1).await;
    let leaving = {
        let sender = sender.clone();
        tokio::spawn(async move { open(&sender, "/gone").await.0 })
    };
    daemon.held(2).await;
    leaving.abort();
    daemon.held(1).await;
    daemon.verb("resume", json!({})).await;
    let mut socket = opening.await.unwrap();
    assert_eq!(octets(&mut socket, 2).await, b"hi");
    running(&daemon, 1).await;
    // Not a clean end: RST_STREAM.
    drop(socket);
    running(&daemon, 0).await;
}

#[tokio::test]
async fn what_the_app_says_instead_of_101_is_the_answer_unless_it_could_be_mistaken() {
    let daemon = daemon(echo().await).await;
    let sender = connect(&daemon).await;
    for (path, status) in [("/forbidden", 403), ("/plain", 502), ("/wrong", 502)] {
        let answer = ask(&sender, path, Some("websocket")).await;
        assert_eq!(answer.status(), status, "{path}");
        answer.into_body().collect().await.unwrap();
    }
    running(&daemon, 0).await;
}

#[tokio::test]
async fn any_other_connect_is_refused() {
    let daemon = daemon(echo().await).await;
    let sender = connect(&daemon).await;
    let udp = ask(&sender, "/", Some("connect-udp")).await;
    assert_eq!(udp.status(), StatusCode::NOT_IMPLEMENTED);
    let forward = ask(&sender, "/", None).await;
    assert_eq!(forward.status(), StatusCode::METHOD_NOT_ALLOWED);
}
