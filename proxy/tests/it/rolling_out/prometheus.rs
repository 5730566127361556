//! A business metric has a say: a real Prometheus, which scrapes a shop, is asked before a canary grows.

use std::cell::{Cell, RefCell};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::client::{Client, until, until_within};
use crate::daemon::Daemon;

/// It reads its log and its configuration first.
const START: Duration = Duration::from_secs(60);
/// Who does not answer within so long is somebody else, or not there yet.
const ANSWER: Duration = Duration::from_secs(5);

/// Anything is a pass to the judge that is no failure: here the gate decides.
const LENIENT: &str = "[[listen]]\naddress = \"127.0.0.1:1\"\n\
    [app.default.canary]\nmin_requests = 20\nmin_effect = 1.0\nmax_latency_increase = 100.0\n";

/// Whether it is installed; where no test may be left out, it has to be.
fn is_there() -> bool {
    let none_may_miss = std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1");
    let found = Command::new("prometheus")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found && !none_may_miss {
        eprintln!("skipped: prometheus is not installed");
    }
    found || none_may_miss
}

/// What is said at that port of the failing orders, if anything is.
async fn ask(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let ask = "GET /api/v1/query?query=shop_orders_failed_per_mille HTTP/1.1\r\n\
        Host: x.test\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.ok()?;
    Some(said)
}

/// A shop that says how many of a thousand orders fail.
struct Shop {
    failing: Arc<AtomicU64>,
    port: u16,
    task: JoinHandle<()>,
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let failing = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(tell(listener, failing.clone()));
        Self {
            failing,
            port,
            task,
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tell(listener: TcpListener, failing: Arc<AtomicU64>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let body = format!("shop_orders_failed_per_mille {}\n", failing.load(SeqCst));
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// A server that scrapes it ten times a second. Dropping it ends it.
struct Prometheus {
    child: Child,
    port: u16,
    _home: TempDir,
}

impl Prometheus {
    /// Somebody else may have taken the port meanwhile: then it ends, and is started at another one.
    async fn of(shop: &Shop) -> Self {
        for _ in 0..10 {
            let mut prometheus = Self::start(shop);
            if prometheus.knows(0).await {
                return prometheus;
            }
        }
        panic!("no port is free");
    }

    fn start(shop: &Shop) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let file = home.path().join("prometheus.yml");
        let text = format!(
            "global:\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\nscrape_configs:\n\
             - job_name: shop\n  static_configs:\n  - targets: ['127.0.0.1:{}']\n",
            shop.port
        );
        fs::write(&file, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                home.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            _home: home,
        }
    }

    /// Waits until it has seen this, or has ended.
    async fn knows(&mut self, failing: u64) -> bool {
        let value = format!("\"{failing}\"]");
        let port = self.port;
        let child = RefCell::new(&mut self.child);
        let has_ended = || child.borrow_mut().try_wait().unwrap().is_some();
        let seen = Cell::new(false);
        until_within(START, "it has been scraped", async || {
            let said = timeout(ANSWER, ask(port)).await.ok().flatten();
            seen.set(said.is_some_and(|said| said.contains(&value)));
            seen.get() || has_ended()
        })
        .await;
        seen.get() && !has_ended()
    }

    fn gate(&self) -> String {
        let port = self.port;
        format!("http://127.0.0.1:{port}|max(shop_orders_failed_per_mille)|< 50")
    }

    fn end(mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Promotes a release that is as good as the old one, while clients come, if the gate lets it.
async fn promote(daemon: &Daemon, release: &str, app: &App, gate: &str) -> Value {
    let address = daemon.address;
    let clients = tokio::spawn(async move {
        let mut client = Client::connect(address).await;
        loop {
            assert_eq!(client.get("/").await.status, 200);
        }
    });
    let more = json!({
        "strategy": "canary", "steps": [50, 100], "step_time": "1s", "watch": "0s", "boot_timeout": "4s",
        "gate_prometheus": [gate],
    });
    let receipt = daemon.promote(release, app, more).await;
    clients.abort();
    receipt
}

#[tokio::test(flavor = "multi_thread")]
async fn a_business_metric_turns_a_rollout_down_and_who_cannot_be_asked_lets_nothing_pass() {
    if !is_there() {
        return;
    }
    let (old, new) = (App::start("old").await, App::start("new").await);
    let upstream = format!("--upstream={}", old.address);
    let daemon = Daemon::start(&[&upstream], LENIENT).await;
    let shop = Shop::open().await;
    let mut prometheus = Prometheus::of(&shop).await;
    let gate = prometheus.gate();

    shop.failing.store(400, SeqCst);
    assert!(prometheus.knows(400).await);
    let receipt = promote(&daemon, "v2", &new, &gate).await;
    assert_eq!(receipt["outcome"], "rolled_back", "{receipt}");
    let why = receipt["why"].as_str().unwrap();
    assert!(
        why.contains("shop_orders_failed_per_mille") && why.contains("400"),
        "{why}"
    );
    daemon.verb("unblock", json!({})).await;

    shop.failing.store(7, SeqCst);
    assert!(prometheus.knows(7).await);
    let receipt = promote(&daemon, "v3", &new, &gate).await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");

    prometheus.end();
    let receipt = promote(&daemon, "v4", &old, &gate).await;
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    until("the old release serves", async || {
        daemon.status().await["live"]["release"] == "v3"
    })
    .await;
}
