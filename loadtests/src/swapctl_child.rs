//! swapctl, as a deploy script would call it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use holdfast_control::wire::{AppStatus, Receipt, Status};
use tokio::time::timeout;

use crate::hidden;
use crate::trouble::Trouble;

/// Longer than any command here may take.
const LONG: Duration = Duration::from_secs(180);

/// How to call swapctl.
#[derive(Clone, Debug)]
pub(crate) struct Swapctl {
    pub(crate) program: Option<PathBuf>,
    pub(crate) socket: PathBuf,
}

/// How a call of swapctl ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) verb: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Swapctl {
    /// `swapctl --json ARGUMENTS`.
    pub(crate) async fn call(&self, arguments: &[&str]) -> Result<Ended, Trouble> {
        let began = Instant::now();
        let verb = arguments.first().copied().unwrap_or_default().to_owned();
        let output = hidden::swapctl(self.program.as_deref())
            .arg("--control")
            .arg(&self.socket)
            .arg("--json")
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let Ok(output) = timeout(LONG, output).await else {
            return Err(Trouble::Late {
                what: format!("swapctl {verb}"),
                within: LONG,
            });
        };
        let output = output.map_err(|why| Trouble::io("swapctl", why))?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
        Ok(Ended {
            verb,
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            took: began.elapsed(),
        })
    }

    /// The only app's status.
    pub(crate) async fn status(&self) -> Result<AppStatus, Trouble> {
        let ended = self.call(&["status"]).await?.expect_done()?;
        let status: Status = ended.read()?;
        let mut apps = status.apps.into_values();
        apps.next().ok_or_else(|| ended.refused())
    }

    /// Polls the status until it is so, and says how long that took.
    pub(crate) async fn until(
        &self,
        what: &str,
        within: Duration,
        is_so: impl Fn(&AppStatus) -> bool,
    ) -> Result<Duration, Trouble> {
        let began = Instant::now();
        while !is_so(&self.status().await?) {
            if began.elapsed() > within {
                let what = what.to_owned();
                return Err(Trouble::Late { what, within });
            }
        }
        Ok(began.elapsed())
    }
}

impl Ended {
    /// The receipt that it printed.
    pub(crate) fn receipt(&self) -> Result<Receipt, Trouble> {
        self.read()
    }

    /// Itself, if it exited 0.
    pub(crate) fn expect_done(self) -> Result<Self, Trouble> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(self.refused())
        }
    }

    pub(crate) fn read<T: for<'a> serde::Deserialize<'a>>(&self) -> Result<T, Trouble> {
        serde_json::from_str(&self.stdout).map_err(|why| Trouble::Said {
            verb: self.verb.clone(),
            why,
            said: format!("{}\n{}", self.stdout, self.stderr),
        })
    }

    fn refused(&self) -> Trouble {
        Trouble::Swapctl {
            verb: self.verb.clone(),
            code: self.code,
            said: format!("{}\n{}", self.stdout, self.stderr),
        }
    }
}
