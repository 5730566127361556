//! Proxies in front: whom they name is the client, if they are trusted.

use std::net::IpAddr;

use http::HeaderMap;
use serde_json::json;

use crate::app::App;
use crate::client::{Client, until};
use crate::daemon::Daemon;

/// Trusted by the daemons below; clients of tests that say nothing else come from 127.0.0.1, which is not.
const FRONT: &str = "127.0.0.2";
const TRUSTING: &str = "[server]\ntrusted = [\"127.0.0.2\", \"10.0.0.0/8\"]\n";

async fn behind_fronts(app: &App) -> Daemon {
    let config = format!("{TRUSTING}[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n");
    Daemon::start(&[&format!("--upstream={}", app.address)], &config).await
}

/// Its only listener expects the PROXY protocol.
async fn behind_copying_fronts(app: &App) -> Daemon {
    let config = format!(
        "{TRUSTING}[[listen]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n[app.default]\n"
    );
    Daemon::start_as_configured(&[&format!("--upstream={}", app.address)], &config)
}

async fn from(address: &str, daemon: &Daemon) -> Client {
    let address: IpAddr = address.parse().unwrap();
    Client::connect_from(address, daemon.address).await
}

/// A request with these lines.
fn request(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: asked.test\r\n{lines}\r\n")
}

/// The fields of the request with this target, as the app saw them.
fn seen(app: &App, target: &str) -> HeaderMap {
    let seen = app.seen().into_iter().find(|seen| seen.target == target);
    seen.unwrap_or_else(|| panic!("{target} has not come"))
        .fields
}

/// What the app saw of a request with these lines, sent from `address`.
async fn told(app: &App, daemon: &Daemon, address: &str, target: &str, lines: &str) -> HeaderMap {
    let mut client = from(address, daemon).await;
    client.say(request(target, lines)).await;
    assert_eq!(client.answer().await.status, 200, "{lines:?}");
    seen(app, target)
}

const WORD: &str = "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n\
    Forwarded: for=192.0.2.1, for=10.0.0.1\r\n";

#[tokio::test]
async fn a_trusted_front_is_believed_and_appended_to_its_chain() {
    let app = App::start("a").await;
    let daemon = behind_fronts(&app).await;
    let fields = told(&app, &daemon, FRONT, "/x", WORD).await;
    let chain = "6.6.6.6, 192.0.2.1, 10.0.0.1, 127.0.0.2";
    assert_eq!(fields["x-forwarded-for"], chain);
    assert_eq!(fields.get_all("x-forwarded-for").iter().count(), 1);
    assert_eq!(fields["x-forwarded-proto"], "https");
    assert_eq!(fields["x-forwarded-host"], "shop.test");
    assert_eq!(
        fields["forwarded"],
        "for=192.0.2.1, for=10.0.0.1, for=127.0.0.2"
    );
    assert_eq!(fields["host"], "asked.test");
}

#[tokio::test]
async fn what_anybody_else_says_is_dropped() {
    let app = App::start("a").await;
    let daemon = behind_fronts(&app).await;
    let fields = told(&app, &daemon, "127.0.0.1", "/x", WORD).await;
    assert_eq!(fields["x-forwarded-for"], "127.0.0.1");
    assert_eq!(fields["x-forwarded-proto"], "http");
    assert_eq!(fields["x-forwarded-host"], "asked.test");
    assert!(!fields.contains_key("forwarded"));
}

#[tokio::test]
async fn without_a_chain_forwarded_is_read() {
    let app = App::start("a").await;
    let daemon = behind_fronts(&app).await;
    let line = "Forwarded: for=\"[2001:db8::1]:80\";proto=https;host=shop.test, for=10.0.0.1\r\n";
    let fields = told(&app, &daemon, FRONT, "/x", line).await;
    assert_eq!(
        fields["x-forwarded-for"],
        "2001:db8::1, 10.0.0.1, 127.0.0.2"
    );
    assert_eq!(fields["x-forwarded-proto"], "https");
    assert_eq!(fields["x-forwarded-host"], "shop.test");
    let both = format!("X-Forwarded-For: 192.0.2.1\r\n{line}");
    let fields = told(&app, &daemon, FRONT, "/both", &both).await;
    assert_eq!(fields["x-forwarded-for"], "192.0.2.1, 127.0.0.2");
    assert_eq!(fields["x-forwarded-proto"], "http");
    assert!(!fields.contains_key("forwarded"), "it names another client");
}

#[tokio::test]
async fn what_a_trusted_front_says_in_a_wrong_form_counts_as_not_said() {
    let app = App::start("a").await;
    let daemon = behind_fronts(&app).await;
    for (number, lines) in [
        "X-Forwarded-For: somebody\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a/b\r\n",
        "X-Forwarded-For: \r\nX-Forwarded-Proto: 1\r\nX-Forwarded-Host: \r\n",
        "X-Forwarded-For: \"\r\nForwarded: for=6.6.6.6;proto=https\r\n",
        "X-Forwarded-For: \u{e9}\r\n",
        "Forwarded: for=\"192.0.2.1\r\n",
        "Forwarded: ;;,\r\n",
    ]
    .iter()
    .enumerate()
    {
        let fields = told(&app, &daemon, FRONT, &format!("/{number}"), lines).await;
        assert_eq!(fields["x-forwarded-for"], FRONT, "{lines:?}");
        assert_eq!(fields["x-forwarded-proto"], "http", "{lines:?}");
        assert_eq!(fields["x-forwarded-host"], "asked.test", "{lines:?}");
        assert!(!fields.contains_key("forwarded"), "{lines:?}");
    }
}

#[tokio::test]
async fn no_client_can_have_its_fronts_word_taken_out() {
    let app = App::start("a").await;
    let daemon = behind_fronts(&app).await;
    let nominated = format!("Connection: x-forwarded-for, forwarded\r\n{WORD}");
    let fields = told(&app, &daemon, FRONT, "/nominated", &nominated).await;
    assert_eq!(
        fields["x-forwarded-for"],
        "6.6.6.6, 192.0.2.1, 10.0.0.1, 127.0.0.2"
    );
    let garbage = "X-Forwarded-For: \"\u{e9}, 192.0.2.1\r\n";
    let fields = told(&app, &daemon, FRONT, "/garbage", garbage).await;
    assert_eq!(fields["x-forwarded-for"], "192.0.2.1, 127.0.0.2");
}

/// Waits for the client that the access log names for a target.
async fn logged(log: &std::path::Path, target: &str) -> String {
    let find = || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let mut lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let line: Option<serde_json::Value> =
            lines.find(|line: &serde_json::Value| line["path"] == target);
        Some(line?["client"].as_str()?.to_owned())
    };
    until("a line in the access log", async || find().is_some()).await;
    find().unwrap()
}

#[tokio::test]
async fn the_access_log_names_the_client_behind_the_front() {
    let app = App::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let config = format!(
        "{TRUSTING}access_log = \"{}\"\n[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n",
        log.display()
    );
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], &config).await;
    for (target, chain, client) in [
        ("/chain", "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        ("/trusted", "10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("/none", "", FRONT),
    ] {
        let line = format!("X-Forwarded-For: {chain}\r\n");
        told(&app, &daemon, FRONT, target, &line).await;
        assert_eq!(logged(&log, target).await, client, "{chain}");
    }
    told(
        &app,
        &daemon,
        "127.0.0.1",
        "/else",
        "X-Forwarded-For: 6.6.6.6\r\n",
    )
    .await;
    assert_eq!(logged(&log, "/else").await, "127.0.0.1");
}

#[tokio::test]
async fn each_client_behind_a_front_has_its_own_share_of_a_hold() {
    let app = App::start("a").await;
    let config = format!(
        "{TRUSTING}[[listen]]\naddress = \"127.0.0.1:1\"\n\
         [app.default.hold]\nmax_requests = 8\nmax_share = 0.25\n"
    );
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], &config).await;
    daemon.verb("hold", json!({})).await;
    let mut waiting = Vec::new();
    let greedy = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"];
    for client in greedy.into_iter().chain(["192.0.2.1"]) {
        let mut front = from(FRONT, &daemon).await;
        front
            .say(request("/", &format!("X-Forwarded-For: {client}\r\n")))
            .await;
        waiting.push(front);
        daemon.held(waiting.len() as u64).await;
    }
    let mut front = from(FRONT, &daemon).await;
    front
        .say(request("/", "X-Forwarded-For: 2001:db8::5\r\n"))
        .await;
    let refused = front.answer().await;
    assert_eq!(refused.status, 503, "one network of 64 bits is one client");
    assert!(
        refused
            .field("proxy-status")
            .unwrap()
            .contains("hold_share")
    );
    daemon.verb("resume", json!({})).await;
    for front in &mut waiting {
        assert_eq!(front.answer().await.status, 200);
    }
}

#[tokio::test]
async fn a_request_that_waited_says_the_same_of_its_client() {
    let app = App::start("a").await;
    let daemon = behind_fronts(&app).await;
    daemon.verb("hold", json!({})).await;
    let mut client = from(FRONT, &daemon).await;
    client.say(request("/held", WORD)).await;
    daemon.held(1).await;
    daemon.verb("resume", json!({})).await;
    assert_eq!(client.answer().await.status, 200);
    let chain = "6.6.6.6, 192.0.2.1, 10.0.0.1, 127.0.0.2";
    assert_eq!(seen(&app, "/held")["x-forwarded-for"], chain);
    // Tried in vain first, and held then: our own word is in its fields already.
    let address = app.kill().await;
    client.say(request("/down", WORD)).await;
    daemon.held(1).await;
    let app = App::start_at("b", address).await;
    assert_eq!(client.answer().await.text(), "b 0");
    let fields = seen(&app, "/down");
    assert_eq!(fields["x-forwarded-for"], chain);
    assert_eq!(fields["x-forwarded-proto"], "https");
    assert_eq!(
        fields["forwarded"],
        "for=192.0.2.1, for=10.0.0.1, for=127.0.0.2"
    );
}

/// A header of version 2: PROXY, TCP over IPv4, with a TLV that nobody knows.
fn block(client: [u8; 4]) -> Vec<u8> {
    let fixed = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10";
    let rest = [10, 0, 0, 1, 0xdc, 4, 0x01, 0xbb, 0xee, 0, 1, 42];
    [&fixed[..], &client, &rest].concat()
}

const LINE: &str = "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n";

#[tokio::test]
async fn whom_a_proxy_header_names_is_the_client() {
    let app = App::start("a").await;
    let daemon = behind_copying_fronts(&app).await;
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\x00".to_vec();
    for (target, header, client) in [
        ("/1", LINE.as_bytes().to_vec(), "192.0.2.1"),
        (
            "/1-6",
            b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(),
            "2001:db8::1",
        ),
        ("/1-unknown", b"PROXY UNKNOWN\r\n".to_vec(), FRONT),
        ("/2", block([192, 0, 2, 2]), "192.0.2.2"),
        ("/2-local", local, FRONT),
    ] {
        let mut front = from(FRONT, &daemon).await;
        front
            .say([&header, request(target, "").as_bytes()].concat())
            .await;
        assert_eq!(front.answer().await.status, 200, "{target}");
        assert_eq!(seen(&app, target)["x-forwarded-for"], client, "{target}");
        front.say(request("/again", "")).await;
        assert_eq!(
            front.answer().await.status,
            200,
            "{target}: the connection goes on"
        );
    }
}

#[tokio::test]
async fn behind_a_front_that_copies_octets_the_fields_are_the_clients() {
    let app = App::start("a").await;
    let daemon = behind_copying_fronts(&app).await;
    for (target, header, chain) in [
        ("/client", LINE.as_bytes().to_vec(), "192.0.2.1"),
        ("/unknown", b"PROXY UNKNOWN\r\n".to_vec(), FRONT),
        ("/front", block([10, 0, 0, 7]), "6.6.6.6, 10.0.0.7"),
    ] {
        let mut front = from(FRONT, &daemon).await;
        let request = request(target, "X-Forwarded-For: 6.6.6.6\r\n");
        front.say([&header, request.as_bytes()].concat()).await;
        assert_eq!(front.answer().await.status, 200);
        assert_eq!(seen(&app, target)["x-forwarded-for"], chain, "{target}");
    }
}

#[tokio::test]
async fn a_proxy_header_may_come_octet_by_octet() {
    let app = App::start("a").await;
    let daemon = behind_copying_fronts(&app).await;
    for (target, header) in [
        ("/1", LINE.as_bytes().to_vec()),
        ("/2", block([192, 0, 2, 1])),
    ] {
        let mut front = from(FRONT, &daemon).await;
        for octet in [&header, request(target, "").as_bytes()].concat() {
            front.say([octet]).await;
        }
        assert_eq!(front.answer().await.status, 200);
        assert_eq!(seen(&app, target)["x-forwarded-for"], "192.0.2.1");
    }
}

#[tokio::test]
async fn a_held_request_keeps_the_client_of_its_proxy_header() {
    let app = App::start("a").await;
    let daemon = behind_copying_fronts(&app).await;
    daemon.verb("hold", json!({})).await;
    let mut front = from(FRONT, &daemon).await;
    front.say([LINE, &request("/held", "")].concat()).await;
    daemon.held(1).await;
    daemon.verb("resume", json!({})).await;
    assert_eq!(front.answer().await.status, 200);
    assert_eq!(seen(&app, "/held")["x-forwarded-for"], "192.0.2.1");
}

#[tokio::test]
async fn a_connection_without_a_sound_proxy_header_is_closed() {
    let app = App::start("a").await;
    let daemon = behind_copying_fronts(&app).await;
    for header in [
        "".to_owned(),
        "PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n".to_owned(),
        format!("PROXY UNKNOWN {}\r\n", "x".repeat(200)),
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\x7f\x7f".to_owned(),
    ] {
        let mut front = from(FRONT, &daemon).await;
        front
            .say([&header, request("/x", "").as_str()].concat())
            .await;
        assert!(front.ends().await, "{header:?}");
    }
    assert!(app.targets().is_empty());
}

#[tokio::test]
async fn a_proxy_header_from_anybody_else_is_not_read() {
    let app = App::start("a").await;
    let daemon = behind_copying_fronts(&app).await;
    let mut stranger = from("127.0.0.1", &daemon).await;
    // It is closed before it has said anything: writing may fail already.
    assert!(stranger.ends().await);
    assert!(app.targets().is_empty());
}

#[tokio::test]
async fn a_proxy_header_that_does_not_come_whole_ends_the_connection_after_ten_seconds() {
    let app = App::start("a").await;
    let daemon = behind_copying_fronts(&app).await;
    let began = std::time::Instant::now();
    let mut front = from(FRONT, &daemon).await;
    front.say("PROXY TCP4 192.0.2.1").await;
    assert!(front.ends().await);
    assert!(began.elapsed().as_secs() >= 9, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_listener_without_the_proxy_protocol_does_not_know_it() {
    let app = App::start("a").await;
    let daemon = behind_fronts(&app).await;
    let mut front = from(FRONT, &daemon).await;
    front.say([LINE, &request("/x", "")].concat()).await;
    assert_eq!(front.answer().await.status, 400);
    assert!(app.targets().is_empty());
}

#[tokio::test]
async fn whom_a_trusted_front_took_over_tls_is_not_sent_there_again() {
    let app = App::start("a").await;
    let config = format!(
        "{TRUSTING}[[listen]]\naddress = \"127.0.0.1:0\"\nredirect = true\n[app.default]\n"
    );
    let daemon = Daemon::start_as_configured(&[&format!("--upstream={}", app.address)], &config);
    let status = async |address: &str| {
        let mut client = from(address, &daemon).await;
        client
            .say(request("/", "X-Forwarded-Proto: https\r\n"))
            .await;
        client.answer().await.status
    };
    assert_eq!(status(FRONT).await, 200);
    assert_eq!(status("127.0.0.1").await, 308, "anybody else may say so");
}
