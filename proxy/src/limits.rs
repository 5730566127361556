//! The process's limit of open files, and what of it clients may take.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept back for the journal, the control socket, the runtimes and a listener or two.
const RESERVE: u64 = 128;
/// What a process may have where nobody limits it.
const UNLIMITED: u64 = 1 << 20;

/// Raises the soft limit to the hard one.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// How many clients may be connected at once: as many as were asked for, if they can be.
pub(crate) fn connections(asked_for: Option<usize>) -> Result<usize, TooMany> {
    let most = connections_max();
    match asked_for {
        Some(asked_for) if asked_for > most => Err(TooMany { asked_for, most }),
        Some(asked_for) => Ok(asked_for),
        None => Ok(most),
    }
}

/// More connections than the process may have.
#[derive(Debug, thiserror::Error)]
#[error(
    "limits.connections: {asked_for} cannot be kept, for the limit of open files allows {most} (two for each)"
)]
pub(crate) struct TooMany {
    asked_for: usize,
    most: usize,
}

/// Half of what may be open, because each may need an upstream connection.
fn connections_max() -> usize {
    let open = getrlimit(Resource::Nofile)
        .current
        .unwrap_or(UNLIMITED)
        .min(UNLIMITED);
    usize::try_from(open.saturating_sub(RESERVE) / 2)
        .unwrap_or(usize::MAX)
        .max(1)
}
