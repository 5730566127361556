//! The parent's side of a lean child: started, talked to, killed when it is dropped.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::hidden;
use crate::trouble::Trouble;

/// A process that hears lines and says some.
pub(crate) struct Child {
    process: tokio::process::Child,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    name: &'static str,
}

impl Child {
    /// This binary again, with these arguments; on this core only, if one is named.
    pub(crate) fn start(
        name: &'static str,
        argument: &str,
        core: Option<usize>,
    ) -> Result<Self, Trouble> {
        let mut process = hidden::command(None, name, core)
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| Trouble::io(name, why))?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Trouble::Missing(format!("{name}: no pipes")));
        };
        Ok(Self {
            process,
            stdin,
            said: BufReader::new(stdout).lines(),
            name,
        })
    }

    /// Says a line to it.
    pub(crate) async fn tell(&mut self, line: &str) -> Result<(), Trouble> {
        let line = format!("{line}\n");
        let told = self.stdin.write_all(line.as_bytes()).await;
        told.map_err(|why| Trouble::io(self.name, why))
    }

    /// What it says behind this word, which is to come next.
    pub(crate) async fn hear(&mut self, word: &str, within: Duration) -> Result<String, Trouble> {
        let Ok(said) = timeout(within, self.said.next_line()).await else {
            let what = format!("{}: {word}", self.name);
            return Err(Trouble::Late { what, within });
        };
        let said = said.map_err(|why| Trouble::io(self.name, why))?;
        let rest = said.as_deref().and_then(|said| said.strip_prefix(word));
        rest.map(|rest| rest.trim().to_owned()).ok_or_else(|| {
            Trouble::Missing(format!("{}: said {said:?} instead of {word}", self.name))
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Tells it by the end of its input to end, and waits for that.
    pub(crate) async fn end(mut self, within: Duration) -> Result<(), Trouble> {
        drop(self.stdin);
        let ended = timeout(within, self.process.wait()).await;
        let what = || format!("{}: its end", self.name);
        match ended {
            Ok(ended) => ended.map(|_| ()).map_err(|why| Trouble::io(self.name, why)),
            Err(_) => Err(Trouble::Late {
                what: what(),
                within,
            }),
        }
    }
}
