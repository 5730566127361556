//! The part that a request has in a split: the arm in which it counts, and what is told of it if a release beside the live
//! one fails it. It begins when a release is pinned, and ends with the request or when that release has failed it for good.

use std::sync::Arc;

use holdfast_control::plane::Mishap;
use http::{HeaderValue, Method, StatusCode, Uri};

use crate::counters::Loss;
use crate::draw::Who;
use crate::exchange::Exchange;
use crate::lease::Lease;
use crate::policy;
use crate::release::LiveRelease;
use crate::split::Seat;
use crate::table::App;

/// So much is told of a path or an id that a client has made.
const TOLD_MAX: usize = 512;

/// See above.
pub(crate) struct Part {
    arm: Option<usize>,
    /// By what its client is known.
    unit: u64,
    /// An attempt has failed.
    failed: Option<Loss>,
    /// On which instance it is.
    instance: Option<usize>,
    /// None on the live release.
    story: Option<Story>,
}

/// What a mishap is told from: by the time that it is one, the request's head has gone.
pub(crate) struct Story {
    release: Arc<LiveRelease>,
    method: Method,
    uri: Uri,
    request_id: Option<HeaderValue>,
}

/// How a request has ended.
pub(crate) struct Ended {
    /// What the app has answered.
    pub(crate) answered: Option<StatusCode>,
    /// What the client was told.
    pub(crate) status: Option<StatusCode>,
    /// Why the app has not answered.
    pub(crate) reason: Option<&'static str>,
}

impl Part {
    /// None: nobody counts it, and nobody is told of it.
    pub(crate) fn of(
        seat: Seat,
        lease: &Lease,
        exchange: &Exchange,
        who: Who,
    ) -> Option<Box<Self>> {
        if seat == Seat::LIVE {
            return None;
        }
        let head = &exchange.head;
        let story = || Story {
            release: lease.release().clone(),
            method: head.method.clone(),
            uri: head.uri.clone(),
            request_id: head.headers.get(policy::REQUEST_ID).cloned(),
        };
        Some(Box::new(Self {
            arm: seat.arm,
            unit: match who {
                Who::Unit { id, .. } => id,
                Who::Unknown | Who::Member | Who::Stranger => 0,
            },
            failed: None,
            instance: None,
            story: seat.beside.map(|_| story()),
        }))
    }

    /// It goes to this instance now.
    pub(crate) fn tries(&mut self, instance: usize) {
        if self.failed.is_none() {
            self.instance = Some(instance);
        }
    }

    /// An attempt has failed, whatever becomes of the request.
    pub(crate) fn fails(&mut self, loss: Loss) {
        self.failed.get_or_insert(loss);
    }

    /// In which arm it counts.
    pub(crate) fn arm(&self) -> Option<usize> {
        self.arm
    }

    pub(crate) fn unit(&self) -> u64 {
        self.unit
    }

    /// Whether its release has failed it.
    pub(crate) fn has_erred(&self, ended: &Ended) -> bool {
        self.failed.is_some() || ended.status.is_some_and(|status| status.is_server_error())
    }

    /// What can be told of it, if it was on a release beside the live one.
    pub(crate) fn story(&self) -> Option<&Story> {
        self.story.as_ref()
    }
}

impl Story {
    /// It has gone wrong, in this arm.
    pub(crate) fn mishap(&self, app: &App, part: &Part, ended: &Ended) -> Mishap {
        let arm = part.arm.zip(app.split.as_ref());
        let instance = part.instance.and_then(|at| self.release.instances.get(at));
        let id = self
            .request_id
            .as_ref()
            .map_or(&b""[..], HeaderValue::as_bytes);
        Mishap {
            app: app.name.clone(),
            arm: arm.and_then(|(arm, split)| split.tally.name(arm).cloned()),
            release: self.release.release.id.clone(),
            instance: instance.map(|instance| instance.address.clone()),
            method: self.method.as_str().to_owned(),
            path: told(self.uri.path().as_bytes()),
            status: ended.answered.map(|status| status.as_u16()),
            reason: part.failed.map(Loss::word).or(ended.reason),
            request_id: told(id),
        }
    }
}

fn told(octets: &[u8]) -> String {
    String::from_utf8_lossy(&octets[..octets.len().min(TOLD_MAX)]).into_owned()
}
