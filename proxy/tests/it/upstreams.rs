//! Apps that are spoken to in HTTP/2, over TLS, through a Unix socket or by IPv6: whatever the client speaks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use http::Response;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;

use crate::app::{App, Speaks};
use crate::client::until;
use crate::daemon::Daemon;
use crate::http2;
use crate::tls::Authority;

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn http2_app(name: &'static str) -> App {
    let speaks = Speaks {
        http2: true,
        tls: None,
    };
    App::start_speaking(name, anywhere(), speaks).await
}

/// A daemon with one app that is spoken to so. One worker, so that requests meet on one connection.
async fn daemon(upstream: &str, address: SocketAddr) -> Daemon {
    let config =
        format!("[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\nupstream = {upstream}\n");
    let flags = [&format!("--upstream={address}"), "--workers=1"];
    Daemon::start(&flags, &config).await
}

const HTTP2: &str = "{ protocol = \"http2\" }";

#[tokio::test]
async fn clients_of_either_version_reach_an_app_in_http2() {
    let app = http2_app("a").await;
    let daemon = daemon(HTTP2, app.address).await;
    let mut client = daemon.client().await;
    let answer = client.post("/one?x=1", &[b'x'; 100_000]).await;
    assert_eq!((answer.status, answer.text()), (200, "a 100000".to_owned()));
    let sender = http2::connect(&daemon).await;
    let answer = http2::ask(&sender, http2::request("POST", "/two", b"body")).await;
    assert_eq!(answer.unwrap().body, "a 4");
    for (target, authority) in [("/one?x=1", "x.test"), ("/two", "x.test")] {
        let seen = app.seen().into_iter().find(|seen| seen.target == target);
        let seen = seen.unwrap();
        assert_eq!(seen.authority.as_deref(), Some(authority), "{target}");
        assert!(!seen.fields.contains_key("host"));
        assert_eq!(seen.fields["x-forwarded-proto"], "http");
    }
}

#[tokio::test]
async fn many_requests_share_one_connection_to_the_app() {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, SeqCst);
            tokio::spawn(answer_all(stream, Vec::new()));
        }
    });
    let config = "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n\
        upstream.protocol = \"http2\"\nprobe.interval = \"1h\"\n";
    let daemon = Daemon::start(&[&format!("--upstream={address}")], config).await;
    let sender = http2::connect(&daemon).await;
    until("it was probed", async || connections.load(SeqCst) == 1).await;
    let mut asking = JoinSet::new();
    for _ in 0..90 {
        let sender = sender.clone();
        asking.spawn(async move {
            let answer = http2::ask(&sender, http2::request("GET", "/", b"")).await;
            assert_eq!(answer.unwrap().status, 200);
        });
    }
    asking.join_all().await;
    assert_eq!(connections.load(SeqCst), 2);
}

/// Speaks HTTP/2; the first requests of a connection are refused for these reasons.
async fn answer_all(stream: tokio::net::TcpStream, refusals: Vec<h2::Reason>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut refusals = refusals.into_iter();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        if request.uri().path() == "/up" {
            let _ = respond.send_response(Response::new(()), true);
        } else if let Some(reason) = refusals.next() {
            respond.send_reset(reason);
        } else {
            tokio::spawn(echo(request.into_body(), respond));
        }
    }
}

async fn echo(mut body: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>) {
    let mut octets = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        octets.extend_from_slice(&data);
    }
    let response = Response::builder().header("content-length", octets.len());
    let response = response.body(()).unwrap();
    let mut send = respond.send_response(response, false).unwrap();
    send.send_data(octets.into(), true).unwrap();
}

async fn refusing_app(refusals: Vec<h2::Reason>) -> SocketAddr {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_all(stream, refusals.clone()));
        }
    });
    address
}

#[tokio::test]
async fn a_post_that_the_app_refuses_unread_is_sent_again_with_its_body() {
    let refused = h2::Reason::REFUSED_STREAM;
    let daemon = daemon(HTTP2, refusing_app(vec![refused, refused]).await).await;
    let mut client = daemon.client().await;
    let answer = client.post("/", b"once and for all").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "once and for all");
}

#[tokio::test]
async fn a_post_that_the_app_breaks_off_is_never_sent_again() {
    let daemon = daemon(HTTP2, refusing_app(vec![h2::Reason::INTERNAL_ERROR]).await).await;
    assert_eq!(daemon.client().await.post("/", b"once").await.status, 502);
    let answer = daemon.client().await.post("/", b"twice").await;
    assert_eq!(answer.text(), "twice", "the connection to the app goes on");
}

#[tokio::test]
async fn swaps_of_either_kind_lose_no_request_to_apps_in_http2() {
    let (a, b) = (http2_app("a").await, http2_app("b").await);
    let daemon = daemon(HTTP2, a.address).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (mut client, stopped) = (daemon.client().await, stopped.clone());
        clients.spawn(async move {
            let mut answers = 0;
            while !*stopped.borrow() {
                assert_eq!(client.post("/", b"x").await.status, 200);
                answers += 1;
            }
            answers
        });
    }
    for round in 0..6 {
        let (release, app) = if round % 2 == 0 { ("b", &b) } else { ("a", &a) };
        let strategy = if round < 3 { "overlap" } else { "hold" };
        let more = json!({ "strategy": strategy });
        daemon
            .promote(&format!("{release}{round}"), app, more)
            .await;
        let before = app.targets().len();
        until("it serves", async || app.targets().len() > before + 10).await;
    }
    stop.send(true).unwrap();
    let answers: usize = clients.join_all().await.into_iter().sum();
    assert_eq!(a.targets().len() + b.targets().len(), answers, "each once");
}

#[tokio::test]
async fn an_app_in_http2_that_is_killed_is_held_until_it_is_back() {
    let app = http2_app("a").await;
    let daemon = daemon(HTTP2, app.address).await;
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    let address = app.kill().await;
    let mut client = daemon.client().await;
    let waiting = tokio::spawn(async move { client.get("/held").await.status });
    daemon.held(1).await;
    let speaks = Speaks {
        http2: true,
        tls: None,
    };
    let _app = App::start_speaking("a", address, speaks).await;
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn a_websocket_to_an_app_in_http2_is_refused_and_said_so() {
    let app = http2_app("a").await;
    let daemon = daemon(HTTP2, app.address).await;
    let mut client = daemon.client().await;
    client
        .say("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("HTTP/2"), "{}", answer.text());
}

struct OverTls {
    authority: Authority,
    app: App,
}

/// An app whose certificate is for `host`.
async fn over_tls(http2: bool, host: &str) -> OverTls {
    let authority = Authority::new();
    authority.issue("app", host);
    let protocols: &[_] = if http2 { &["h2"] } else { &["http/1.1"] };
    let tls = Some(authority.server("app", protocols));
    let app = App::start_speaking("a", anywhere(), Speaks { http2, tls }).await;
    OverTls { authority, app }
}

impl OverTls {
    fn upstream(&self, protocol: &str, more: &str) -> String {
        let ca = self.authority.file("ca", "pem");
        format!("{{ protocol = \"{protocol}\", tls = {{ ca = {ca:?}{more} }} }}")
    }
}

#[tokio::test]
async fn apps_are_reached_over_tls_in_either_version() {
    for (http2, protocol, host, more) in [
        (false, "http1", "127.0.0.1", ""),
        (true, "http2", "app.internal", ", name = \"app.internal\""),
    ] {
        let it = over_tls(http2, host).await;
        let daemon = daemon(&it.upstream(protocol, more), it.app.address).await;
        let mut client = daemon.client().await;
        assert_eq!(client.post("/", &[b'x'; 300_000]).await.text(), "a 300000");
        let answer = client.get("/big/3").await;
        assert_eq!(answer.body.len(), 3 << 20, "{protocol}");
        until("a probe has come, over TLS as well", async || {
            it.app.seen().iter().any(|seen| seen.target == "/up")
        })
        .await;
    }
}

#[tokio::test]
async fn an_app_with_the_wrong_certificate_gets_no_traffic_and_no_promote() {
    let it = over_tls(false, "other.internal").await;
    let upstream = it.upstream("http1", ", name = \"app.internal\"");
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\nupstream = {upstream}\n\
         hold.when_down = false\ntimeouts.boot = \"1s\"\nprobe.timeout = \"500ms\"\n"
    );
    let daemon = Daemon::start(&[&format!("--upstream={}", it.app.address)], &config).await;
    assert_eq!(daemon.client().await.get("/").await.status, 502);
    let body = json!({ "release": "r2", "instance": [it.app.address.to_string()] });
    let (_, said) = daemon.say("POST", "/v1/apps/default/promote", body).await;
    assert_eq!(said["outcome"], "failed", "{said}");
    assert!(said.to_string().contains("certificate"), "{said}");
    assert!(it.app.seen().is_empty());
}

#[tokio::test]
async fn a_reload_with_a_broken_authority_is_refused_and_the_old_one_stays() {
    let it = over_tls(false, "127.0.0.1").await;
    let daemon = daemon(&it.upstream("http1", ""), it.app.address).await;
    let ca = it.authority.file("ca", "pem");
    let pem = std::fs::read_to_string(&ca).unwrap();
    std::fs::write(&ca, &pem[..pem.len() / 2]).unwrap();
    let (status, said) = daemon.say("POST", "/v1/reload", json!({})).await;
    assert_ne!(status, 200);
    assert!(said.to_string().contains("ca.pem"), "{said}");
    assert_eq!(daemon.client().await.get("/").await.status, 200);
}

/// A door to the app of another kind: what comes through it goes to the app, and back.
fn door<L, S>(listener: L, to: SocketAddr)
where
    L: AsyncFn() -> S + 'static,
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    tokio::task::spawn_local(async move {
        loop {
            let mut stream = listener().await;
            tokio::task::spawn_local(async move {
                let mut app = TcpStream::connect(to).await.unwrap();
                tokio::io::copy_bidirectional(&mut stream, &mut app).await
            });
        }
    });
}

#[tokio::test]
async fn a_unix_socket_and_ipv6_are_as_good_as_any_address_and_promoted_to() {
    let local = tokio::task::LocalSet::new();
    let (app, home) = (App::start("a").await, tempfile::tempdir().unwrap());
    let path = home.path().join("app.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let ipv6 = TcpListener::bind("[::1]:0").await.unwrap();
    let through_ipv6 = ipv6.local_addr().unwrap();
    let to = app.address;
    local
        .run_until(async {
            door(async move || unix.accept().await.unwrap().0, to);
            door(async move || ipv6.accept().await.unwrap().0, to);
            let config = "[[listen]]\naddress = \"[::1]:0\"\n[app.default]\n";
            let upstream = format!("--upstream=unix:{}", path.display());
            let daemon = Daemon::start_as_configured(&[&upstream], config);
            assert!(daemon.address.is_ipv6());
            assert_eq!(daemon.client().await.post("/", b"unix").await.text(), "a 4");
            let body = json!({ "release": "v6", "instance": [through_ipv6.to_string()] });
            let receipt = daemon.verb("promote", body).await;
            assert_eq!(receipt["outcome"], "done", "{receipt}");
            let answer = daemon.client().await.post("/", b"ipv6").await;
            assert_eq!(answer.field("x-release"), Some("v6"));
            assert_eq!(answer.text(), "a 4");
            let seen = app.seen().pop().unwrap();
            assert_eq!(seen.fields["x-forwarded-for"], "::1");
        })
        .await;
}

#[tokio::test]
async fn a_crowd_is_with_a_slow_app_all_at_once() {
    let app = App::start("a").await;
    let daemon = daemon("{}", app.address).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = daemon.client().await;
        client
            .say("GET /wait HTTP/1.1\r\nhost: x.test\r\n\r\n")
            .await;
        clients.push(client);
    }
    // Nobody waits for a connection that another one has until that is answered.
    app.asked(clients.len()).await;
    app.let_go();
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "a 0");
    }
}
