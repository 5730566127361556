//! The ledger app, seen from who started it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::HIDDEN_ARGUMENT;
use super::arguments::{NeverReady, Settings, Tail};

/// How long a child may take to say which port it has.
const BIND_TIMEOUT: Duration = Duration::from_secs(20);

/// An app could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The process could not be started, talked to or waited for.
    #[error("app {release}: {why}")]
    Process {
        /// Which release.
        release: String,
        /// What went wrong.
        why: io::Error,
    },
    /// It ended, or said something else than it should.
    #[error("app {release}: said {said:?} instead of {wanted:?} and a port")]
    Said {
        /// Which release.
        release: String,
        /// What it said; nothing if it ended.
        said: Option<String>,
        /// What it should have said.
        wanted: &'static str,
    },
    /// It took too long.
    #[error("app {release}: not {what} within {within:?}")]
    Late {
        /// Which release.
        release: String,
        /// What it should have been.
        what: &'static str,
        /// How long was waited.
        within: Duration,
    },
}

/// An app that is to be started: which release it is, where its ledger is, and how it behaves.
#[derive(Clone, Debug)]
pub struct AppCommand {
    executable: PathBuf,
    settings: Settings,
}

impl AppCommand {
    /// A release that is ready at once, on a port of its own choice. Its id must be visible ASCII without spaces.
    ///
    /// The current binary is executed again; its `main` must begin with [`super::main_if_asked`].
    pub fn new(release: impl Into<String>, ledger: impl Into<PathBuf>) -> Self {
        Self {
            executable: "/proc/self/exe".into(),
            settings: Settings {
                port: 0,
                release: release.into(),
                ledger: ledger.into(),
                boot_delay: Duration::ZERO,
                never_ready: None,
                work: Duration::ZERO,
                errors: 0.0,
                tail: None,
                up_path: "/up".to_owned(),
                until_stdin_ends: true,
            },
        }
    }

    /// Another binary that begins with [`super::main_if_asked`], or is nothing but the ledger app.
    #[must_use]
    pub fn executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.executable = path.into();
        self
    }

    /// A port of 127.0.0.1 instead of any.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = port;
        self
    }

    /// Its port refuses connections for so long, to the millisecond.
    #[must_use]
    pub fn boot_delay(mut self, delay: Duration) -> Self {
        self.settings.boot_delay = delay;
        self
    }

    /// It never gets ready, in this way.
    #[must_use]
    pub fn never_ready(mut self, how: NeverReady) -> Self {
        self.settings.never_ready = Some(how);
        self
    }

    /// So much time before each answer, to the millisecond.
    #[must_use]
    pub fn work(mut self, work: Duration) -> Self {
        self.settings.work = work;
        self
    }

    /// So many of its answers are 500, from 0 to 1.
    #[must_use]
    pub fn errors(mut self, share: f64) -> Self {
        self.settings.errors = share;
        self
    }

    /// So many of its answers, from 0 to 1, take so much longer, to the millisecond.
    #[must_use]
    pub fn tail(mut self, share: f64, longer: Duration) -> Self {
        self.settings.tail = Some(Tail { share, longer });
        self
    }

    /// Starts it. Returns as soon as it has its port, which may refuse connections for a while yet.
    ///
    /// # Errors
    ///
    /// When it cannot be executed, ends at once, or its port is taken.
    pub async fn start(self) -> Result<App, AppError> {
        let release = self.settings.release.clone();
        let started = self.spawn().map_err(|why| AppError::Process {
            release: release.clone(),
            why,
        });
        let (child, said) = started?;
        let mut app = App {
            child,
            said,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            release,
        };
        let port = app.hear("bound", BIND_TIMEOUT).await?;
        app.address.set_port(port);
        Ok(app)
    }

    fn spawn(&self) -> io::Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut child = Command::new(&self.executable)
            .arg(HIDDEN_ARGUMENT)
            .args(self.settings.to_arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| io::Error::other("no standard output"))?;
        Ok((child, BufReader::new(stdout).lines()))
    }
}

/// A running app. Dropping it kills it.
#[derive(Debug)]
pub struct App {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    release: String,
}

impl App {
    /// Where it listens, or will.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Which release it is.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Its process, until it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns when it accepts connections. Ask once.
    ///
    /// # Errors
    ///
    /// When it does not within that time, or ended.
    pub async fn listening(&mut self, within: Duration) -> Result<(), AppError> {
        self.hear("listening", within).await.map(|_| ())
    }

    /// SIGTERM, and its end: it finishes what runs and exits 0.
    ///
    /// # Errors
    ///
    /// When it has not ended within that time; it is killed then.
    pub async fn stop(self, within: Duration) -> Result<ExitStatus, AppError> {
        self.terminate()?;
        self.ended(within).await
    }

    /// Its end, which somebody else brings about.
    ///
    /// # Errors
    ///
    /// When it has not ended within that time; it is killed then.
    pub async fn ended(mut self, within: Duration) -> Result<ExitStatus, AppError> {
        // Waiting would close it, and the app end at once.
        let _stdin = self.child.stdin.take();
        match timeout(within, self.child.wait()).await {
            Ok(ended) => ended.map_err(|why| self.broken(why)),
            Err(_) => Err(self.late("stopped", within)),
        }
    }

    /// SIGTERM only.
    ///
    /// # Errors
    ///
    /// When there is no such process any more.
    pub fn terminate(&self) -> Result<(), AppError> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            return Ok(());
        };
        kill_process(pid, Signal::TERM).map_err(|why| self.broken(why.into()))
    }

    /// SIGKILL, and its end.
    ///
    /// # Errors
    ///
    /// When it cannot be killed or waited for.
    pub async fn kill(mut self) -> Result<(), AppError> {
        let killed = self.child.kill().await;
        killed.map_err(|why| self.broken(why))
    }

    async fn hear(&mut self, wanted: &'static str, within: Duration) -> Result<u16, AppError> {
        let Ok(said) = timeout(within, self.said.next_line()).await else {
            return Err(self.late(wanted, within));
        };
        let said = said.map_err(|why| self.broken(why))?;
        let words = said.as_deref().and_then(|line| line.split_once(' '));
        match words {
            Some((word, port)) if word == wanted => port.parse().ok(),
            Some(_) | None => None,
        }
        .ok_or_else(|| AppError::Said {
            release: self.release.clone(),
            said,
            wanted,
        })
    }

    fn broken(&self, why: io::Error) -> AppError {
        let release = self.release.clone();
        AppError::Process { release, why }
    }

    fn late(&self, what: &'static str, within: Duration) -> AppError {
        AppError::Late {
            release: self.release.clone(),
            what,
            within,
        }
    }
}
