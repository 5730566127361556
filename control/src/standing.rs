//! Whether commands are taken now: not while the daemon's program is being replaced, and not before the process that
//! was there first has ended. Looking is always allowed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::problem::problem;
use crate::wire::Problem;

/// How long a command waits for the process before this one: longer than that may take for its last requests.
const PREDECESSOR_MAX: Duration = Duration::from_secs(45);

/// Whether commands are taken now. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Standing(Arc<watch::Sender<Stand>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// They are.
    Taken,
    /// The process before this one still answers its last requests: it does not know another table, so none is made.
    Waiting,
    /// A successor is being started, or serves already.
    Upgrading,
}

/// While it lives, commands are refused, unless it is kept for good.
#[derive(Debug)]
pub(crate) struct Refusing {
    standing: Standing,
    for_good: bool,
}

impl Standing {
    /// `waiting`: there is a process before this one.
    pub(crate) fn new(waiting: bool) -> Self {
        let stand = if waiting {
            Stand::Waiting
        } else {
            Stand::Taken
        };
        Self(Arc::new(watch::Sender::new(stand)))
    }

    /// Returns when a command may be given to the driver.
    pub(crate) async fn commands(&self) -> Result<(), Problem> {
        let mut stand = self.0.subscribe();
        let settled = stand.wait_for(|stand| *stand != Stand::Waiting);
        let Ok(settled) = timeout(PREDECESSOR_MAX, settled).await else {
            return Err(under_way(
                "the process before this one has not ended; its last requests are still being answered",
            ));
        };
        match settled.map(|stand| *stand) {
            Ok(Stand::Taken) => Ok(()),
            _ => Err(under_way("the daemon's program is being replaced")),
        }
    }

    /// The process before this one has ended.
    pub(crate) fn alone(&self) {
        self.0.send_if_modified(|stand| {
            let waited = *stand == Stand::Waiting;
            if waited {
                *stand = Stand::Taken;
            }
            waited
        });
    }

    /// From now on commands are refused. Only once at a time.
    pub(crate) async fn refuse(&self) -> Result<Refusing, Problem> {
        self.commands().await?;
        let first = self.0.send_if_modified(|stand| {
            let free = *stand == Stand::Taken;
            if free {
                *stand = Stand::Upgrading;
            }
            free
        });
        if first {
            let standing = self.clone();
            return Ok(Refusing {
                standing,
                for_good: false,
            });
        }
        Err(under_way("the daemon's program is being replaced"))
    }
}

impl Refusing {
    /// A successor has taken over.
    pub(crate) fn for_good(mut self) {
        self.for_good = true;
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        if !self.for_good {
            self.standing.0.send_replace(Stand::Taken);
        }
    }
}

fn under_way(detail: &str) -> Problem {
    problem(409, "upgrading", "an upgrade is under way", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_upgrade_at_a_time_and_no_command_meanwhile() {
        let standing = Standing::new(false);
        standing.commands().await.unwrap();
        let refusing = standing.refuse().await.unwrap();
        assert_eq!(standing.commands().await.unwrap_err().code, "upgrading");
        assert_eq!(standing.refuse().await.unwrap_err().code, "upgrading");
        drop(refusing);
        standing.commands().await.unwrap();
        standing.refuse().await.unwrap().for_good();
        assert_eq!(standing.commands().await.unwrap_err().status, 409);
    }

    #[tokio::test(start_paused = true)]
    async fn commands_wait_for_the_end_of_the_process_before_but_not_for_ever() {
        let standing = Standing::new(true);
        let waits = tokio::spawn({
            let standing = standing.clone();
            async move { standing.commands().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        standing.alone();
        waits.await.unwrap().unwrap();

        let standing = Standing::new(true);
        let refused = standing.commands().await.unwrap_err();
        assert!(refused.detail.contains("before this one"), "{refused:?}");
    }
}
