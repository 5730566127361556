//! Why nothing could be compared.

use std::io;

#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{what}: {why}")]
    Io {
        what: String,
        #[source]
        why: io::Error,
    },
    #[error("{peer} was not there in time; it said:\n{said}")]
    NotThere { peer: &'static str, said: String },
    #[error("{0}")]
    Words(String),
}

impl Trouble {
    pub(super) fn io(what: impl Into<String>, why: io::Error) -> Self {
        let what = what.into();
        Self::Io { what, why }
    }
}

/// An error with what was being done.
pub(super) trait While<T> {
    fn while_doing(self, what: &str) -> Result<T, Trouble>;
}

impl<T> While<T> for io::Result<T> {
    fn while_doing(self, what: &str) -> Result<T, Trouble> {
        self.map_err(|why| Trouble::io(what, why))
    }
}
