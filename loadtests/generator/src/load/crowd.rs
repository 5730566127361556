//! The clients, all on one thread: what they share, and how a request of theirs goes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, Request};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::connection::{Connection, Failed};
use super::exchange::{Ask, judge, template};
use super::names::Names;
use super::outgoing::Outgoing;
use super::plan::{Mix, Plan};
use super::pool::{Manner, Pool};
use super::tally::Tally;
use crate::clock::Moment;
use crate::run::{Ending, Kind, Loss, Pause, Protocol, Record, Tunnel};

/// How often a request is tried again that was not sent.
const TRIES: usize = 5;

/// What the clients share.
pub(crate) struct Crowd {
    pub(crate) plan: Plan,
    /// What the scheduled requests are now.
    pub(crate) mix: Cell<Mix>,
    /// The number of the first request since it was changed.
    mixed_from: Cell<u64>,
    pub(crate) prefix: String,
    pub(crate) pool: Pool,
    pub(crate) names: Names,
    pub(crate) random: RefCell<fastrand::Rng>,
    pub(crate) template: HeaderMap,
    pub(crate) tunnels: RefCell<Vec<Tunnel>>,
    /// Scheduled requests that have not ended, by number.
    pub(crate) under_way: RefCell<BTreeMap<u64, UnderWay>>,
    /// Streams that were sent again because they had not been processed.
    pub(crate) unprocessed: Cell<u64>,
    pub(crate) pauses: RefCell<Vec<Pause>>,
    tally: Arc<Tally>,
    records: RefCell<Vec<Record>>,
    next_number: Cell<u64>,
    over: watch::Receiver<bool>,
}

/// A scheduled request that has not ended.
pub(crate) struct UnderWay {
    pub(crate) task: AbortHandle,
    /// Makes its connection end with a reset; none while it has no connection.
    pub(crate) abrupt: Option<Arc<AtomicBool>>,
}

/// A request that is not recorded yet. If it is dropped before it has ended, its client has left.
pub(crate) struct Pending {
    crowd: Rc<Crowd>,
    pub(crate) number: u64,
    kind: Kind,
    pub(crate) protocol: Protocol,
    fresh: bool,
    intended: Moment,
    sent: Cell<Option<Moment>>,
    ending: Option<Ending>,
}

impl Crowd {
    pub(crate) fn new(
        plan: Plan,
        prefix: String,
        tally: Arc<Tally>,
        over: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        Ok(Self {
            pool: Pool::new(&plan)?,
            names: Names::default(),
            random: RefCell::new(fastrand::Rng::with_seed(plan.seed)),
            template: template(&plan.host),
            tunnels: RefCell::default(),
            under_way: RefCell::default(),
            records: RefCell::default(),
            next_number: Cell::default(),
            mix: Cell::new(plan.mix),
            mixed_from: Cell::default(),
            plan,
            prefix,
            unprocessed: Cell::default(),
            pauses: RefCell::default(),
            tally,
            over,
        })
    }

    /// A request begins, or should have, at `intended`.
    pub(crate) fn begin(self: &Rc<Self>, kind: Kind, fresh: bool, intended: Moment) -> Pending {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.tally.started();
        Pending {
            crowd: self.clone(),
            number,
            kind,
            protocol: self.protocol(),
            fresh,
            intended,
            sent: Cell::default(),
            ending: None,
        }
    }

    /// What the next client speaks.
    fn protocol(&self) -> Protocol {
        let Mix { http2, tls, .. } = self.mix.get();
        let mut random = self.random.borrow_mut();
        let mut lot = |share: f64| share > 0.0 && random.f64() < share;
        Protocol {
            http2: lot(http2),
            tls: self.plan.secure.is_some() && lot(tls),
        }
    }

    /// What the client of this number speaks, of those who are too few to draw lots: the shares are met by every handful.
    pub(crate) fn protocol_of(&self, number: usize) -> Protocol {
        let Mix { http2, tls, .. } = self.mix.get();
        Protocol {
            http2: is_due(number, http2),
            tls: self.plan.secure.is_some() && is_due(number / 2, tls),
        }
    }

    /// From now on scheduled requests are these.
    pub(crate) fn change(&self, mix: Mix) {
        self.mix.set(mix);
        self.mixed_from.set(self.next_number.get());
    }

    /// Scheduled requests under way that began before the mix was changed.
    pub(crate) fn older_than_mix(&self) -> usize {
        let under_way = self.under_way.borrow();
        under_way.range(..self.mixed_from.get()).count()
    }

    /// What to ask for in this request.
    pub(crate) fn ask(&self, pending: &Pending) -> Ask {
        let mut random = self.random.borrow_mut();
        let plan = &self.plan;
        let (size, chunked) = match pending.kind {
            Kind::Post => {
                let chunked = random.f64() < self.mix.get().chunked;
                (within(&mut random, &plan.upload), chunked)
            }
            Kind::Upload => (random.usize(16 << 10..=64 << 10), random.bool()),
            Kind::Download => (random.usize(16 << 10..=64 << 10), false),
            Kind::LargeUpload => (random.usize(2 << 20..=6 << 20), random.bool()),
            Kind::LargeDownload => (random.usize(2 << 20..=6 << 20), false),
            Kind::Watched => (64, false),
            Kind::Get | Kind::Slow | Kind::Streamed => (within(&mut random, &plan.download), false),
            Kind::Tunnel => (0, false),
        };
        Ask {
            id: format!("{}-{}", self.prefix, pending.number),
            kind: pending.kind,
            size,
            chunked,
            slowness_ms: plan.slowness.as_millis(),
            seed: random.u64(..),
        }
    }

    /// Carries one scheduled request out.
    pub(crate) async fn serve(self: Rc<Self>, pending: Pending) {
        let ending = timeout(self.plan.timeout, self.ending_of(&pending)).await;
        pending.end(ending.unwrap_or(Ending::Lost(Loss::Timeout)));
    }

    async fn ending_of(&self, pending: &Pending) -> Ending {
        let _place = self.pool.place().await;
        let ask = self.ask(pending);
        let (mut request, expected) = ask.request(&self.template);
        for attempt in 0..TRIES {
            // Whoever finds a kept connection closed takes a new one: the others may be closed too.
            let mut connection = match self.connection(pending, attempt == 0).await {
                Ok(connection) => connection,
                Err(loss) => return Ending::Lost(loss),
            };
            pending.sending(&connection);
            match connection.send(request).await {
                Ok(response) => {
                    let verdict = judge(response, &expected, &self.names).await;
                    if verdict.keep && !pending.fresh {
                        self.pool.put_back(connection);
                    }
                    return verdict.ending;
                }
                Err(Failed::Unsent(unsent)) => request = *unsent,
                Err(Failed::Unprocessed) => request = self.again(&ask),
                Err(Failed::Lost(loss)) => return Ending::Lost(loss),
            }
        }
        Ending::Lost(Loss::Closed)
    }

    async fn connection(&self, pending: &Pending, kept: bool) -> Result<Connection, Loss> {
        if pending.fresh || !kept {
            self.pool.open(pending.manner()).await
        } else {
            self.pool.kept(pending.protocol).await
        }
    }

    /// The same request, of which the other side has processed nothing.
    pub(crate) fn again(&self, ask: &Ask) -> Request<Outgoing> {
        self.unprocessed.set(self.unprocessed.get() + 1);
        ask.request(&self.template).0
    }

    /// Makes clients leave whose requests are under way, those who have waited longest first; every second one with a
    /// reset. Says how many did.
    pub(crate) fn leave(&self, count: usize) -> usize {
        let under_way = self.under_way.borrow();
        let sent = under_way
            .values()
            .filter_map(|it| Some((&it.task, it.abrupt.as_ref()?)));
        let mut left = 0;
        for (task, abrupt) in sent.take(count) {
            abrupt.store(left % 2 == 1, Ordering::Relaxed);
            task.abort();
            left += 1;
        }
        left
    }

    /// Returns when the load is over. Cancel-safe.
    pub(crate) async fn over(&self) {
        let mut over = self.over.clone();
        // An error means that the load is gone.
        let _ = over.wait_for(|over| *over).await;
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Returns after a while, or when the load is over.
    pub(crate) async fn pause(&self, while_ms: RangeInclusive<u64>) {
        let ms = self.random.borrow_mut().u64(while_ms);
        let _ = timeout(Duration::from_millis(ms), self.over()).await;
    }

    /// All records, by number.
    pub(crate) fn take_records(&self) -> Vec<Record> {
        let mut records = self.records.take();
        records.sort_unstable_by_key(|record| record.number);
        records
    }
}

/// Whether this one has it, where this share of all have, spread evenly.
fn is_due(number: usize, share: f64) -> bool {
    let until = |number: usize| (number as f64 * share).floor();
    until(number + 1) > until(number)
}

fn within(random: &mut fastrand::Rng, range: &RangeInclusive<usize>) -> usize {
    random.usize(*range.start()..=*range.end().max(range.start()))
}

impl Pending {
    /// It is handed to this connection now.
    pub(crate) fn sending(&self, connection: &Connection) {
        self.sent.set(Some(Moment::now()));
        if let Some(under_way) = self.crowd.under_way.borrow_mut().get_mut(&self.number) {
            under_way.abrupt = Some(connection.abrupt().unwrap_or_default());
        }
    }

    /// How its connection is to be.
    pub(crate) fn manner(&self) -> Manner {
        Manner {
            protocol: self.protocol,
            ..Manner::default()
        }
    }

    /// It has ended.
    pub(crate) fn end(mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let crowd = &self.crowd;
        crowd.under_way.borrow_mut().remove(&self.number);
        let record = Record {
            number: self.number,
            kind: self.kind,
            protocol: self.protocol,
            fresh: self.fresh,
            intended: self.intended,
            sent: self.sent.get(),
            ended: Moment::now(),
            ending: self.ending.take().unwrap_or(Ending::Left),
        };
        crowd.tally.ended(&record);
        crowd.records.borrow_mut().push(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handful_meets_its_share() {
        let due = |share: f64| [0, 1, 2, 3].map(|number| is_due(number, share));
        assert_eq!(due(0.0), [false; 4]);
        assert_eq!(due(0.5), [false, true, false, true]);
        assert_eq!(due(0.25), [false, false, false, true]);
        assert_eq!(due(1.0), [true; 4]);
    }
}
