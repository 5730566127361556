//! The process's limit of open files, and what of it clients may take.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept back for the journal, the control socket, the runtimes and a listener or two.
const RESERVE: u64 = 128;
/// Kept back for upstream connections, however many clients are asked for.
const UPSTREAM: usize = 1024;
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
    let open = getrlimit(Resource::Nofile).current;
    within(open.unwrap_or(UNLIMITED).min(UNLIMITED), asked_for)
}

/// Without being asked, half of what may be open, because each may need an upstream connection. Who waits at a door needs
/// none, so more may be asked for; then the upstream connections have what is left.
fn within(open: u64, asked_for: Option<usize>) -> Result<usize, TooMany> {
    let free = usize::try_from(open.saturating_sub(RESERVE)).unwrap_or(usize::MAX);
    let (half, most) = ((free / 2).max(1), free.saturating_sub(UPSTREAM).max(1));
    match asked_for {
        Some(asked_for) if asked_for > most => Err(TooMany { asked_for, most }),
        Some(asked_for) if asked_for > half => {
            let left = free - asked_for;
            tracing::warn!(
                asked_for,
                left,
                "limits.connections leaves fewer files for upstream connections than there may be clients"
            );
            Ok(asked_for)
        }
        Some(asked_for) => Ok(asked_for),
        None => Ok(half),
    }
}

/// More connections than the process may have.
#[derive(Debug, thiserror::Error)]
#[error(
    "limits.connections: {asked_for} cannot be kept, for the limit of open files allows {most}"
)]
pub(crate) struct TooMany {
    asked_for: usize,
    most: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_for_clients_and_more_if_asked_for() {
        let allowed = |asked_for| within(20_000, asked_for).ok();
        assert_eq!(allowed(None), Some(9_936));
        assert_eq!(allowed(Some(5)), Some(5));
        assert_eq!(allowed(Some(15_000)), Some(15_000));
        assert_eq!(allowed(Some(18_848)), Some(18_848));
        assert_eq!(allowed(Some(18_849)), None);
    }

    #[test]
    fn a_process_that_may_open_hardly_anything_serves_one_client() {
        assert_eq!(within(100, None).ok(), Some(1));
        assert_eq!(within(100, Some(2)).ok(), None);
    }
}
