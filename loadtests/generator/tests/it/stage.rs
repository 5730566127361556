//! What every test needs: apps, a ledger, a load.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_load::app::{App, AppCommand};
use holdfast_load::ledger::Ledger;
use holdfast_load::load::{Load, Plan};
use holdfast_load::run::Run;
use tempfile::TempDir;

/// Longer than anything here takes, even on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    directory: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    pub(crate) fn ledger_path(&self) -> PathBuf {
        self.directory.path().join("ledger")
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::read([self.ledger_path()]).unwrap()
    }

    pub(crate) fn command(&self, release: &str) -> AppCommand {
        AppCommand::new(release, self.ledger_path()).executable(env!("CARGO_BIN_EXE_ledger-app"))
    }

    /// A running app.
    pub(crate) async fn app(&self, release: &str) -> App {
        let mut app = self.command(release).start().await.unwrap();
        app.listening(LONG).await.unwrap();
        app
    }
}

/// A second of mixed load.
pub(crate) fn plan(target: SocketAddr) -> Plan {
    let mut plan = Plan::at(target);
    plan.rate = 300.0;
    plan.duration = Some(Duration::from_secs(1));
    plan.slowness = Duration::from_millis(50);
    plan.watched = 5;
    plan.timeout = Duration::from_secs(10);
    println!("seed {}", plan.seed);
    plan
}

pub(crate) async fn load(plan: Plan) -> Run {
    Load::start(plan).unwrap().complete().await.unwrap()
}
