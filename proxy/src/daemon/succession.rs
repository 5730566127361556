//! The daemon's last decision: it stops, or another process serves in its place.

use std::sync::Arc;

use holdfast_control::Handle;
use holdfast_control::succession::{Lent, UpgradeHook};
use holdfast_control::wire::Upgraded;
use tokio::sync::{mpsc, oneshot};

use super::signals::Signals;
use crate::accepting::Accepting;
use crate::handover::{self, Estate, NotReplaced, Successor, hand_over};

/// Why the daemon ends.
pub(super) enum End {
    /// Somebody asked for it.
    Stopped,
    /// Another process serves.
    Replaced(Successor),
}

/// What is asked by the control plane.
pub(super) struct Asked {
    lent: Lent,
    reply: oneshot::Sender<Result<Upgraded, String>>,
}

/// What the control plane calls, and where it is heard.
pub(super) fn hook() -> (UpgradeHook, mpsc::Receiver<Asked>) {
    // One at a time is asked for.
    let (ask, asked) = mpsc::channel(1);
    let hook = move |lent| -> holdfast_control::succession::Upgrading {
        let ask = ask.clone();
        Box::pin(async move {
            let (reply, replied) = oneshot::channel();
            let stopping = |_| "the daemon is stopping".to_owned();
            ask.send(Asked { lent, reply })
                .await
                .map_err(|_| stopping(()))?;
            replied.await.map_err(|_| stopping(()))?
        })
    };
    (Arc::new(hook), asked)
}

/// All that lets somebody in.
pub(super) struct Doors {
    pub(super) clients: Accepting,
    pub(super) control: Handle,
}

impl handover::Accepting for Doors {
    fn accept(&self, accepts: bool) {
        self.clients.set(accepts);
        self.control.open(accepts);
    }
}

/// Serves signals and upgrades until the daemon is to end.
pub(super) async fn until_end(
    doors: &Doors,
    estate: &Estate,
    mut asked: mpsc::Receiver<Asked>,
) -> End {
    let mut signals = Signals::listen();
    loop {
        let Asked { lent, reply } = tokio::select! {
            biased;
            () = signals.until_stop(&doors.control) => return End::Stopped,
            asked = asked.recv() => match asked {
                Some(asked) => asked,
                None => return End::Stopped,
            },
        };
        match hand_over(estate, lent, doors, signals.stop()).await {
            Ok(successor) => {
                doors.control.give_away();
                // Whoever asked may have left.
                let _ = reply.send(Ok(successor.upgraded.clone()));
                return End::Replaced(successor);
            }
            Err(NotReplaced::Why(why)) => drop(reply.send(Err(why))),
            Err(NotReplaced::Stopped) => return End::Stopped,
        }
    }
}
