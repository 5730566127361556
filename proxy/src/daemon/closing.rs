//! The end of a process that serves: another one has taken its place, or somebody has told it to stop.

use std::time::Duration;

use holdfast_control::{Accepting, Handle, failpoint};
use sd_notify::NotifyState;
use tokio::time::timeout;

use super::service_manager;
use super::signals::Signals;
use super::succession::End;
use crate::handover::{Predecessor, Successor};
use crate::listeners::Listeners;
use crate::workers::Running;

/// How long a stopping daemon waits for its last requests.
const STOP_MAX: Duration = Duration::from_secs(30);
/// How long whoever is told of the successor may take to hear it.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// What serves, and what it depends on how it ends.
pub(super) struct Service<'a> {
    pub(super) running: Running,
    pub(super) listeners: &'a Listeners,
    pub(super) accepting: &'a Accepting,
    pub(super) handle: &'a Handle,
    pub(super) predecessor: Option<&'a Predecessor>,
}

impl Service<'_> {
    /// Returns when the last request has been answered, or time is up.
    pub(super) async fn close(self, end: &End, signals: &mut Signals) {
        let still_waits = match self.predecessor {
            Some(predecessor) => predecessor.leave().await,
            None => false,
        };
        match end {
            End::Replaced(successor) => self.leave(successor, signals).await,
            End::Stopped if still_waits => self.leave_to_the_one_before(signals).await,
            End::Stopped => self.shut(signals).await,
        }
    }

    /// Another process serves.
    async fn leave(self, successor: &Successor, signals: &mut Signals) {
        let pid = successor.upgraded.pid;
        tracing::info!(pid, "replaced: the last requests are answered");
        // If it does not hear that, it takes the end of this process for that of the service.
        let state = NotifyState::MainPid(pid);
        let heard = service_manager::tell_surely(&state);
        // A service manager that stops us may tell both processes: this one does already as it is told.
        let stopping = stop(self.running, async {}, async {}, signals.stops(2));
        let _ = tokio::join!(stopping, timeout(STOP_MAX, heard));
        failpoint::here("lend.stopped");
        // Whoever asked for the upgrade reads the answer.
        let _ = timeout(FAREWELL_MAX, self.handle.left()).await;
    }

    /// The process before this one waited whether this one lives, and accepts again, by the same sockets.
    async fn leave_to_the_one_before(self, signals: &mut Signals) {
        tracing::info!("stopping: the process before this one goes on");
        self.accepting.set(false);
        stop(self.running, async {}, async {}, signals.stops(1)).await;
    }

    /// Nobody is accepted from now on but those who have begun to connect.
    async fn shut(self, signals: &mut Signals) {
        tracing::info!("stopping: no more connections are accepted");
        service_manager::tell(&NotifyState::Stopping);
        // They may have been refused for a successor that stops as well.
        self.accepting.set(true);
        // This one is the main process for whoever stops it, and what is left when that ends may be killed.
        let the_one_before = async {
            if let Some(predecessor) = self.predecessor {
                predecessor.ended().await;
            }
        };
        let last_call = self.listeners.last_call();
        stop(self.running, last_call, the_one_before, signals.stops(1)).await;
    }
}

/// Ends as the last request does, or after a limit, or when `at_once` does. `first` is waited for while clients are
/// still accepted, `last` when all of them have gone.
async fn stop(
    running: Running,
    first: impl Future<Output = ()>,
    last: impl Future<Output = ()>,
    at_once: impl Future<Output = ()>,
) {
    let connections = running.connections();
    let stopping = async {
        first.await;
        running.stop().await;
        last.await;
    };
    tokio::select! {
        () = stopping => tracing::info!("stopped"),
        () = tokio::time::sleep(STOP_MAX) => {
            let cut = connections.now();
            tracing::warn!(cut, "connections were still open after {STOP_MAX:?}, and are cut");
        }
        () = at_once => {
            tracing::warn!(cut = connections.now(), "stopped at once");
        }
    }
}
