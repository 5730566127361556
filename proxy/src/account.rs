//! What is written down about a request when it has ended: metrics, and a line in the access log. It rides in the
//! answer's body, so that it is told once, at the end, however the answer ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::access_log::{Ended, Line};
use crate::answer::Reason;
use crate::clock;
use crate::counters::Loss;
use crate::door::Admitted;
use crate::draw::Who;
use crate::lease::Lease;
use crate::part::{self, Part};
use crate::release::LiveRelease;
use crate::route::Routed;
use crate::split::Counted;
use crate::worker::Worker;

/// The account of one request.
pub(crate) struct Account {
    worker: Rc<Worker>,
    routed: Option<Routed>,
    /// Whose answer it is.
    release: Option<Arc<LiveRelease>>,
    /// Only where there is a split.
    part: Option<Box<Part>>,
    who: Who,
    /// It has had its try at what it drew: it is the live release's, and is counted no more.
    settled: bool,
    received: Duration,
    held: Duration,
    status: Option<StatusCode>,
    reason: Option<&'static str>,
    /// Only where there is an access log.
    line: Option<Line>,
    sent_bytes: u64,
    /// If it was held: it takes part in the pace of the release until it has ended.
    /// Boxed: few are held, and each account is moved about.
    admitted: Option<Box<Admitted>>,
}

impl Account {
    /// Boxed: it goes through many hands, and each has room for it.
    pub(crate) fn open(worker: Rc<Worker>, received: Duration) -> Box<Self> {
        Box::new(Self {
            worker,
            routed: None,
            release: None,
            part: None,
            who: Who::Unknown,
            settled: false,
            received,
            held: Duration::ZERO,
            status: None,
            reason: None,
            line: None,
            sent_bytes: 0,
            admitted: None,
        })
    }

    /// There is an access log: this will be its line.
    pub(crate) fn write(&mut self, line: Line) {
        self.line = Some(line);
    }

    /// The app that takes it is known. Counted once, however often it is routed.
    pub(crate) fn routed(&mut self, routed: &Routed) {
        if self.routed.is_none() {
            let cells = routed.app().counters.of(self.worker.index);
            cells.requests.add(1);
            if cells.retry_credit.read() < RETRY_CREDIT_MAX {
                cells.retry_credit.add(1);
            }
        }
        self.routed = Some(routed.clone());
    }

    /// It has waited so long.
    pub(crate) fn held(&mut self, waited: Duration) {
        self.held += waited;
        if let Some(routed) = &self.routed {
            routed
                .app()
                .counters
                .of(self.worker.index)
                .held_seconds
                .record(waited);
        }
    }

    /// Its turn at the door has come.
    pub(crate) fn admit(&mut self, admitted: Admitted) {
        self.admitted = Some(Box::new(admitted));
    }

    pub(crate) fn is_admitted(&self) -> bool {
        self.admitted.is_some()
    }

    /// The admission, if the door has been shut again since it was given.
    pub(crate) fn take_called_off(&mut self) -> Option<Admitted> {
        let called_off = self.admitted.take_if(|admitted| admitted.is_called_off());
        called_off.map(|admitted| *admitted)
    }

    /// It must go back to the door.
    pub(crate) fn take_admitted(&mut self) -> Option<Admitted> {
        self.admitted.take().map(|admitted| *admitted)
    }

    /// Who sends it, which is found out once.
    pub(crate) fn who(&mut self) -> &mut Who {
        &mut self.who
    }

    /// Whether what it drew has failed it before.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// A release is pinned, under the snapshot that it was routed by last.
    pub(crate) fn takes_part(&mut self, part: Option<Box<Part>>) {
        self.part = part.filter(|_| !self.settled);
    }

    /// It is sent to this instance.
    pub(crate) fn tries(&mut self, instance: usize) {
        if let Some(part) = &mut self.part {
            part.tries(instance);
        }
    }

    /// An attempt has failed. There may be others.
    pub(crate) fn stumbled(&mut self, loss: Loss) {
        if let Some(part) = &mut self.part {
            part.fails(loss);
        }
    }

    /// Nobody whom it drew can be reached. What follows is between it and the live release.
    pub(crate) fn fell_through(&mut self, loss: Loss) {
        self.stumbled(loss);
        self.settle();
    }

    /// Its end is not its release's fault.
    pub(crate) fn was_cut(&mut self) {
        self.part = None;
    }

    /// Its part in the split is over.
    pub(crate) fn settle(&mut self) {
        let Some((part, routed)) = self.part.take().zip(self.routed.as_ref()) else {
            return;
        };
        self.settled = true;
        let app = routed.app();
        let ended = part::Ended {
            answered: self.release.as_ref().and(self.status),
            status: self.status,
            reason: self.reason,
        };
        let erred = part.has_erred(&ended);
        if let Some((arm, split)) = part.arm().zip(app.split.as_ref()) {
            let took = clock::lately().saturating_sub(self.received);
            let counted = Counted {
                unit: part.unit(),
                received: self.received,
                took: took.saturating_sub(self.held),
                erred,
            };
            split.tally.count(self.worker.index, arm, &counted);
        }
        if erred && let Some(story) = part.story() {
            self.worker.teller.tell(|| story.mishap(app, &part, &ended));
        }
    }

    /// The app answers.
    pub(crate) fn answered(&mut self, lease: &Lease, status: StatusCode) {
        if let Some(admitted) = &mut self.admitted {
            admitted.answered(clock::now());
        }
        self.release = Some(lease.release().clone());
        self.status = Some(status);
        if lease.tunnel.get() {
            // How long it stays open says nothing of the app.
            self.settle();
        }
    }

    /// We answer.
    pub(crate) fn refused(&mut self, reason: Reason) {
        self.status = Some(reason.status());
        self.reason = Some(reason.word());
        if let (Reason::Shed(shed), Some(routed)) = (reason, &self.routed) {
            routed.app().counters.of(self.worker.index).shed(shed);
        }
    }

    /// An answer of ours that is no refusal.
    pub(crate) fn told(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// It ended without the app's answer, and not through its client.
    pub(crate) fn lost(&mut self, loss: Loss) {
        self.stumbled(loss);
        if let Some(routed) = &self.routed {
            routed.app().counters.of(self.worker.index).lose(loss);
        }
    }

    /// Octets went to an instance a second time.
    pub(crate) fn retried(&mut self, loss: Loss) {
        self.stumbled(loss);
        if let Some(routed) = &self.routed {
            routed.app().counters.of(self.worker.index).retried.add(1);
        }
    }

    /// Whether the retry budget has room for one more; if so, it is spent.
    pub(crate) fn spend_retry(&self) -> bool {
        let Some(routed) = &self.routed else {
            return false;
        };
        let credit = &routed.app().counters.of(self.worker.index).retry_credit;
        let room = credit.read() + RETRY_GRACE >= RETRY_COST;
        if room {
            credit.sub(RETRY_COST.min(credit.read()));
        }
        room
    }

    pub(crate) fn sent(&mut self, octets: usize) {
        self.sent_bytes += octets as u64;
    }
}

/// A retry costs what five requests earn: at most 20 % of requests are tried again, so that retries are no storm.
const RETRY_COST: u64 = 5;
/// What can be saved up: a killed app leaves as many to be tried again as it was serving.
const RETRY_CREDIT_MAX: u64 = 20_000;
/// An app that has just begun may retry too.
const RETRY_GRACE: u64 = 5;

impl Drop for Account {
    fn drop(&mut self) {
        self.settle();
        let took = clock::lately().saturating_sub(self.received);
        if let (Some(release), Some(status)) = (&self.release, self.status) {
            let cells = release.counters.of(self.worker.index);
            let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
            cells.answers[class].add(1);
            cells.seconds.record(took.saturating_sub(self.held));
        }
        if let Some(line) = &self.line {
            let ended = Ended {
                app: self.routed.as_ref().map(|routed| &routed.app().name),
                release: self.release.as_ref().map(|live| &live.release.id),
                status: self.status,
                reason: self.reason,
                took,
                held: self.held,
                bytes: self.sent_bytes,
            };
            self.worker.book.write(line, &ended);
        }
    }
}
