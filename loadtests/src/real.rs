//! Real apps: programs that people put behind a proxy, each keeping the ledger. Their sources are in `apps`.

use std::fmt;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use holdfast_load::app::{App, AppCommand};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::daemon::free_address;
use crate::stage::APP_TIMEOUT;
use crate::toolbox;
use crate::trouble::Trouble;

/// Between two looks at whether an app listens.
const POLL: Duration = Duration::from_millis(20);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Gunicorn,
    Node,
    Puma,
    /// Node with `ws`.
    Ws,
    /// Python with `websockets`.
    Websockets,
    /// Python with `grpcio`.
    Grpc,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ws => "ws",
            Self::Websockets => "websockets",
            Self::Grpc => "grpc",
            other => other.program(),
        })
    }
}

/// Of those that keep the ledger, the ones that are installed; all of them if none may be left out.
pub(crate) fn installed() -> impl Iterator<Item = Kind> {
    let all = [Kind::Nginx, Kind::Gunicorn, Kind::Node, Kind::Puma];
    let none_may_miss = none_may_miss();
    all.into_iter().filter(move |kind| {
        let there = none_may_miss || find(kind.program()).is_some();
        if !there {
            crate::say(&format!("skipped: {kind} is not installed"));
        }
        there
    })
}

/// Whether nothing may be left out because a program is not installed.
pub(crate) fn none_may_miss() -> bool {
    std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1")
}

/// Where a program is. Debian has nginx where only root looks.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories
        .map(|it| it.join(program))
        .find(|it| it.is_file())
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Gunicorn => "gunicorn",
            Self::Node | Self::Ws => "node",
            Self::Websockets | Self::Grpc => "python3",
            Self::Puma => "puma",
        }
    }

    /// Whether it takes requests up in about the order in which their connections come. Puma does not: a thread serves up
    /// to ten requests of one connection while others wait for a thread, for more than a second with many connections.
    pub(crate) fn keeps_order(self) -> bool {
        self != Self::Puma
    }

    /// Whether it takes a chunked body wherever its reads end. Puma 5.6 answers 400 and resets the connection if 4 KiB or
    /// more come in one read that ends within a line of a chunk's length: <https://github.com/puma/puma/issues/3337>.
    pub(crate) fn takes_any_chunks(self) -> bool {
        self != Self::Puma
    }

    /// The program as it is to be started: Python with its packages is not the one of the system.
    fn path(self) -> PathBuf {
        match self {
            Self::Websockets | Self::Grpc => toolbox::python(),
            _ => find(self.program()).unwrap_or_else(|| self.program().into()),
        }
    }

    /// The file that makes it the app, and its name.
    fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Nginx => ("nginx.conf", include_str!("../apps/nginx.conf")),
            Self::Gunicorn => ("gunicorn_app.py", include_str!("../apps/gunicorn_app.py")),
            Self::Node => ("node.js", include_str!("../apps/node.js")),
            Self::Puma => ("config.ru", include_str!("../apps/config.ru")),
            Self::Ws => ("ws_app.js", include_str!("../apps/ws_app.js")),
            Self::Websockets => (
                "websockets_app.py",
                include_str!("../apps/websockets_app.py"),
            ),
            Self::Grpc => ("grpc_app.py", include_str!("../apps/grpc_app.py")),
        }
    }

    fn arguments(self, source: &Path, address: SocketAddr) -> Vec<String> {
        let source = source.display();
        let line = match self {
            Self::Nginx => format!("-c {source}"),
            Self::Gunicorn => format!(
                "--bind {address} --workers 2 --threads 8 --backlog 4096 --log-level warning gunicorn_app:app"
            ),
            Self::Node | Self::Ws | Self::Websockets | Self::Grpc => source.to_string(),
            Self::Puma => format!("--quiet -e production -t 8:8 -b tcp://{address} {source}"),
        };
        line.split(' ').map(str::to_owned).collect()
    }
}

/// A real app that is to be started.
#[derive(Clone, Debug)]
pub(crate) struct RealCommand {
    pub(crate) kind: Kind,
    pub(crate) release: String,
    pub(crate) ledger: PathBuf,
    /// Where its files go.
    pub(crate) directory: PathBuf,
    /// Any, if there is none.
    pub(crate) address: Option<SocketAddr>,
}

impl RealCommand {
    /// Starts it, and returns when it listens.
    pub(crate) async fn start(self) -> Result<RealApp, Trouble> {
        let mut app = self.spawn().await?;
        app.listening().await?;
        Ok(app)
    }

    async fn spawn(self) -> Result<RealApp, Trouble> {
        let files = |why| Trouble::io("a real app's files", why);
        let address = self.address.map_or_else(free_address, Ok).map_err(files)?;
        let name = format!("{}-{}-{}", self.kind, self.release, address.port());
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory).map_err(files)?;
        let behind = self.behind().await?;
        let source = self
            .source(&directory, address, behind.as_ref())
            .map_err(files)?;
        let log = directory.join("log");
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(files)?;
        let child = Command::new(self.kind.path())
            .args(self.kind.arguments(&source, address))
            .env("RELEASE", &self.release)
            .env("LEDGER", &self.ledger)
            .env("PORT", address.port().to_string())
            .env("NODE_PATH", toolbox::node_modules())
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(files)?)
            .stderr(output)
            // As a service manager would, so that its workers go when it is killed.
            .process_group(0)
            .spawn()
            .map_err(|why| Trouble::io("a real app", why))?;
        let release = self.release;
        Ok(RealApp {
            child,
            address,
            release,
            log,
            behind,
        })
    }

    /// nginx has the ledger app behind it.
    async fn behind(&self) -> Result<Option<App>, Trouble> {
        if self.kind != Kind::Nginx {
            return Ok(None);
        }
        let mut app = AppCommand::new(&*self.release, &self.ledger)
            .start()
            .await?;
        app.listening(APP_TIMEOUT).await?;
        Ok(Some(app))
    }

    fn source(
        &self,
        directory: &Path,
        address: SocketAddr,
        behind: Option<&App>,
    ) -> std::io::Result<PathBuf> {
        let (name, text) = self.kind.source();
        let behind = behind.map_or(0, |app| app.address().port());
        let text = text
            .replace("@PORT@", &address.port().to_string())
            .replace("@BEHIND@", &behind.to_string())
            .replace("@DIR@", &directory.display().to_string());
        let path = directory.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// A running real app. Dropping it kills it and all its processes.
pub(crate) struct RealApp {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) release: String,
    log: PathBuf,
    behind: Option<App>,
}

impl RealApp {
    async fn listening(&mut self) -> Result<(), Trouble> {
        let began = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            let ended = self.child.try_wait();
            if let Some(status) = ended.map_err(|why| Trouble::io("a real app", why))? {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let program = self.log.display().to_string();
                return Err(Trouble::Ended {
                    program,
                    status,
                    said,
                });
            }
            if began.elapsed() > APP_TIMEOUT {
                return Err(self.late("listen"));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// The leader of its process group.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// SIGTERM to all its processes, as systemd does by default, and their end.
    pub(crate) async fn stop(mut self) -> Result<(), Trouble> {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// SIGKILL to all its processes.
    pub(crate) async fn kill(mut self) -> Result<(), Trouble> {
        self.signal(Signal::KILL);
        self.ended().await
    }

    /// Its end, which somebody else brings about.
    pub(crate) async fn ended(&mut self) -> Result<(), Trouble> {
        match timeout(APP_TIMEOUT, self.child.wait()).await {
            Ok(ended) => ended
                .map(|_| ())
                .map_err(|why| Trouble::io("a real app", why))?,
            Err(_) => return Err(self.late("end")),
        }
        match self.behind.take() {
            Some(behind) => Ok(behind.stop(APP_TIMEOUT).await.map(|_| ())?),
            None => Ok(()),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(group) = pid.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }

    fn late(&self, what: &str) -> Trouble {
        Trouble::Late {
            what: format!("{} to {what}", self.log.display()),
            within: APP_TIMEOUT,
        }
    }
}

impl Drop for RealApp {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
