//! The ledger app is a good one, unless it is told not to be.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use holdfast_load::app::NeverReady;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::stage::{LONG, Stage};

async fn open(address: SocketAddr, request: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

async fn ask(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut answer = Vec::new();
    open(address, request)
        .await?
        .read_to_end(&mut answer)
        .await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

const UP: &str = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn post(id: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\nX-Held-Ms: 12\r\nContent-Length: 9\r\n\
         Connection: close\r\n\r\n123456789"
    )
}

#[tokio::test]
async fn every_request_is_answered_with_the_release_and_written_down() {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let answer = ask(app.address(), &post("r1-7")).await.unwrap();
    // 0xcbf43926 is the check value of CRC-32.
    assert!(answer.ends_with("\r\n\r\n9 cbf43926\n"), "{answer}");
    assert!(answer.contains("x-app-release: v1\r\n"), "{answer}");
    assert!(answer.contains("x-request-id: r1-7\r\n"), "{answer}");
    let pid = app.pid();
    app.stop(LONG).await.unwrap();
    let arrivals = stage.ledger().arrivals;
    let [arrival] = arrivals.as_slice() else {
        panic!("{arrivals:?}")
    };
    assert_eq!(
        (arrival.id.as_str(), arrival.method.as_str()),
        ("r1-7", "POST")
    );
    assert_eq!(
        (&*arrival.release, Some(arrival.pid), arrival.sequence),
        ("v1", pid, 1)
    );
    assert_eq!(arrival.held_ms, Some(12));
    assert!(arrival.completed.is_some());
}

#[tokio::test]
async fn a_request_stays_in_the_ledger_though_the_app_is_killed_while_it_runs() {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let request = "GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\nX-Request-Id: r1-1\r\n\r\n";
    let mut stream = open(app.address(), request).await.unwrap();
    timeout(LONG, async {
        while stage.ledger().arrivals.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    app.kill().await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
    assert_eq!(stage.ledger().arrivals[0].completed, None);
}

#[tokio::test]
async fn it_refuses_connections_until_it_has_booted() {
    let stage = Stage::new();
    let delay = Duration::from_millis(300);
    let began = Instant::now();
    let mut app = stage.command("v1").boot_delay(delay).start().await.unwrap();
    let refused = ask(app.address(), UP).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    app.listening(LONG).await.unwrap();
    assert!(began.elapsed() >= delay);
    assert!(ask(app.address(), UP).await.unwrap().contains("200 OK"));
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_runs_and_closes_what_is_idle() {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let address = app.address();
    let keep = UP.replace("Connection: close\r\n", "");
    let mut idle = open(address, &keep).await.unwrap();
    let mut head = [0; 15];
    idle.read_exact(&mut head).await.unwrap();
    let slow = "GET /slow?ms=300&size=3 HTTP/1.1\r\nHost: a\r\n\r\n";
    let running = tokio::spawn(ask(address, slow));
    timeout(LONG, async {
        while stage.ledger().arrivals.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let ended = app.stop(LONG).await.unwrap();
    assert!(ended.success(), "{ended}");
    let answer = running.await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    let mut rest = Vec::new();
    timeout(LONG, idle.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(stage.ledger().arrivals[0].completed.is_some());
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn it_can_be_never_ready_in_four_ways() {
    let stage = Stage::new();
    let soon = Duration::from_millis(200);
    let start = async |how| {
        let command = stage.command("bad").never_ready(how);
        let mut app = command.start().await.unwrap();
        if how != NeverReady::Refuse {
            app.listening(LONG).await.unwrap();
        }
        app
    };
    let app = start(NeverReady::Refuse).await;
    let refused = ask(app.address(), UP).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let app = start(NeverReady::Error).await;
    let answer = ask(app.address(), UP).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    for how in [NeverReady::Hang, NeverReady::Drip] {
        let app = start(how).await;
        let answered = timeout(soon, ask(app.address(), UP)).await;
        assert!(answered.is_err(), "{how:?}: {answered:?}");
        app.stop(LONG).await.unwrap();
    }
}
