//! The daemon under test: a real child process with a configuration, a log and a state directory of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::sleep;

use crate::figures::Figures;
use crate::hidden;
use crate::swapctl_child::Swapctl;
use crate::trouble::Trouble;

/// How long a daemon may take to be there.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two looks at whether it is.
const START_POLL: Duration = Duration::from_millis(20);

/// A running daemon. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    /// The process that has taken its place, which is no child of ours.
    successor: Option<u32>,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

/// What is worth setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Lines below `[[listen]]`.
    pub(crate) listen: String,
    /// The tables of the apps, and of more listeners.
    pub(crate) apps: String,
    /// The only core that it may use.
    pub(crate) core: Option<usize>,
}

impl Setting {
    /// One app, `web`, whose first release is `v1`. `hold` and `timeouts` are lines of its tables of these names.
    pub(crate) fn web(first: SocketAddr, hold: &str, timeouts: &str) -> Self {
        let apps = format!(
            r#"[app.web]
release = {{ id = "v1", instances = ["{first}"] }}

[app.web.hold]
{hold}

[app.web.timeouts]
{timeouts}
"#
        );
        Self {
            listen: String::new(),
            apps,
            core: None,
        }
    }
}

impl Daemon {
    /// Starts it, and waits until it takes traffic and commands.
    pub(crate) async fn start(
        program: Option<&Path>,
        directory: &Path,
        setting: &Setting,
        swapctl: &Swapctl,
    ) -> Result<Self, Trouble> {
        let address = free_address().map_err(|why| Trouble::io("no free port", why))?;
        let file = directory.join("holdfast.toml");
        let log = directory.join("holdfast.log");
        let write = |why| Trouble::io("the daemon's files", why);
        fs::write(&file, configuration(directory, address, setting, swapctl)).map_err(write)?;
        let stderr = File::create(&log).map_err(write)?;
        let child = hidden::holdfast(program, setting.core)
            .args(["run", "--config"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(stderr.try_clone().map_err(write)?)
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| Trouble::io("holdfast", why))?;
        let mut daemon = Self {
            child,
            successor: None,
            address,
            log,
        };
        daemon.wait(swapctl).await?;
        Ok(daemon)
    }

    async fn wait(&mut self, swapctl: &Swapctl) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            let listens = TcpStream::connect(self.address).await.is_ok();
            if listens && swapctl.status().await.is_ok() {
                return Ok(());
            }
            let ended = self
                .child
                .try_wait()
                .map_err(|why| Trouble::io("holdfast", why))?;
            if ended.is_some() || began.elapsed() > START_TIMEOUT {
                return Err(Trouble::NoDaemon {
                    within: began.elapsed(),
                    said: fs::read_to_string(&self.log).unwrap_or_default(),
                });
            }
            sleep(START_POLL).await;
        }
    }

    /// What it takes now.
    pub(crate) fn figures(&self) -> Result<Figures, Trouble> {
        Figures::of(self.pid())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.successor.or(self.child.id()).unwrap_or_default()
    }

    /// From now on this process is the daemon.
    pub(crate) fn succeeded_by(&mut self, pid: u32) {
        self.successor = Some(pid);
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        match self.successor {
            Some(pid) => Figures::of(pid).is_ok(),
            None => matches!(self.child.try_wait(), Ok(None)),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = self
            .successor
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        // Perhaps it has ended by itself.
        let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
    }
}

/// An address of loopback at which nobody listens now.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn configuration(
    directory: &Path,
    address: SocketAddr,
    setting: &Setting,
    swapctl: &Swapctl,
) -> String {
    let (state, socket) = (directory.join("state"), &swapctl.socket);
    let Setting { listen, apps, .. } = setting;
    format!(
        r#"[server]
state_dir = {state:?}

[control]
socket = {socket:?}

[[listen]]
address = "{address}"
{listen}

{apps}"#
    )
}
