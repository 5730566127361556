//! F17 to F19 and F23: what happens to connections between the daemon and its app.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Before, End, ToxicProxy, Toxics, at, behind};
use crate::app::App;
use crate::client::{Client, PATIENCE, until};
use crate::daemon::Daemon;

#[tokio::test]
async fn f17_an_app_that_says_nothing_any_more_costs_504_in_time_and_its_connection_is_not_used_again()
 {
    let app = App::start("a").await;
    let toxic = ToxicProxy::start(app.address).await.unwrap();
    let timeouts = "[app.default.timeouts]\nresponse = \"4s\"\nconnect = \"4s\"";
    let daemon = behind(&toxic, timeouts).await;
    let before = Before::of(&daemon).await;
    let mut client = daemon.client().await;
    assert_eq!(client.get("/").await.status, 200);
    toxic.set(Toxics {
        blackhole: true,
        ..Toxics::default()
    });
    let answer = client.get("/silence").await;
    assert_eq!(answer.status, 504);
    assert!(
        answer.text().contains("upstream_timeout"),
        "{}",
        answer.text()
    );
    toxic.set(Toxics::default());
    // Whatever was said on the silent one is nobody's answer.
    for number in 0..20 {
        let target = format!("/{number}");
        assert_eq!(client.get(&target).await.text(), "a 0");
    }
    drop(client);
    before.is_back(&daemon).await;
    until("no connection is left", async || toxic.open() == 0).await;
}

#[tokio::test]
async fn f18_an_answer_that_breaks_off_is_seen_to_and_its_connection_is_not_used_again() {
    let app = App::start("a").await;
    let toxic = ToxicProxy::start(app.address).await.unwrap();
    let upstream = format!("--upstream={}", toxic.address());
    // One, so that all have the same kept connections.
    let daemon = Daemon::start(&[&upstream, "--workers=1"], "").await;
    let before = Before::of(&daemon).await;
    for end in [End::Close, End::Reset] {
        toxic.set(Toxics {
            limit: Some((100_000, end)),
            ..Toxics::default()
        });
        let mut client = daemon.asking("/big/1").await;
        let answer = tokio::time::timeout(PATIENCE, client.try_answer()).await;
        assert!(answer.unwrap().is_none(), "{end:?}");
        toxic.set(Toxics::default());
        let accepted = toxic.accepted();
        let answer = daemon.client().await.get("/big/1").await;
        assert_eq!(answer.body.len(), 1 << 20);
        assert!(toxic.accepted() > accepted, "on a connection of its own");
    }
    before.is_back(&daemon).await;
}

/// How many requests F19 takes; `HOLDFAST_REQUESTS=100000` for as many as it is about.
const REQUESTS: usize = 3_000;

/// Answers on kept connections and closes each a little later, mostly in the middle of the next request's way.
async fn closes_idle(seen: Arc<Mutex<Vec<String>>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_and_close(stream, seen.clone()));
        }
    });
    address
}

async fn answer_and_close(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    // As long as it takes to the first request.
    let mut open = PATIENCE;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = tokio::time::timeout(open, stream.read_buf(&mut head)).await;
            if !read.is_ok_and(|read| read.is_ok_and(|read| read > 0)) {
                return;
            }
            // What has begun is read to its end.
            open = PATIENCE;
        }
        let line = head.split(|octet| *octet == b'\r').next().unwrap();
        let line = String::from_utf8_lossy(line).into_owned();
        seen.lock().unwrap().push(line);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
        open = Duration::from_micros(fastrand::u64(0..5_000));
    }
}

#[tokio::test]
async fn f19_closes_of_idle_connections_cost_no_get_and_send_no_post_twice() {
    let requests = std::env::var("HOLDFAST_REQUESTS").ok();
    let requests = requests.map_or(REQUESTS, |number| number.parse().unwrap());
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let daemon = at(closes_idle(seen.clone()).await, "").await;
    let before = Before::of(&daemon).await;
    let (asked, failed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (asked, failed, address) = (asked.clone(), failed.clone(), daemon.address);
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                loop {
                    let number = asked.fetch_add(1, Relaxed);
                    if number >= requests {
                        return;
                    }
                    let method = if number % 4 == 0 { "POST" } else { "GET" };
                    client
                        .say(format!(
                            "{method} /{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                        ))
                        .await;
                    match (method, client.answer().await.status) {
                        (_, 200) => {}
                        ("POST", 502) => drop(failed.fetch_add(1, Relaxed)),
                        (_, status) => panic!("{status} to {method} /{number}"),
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let seen = seen.lock().unwrap().clone();
    let mut posts: Vec<_> = seen
        .iter()
        .filter(|line| line.starts_with("POST"))
        .collect();
    let count = posts.len();
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), count, "a POST came twice");
    let failed = failed.load(Relaxed);
    assert!(failed < requests.div_ceil(4), "no POST was answered 200");
    eprintln!(
        "{requests} requests, {failed} POSTs of {} were answered 502",
        requests.div_ceil(4)
    );
    before.is_back(&daemon).await;
}

/// Answers 413 to every POST as soon as it has its head. `rude`: closes at once, with what it has not read, which is a reset.
async fn refuses_bodies(rude: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 16 << 10];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let is_post = head[..read].starts_with(b"POST");
                let status = if is_post { "413 Too Long" } else { "200 OK" };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                if !rude {
                    let _ = stream.shutdown().await;
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn f23_an_app_that_answers_before_it_has_read_the_body_is_heard() {
    for rude in [false, true] {
        let daemon = at(refuses_bodies(rude).await, "").await;
        let before = Before::of(&daemon).await;
        for round in 0..10 {
            let mut client = daemon.client().await;
            let answer = client.post("/", &vec![b'x'; 4 << 20]).await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (413, "hello"),
                "rude: {rude}, round {round}"
            );
        }
        before.is_back(&daemon).await;
    }
}
