//! A listener stops, or the daemon, with all of them: seen by every connection, with one load where a request looks, and a wake-up for who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Whether the daemon stops. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    flag: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Stop {
    /// From now on it does.
    pub(crate) fn stop(&self) {
        self.flag.store(true, Relaxed);
        self.token.cancel();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.flag.load(Relaxed)
    }

    pub(crate) async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Resolves `grace` after the stop.
    pub(crate) async fn idle_grace(&self, grace: Duration) {
        self.stopped().await;
        tokio::time::sleep(grace).await;
    }

    /// `running`, or `stopping` once the daemon stops.
    pub(crate) fn shorten(&self, running: Duration, stopping: Duration) -> Duration {
        if self.is_stopping() {
            stopping
        } else {
            running
        }
    }
}
