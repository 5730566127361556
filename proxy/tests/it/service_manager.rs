//! What a service manager such as systemd does with us: hands over sockets, hears that we are ready and that we live, and who
//! takes over.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;
use serde_json::{Value, json};
use socket2::SockRef;
use tempfile::TempDir;

use crate::app::App;
use crate::client::{Client, PATIENCE};
use crate::daemon::{kill, say, signal};

/// A service manager with one service.
struct Manager {
    home: TempDir,
    ear: UnixDatagram,
    service: Option<Child>,
    successor: Option<u64>,
}

/// With the sockets that come as the standard input's.
const ACTIVATED: &str = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";

impl Manager {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let ear = UnixDatagram::bind(home.path().join("notify")).unwrap();
        let brief = Duration::from_millis(100);
        ear.set_read_timeout(Some(brief)).unwrap();
        set_socket_passcred(&ear, true).unwrap();
        Self {
            home,
            ear,
            service: None,
            successor: None,
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    /// Starts the service: a daemon at this address.
    fn start(&mut self, app: &App, at: SocketAddr, socket: Option<&TcpListener>) {
        self.configure(app, at);
        self.service = Some(self.command(socket).spawn().unwrap());
    }

    fn configure(&self, app: &App, at: SocketAddr) {
        let config = format!(
            "[[listen]]\naddress = \"{at}\"\n[app.default]\nrelease = {{ id = \"r1\", instances = [\"{}\"] }}\n",
            app.address
        );
        std::fs::write(self.path("holdfast.toml"), config).unwrap();
    }

    fn command(&self, socket: Option<&TcpListener>) -> Command {
        let daemon = env!("CARGO_BIN_EXE_holdfast");
        let mut command = match socket {
            Some(socket) => {
                let mut shell = Command::new("sh");
                let socket = OwnedFd::from(socket.try_clone().unwrap());
                shell.args(["-c", ACTIVATED, daemon]).stdin(socket);
                shell
            }
            None => Command::new(daemon),
        };
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        command
            .arg("run")
            .arg(flag("config", &self.path("holdfast.toml")))
            .arg(flag("control", &self.path("control.sock")))
            .arg(flag("state-dir", &self.path("state")))
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("WATCHDOG_USEC", "400000")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Waits until it is told this, and no longer than it may take. What came behind it, and the process that said it.
    fn hears(&self, word: &str) -> (String, u64) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let Some((said, from)) = self.next() else {
                continue;
            };
            if let Some(rest) = said.strip_prefix(word) {
                return (rest.to_owned(), from);
            }
        }
        panic!("{word} was not said within {PATIENCE:?}");
    }

    /// What it is told next, and by which process. None: nothing for a while.
    fn next(&self) -> Option<(String, u64)> {
        let mut octets = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut octets)];
        let received = recvmsg(&self.ear, &mut into, &mut control, RecvFlags::empty()).ok()?;
        let from = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(from) => Some(from.pid.as_raw_pid()),
            _ => None,
        });
        let said = String::from_utf8_lossy(&octets[..received.bytes]);
        Some((said.trim_end().to_owned(), u64::try_from(from?).ok()?))
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.service.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.kill();
        if let Some(pid) = self.successor {
            kill(pid);
        }
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_wait_in_a_socket_of_the_service_manager_while_the_daemon_is_started_again() {
    let app = App::start("a").await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let mut manager = Manager::new();
    // Before there is anybody at all.
    let mut early = Client::connect(at).await;
    early.say("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n").await;
    manager.start(&app, at, Some(&socket));
    manager.hears("READY=1");
    assert_eq!(early.answer().await.status, 200);
    manager.kill();
    let mut meanwhile = Client::connect(at).await;
    meanwhile
        .say("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n")
        .await;
    manager.start(&app, at, Some(&socket));
    assert_eq!(meanwhile.answer().await.status, 200);
    // Many, so that each worker has some.
    for _ in 0..16 {
        assert_eq!(Client::connect(at).await.get("/").await.status, 200);
    }
    // It would be kept open, and nobody would serve who comes.
    manager.configure(&app, free());
    let control = manager.path("control.sock");
    let (status, said) = say(&control, "POST", "/v1/reload", json!({})).await;
    assert_eq!(status, 400, "{said}");
    let names_it = |said: &Value| said["detail"].as_str().unwrap().contains(&at.to_string());
    assert!(names_it(&said), "{said}");
    let (status, said) = say(&control, "POST", "/v1/upgrade", json!({})).await;
    assert_eq!(status, 502, "{said}");
    assert!(names_it(&said), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_another_process_has_opened_has_the_options_of_this_one() {
    let app = App::start("a").await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    // The same socket as the daemon's.
    let options = SockRef::from(&socket);
    let is_prepared = || options.keepalive().unwrap() && options.tcp_nodelay().unwrap();
    assert!(!is_prepared());
    let mut manager = Manager::new();
    manager.start(&app, socket.local_addr().unwrap(), Some(&socket));
    manager.hears("READY=1");
    assert!(is_prepared());

    // As an older program would have left it.
    options.set_keepalive(false).unwrap();
    options.set_tcp_nodelay(false).unwrap();
    let control = manager.path("control.sock");
    let (status, said) = say(&control, "POST", "/v1/upgrade", json!({})).await;
    manager.successor = said["pid"].as_u64();
    assert_eq!(status, 200, "{said}");
    assert!(is_prepared());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_the_configuration_does_not_name_is_told_at_the_start() {
    let app = App::start("a").await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut manager = Manager::new();
    manager.start(&app, free(), Some(&socket));
    let ended = manager.service.take().unwrap().wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8(ended.stderr).unwrap();
    let named = format!("LISTEN_FDS: {}", socket.local_addr().unwrap());
    assert!(said.contains(&named), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hears_that_the_daemon_is_ready_and_lives_and_who_takes_over() {
    let app = App::start("a").await;
    let mut manager = Manager::new();
    manager.start(&app, free(), None);
    let first = u64::from(manager.service.as_ref().unwrap().id());
    assert_eq!(manager.hears("READY=1").1, first);
    for _ in 0..3 {
        assert_eq!(manager.hears("WATCHDOG=1").1, first);
    }
    let control = manager.path("control.sock");
    let upgrading =
        tokio::spawn(async move { say(&control, "POST", "/v1/upgrade", json!({})).await });
    // A manager that believes the main process only believes this.
    let (pid, from) = manager.hears("MAINPID=");
    assert_eq!(from, first);
    let pid = pid.parse().unwrap();
    manager.successor = Some(pid);
    let (status, said) = upgrading.await.unwrap();
    assert_eq!((status, &said["pid"]), (200, &json!(pid)), "{said}");
    let mut old = manager.service.take().unwrap();
    assert!(old.wait().unwrap().success());
    while manager.hears("WATCHDOG=1").1 != pid {}
    signal(pid, Signal::TERM);
    assert_eq!(manager.hears("STOPPING=1").1, pid);
}
