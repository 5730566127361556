//! HTTP/2 from clients: many requests on one connection, each with the rights of any other.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::app::App;
use crate::client::PATIENCE;
use crate::daemon::Daemon;

/// One connection, by prior knowledge.
pub(crate) async fn connect(daemon: &Daemon) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(daemon.address).await.unwrap();
    let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = shaking.await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn request(method: &str, target: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let builder = Request::builder().method(method);
    let builder = builder.uri(format!("http://x.test{target}"));
    builder
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap()
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) async fn ask(
    sender: &SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, hyper::Error> {
    let mut sender = sender.clone();
    let asking = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status,
            fields: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("an answer in time")
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let sender = connect(&daemon).await;
    let mut asking = JoinSet::new();
    for number in 0..50 {
        let sender = sender.clone();
        asking.spawn(async move {
            let body = vec![b'x'; number * 1_000];
            let answer = ask(&sender, request("POST", &format!("/{number}"), &body))
                .await
                .unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(answer.fields["x-release"], "initial");
            assert_eq!(answer.body, format!("a {}", body.len()));
        });
    }
    asking.join_all().await;
    assert_eq!(app.targets().len(), 50);
}

#[tokio::test]
async fn the_app_gets_an_http1_request_that_means_the_same() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let mut crumbs = request("GET", "/x?y=1", b"");
    for crumb in ["a=1", "b=2"] {
        crumbs
            .headers_mut()
            .append("cookie", crumb.parse().unwrap());
    }
    let answer = ask(&connect(&daemon).await, crumbs).await.unwrap();
    assert_eq!(answer.status, 200);
    let seen = app
        .seen()
        .into_iter()
        .find(|seen| seen.target == "/x?y=1")
        .unwrap();
    assert_eq!(seen.fields["host"], "x.test");
    assert_eq!(seen.fields["cookie"], "a=1; b=2");
    assert_eq!(seen.fields.get_all("cookie").iter().count(), 1);
}

#[tokio::test]
async fn a_trusted_front_is_believed_of_each_stream() {
    let app = App::start("a").await;
    let config = "[server]\ntrusted = [\"127.0.0.1\"]\n\
        [[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n";
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], config).await;
    let sender = connect(&daemon).await;
    for (target, client) in [("/1", "192.0.2.1"), ("/2", "2001:db8::1")] {
        let mut request = request("GET", target, b"");
        let fields = request.headers_mut();
        fields.insert("x-forwarded-for", client.parse().unwrap());
        fields.insert("x-forwarded-proto", "https".parse().unwrap());
        assert_eq!(ask(&sender, request).await.unwrap().status, StatusCode::OK);
        let seen = app.seen().into_iter().find(|seen| seen.target == target);
        let fields = seen.unwrap().fields;
        assert_eq!(fields["x-forwarded-for"], format!("{client}, 127.0.0.1"));
        assert_eq!(fields["x-forwarded-proto"], "https");
        assert_eq!(fields["x-forwarded-host"], "x.test");
    }
}

#[tokio::test]
async fn an_authority_and_a_host_that_disagree_are_refused() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let sender = connect(&daemon).await;
    let mut two = request("GET", "/", b"");
    two.headers_mut().insert("host", "y.test".parse().unwrap());
    assert_eq!(ask(&sender, two).await.unwrap().status, 400);
    let mut same = request("GET", "/", b"");
    same.headers_mut().insert("host", "X.test".parse().unwrap());
    assert_eq!(
        ask(&sender, same).await.unwrap().status,
        200,
        "the connection goes on"
    );
}

#[tokio::test]
async fn what_we_answer_to_a_head_has_no_content() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    let sender = connect(&daemon).await;
    let mut head = request("HEAD", "/", b"");
    head.headers_mut().insert("host", "y.test".parse().unwrap());
    let answer = ask(&sender, head).await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.fields["content-type"], "text/plain; charset=utf-8");
    assert!(answer.body.is_empty());
    let answer = ask(&sender, request("HEAD", "/", b"")).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn held_streams_go_on_and_one_that_is_reset_never_reaches_the_app() {
    let app = App::start("a").await;
    let daemon = Daemon::with(&app).await;
    daemon.verb("hold", json!({})).await;
    let sender = connect(&daemon).await;
    let mut asking = JoinSet::new();
    for number in 0..20 {
        let sender = sender.clone();
        asking.spawn(async move {
            let target = format!("/{number}");
            ask(&sender, request("POST", &target, b"body"))
                .await
                .unwrap()
                .status
        });
    }
    daemon.held(20).await;
    let leaver = {
        let sender = sender.clone();
        tokio::spawn(async move { ask(&sender, request("GET", "/gone", b"")).await.is_ok() })
    };
    daemon.held(21).await;
    leaver.abort();
    daemon.held(20).await;
    assert!(app.targets().is_empty());
    daemon.verb("resume", json!({})).await;
    let answers = asking.join_all().await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    let targets = app.targets();
    assert_eq!(targets.len(), 20);
    assert!(!targets.contains(&"/gone".to_owned()));
}

#[tokio::test]
async fn swaps_of_either_kind_lose_no_stream() {
    let (a, b) = (App::start("a").await, App::start("b").await);
    let daemon = Daemon::with(&a).await;
    let sender = connect(&daemon).await;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn(async move {
        let mut answers = 0;
        let mut asking = JoinSet::new();
        while !*stopped.borrow_and_update() {
            while asking.len() < 20 {
                let sender = sender.clone();
                asking.spawn(async move {
                    ask(&sender, request("POST", "/", b"x"))
                        .await
                        .unwrap()
                        .status
                });
            }
            assert_eq!(asking.join_next().await.unwrap().unwrap(), 200);
            answers += 1;
        }
        answers + asking.join_all().await.len()
    });
    for round in 0..6 {
        let (release, app) = if round % 2 == 0 { ("b", &b) } else { ("a", &a) };
        let strategy = if round < 3 { "overlap" } else { "hold" };
        let release = format!("{release}{round}");
        daemon
            .promote(&release, app, json!({ "strategy": strategy }))
            .await;
    }
    stop.send(true).unwrap();
    let answers = asking.await.unwrap();
    assert!(answers > 100, "{answers}");
    assert_eq!(a.targets().len() + b.targets().len(), answers, "each once");
}

#[tokio::test]
async fn a_stream_whose_app_does_not_answer_gets_504_and_the_others_go_on() {
    let app = App::start("a").await;
    let config =
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.timeouts]\nresponse = \"1s\"\n";
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address)], config).await;
    let sender = connect(&daemon).await;
    let (slow, quick) = tokio::join!(
        ask(&sender, request("GET", "/slow/30000", b"")),
        ask(&sender, request("GET", "/quick", b"")),
    );
    assert_eq!(quick.unwrap().status, 200);
    assert_eq!(slow.unwrap().status, 504);
}

#[tokio::test]
async fn a_stream_that_is_due_before_others_is_answered_before_them() {
    let app = App::start("a").await;
    let release = format!(
        "release = {{ id = \"v1\", instances = [\"{}\"] }}",
        app.address
    );
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:1\"\n\
         [app.patient]\n{release}\ntimeouts.response = \"60s\"\n\
         [app.hasty]\n{release}\ntimeouts.response = \"1s\"\npaths = [\"/slow/29000\"]\n"
    );
    let daemon = Daemon::start(&[], &config).await;
    let sender = connect(&daemon).await;
    let patient = sender.clone();
    let patient =
        tokio::spawn(async move { ask(&patient, request("GET", "/slow/30000", b"")).await });
    crate::client::until("it is at the app", async || app.targets().len() == 1).await;
    for _ in 0..2 {
        let hasty = ask(&sender, request("GET", "/slow/29000", b"")).await;
        assert_eq!(hasty.unwrap().status, 504);
    }
    assert!(!patient.is_finished());
}

#[tokio::test]
async fn a_stream_whose_app_does_not_answer_holds_no_daemon_up_that_stops() {
    let app = App::start("a").await;
    let config =
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default.timeouts]\nresponse = \"2s\"\n";
    let mut daemon = Daemon::start(&[&format!("--upstream={}", app.address)], config).await;
    let sender = connect(&daemon).await;
    let asking =
        tokio::spawn(async move { ask(&sender, request("GET", "/slow/30000", b"")).await });
    crate::client::until("it is at the app", async || app.targets().len() == 1).await;
    daemon.terminate();
    assert_eq!(asking.await.unwrap().unwrap().status, 504);
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn a_running_stream_ends_before_the_daemon_does() {
    let app = App::start("a").await;
    let mut daemon = Daemon::with(&app).await;
    let sender = connect(&daemon).await;
    let asking = tokio::spawn(async move { ask(&sender, request("GET", "/slow/1000", b"")).await });
    crate::client::until("it is at the app", async || app.targets().len() == 1).await;
    daemon.terminate();
    assert_eq!(asking.await.unwrap().unwrap().status, 200);
    assert!(daemon.ended().await.success());
}
