//! Affinity: what the live release does not find, the one before it is asked for.

use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;

use super::{End, Step, Traveller};
use crate::clock;
use crate::forward::{Answered, Forward, Forwarded};
use crate::lease::Lease;

/// How long the release before may take to say that it has what the live one has not: an answer waits meanwhile.
const OLDER_MAX: Duration = Duration::from_secs(2);

impl Traveller {
    /// A page of the release before asks for a file that only that one has. If it has not got it either, or is gone, the
    /// live one's answer stands.
    pub(super) async fn ask_older(mut self: Box<Self>, lease: Lease, answered: Answered) -> Step {
        let Some(older) = lease.older(&self.exchange.head.method, clock::lately()) else {
            return self.end(End::App(answered));
        };
        // What follows is no merit and no fault of the one that has answered.
        self.account.settle();
        let forward = Forward {
            conn: &self.conn,
            lease: older,
            secure: self.is_secure(),
            websocket: None,
        };
        let asking = forward.run(&mut self.exchange, &mut self.account);
        match timeout(OLDER_MAX, asking).await {
            Ok(Forwarded::Answered(found)) if !is_error(found.head.status) => {
                self.end(End::App(found))
            }
            Ok(
                Forwarded::Answered(_)
                | Forwarded::NotFound(_)
                | Forwarded::Unreachable(_)
                | Forwarded::Lost(_)
                | Forwarded::Refused(_)
                | Forwarded::Cut,
            )
            | Err(_) => {
                self.conn.stop_waiting();
                self.account.answered(&lease, answered.head.status);
                self.end(End::App(answered))
            }
        }
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}
