//! In the place of `acme` where this binary is built without it: asking for certificates is refused, not ignored.

use std::path::Path;
use std::sync::Arc;

use holdfast_config::Settings;
use tokio_util::sync::CancellationToken;

use crate::challenges::Challenges;
use crate::tls::Issued;

/// A listener asks for certificates.
#[derive(Debug, thiserror::Error)]
#[error(
    "`acme` of a [[listen]]: this holdfast is built without ACME (cargo feature `acme`); give certificate files"
)]
pub(crate) struct OpenError;

/// Nothing to keep up.
pub(crate) struct Upkeep;

pub(crate) fn open(
    settings: &Settings,
    _state_dir: &Path,
    _challenges: &Arc<Challenges>,
    _issued: &Arc<Issued>,
) -> Result<Upkeep, OpenError> {
    let mut tls = settings
        .listen
        .iter()
        .filter_map(|listen| listen.tls.as_ref());
    if tls.any(|tls| !tls.acme.is_empty()) {
        return Err(OpenError);
    }
    Ok(Upkeep)
}

impl Upkeep {
    pub(crate) fn start(self, _until: CancellationToken) {}
}
