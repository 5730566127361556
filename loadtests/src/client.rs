//! Real clients: programs and libraries that others wrote, each a child process that counts what it got. Their sources are
//! in `clients`.

mod summary;

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::real::{Kind, find, none_may_miss};
use crate::toolbox::{self, need};
use crate::trouble::Trouble;

pub(crate) use summary::Summary;

/// How long a client may take to end once it is told.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Curl,
    H2loadGet,
    H2loadPost,
    Chromium,
    GrpcUnary,
    GrpcStream,
    Websockets,
    Ws,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Curl => "curl",
            Self::H2loadGet => "h2load GET",
            Self::H2loadPost => "h2load POST",
            Self::Chromium => "Chromium",
            Self::GrpcUnary => "gRPC calls",
            Self::GrpcStream => "gRPC streams",
            Self::Websockets => "websockets",
            Self::Ws => "ws",
        })
    }
}

/// Where the clients find what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) port: u16,
    /// The authority that signed the certificate.
    pub(crate) ca: PathBuf,
    /// They end when this file is there.
    pub(crate) stop: PathBuf,
    /// Where the browser's counts come to.
    pub(crate) report: PathBuf,
    /// Where the clients' files go.
    pub(crate) directory: PathBuf,
    /// Then they are killed, even if nobody is left to tell them to end.
    pub(crate) limit: Duration,
}

impl Client {
    const ALL: [Self; 8] = [
        Self::Curl,
        Self::H2loadGet,
        Self::H2loadPost,
        Self::Chromium,
        Self::GrpcUnary,
        Self::GrpcStream,
        Self::Websockets,
        Self::Ws,
    ];

    /// Those whose programs are installed; all of them if none may be left out. Packages are installed where they miss.
    pub(crate) async fn installed() -> Result<Vec<Self>, Trouble> {
        let mut there = Vec::new();
        for client in Self::ALL {
            match client.prepare().await {
                Ok(()) => there.push(client),
                Err(why) if none_may_miss() => return Err(Trouble::Missing(why)),
                Err(why) => crate::say(&format!("skipped: {client}: {why}")),
            }
        }
        Ok(there)
    }

    async fn prepare(self) -> Result<(), String> {
        match self {
            Self::Curl => need("curl", "Debian: apt-get install curl")?,
            Self::H2loadGet | Self::H2loadPost => {
                need("h2load", "Debian: apt-get install nghttp2-client")?
            }
            Self::Chromium => need("chromium", "Debian: apt-get install chromium")?,
            Self::GrpcUnary | Self::GrpcStream | Self::Websockets | Self::Ws => PathBuf::new(),
        };
        match self.app() {
            Kind::Websockets | Kind::Grpc => toolbox::install_for_python().await,
            Kind::Ws => toolbox::install_for_node().await,
            _ => need("node", "Debian: apt-get install nodejs").map(|_| ()),
        }
    }

    /// Whom it talks to.
    pub(crate) fn app(self) -> Kind {
        match self {
            Self::Curl | Self::H2loadGet | Self::H2loadPost => Kind::Node,
            Self::Chromium | Self::Ws => Kind::Ws,
            Self::Websockets => Kind::Websockets,
            Self::GrpcUnary | Self::GrpcStream => Kind::Grpc,
        }
    }

    /// Whether it has WebSockets, which a swap closes and which it opens again.
    pub(crate) fn has_tunnels(self) -> bool {
        matches!(self, Self::Chromium | Self::Websockets | Self::Ws)
    }

    fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Curl => ("curl.sh", include_str!("../clients/curl.sh")),
            Self::H2loadGet | Self::H2loadPost => {
                ("h2load.sh", include_str!("../clients/h2load.sh"))
            }
            Self::Chromium => ("page.html", include_str!("../clients/page.html")),
            Self::GrpcUnary | Self::GrpcStream => {
                ("grpc_client.py", include_str!("../clients/grpc_client.py"))
            }
            Self::Websockets => (
                "websockets_client.py",
                include_str!("../clients/websockets_client.py"),
            ),
            Self::Ws => ("ws_client.js", include_str!("../clients/ws_client.js")),
        }
    }

    fn command(self, source: &Path, site: &str, target: &Target) -> Command {
        let program = match self {
            Self::Curl | Self::H2loadGet | Self::H2loadPost => "bash".into(),
            Self::Chromium => find("chromium").unwrap_or_default(),
            Self::GrpcUnary | Self::GrpcStream | Self::Websockets => toolbox::python(),
            Self::Ws => find("node").unwrap_or_default(),
        };
        let mut command = Command::new("timeout");
        let limit = target.limit.as_secs().to_string();
        command.args(["--signal=KILL", &limit]).arg(program);
        match self {
            Self::Chromium => chromium(&mut command, site, target, source),
            _ => command.arg(source),
        };
        match self {
            Self::H2loadGet => command.env("METHOD", "GET"),
            Self::H2loadPost => command.env("METHOD", "POST"),
            Self::GrpcUnary => command.env("CALLS", "unary"),
            Self::GrpcStream => command.env("CALLS", "stream"),
            _ => &mut command,
        };
        command
    }

    /// Starts it.
    pub(crate) fn start(self, target: &Target) -> Result<Running, Trouble> {
        let io = |why| Trouble::io("a client", why);
        let site = site(self.app());
        let directory = target.directory.join(format!("{self:?}"));
        fs::create_dir_all(&directory).map_err(io)?;
        let (name, text) = self.source();
        let source = directory.join(name);
        fs::write(&source, text).map_err(io)?;
        let (said, log) = (directory.join("said.txt"), directory.join("log"));
        let child = self
            .command(&source, &site, target)
            .env("SITE", &site)
            .env("PORT", target.port.to_string())
            .env("CA", &target.ca)
            .env("STOP", &target.stop)
            .env("NODE_PATH", toolbox::node_modules())
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(File::create(&said).map_err(io)?)
            .stderr(File::create(&log).map_err(io)?)
            // A browser is many processes.
            .process_group(0)
            .spawn()
            .map_err(io)?;
        let said = match self {
            Self::Chromium => target.report.clone(),
            _ => said,
        };
        Ok(Running {
            client: self,
            child,
            said,
            log,
        })
    }
}

/// The host of an app.
pub(crate) fn site(app: Kind) -> String {
    format!("{app}.test")
}

/// A browser that does not look names up, and believes our certificate.
fn chromium<'a>(
    command: &'a mut Command,
    site: &str,
    target: &Target,
    source: &Path,
) -> &'a mut Command {
    let profile = source.with_file_name("profile");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--no-first-run", "--disable-dev-shm-usage"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .arg("--ignore-certificate-errors")
        .arg(format!("--host-resolver-rules=MAP {site} 127.0.0.1"))
        .arg(format!("--user-data-dir={}", profile.display()))
        // Otherwise it ends as soon as the page is there.
        .arg("--remote-debugging-port=0")
        .arg(format!("https://{site}:{}/page", target.port))
}

/// A client at work. Dropping it kills it and all its processes.
pub(crate) struct Running {
    pub(crate) client: Client,
    child: Child,
    said: PathBuf,
    log: PathBuf,
}

impl Running {
    /// Its end, after it has been told, and what it counted.
    pub(crate) async fn finish(mut self) -> Summary {
        let ended = match self.client {
            Client::Chromium => self.reported().await,
            _ => timeout(PATIENCE, self.child.wait()).await.is_ok(),
        };
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        self.kill();
        // Its files are to be removed next.
        let _ = timeout(PATIENCE, self.child.wait()).await;
        let summary = Summary::of(&read(&self.said)).filter(|_| ended);
        summary.unwrap_or_else(|| Summary::none(&read(&self.log)))
    }

    /// A browser does not end by itself.
    async fn reported(&self) -> bool {
        let began = Instant::now();
        while !self.said.exists() && began.elapsed() < PATIENCE {
            sleep(POLL).await;
        }
        self.said.exists()
    }

    /// All its processes, unless it has ended by itself.
    fn kill(&self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(group) = pid.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
