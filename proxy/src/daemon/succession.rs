//! The daemon's last decision: it stops, or another process serves in its place.

use std::io;
use std::sync::Arc;

use holdfast_control::failpoint;
use holdfast_control::succession::{Lent, UpgradeHook, Upgrading};
use holdfast_control::wire::Upgraded;
use holdfast_control::{Accepting, Handle};
use tokio::sync::{mpsc, oneshot};

use super::signals::Signals;
use crate::handover::{Estate, NotReplaced, Successor, hand_over};

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
    let hook = move |lent| -> Upgrading {
        let ask = ask.clone();
        Box::pin(async move {
            let (reply, replied) = oneshot::channel();
            // If nobody hears it, nobody replies.
            let _ = ask.send(Asked { lent, reply }).await;
            let stopping = |_| "the daemon is stopping".to_owned();
            replied.await.map_err(stopping)?
        })
    };
    (Arc::new(hook), asked)
}

/// Serves signals and upgrades until the daemon is to end.
pub(super) async fn until_end(
    control: &Handle,
    accepting: &Accepting,
    estate: impl Fn() -> io::Result<Estate>,
    mut asked: mpsc::Receiver<Asked>,
    signals: &mut Signals,
) -> End {
    loop {
        let Asked { lent, reply } = tokio::select! {
            biased;
            () = signals.until_stop(control) => return End::Stopped,
            asked = asked.recv() => match asked {
                Some(asked) => asked,
                None => return End::Stopped,
            },
        };
        let estate = match estate() {
            Ok(estate) => estate,
            Err(error) => {
                drop(reply.send(Err(format!("nothing can be lent: {error}"))));
                continue;
            }
        };
        match hand_over(&estate, lent, accepting, signals.stop()).await {
            Ok(successor) => {
                control.give_away();
                failpoint::here("lend.given_away");
                // Whoever asked may have left.
                let _ = reply.send(Ok(successor.upgraded.clone()));
                failpoint::here("lend.answered");
                return End::Replaced(successor);
            }
            Err(NotReplaced::Why(why)) => drop(reply.send(Err(why))),
            Err(NotReplaced::Stopped) => return End::Stopped,
        }
    }
}
