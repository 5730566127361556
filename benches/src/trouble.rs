//! Why nothing could be measured.

use std::io;

use crate::instructions::BadBaseline;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("{what}: {why}")]
    Io {
        what: String,
        #[source]
        why: io::Error,
    },
    #[error("{peer} was not there in time; it said:\n{said}")]
    NotThere { peer: &'static str, said: String },
    #[error(transparent)]
    Baseline(#[from] BadBaseline),
    #[error("{0}")]
    Words(String),
}

impl Trouble {
    pub(crate) fn io(what: impl Into<String>, why: io::Error) -> Self {
        let what = what.into();
        Self::Io { what, why }
    }
}

/// An error with what was being done.
pub(crate) trait While<T> {
    fn while_doing(self, what: &str) -> Result<T, Trouble>;
}

impl<T> While<T> for io::Result<T> {
    fn while_doing(self, what: &str) -> Result<T, Trouble> {
        self.map_err(|why| Trouble::io(what, why))
    }
}
