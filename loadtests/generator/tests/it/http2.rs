//! Clients of HTTP/2, with TLS and without: what is wrong is found, and what a server left unprocessed is sent again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_load::findings::{Findings, Reigns};
use holdfast_load::load::Secure;
use holdfast_load::run::{Kind, Protocol};
use holdfast_load::verdict::Verdict;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::bad_proxy::{Answer, forward, half, whole};
use crate::stage::{LONG, Stage, load, plan};

const NAME: &str = "front.test";
/// An empty SETTINGS; and a GOAWAY that leaves all streams out, for no error (RFC 9113, 6.5 and 6.8).
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What a front does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Its first connections get a GOAWAY that leaves their streams out.
    GoesAway,
    /// Every tenth stream is refused, unprocessed.
    Refuses,
    /// Every tenth stream is reset.
    Resets,
    /// Every tenth answer breaks off.
    BreaksOff,
}

/// A front that speaks HTTP/2, over TLS if it has a certificate; over TLS HTTP/1.1 too.
struct Front {
    wrong: Wrong,
    app: SocketAddr,
    tls: Option<TlsAcceptor>,
    connections: AtomicU64,
    requests: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("refused")]
    Refused(#[source] h2::Error),
    #[error("broken")]
    Broken,
}

impl Front {
    async fn start(wrong: Wrong, app: SocketAddr, tls: Option<TlsAcceptor>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let front = Arc::new(Self {
            wrong,
            app,
            tls,
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        });
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let front = front.clone();
                tokio::spawn(async move {
                    let Some(tls) = &front.tls else {
                        return front.http2(stream).await;
                    };
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => front.http2(stream).await,
                        _ => front.http1(stream).await,
                    }
                });
            }
        });
        address
    }

    async fn http1(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(|it| self.answer(it)));
        let _ = serving.await;
    }

    async fn http2(self: Arc<Self>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        if self.wrong == Wrong::GoesAway && connection < 3 {
            return go_away(&mut stream).await;
        }
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(
                TokioIo::new(stream),
                service_fn(|it| {
                    let front = self.clone();
                    async move { front.answer(it).await }
                }),
            );
        let _ = serving.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Failure> {
        let is_tenth = self.requests.fetch_add(1, Ordering::Relaxed) % 10 == 9;
        let wrong = if is_tenth { self.wrong } else { Wrong::Nothing };
        match wrong {
            Wrong::Refuses => {
                return Err(Failure::Refused(h2::Reason::REFUSED_STREAM.into()));
            }
            Wrong::Resets => return Err(Failure::Broken),
            Wrong::Nothing | Wrong::GoesAway | Wrong::BreaksOff => {}
        }
        let (mut head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|_| Failure::Broken)?
            .to_bytes();
        let path = head.uri.path_and_query().unwrap().to_string();
        head.uri = path.parse().unwrap();
        let answer = forward(self.app, &head, body)
            .await
            .map_err(|_| Failure::Broken)?;
        Ok(match wrong {
            Wrong::BreaksOff => half(answer),
            _ => whole(answer),
        })
    }
}

/// Waits for a request, leaves it out, and ends when the client does.
async fn go_away(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    const HEADERS: u8 = 1;
    stream.write_all(&SETTINGS).await.unwrap();
    let mut preface = [0; 24];
    let mut head = [0; 9];
    let _ = stream.read_exact(&mut preface).await;
    while stream.read_exact(&mut head).await.is_ok() {
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        if head[3] == HEADERS && stream.write_all(&GOAWAY).await.is_err() {
            return;
        }
    }
}

fn certificate(directory: &Path) -> (TlsAcceptor, std::path::PathBuf) {
    let signed = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let path = directory.join("front.pem");
    std::fs::write(&path, signed.cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), path)
}

/// What clients find who speak nothing but HTTP/2.
async fn found(wrong: Wrong) -> Findings {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let mut plan = plan(Front::start(wrong, app.address(), None).await);
    plan.mix.http2 = 1.0;
    plan.watched = 0;
    let run = load(plan).await;
    Findings::of(&run, &stage.ledger(), &Reigns::default())
}

fn passes(findings: &Findings) -> bool {
    let mut verdict = Verdict::default();
    verdict.nothing_lost(findings);
    verdict.passed()
}

#[tokio::test]
async fn a_good_front_is_found_to_be_one_in_each_protocol() {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let directory = tempfile::tempdir().unwrap();
    let (tls, authority) = certificate(directory.path());
    let mut plan = plan(app.address());
    let target = Front::start(Wrong::Nothing, app.address(), Some(tls)).await;
    let name = NAME.to_owned();
    plan.secure = Some(Secure {
        target,
        name,
        authority,
    });
    plan.mix.tls = 1.0;
    plan.mix.http2 = 0.5;
    plan.slow_clients = 2;
    plan.large_clients = 4;
    plan.timeout = LONG;
    let run = load(plan).await;
    let findings = Findings::of(&run, &stage.ledger(), &Reigns::default());
    assert!(passes(&findings), "{findings:#?}");
    let spoken: Vec<_> = findings.by_protocol.keys().collect();
    assert_eq!(spoken, ["HTTP/1.1 over TLS", "HTTP/2 over TLS"]);
    let large = run.records.iter().find(|it| it.kind == Kind::LargeUpload);
    assert!(large.is_some(), "{findings:#?}");
}

#[tokio::test]
async fn a_good_front_without_tls_is_found_to_be_one() {
    let findings = found(Wrong::Nothing).await;
    assert!(passes(&findings), "{findings:#?}");
    let http2 = Protocol {
        http2: true,
        tls: false,
    };
    assert_eq!(findings.by_protocol[&http2.to_string()], findings.sent);
    assert_eq!(findings.unprocessed, 0);
}

#[tokio::test]
async fn a_stream_that_a_goaway_leaves_out_is_sent_again_and_counted() {
    let findings = found(Wrong::GoesAway).await;
    assert!(passes(&findings), "{findings:#?}");
    assert!(findings.unprocessed > 0, "{findings:#?}");
}

#[tokio::test]
async fn a_stream_that_is_refused_is_sent_again_and_counted() {
    let findings = found(Wrong::Refuses).await;
    assert!(passes(&findings), "{findings:#?}");
    assert!(findings.unprocessed >= 20, "{findings:#?}");
}

#[tokio::test]
async fn a_stream_that_is_reset_is_lost() {
    let findings = found(Wrong::Resets).await;
    let lost = findings.lost.get("reset").copied();
    assert!(lost >= Some(20) && !passes(&findings), "{findings:#?}");
    assert_eq!(lost, Some(findings.lost()), "{findings:#?}");
}

#[tokio::test]
async fn an_answer_of_a_stream_that_breaks_off_is_lost() {
    let findings = found(Wrong::BreaksOff).await;
    let lost = findings.lost.get("answer broke off").copied();
    assert!(lost >= Some(10) && !passes(&findings), "{findings:#?}");
    assert_eq!(lost, Some(findings.lost()), "{findings:#?}");
}
