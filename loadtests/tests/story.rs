//! The story of a canary in README.md, played again: what is typed there is typed, and what is said there is said, line by
//! line, but for the numbers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use holdfast_load::app::{App, AppCommand};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: usize = 8;

/// The releases of the story, where it has them, and how many of their answers are errors.
const RELEASES: [(&str, &str, f64); 3] = [
    ("51bd0e7", "127.0.0.1:3001", 0.02),
    ("9f3c1a2", "127.0.0.1:3002", 0.15),
    ("7c04e55", "127.0.0.1:3003", 0.02),
];

const PROGRAM: &str = env!("CARGO_BIN_EXE_loadtests");

/// What README.md has under a heading, of this kind.
fn block(heading: &str, kind: &str) -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once(&format!("```{kind}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// One command, and what it says.
struct Typed {
    command: String,
    said: Vec<String>,
}

fn story() -> Vec<Typed> {
    let text = block("A canary that is judged", "console");
    let commands = text.split("$ ").filter(|part| !part.is_empty());
    let typed = commands.map(|part| {
        let mut lines = part.lines().map(str::to_owned);
        Typed {
            command: lines.next().unwrap(),
            said: lines.collect(),
        }
    });
    typed.collect()
}

/// The daemon, as the story has it. Dropping it ends it.
struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start(home: &Path, app: &str) -> Self {
        let file = home.join("holdfast.toml");
        // The flag takes its place.
        let text = format!("[[listen]]\naddress = \"127.0.0.1:1\"\n{app}");
        fs::write(&file, text).unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["loadtests-holdfast", "run", "--listen=127.0.0.1:0"])
            .arg("--config")
            .arg(file)
            .arg("--control")
            .arg(home.join("control.sock"))
            .arg("--state-dir")
            .arg(home.join("state"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("ready listen=")?;
            rest.split(' ').next().unwrap().parse().ok()
        });
        // It must not wait for whoever reads the rest.
        thread::spawn(move || log.count());
        let address = address.expect("a daemon that is ready");
        Self { child, address }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clients who ask one after the other, until told to stop.
struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn before(daemon: SocketAddr) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let client = |_| {
            let stop = stop.clone();
            thread::spawn(move || {
                let mut stream = TcpStream::connect(daemon).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                while !stop.load(Relaxed) {
                    ask(&mut stream);
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, clients }
    }

    fn end(self) {
        self.stop.store(true, Relaxed);
        self.clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
    }
}

/// Asks for an octet, and reads it.
fn ask(stream: &mut TcpStream) {
    let head = b"GET /?size=1 HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    stream.write_all(head).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "closed");
        answer.extend_from_slice(&buffer[..read]);
        let end = answer.windows(4).position(|octets| octets == b"\r\n\r\n");
        if end.is_some_and(|end| answer.len() == end + 5) {
            return;
        }
    }
}

/// The line without what differs from run to run: numbers, the units of times, and ids of operations.
fn essence(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let is_id = word.len() >= 26 && word.starts_with("01");
        if is_id {
            return "ID".to_owned();
        }
        if matches!(word, "ms" | "s") {
            return "time".to_owned();
        }
        let without = |c: char| c.is_ascii_digit() || c == '.';
        let mut essence = String::new();
        for c in word.chars() {
            match without(c) {
                false => essence.push(c),
                true if essence.ends_with('#') => {}
                true => essence.push('#'),
            }
        }
        essence
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What is typed, with the addresses that there are here: all that it says.
fn type_in(command: &str, home: &Path, apps: &[App]) -> String {
    let mut command = command.to_owned();
    for ((_, address, _), app) in RELEASES.iter().zip(apps) {
        command = command.replace(address, &app.address().to_string());
    }
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .env("PATH", format!("{}:{path}", home.display()))
        .env("HOLDFAST_CONTROL", home.join("control.sock"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Each line that is written was said, in the order in which they are written. (More may have been said: how the judge
/// comes to its verdict differs, and whether there were times to tell of.)
fn must_be_said(written: &[String], said: &str) {
    let mut lines = said.lines().map(essence);
    for line in written {
        let wanted = essence(line);
        assert!(
            lines.any(|line| line.starts_with(&wanted)),
            "not said, or not in this order: {line}\n  as {wanted}\nsaid was:\n{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_readme_tells_of_a_canary_is_what_happens() {
    let home = tempfile::tempdir().unwrap();
    let swapctl = home.path().join("swapctl");
    let script = format!("#!/bin/sh\nexec {PROGRAM} loadtests-swapctl \"$@\"\n");
    fs::write(&swapctl, script).unwrap();
    fs::set_permissions(&swapctl, PermissionsExt::from_mode(0o755)).unwrap();
    let mut apps = Vec::new();
    for (release, _, errors) in RELEASES {
        let command = AppCommand::new(release, home.path().join("ledger"));
        // Beside it, what a busy machine adds is little.
        let work = Duration::from_millis(10);
        let command = command.executable(PROGRAM).work(work).errors(errors);
        let mut app = command.start().await.unwrap();
        app.listening(PATIENCE).await.unwrap();
        apps.push(app);
    }
    let written = block("A canary that is judged", "toml");
    let config = written.replace(RELEASES[0].1, &apps[0].address().to_string());
    let daemon = Daemon::start(home.path(), &config);
    let crowd = Crowd::before(daemon.address);
    let story = story();
    assert_eq!(story.len(), 4);
    for Typed { command, said } in story {
        let is_said = type_in(&command, home.path(), &apps);
        print!("$ {command}\n{is_said}");
        must_be_said(&said, &is_said);
    }
    crowd.end();
}
