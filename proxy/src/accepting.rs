//! Whether connections are accepted. While they are not, clients wait in the queues of the sockets, which stay open.

use std::sync::Arc;

use tokio::sync::watch;

/// Whether connections are accepted. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Accepting(Arc<watch::Sender<bool>>);

impl Default for Accepting {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl Accepting {
    pub(crate) fn set(&self, accepts: bool) {
        self.0.send_replace(accepts);
    }

    /// Returns when they are.
    pub(crate) async fn begun(&self) {
        self.becomes(true).await;
    }

    /// Returns when they are not.
    pub(crate) async fn paused(&self) {
        self.becomes(false).await;
    }

    async fn becomes(&self, wanted: bool) {
        let mut accepts = self.0.subscribe();
        // The sender is here.
        let _ = accepts.wait_for(|accepts| *accepts == wanted).await;
    }
}
