//! The real daemon as a child process, and its control socket.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::app::App;
use crate::client::{Client, PATIENCE, until};

/// A running daemon. Dropping it ends the process.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) socket: PathBuf,
    /// None: as the configuration has it.
    listen: Option<SocketAddr>,
    flags: Vec<String>,
    home: TempDir,
    log: Arc<Log>,
    /// Processes that have taken its place, the last one now.
    successors: Vec<u64>,
}

/// A daemon's log, which is read as it comes.
#[derive(Default)]
struct Log {
    /// So far.
    said: Mutex<String>,
    /// It is not read for now.
    is_left: AtomicBool,
}

impl Daemon {
    /// One app, `default`, whose first release is `app`.
    pub(crate) async fn with(app: &App) -> Self {
        Self::start(&[&format!("--upstream={}", app.address)], "").await
    }

    /// With more flags, and the text of a configuration (none if empty).
    pub(crate) async fn start(flags: &[&str], config: &str) -> Self {
        Self::start_at(flags, config, "127.0.0.1:0".parse().unwrap())
    }

    /// The same with another listener.
    pub(crate) fn start_at(flags: &[&str], config: &str, listen: SocketAddr) -> Self {
        Self::run(flags, config, Some(listen))
    }

    /// The same with the listeners of the configuration, of which the first one is talked to.
    pub(crate) fn start_as_configured(flags: &[&str], config: &str) -> Self {
        Self::run(flags, config, None)
    }

    fn run(flags: &[&str], config: &str, listen: Option<SocketAddr>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        flags.extend(written(&home, config));
        let socket = home.path().join("control.sock");
        let child = spawn(&home, &flags, listen);
        let address = "0.0.0.0:0".parse().unwrap();
        let mut daemon = Self {
            child,
            address,
            socket,
            listen,
            flags,
            home,
            log: Arc::default(),
            successors: Vec::new(),
        };
        daemon.address = ready_at(&mut daemon.child, &daemon.log);
        daemon
    }

    /// What it says when it refuses this configuration.
    pub(crate) fn refused(config: &str) -> String {
        let home = tempfile::tempdir().unwrap();
        let flags: Vec<String> = written(&home, config).into_iter().collect();
        let child = spawn(&home, &flags, None);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Ends it as a power cut would, and starts it again on the same state and address.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it on the same state and address, after its end.
    pub(crate) fn start_again(&mut self) {
        self.child = self.spawn_again();
        assert_eq!(ready_at(&mut self.child, &self.log), self.address);
    }

    /// The same where it refuses to: what it says.
    pub(crate) fn refuses_to_start_again(&self) -> String {
        let output = self.spawn_again().wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        said
    }

    fn spawn_again(&self) -> Child {
        let listen = self.listen.map(|_| self.address);
        spawn(&self.home, &self.flags, listen)
    }

    /// Where it keeps what outlives it.
    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Whether a line of its log has all of these.
    pub(crate) fn has_said(&self, words: &[&str]) -> bool {
        let log = self.log.said.lock().unwrap();
        let mut lines = log.lines();
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// What is said of itself under this name, in all series together. With `--admin=127.0.0.1:0`.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = Client::connect(self.admin()).await.get("/metrics").await;
        let page = page.text();
        let samples = page.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        samples
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Where its metrics are.
    pub(crate) fn admin(&self) -> SocketAddr {
        let log = self.log.said.lock().unwrap();
        let (_, rest) = log.split_once("admin=").unwrap();
        rest.split(char::is_whitespace)
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// From now on nobody reads its log, until somebody does again.
    pub(crate) fn leave_log(&self, is_left: bool) {
        self.log.is_left.store(is_left, Relaxed);
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The process that serves now.
    pub(crate) fn pid(&self) -> u64 {
        let successor = self.successors.last().copied();
        successor.unwrap_or_else(|| self.child.id().into())
    }

    /// A file of it in /proc.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid()))
    }

    /// From now on this process is the daemon, which is no child of ours.
    pub(crate) fn succeeded_by(&mut self, pid: u64) {
        self.successors.push(pid);
    }

    /// The end of the process that was started here.
    pub(crate) async fn predecessor_ended(&mut self) -> std::process::ExitStatus {
        self.ended().await
    }

    /// Its end.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        let ended = || child.borrow_mut().try_wait().unwrap();
        until("the daemon has ended", async || ended().is_some()).await;
        ended().unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A client that has asked for this and not read its answer.
    pub(crate) async fn asking(&self, target: &str) -> Client {
        let mut client = self.client().await;
        let ask = format!("GET {target} HTTP/1.1\r\nHost: x.test\r\n\r\n");
        client.say(ask).await;
        client
    }

    /// Says something over the control socket; the status and the answer.
    pub(crate) async fn say(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        say(&self.socket, method, path, body).await
    }

    /// Another configuration, put in force; the status and the answer.
    pub(crate) async fn reload(&self, config: &str) -> (u16, Value) {
        written(&self.home, config);
        self.say("POST", "/v1/reload", serde_json::json!({})).await
    }

    /// A verb of the only app, which must succeed.
    pub(crate) async fn verb(&self, verb: &str, body: Value) -> Value {
        let (status, answer) = self
            .say("POST", &format!("/v1/apps/default/{verb}"), body)
            .await;
        assert!(status < 300, "{verb}: {status} {answer}");
        answer
    }

    /// Promotes `app` under this id, and returns the receipt.
    pub(crate) async fn promote(&self, release: &str, app: &App, more: Value) -> Value {
        let mut body = serde_json::json!({
            "release": release, "instance": [app.address.to_string()],
        });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.verb("promote", body).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.say("GET", "/v1/status", Value::Null).await.1["apps"]["default"].clone()
    }

    /// CPU time that it has taken so far, in ticks of 10 ms.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(self.proc("stat")).unwrap();
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Memory that it has now.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.in_status("VmRSS:")
    }

    /// A number that the kernel knows of it, in KiB where it is one of memory.
    pub(crate) fn in_status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix(name));
        let number = line.unwrap().trim();
        number.trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits until so many requests are held.
    pub(crate) async fn held(&self, count: u64) {
        let what = format!("{count} held");
        until(&what, async || self.status().await["hold"]["held"] == count).await;
    }
}

/// The flag that names the configuration, which is written down.
fn written(home: &TempDir, config: &str) -> Option<String> {
    let path = home.path().join("holdfast.toml");
    std::fs::write(&path, config).unwrap();
    (!config.is_empty()).then(|| format!("--config={}", path.display()))
}

/// Not the daemon's own flag: what a shell does before it becomes the daemon.
pub(crate) const BEFORE: &str = "before=";
/// The same: how many files it may open.
pub(crate) const OPEN_FILES: &str = "before=ulimit -n ";

fn program(flags: &[String]) -> Command {
    let daemon = env!("CARGO_BIN_EXE_holdfast");
    let before = flags.iter().find_map(|flag| flag.strip_prefix(BEFORE));
    let Some(before) = before else {
        return Command::new(daemon);
    };
    let mut shell = Command::new("sh");
    let script = format!("{before}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script, daemon]);
    shell
}

fn spawn(home: &TempDir, flags: &[String], listen: Option<SocketAddr>) -> Child {
    let mut command = program(flags);
    let flags = flags.iter().filter(|flag| !flag.starts_with(BEFORE));
    command
        .arg("run")
        .args(flags.clone())
        .arg("--control")
        .arg(home.path().join("control.sock"));
    if !flags.clone().any(|flag| flag.starts_with("--state-dir")) {
        command.arg("--state-dir").arg(home.path().join("state"));
    }
    command.args(listen.map(|listen| format!("--listen={listen}")));
    if !flags.clone().any(|flag| flag.starts_with("--workers")) {
        command.arg("--workers=2");
    }
    command.env("HOLDFAST_LOG", "info").env("NO_COLOR", "1");
    command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        kill_all_of(self.home.path());
    }
}

/// Reads the log until the line `ready` says where, then lets it flow to the test's output.
fn ready_at(child: &mut Child, kept: &Arc<Log>) -> SocketAddr {
    let kept = kept.clone();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert!(
            log.read_line(&mut line).unwrap() > 0,
            "the daemon ended before it was ready"
        );
        eprint!("daemon: {line}");
        *kept.said.lock().unwrap() += &line;
        if let Some((_, rest)) = line.split_once("listen=") {
            let address = rest
                .split([' ', ',', '\n'])
                .next()
                .unwrap()
                .parse()
                .unwrap();
            std::thread::spawn(move || {
                log.lines().map_while(Result::ok).for_each(|line| {
                    eprintln!("daemon: {line}");
                    *kept.said.lock().unwrap() += &format!("{line}\n");
                    while kept.is_left.load(Relaxed) {
                        std::thread::park_timeout(Duration::from_millis(5));
                    }
                })
            });
            return address;
        }
    }
}

/// Ends whatever was started with something in this folder among its arguments. A daemon that has taken another one's
/// place is no child of ours, and a test that ends in the middle of that does not know it.
pub(crate) fn kill_all_of(home: &Path) {
    let home = home.to_str().unwrap();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = process.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let is_of_it = String::from_utf8_lossy(&arguments).contains(home);
        if let Some(pid) = pid.filter(|_| is_of_it) {
            kill(pid);
        }
    }
}

/// Whether a process has ended, or waits only for somebody to take note of it.
pub(crate) fn is_gone(pid: u64) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_err()
}

/// Ends a daemon that is no child of ours.
pub(crate) fn kill(pid: u64) {
    signal(pid, rustix::process::Signal::KILL);
}

/// The same with another signal.
pub(crate) fn signal(pid: u64, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    // Perhaps it has ended already.
    let _ = rustix::process::kill_process(pid.unwrap(), signal);
}

/// While its queue is full, the kernel sends away whoever would not wait.
async fn connected(socket: &Path) -> UnixStream {
    let connecting = async {
        loop {
            match UnixStream::connect(socket).await {
                Err(full) if full.kind() == std::io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(5)).await; // Asks again; ends by the deadline.
                }
                connected => break connected.unwrap(),
            }
        }
    };
    let connected = tokio::time::timeout(PATIENCE, connecting).await;
    connected.expect("the control socket's queue has room")
}

/// Says something over a control socket; the status and the answer.
pub(crate) async fn say(socket: &Path, method: &str, path: &str, body: Value) -> (u16, Value) {
    let mut stream = connected(socket).await;
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer:?}"));
    let status = head[9..12].parse().unwrap();
    let value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    (status, value)
}
