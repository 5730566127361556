//! `POST /v1/upgrade`: another process takes over.

use std::path::PathBuf;

use super::{Api, Replacing};
use crate::driver::Message;
use crate::failpoint;
use crate::problem;
use crate::succession::{self, Belongings, Lent};
use crate::wire::{Problem, Upgraded, What};

/// The program that was named, if it may be: it runs as the daemon's user, and whoever may command may not be that user.
pub(super) fn allowed(binary: Option<PathBuf>, uid: u32) -> Result<Option<PathBuf>, Problem> {
    let Some(binary) = binary else {
        return Ok(None);
    };
    let own = rustix::process::geteuid().as_raw();
    if uid != 0 && uid != own {
        let detail = format!("binary: only root and uid {own} may name a program, not uid {uid}");
        return Err(problem::problem(403, "forbidden", "not allowed", detail));
    }
    if !binary.is_absolute() {
        let binary = binary.display();
        return Err(problem::usage(format!(
            "binary: {binary} is no absolute path"
        )));
    }
    Ok(Some(binary))
}

impl Api {
    /// The process before this one has ended.
    pub(crate) fn alone(&self) {
        if let Some(replacing) = &self.hooks.upgrade {
            replacing.socket.own();
        }
        self.standing.alone();
    }

    /// The control socket's file belongs to another process now.
    pub(crate) fn give_away(&self) {
        if let Some(replacing) = &self.hooks.upgrade {
            replacing.socket.give_away();
        }
    }

    /// The same as soon as every app stands still. Whoever asked must not leave before.
    pub(crate) async fn upgrade_when_still(
        &self,
        binary: Option<PathBuf>,
        by: String,
    ) -> Result<Upgraded, Problem> {
        loop {
            self.ask(Message::Still).await?;
            match self.upgrade(binary.clone(), by.clone()).await {
                // Something has begun since.
                Err(problem) if problem.code == succession::BUSY => {}
                upgraded => return upgraded,
            }
        }
    }

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
        let refusing = self.standing.refuse().await?;
        failpoint::here("lend.refuses_commands");
        let _alone = self.reloading.lock().await;
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
                let said = format!("pid {} serves", upgraded.pid);
                let verb = "upgrade".to_owned();
                self.events
                    .tell(None, None, What::Command { verb, by, said });
                Ok(upgraded)
            }
            Err(why) => {
                // Before the next command, which is refused until this returns.
                self.ask(Message::TakeBack).await?;
                failpoint::here("lend.taken_back");
                drop(refusing);
                Err(succession::failed(why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_daemons_own_user_may_name_a_program() {
        let own = rustix::process::geteuid().as_raw();
        let program = || Some(PathBuf::from("/opt/holdfast"));
        let other = own.wrapping_add(1).max(1);
        assert_eq!(allowed(program(), 0), Ok(program()));
        assert_eq!(allowed(program(), own), Ok(program()));
        assert_eq!(allowed(None, other), Ok(None));
        let refused = allowed(program(), other).unwrap_err();
        assert_eq!((refused.status, &*refused.code), (403, "forbidden"));
        let relative = allowed(Some("holdfast".into()), own).unwrap_err();
        assert_eq!(relative.code, "usage");
    }
}
