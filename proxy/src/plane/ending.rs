//! How a release ends: behind a closed gate, with its last request and its last connection.

use std::sync::{Arc, Weak};

use holdfast_control::failpoint;
use holdfast_control::plane::Signal;
use swap_core::AppName;
use swap_gate::Classes;
use tokio::sync::{mpsc, oneshot};

use super::Plane;
use crate::release::LiveRelease;
use crate::worker::Mail;

/// The end of a release behind a closed gate.
pub(super) struct Ending {
    pub(super) app: AppName,
    pub(super) live: Arc<LiveRelease>,
    pub(super) plane: Weak<Plane>,
}

impl Ending {
    /// Waits for the requests of these classes and reports; then for all of them and every connection, and forgets.
    pub(super) async fn run(self, classes: Classes) {
        let Some(plane) = self.plane.upgrade() else {
            return;
        };
        let empty = Signal::GateEmpty(self.app.clone(), self.live.gate_id);
        self.live.gate.empty(classes).await;
        if classes != Classes::ALL {
            plane.signaller.send(empty.clone());
            self.live.gate.empty(Classes::ALL).await;
        }
        failpoint::here("plane.empty");
        self.close_connections(&plane.mail).await;
        failpoint::here("plane.retired");
        plane.forget(&self.app, self.live.uid);
        plane.signaller.send(empty);
    }

    /// Nothing runs any more, so every connection is idle, in some worker's pool. All workers are told before any is waited
    /// for: one that is busy keeps the others from nothing.
    async fn close_connections(&self, mail: &[mpsc::Sender<Mail>]) {
        self.live.links.close();
        let mut retiring = Vec::with_capacity(mail.len());
        for worker in mail {
            let (done, retired) = oneshot::channel();
            if worker.send(Mail::Retire(self.live.uid, done)).await.is_ok() {
                retiring.push(retired);
            }
        }
        for retired in retiring {
            let _ = retired.await;
        }
        self.live.links.empty(Classes::ALL).await;
    }
}
