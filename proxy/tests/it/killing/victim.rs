//! A daemon that may die at any moment, its home, and what it has left there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::client::{PATIENCE, until};
use crate::daemon::is_gone;

/// So long an answer that is worth waiting for may take: an upgrade is one.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Who has come by no point for so long is at rest.
const REST: Duration = Duration::from_millis(300);

/// Where it is written who came by which point.
const PASSED: &str = "passed";

/// A place for daemons, one after the other. Dropping it ends the one that runs.
pub(crate) struct Victim {
    pub(crate) home: TempDir,
    flags: Vec<String>,
    child: Option<Child>,
    /// Those that took its place.
    heirs: Vec<u64>,
    pub(crate) address: SocketAddr,
    /// What its log is told apart by.
    name: String,
}

/// The last state of the only app that stands in a journal.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) live: Option<String>,
    pub(crate) generation: u64,
}

impl Victim {
    pub(crate) fn new(name: &str, flags: Vec<String>) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            flags,
            child: None,
            heirs: Vec::new(),
            address: "0.0.0.0:0".parse().unwrap(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("control.sock")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.home.path().join("state/journal")
    }

    pub(crate) fn with(mut self, flags: Vec<String>) -> Self {
        self.flags = flags;
        self
    }

    fn passed(&self) -> PathBuf {
        self.home.path().join(PASSED)
    }

    /// Whether it got ready; else it has ended before.
    pub(crate) async fn start(&mut self, dies_at: Option<&str>) -> bool {
        let _ = std::fs::remove_file(self.passed());
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.arg("run").args(&self.flags);
        command.args(["--workers=2", "--listen=127.0.0.1:0", "--control"]);
        command.arg(self.socket()).arg("--state-dir");
        command.arg(self.home.path().join("state"));
        command.env("HOLDFAST_LOG", "info").env("NO_COLOR", "1");
        command.env("HOLDFAST_PASSED", self.passed());
        command.env_remove("HOLDFAST_DIES_AT");
        command.envs(dies_at.map(|point| ("HOLDFAST_DIES_AT", point)));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let log = child.stderr.take().unwrap();
        self.child = Some(child);
        let ready = ready_at(log, self.name.clone());
        match timeout(PATIENCE, ready).await {
            Ok(Some(address)) => self.address = address,
            Ok(None) => return false,
            Err(_) => panic!("{}: neither ready nor dead", self.name),
        }
        true
    }

    /// It dies, by nobody's hand but its own, however long it rests before.
    pub(crate) async fn must_die(&mut self, at: &str) {
        let child = self.child.as_mut().unwrap();
        let ended = timeout(PATIENCE, child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{}: nothing comes by {at}", self.name));
        self.has_died(status.unwrap());
    }

    fn has_died(&mut self, status: ExitStatus) {
        assert_eq!(status.signal(), Some(9), "{}: {status}", self.name);
        self.child = None;
    }

    /// Whether it dies, by nobody's hand but its own; else it does nothing any more.
    pub(crate) async fn dies(&mut self) -> bool {
        let pid = self.id();
        let child = self.child.as_mut().unwrap();
        let mut before = BTreeMap::new();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(status) = timeout(REST, child.wait()).await {
                self.has_died(status.unwrap());
                return true;
            }
            let mut now = passes(&self.home, pid);
            // A probe that fails is asked again and again.
            now.retain(|point, _| !point.starts_with("event."));
            if now == before {
                return false;
            }
            before = now;
        }
        panic!("{}: it neither dies nor rests", self.name);
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let ended = timeout(PATIENCE, child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{}: it lives", self.name));
        ended.unwrap()
    }

    /// Kills it, if nothing else has.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
        for heir in std::mem::take(&mut self.heirs) {
            crate::daemon::kill(heir);
            // No child of ours, so somebody else has to take note of its end.
            until("the heir is gone", async || is_gone(heir)).await;
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.child.as_ref().unwrap().id().unwrap().into()
    }

    /// This process has its place.
    pub(crate) fn succeeded_by(&mut self, heir: u64) {
        self.heirs.push(heir);
    }

    /// How often this process came by each point.
    pub(crate) fn passes(&self, pid: u64) -> BTreeMap<String, u64> {
        passes(&self.home, pid)
    }

    /// Everybody who has come by a point.
    pub(crate) fn pids(&self) -> BTreeSet<u64> {
        let text = std::fs::read_to_string(self.passed()).unwrap_or_default();
        let lines = text.lines();
        lines
            .map(|line| line.split(' ').next().unwrap().parse().unwrap())
            .collect()
    }

    /// What was said to the control socket has an answer, or its reader sees that there will be none.
    pub(crate) async fn say(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let saying = say(self.socket(), method, path, body);
        let answered = timeout(ANSWER_MAX, saying).await;
        answered.unwrap_or_else(|_| panic!("{}: no answer to {path}", self.name))
    }

    pub(crate) async fn verb(&self, verb: &str, body: Value) -> Option<(u16, Value)> {
        let path = format!("/v1/apps/default/{verb}");
        self.say("POST", &path, &body).await
    }

    pub(crate) async fn status(&self) -> Option<Value> {
        let (_, status) = self.say("GET", "/v1/status", &json!({})).await?;
        Some(status)
    }

    /// What its journal says, as a reader of whole lines takes it.
    pub(crate) fn left(&self) -> Left {
        let text = std::fs::read(self.journal()).unwrap_or_default();
        let lines = text.split_inclusive(|octet| *octet == b'\n').skip(1);
        let whole = lines.filter_map(|line| line.strip_suffix(b"\n"));
        let records = whole.filter_map(|line| serde_json::from_slice(line.get(9..)?).ok());
        let last: Option<Value> = records.last();
        last.map(|record| Left {
            live: record["saved"]["live"]["id"].as_str().map(str::to_owned),
            generation: record["saved"]["generation"].as_u64().unwrap(),
        })
        .unwrap_or_default()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.start_kill();
        }
        crate::daemon::kill_all_of(self.home.path());
    }
}

fn passes(home: &TempDir, pid: u64) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(home.path().join(PASSED)).unwrap_or_default();
    let mut passes = BTreeMap::new();
    for line in text.lines() {
        let (by, point) = line.split_once(' ').unwrap();
        if by.parse() == Ok(pid) {
            *passes.entry(point.to_owned()).or_default() += 1;
        }
    }
    passes
}

/// Where it listens; none: it has ended before it did. The rest of its log flows to the test's output.
async fn ready_at(log: ChildStderr, name: String) -> Option<SocketAddr> {
    let mut lines = BufReader::new(log).lines();
    let address = loop {
        let line = lines.next_line().await.ok()??;
        eprintln!("{name}: {line}");
        if let Some((_, rest)) = line.split_once("listen=") {
            let address = rest.split([' ', ',']).next()?;
            break address.parse().unwrap();
        }
    };
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("{name}: {line}");
        }
    });
    Some(address)
}

pub(crate) async fn say(
    socket: PathBuf,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<(u16, Value)> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((
        head[9..12].parse().unwrap(),
        serde_json::from_str(body).ok()?,
    ))
}
