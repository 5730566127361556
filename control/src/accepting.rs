//! Whether connections are accepted. While they are not, clients wait in the queues of the sockets, which stay open.

use std::sync::Arc;

use tokio::sync::watch;

/// One switch for every socket that listens: clients', commands' and metrics'. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accepting(Arc<watch::Sender<bool>>);

impl Accepting {
    /// Whether they are at first.
    pub fn new(accepts: bool) -> Self {
        Self(Arc::new(watch::Sender::new(accepts)))
    }

    /// Whether they are from now on.
    pub fn set(&self, accepts: bool) {
        self.0.send_replace(accepts);
    }

    /// Whether they are now.
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when they are.
    pub async fn begun(&self) {
        self.becomes(true).await;
    }

    /// Returns when they are not.
    pub async fn paused(&self) {
        self.becomes(false).await;
    }

    async fn becomes(&self, wanted: bool) {
        let mut accepts = self.0.subscribe();
        // The sender is here.
        let _ = accepts.wait_for(|accepts| *accepts == wanted).await;
    }
}
