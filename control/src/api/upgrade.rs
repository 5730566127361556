//! `POST /v1/upgrade`: another process takes over.

use std::path::PathBuf;

use super::{Api, Replacing};
use crate::driver::Message;
use crate::problem;
use crate::succession::{self, Belongings, Lent};
use crate::wire::{Problem, Upgraded, What};

/// The daemon's working directory is nobody's business.
pub(super) fn absolute(binary: Option<PathBuf>) -> Result<Option<PathBuf>, Problem> {
    match binary {
        Some(binary) if !binary.is_absolute() => {
            let binary = binary.display();
            Err(problem::usage(format!(
                "binary: {binary} is no absolute path"
            )))
        }
        binary => Ok(binary),
    }
}

impl Api {
    /// Returns when another process serves and has proved itself, or this one goes on. Whoever asked may leave meanwhile.
    pub(crate) async fn upgrade(
        &self,
        binary: Option<PathBuf>,
        by: String,
    ) -> Result<Upgraded, Problem> {
        let this = self.clone();
        let Some(replacing) = self.hooks.upgrade.clone() else {
            return Err(succession::failed(
                "there is no process to replace".to_owned(),
            ));
        };
        let upgrading = tokio::spawn(async move { this.replace(&replacing, binary, by).await });
        upgrading.await.map_err(|_| problem::stopped())?
    }

    async fn replace(
        &self,
        replacing: &Replacing,
        binary: Option<PathBuf>,
        by: String,
    ) -> Result<Upgraded, Problem> {
        let Replacing { hook, socket } = replacing;
        let _alone = self.reloading.lock().await;
        let refusing = self.standing.refuse().await?;
        let listener = socket.lend().map_err(|error| {
            succession::failed(format!("the control socket cannot be lent: {error}"))
        })?;
        // Behind all commands that were taken before.
        let (state_dir, lock) = self.ask(Message::Lend).await??;
        let belongings = Belongings {
            state_dir,
            lock,
            socket: socket.path(),
            listener,
        };
        match hook(Lent { binary, belongings }).await {
            Ok(upgraded) => {
                refusing.for_good();
                socket.give_away();
                let said = format!("pid {} serves", upgraded.pid);
                let verb = "upgrade".to_owned();
                self.events
                    .tell(None, None, What::Command { verb, by, said });
                Ok(upgraded)
            }
            Err(why) => {
                // Before the next command, which is refused until this returns.
                self.ask(Message::TakeBack).await?;
                drop(refusing);
                Err(succession::failed(why))
            }
        }
    }
}
