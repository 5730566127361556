//! Why a scenario could not be played. That is no verdict.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use holdfast_load::app::AppError;
use holdfast_load::ledger::LedgerError;
use holdfast_load::load::LoadError;

/// Why a scenario could not be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("{what}: {why}")]
    Io { what: &'static str, why: io::Error },
    #[error("the daemon is not there after {within:?}; it said:\n{said}")]
    NoDaemon { within: Duration, said: String },
    #[error("swapctl {verb} ended with {code}: {said}")]
    Swapctl {
        verb: String,
        code: i32,
        said: String,
    },
    #[error("swapctl {verb} said something else than it should ({why}): {said}")]
    Said {
        verb: String,
        why: serde_json::Error,
        said: String,
    },
    #[error("{what}: not within {within:?}")]
    Late { what: String, within: Duration },
    #[error("{program} ended with {status}; it said:\n{said}")]
    Ended {
        program: String,
        status: ExitStatus,
        said: String,
    },
    #[error("{0}")]
    Missing(String),
    #[error("no certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("{0}: no such figure")]
    NoFigure(PathBuf),
}

impl Trouble {
    pub(crate) fn io(what: &'static str, why: io::Error) -> Self {
        Self::Io { what, why }
    }
}
