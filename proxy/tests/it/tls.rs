//! TLS at the edge: who is shown which certificate, what a reload does, and that a hold or a swap makes no difference.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::app::App;
use crate::client::PATIENCE;
use crate::daemon::Daemon;
use crate::tunnels;

/// An authority of our own, and a place for files.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    home: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("ca.pem"), &pem).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem, home }
    }

    /// Writes `NAME.pem` and `NAME.key`, good for this host.
    pub(crate) fn issue(&self, name: &str, host: &str) {
        self.issue_as(name, CertificateParams::new(vec![host.to_owned()]).unwrap());
    }

    /// The same with all that a certificate may say.
    pub(crate) fn issue_as(&self, name: &str, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let write = |end: &str, text: String| std::fs::write(self.file(name, end), text).unwrap();
        write("pem", certificate.pem());
        write("key", key.serialize_pem());
    }

    pub(crate) fn file(&self, name: &str, end: &str) -> std::path::PathBuf {
        self.home.path().join(format!("{name}.{end}"))
    }

    /// What stands under `[[listen]]` for these certificates, the first one first.
    pub(crate) fn tls(&self, names: &[&str], more: &str) -> String {
        let files = |name: &&str| {
            let (certificate, key) = (self.file(name, "pem"), self.file(name, "key"));
            format!("certificate = {certificate:?}, key = {key:?}")
        };
        let mut names = names.iter().map(files);
        let first = names.next().unwrap();
        let also: Vec<_> = names.map(|files| format!("{{ {files} }}")).collect();
        format!("tls = {{ {first}, also = [{}]{more} }}", also.join(", "))
    }

    /// A server with this certificate that offers these protocols.
    pub(crate) fn server(&self, name: &str, protocols: &[&str]) -> TlsAcceptor {
        let chain = vec![CertificateDer::from_pem_file(self.file(name, "pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.file(name, "key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A client that trusts this authority, and shows the certificate of that name if it has one.
    pub(crate) fn client(&self, shows: Option<&str>) -> ClientConfig {
        self.client_of(&self.pem, shows)
    }

    /// The same, but trusting another authority.
    pub(crate) fn client_of(&self, pem: &str, shows: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match shows {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_file(self.file(name, "pem")).unwrap()];
                let key = PrivateKeyDer::from_pem_file(self.file(name, "key")).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }
}

/// A daemon whose only listener is this one.
pub(crate) fn daemon(app: &App, listener: &str) -> Daemon {
    let config = format!("[[listen]]\naddress = \"127.0.0.1:0\"\n{listener}\n[app.default]\n");
    Daemon::start_as_configured(&[&format!("--upstream={}", app.address)], &config)
}

pub(crate) async fn shake(
    daemon: &Daemon,
    client: ClientConfig,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(daemon.address).await?;
    shake_over(stream, client, host).await
}

pub(crate) async fn shake_over(
    stream: TcpStream,
    client: ClientConfig,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await?
}

/// One request, and all that comes back.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>, host: &str) -> std::io::Result<String> {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let certificates = stream.get_ref().1.peer_certificates().unwrap();
    certificates[0].clone().into_owned()
}

pub(crate) fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

#[tokio::test]
async fn a_request_over_tls_reaches_the_app_which_is_told_so() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let daemon = daemon(&app, &authority.tls(&["shop"], ""));
    let mut stream = shake(&daemon, authority.client(None), "shop.test")
        .await
        .unwrap();
    let answer = ask(&mut stream, "shop.test").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = app
        .seen()
        .into_iter()
        .find(|seen| seen.target == "/")
        .unwrap();
    assert_eq!(seen.fields["x-forwarded-proto"], "https");
}

#[tokio::test]
async fn a_session_is_resumed_also_after_an_upgrade() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let mut daemon = daemon(&app, &authority.tls(&["shop"], ""));
    let client = authority.client(None);
    let kind = async |daemon: &Daemon| {
        let stream = shake(daemon, client.clone(), "shop.test").await;
        let mut stream = stream.unwrap();
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        // The ticket comes with the answer.
        ask(&mut stream, "shop.test").await.unwrap();
        kind
    };
    assert_eq!(kind(&daemon).await, HandshakeKind::Full);
    assert_eq!(kind(&daemon).await, HandshakeKind::Resumed);
    let (status, upgraded) = daemon.say("POST", "/v1/upgrade", json!({})).await;
    assert_eq!(status, 200, "{upgraded}");
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    assert_eq!(kind(&daemon).await, HandshakeKind::Resumed);
}

#[tokio::test]
async fn a_header_of_the_proxy_protocol_comes_before_the_handshake() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let trusting = "proxy_protocol = true\n[server]\ntrusted = [\"127.0.0.1\"]";
    let listener = format!("{}\n{trusting}", authority.tls(&["shop"], ""));
    let daemon = daemon(&app, &listener);
    let mut stream = TcpStream::connect(daemon.address).await.unwrap();
    let header = b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n";
    stream.write_all(header).await.unwrap();
    let shaking = shake_over(stream, authority.client(None), "shop.test");
    let answer = ask(&mut shaking.await.unwrap(), "shop.test").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = app.seen().into_iter().find(|seen| seen.target == "/");
    let fields = seen.unwrap().fields;
    assert_eq!(fields["x-forwarded-for"], "192.0.2.1");
    assert_eq!(fields["x-forwarded-proto"], "https");
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_host_that_the_client_names() {
    let authority = Authority::new();
    for (name, host) in [
        ("one", "one.test"),
        ("two", "two.test"),
        ("all", "*.wild.test"),
    ] {
        authority.issue(name, host);
    }
    let app = App::start("a").await;
    let daemon = daemon(&app, &authority.tls(&["one", "two", "all"], ""));
    for (host, name) in [
        ("one.test", "one"),
        ("two.test", "two"),
        ("x.wild.test", "all"),
    ] {
        let stream = shake(&daemon, authority.client(None), host).await.unwrap();
        assert_eq!(
            shown(&stream),
            certificate(&authority.file(name, "pem")),
            "{host}"
        );
    }
    let unknown = shake(&daemon, authority.client(None), "other.test").await;
    assert!(
        unknown.is_err(),
        "it gets the first one, which is not good for it"
    );
}

#[tokio::test]
async fn a_request_over_tls_is_held_and_goes_on() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let daemon = daemon(&app, &authority.tls(&["shop"], ""));
    daemon.verb("hold", json!({})).await;
    let mut stream = shake(&daemon, authority.client(None), "shop.test")
        .await
        .unwrap();
    let asking = async { ask(&mut stream, "shop.test").await.unwrap() };
    let resuming = async {
        daemon.held(1).await;
        assert!(app.targets().is_empty());
        daemon.verb("resume", json!({})).await;
    };
    let (answer, ()) = tokio::join!(asking, resuming);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn who_shakes_hands_has_as_long_to_ask_as_anybody_else() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let limits = "[limits]\nhead = \"2s\"";
    let daemon = daemon(&app, &format!("{}\n{limits}", authority.tls(&["shop"], "")));
    let connect = || shake(&daemon, authority.client(None), "shop.test");
    let (mut silent, mut slow) = (connect().await.unwrap(), connect().await.unwrap());
    slow.write_all(b"GET").await.unwrap();
    slow.flush().await.unwrap();
    let rest = b" / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";
    slow.write_all(rest).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut said = String::new();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_string(&mut said)).await;
    assert_eq!(ended.unwrap().unwrap(), 0, "closed without a word: {said}");
}

#[tokio::test]
async fn a_held_client_that_leaves_a_tls_connection_frees_its_place() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let daemon = daemon(&app, &authority.tls(&["shop"], ""));
    daemon.verb("hold", json!({})).await;
    let mut stream = shake(&daemon, authority.client(None), "shop.test")
        .await
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        .await
        .unwrap();
    daemon.held(1).await;
    drop(stream);
    daemon.held(0).await;
    daemon.verb("resume", json!({})).await;
    assert!(app.targets().is_empty(), "it never reaches the app");
}

#[tokio::test]
async fn a_tunnel_over_tls_passes_octets_both_ways_and_its_end() {
    let authority = Authority::new();
    authority.issue("shop", "x.test");
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n{}\n[app.default]\n",
        authority.tls(&["shop"], "")
    );
    let upstream = format!("--upstream={}", tunnels::echo().await);
    let daemon = Daemon::start_as_configured(&[&upstream], &config);
    let stream = shake(&daemon, authority.client(None), "x.test")
        .await
        .unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(tunnels::ASK.as_bytes()).await.unwrap();
    let octets: Vec<u8> = (0..1 << 20).map(|n: u32| (n ^ n >> 7) as u8).collect();
    let writing = async {
        write.write_all(&octets).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, read.read_to_end(&mut got));
    let (ended, ()) = tokio::join!(reading, writing);
    ended.unwrap().unwrap();
    assert!(got.starts_with(b"HTTP/1.1 101 "));
    assert!(got.ends_with(&octets), "{} octets", got.len());
}

#[tokio::test]
async fn a_reload_takes_new_certificates_and_refuses_broken_ones() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let daemon = daemon(&app, &authority.tls(&["shop"], ""));
    let now = async || {
        let stream = shake(&daemon, authority.client(None), "shop.test")
            .await
            .unwrap();
        shown(&stream)
    };
    let first = now().await;
    authority.issue("shop", "shop.test");
    assert_eq!(now().await, first, "not before the reload");
    daemon.say("POST", "/v1/reload", json!({})).await;
    let second = now().await;
    assert_eq!(second, certificate(&authority.file("shop", "pem")));
    assert_ne!(second, first);

    let whole = std::fs::read_to_string(authority.file("shop", "pem")).unwrap();
    std::fs::write(authority.file("shop", "pem"), &whole[..whole.len() / 2]).unwrap();
    let (status, said) = daemon.say("POST", "/v1/reload", json!({})).await;
    assert_eq!(status, 400, "{said}");
    assert!(said.to_string().contains("shop.pem"), "{said}");
    assert_eq!(now().await, second, "the old one stays");

    authority.issue("other", "shop.test");
    std::fs::copy(
        authority.file("other", "pem"),
        authority.file("shop", "pem"),
    )
    .unwrap();
    let (_, said) = daemon.say("POST", "/v1/reload", json!({})).await;
    assert!(said.to_string().contains("is not the key of"), "{said}");
    assert_eq!(now().await, second);
}

#[tokio::test]
async fn whoever_shows_no_certificate_is_turned_away_where_one_is_required() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    authority.issue("alice", "alice.test");
    let app = App::start("a").await;
    let ca = authority.home.path().join("ca.pem");
    let daemon = daemon(
        &app,
        &authority.tls(&["shop"], &format!(", client_ca = {ca:?}")),
    );
    let asked = async |shows| {
        let client = authority.client(shows);
        let mut stream = shake(&daemon, client, "shop.test").await?;
        ask(&mut stream, "shop.test").await
    };
    assert!(asked(None).await.is_err());
    assert!(app.targets().is_empty());
    let answer = asked(Some("alice")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn plain_http_to_a_tls_listener_ends_the_connection_and_reaches_nobody() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let daemon = daemon(&app, &authority.tls(&["shop"], ""));
    let mut stream = TcpStream::connect(daemon.address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        .await
        .unwrap();
    let mut octets = Vec::new();
    let reading = stream.read_to_end(&mut octets);
    // A reset says the same.
    let _ = tokio::time::timeout(PATIENCE, reading).await.unwrap();
    assert!(!octets.starts_with(b"HTTP"), "{octets:?}");
    assert!(app.targets().is_empty());
}

#[tokio::test]
async fn a_redirecting_listener_sends_everybody_to_https() {
    let app = App::start("a").await;
    let daemon = daemon(&app, "redirect = true");
    let mut client = daemon.client().await;
    let answer = client.get("/a/b?c=d").await;
    assert_eq!(answer.status, 308);
    assert_eq!(answer.field("location"), Some("https://x.test/a/b?c=d"));
    assert!(app.targets().is_empty());
}

#[tokio::test]
async fn files_that_do_not_fit_are_named_at_the_start() {
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    std::fs::remove_file(authority.file("shop", "key")).unwrap();
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n{}\n[app.default]\n",
        authority.tls(&["shop"], "")
    );
    let said = Daemon::refused(&config);
    assert!(said.contains("shop.key"), "{said}");
}
