//! What has happened in a run, and what of it must not have: every request from its first octet to its end, wherever it
//! arrived, and the first promise that was broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use simulation::trace::Trace;
use tokio::time::Instant;

use crate::gates::Gates;

/// So long may a request be under way, whatever happens: waits, tries and drains together.
const REQUEST_MAX_MS: u64 = 240_000;
/// Who came so much earlier and was held too is not overtaken by so much.
const OVERTAKEN_MS: u64 = 100;

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) step: u64,
    pub(crate) words: String,
}

/// One request, by the number that it has in its id.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) sent_ms: u64,
    /// Its head may have come much later than its first octet.
    slow: bool,
    pub(crate) arrivals: u32,
    pub(crate) end: Option<End>,
}

/// How a request ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a whole answer: the app's, or one of Holdfast's, with its reason.
    Answered(u16, Option<String>),
    /// With a connection that broke.
    Broke,
    /// Its client did not wait for it.
    Left,
    /// The daemon was killed.
    Killed,
}

/// A request that an instance has read and not yet answered.
pub(crate) struct Running {
    pub(crate) instance: usize,
    pub(crate) sent_ms: u64,
    pub(crate) arrived_ms: u64,
}

/// What has happened in a run.
pub(crate) struct Book {
    pub(crate) trace: Trace,
    pub(crate) step: u64,
    pub(crate) broken: Option<Broken>,
    /// How often what happened.
    pub(crate) tally: BTreeMap<String, u64>,
    /// Each state that was seen, as a number.
    pub(crate) states: BTreeSet<u64>,
    pub(crate) requests: Vec<Request>,
    pub(crate) running: BTreeMap<u64, Running>,
    pub(crate) gates: Gates,
    /// When an instance was last out of order: whoever meets that may lose its turn.
    pub(crate) fault_ms: u64,
    /// Those that were held, in the order of their arrival: when they were sent, and when they arrived.
    held: Vec<(u64, u64)>,
    next_running: u64,
    /// The first request that this process of the daemon has met.
    pub(crate) first_of_life: usize,
    /// Before this process of the daemon.
    before: Duration,
    began: Option<Instant>,
}

/// The book, as everybody writes into it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Book>>);

impl Shared {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Book {
            trace: Trace::default(),
            step: 0,
            broken: None,
            tally: BTreeMap::new(),
            states: BTreeSet::new(),
            requests: Vec::new(),
            running: BTreeMap::new(),
            gates: Gates::default(),
            fault_ms: 0,
            held: Vec::new(),
            next_running: 0,
            first_of_life: 0,
            before: Duration::ZERO,
            began: None,
        })))
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This happened. What happens with the same words is counted together; what more there is to say stands in the trace.
    pub(crate) fn tell(&self, what: &str, more: &str) {
        let mut book = self.book();
        *book.tally.entry(what.to_owned()).or_default() += 1;
        let now = book.now_ms();
        book.trace.tell(format!("{now:>7} ms  {what} {more}"));
    }

    pub(crate) fn must(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.book().must(holds, otherwise);
    }
}

impl Book {
    /// Since the run began, in time that is made up.
    pub(crate) fn now_ms(&self) -> u64 {
        let life = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        u64::try_from((self.before + life).as_millis()).unwrap_or(u64::MAX)
    }

    /// The first one counts.
    pub(crate) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if holds || self.broken.is_some() {
            return;
        }
        let (step, words) = (self.step, otherwise());
        self.trace.tell(format!("BROKEN: {words}"));
        self.broken = Some(Broken { step, words });
    }

    /// A process of the daemon begins.
    pub(crate) fn begin_life(&mut self) {
        self.began = Some(Instant::now());
        self.first_of_life = self.requests.len();
        let now = self.now_ms();
        self.gates.begin_life(now);
    }

    /// It ends, and every connection with it.
    pub(crate) fn end_life(&mut self) {
        self.before = Duration::from_millis(self.now_ms());
        self.began = None;
        self.running.clear();
        self.held.clear();
        let open = self
            .requests
            .iter_mut()
            .filter(|request| request.end.is_none());
        open.for_each(|request| request.end = Some(End::Killed));
    }

    pub(crate) fn send(&mut self, method: &'static str, slow: bool) -> usize {
        let sent_ms = self.now_ms();
        self.requests.push(Request {
            method,
            sent_ms,
            slow,
            arrivals: 0,
            end: None,
        });
        self.requests.len() - 1
    }

    /// An instance has read the head of a request.
    pub(crate) fn arrive(&mut self, number: usize, instance: usize, was_held: bool) -> u64 {
        let now = self.now_ms();
        let Some(request) = self.requests.get_mut(number) else {
            self.must(false, || format!("request {number} was never sent"));
            return 0;
        };
        request.arrivals += 1;
        let (method, sent, arrivals) = (request.method, request.sent_ms, request.arrivals);
        self.must(arrivals == 1 || method != "POST", || {
            format!("I2: POST {number} reached an app {arrivals} times")
        });
        let found = self.gates.may_arrive(instance, method, sent, now);
        self.must(found.is_ok(), || {
            format!(
                "{} ({method} {number} at instance {instance})",
                found.unwrap_err()
            )
        });
        if was_held && arrivals == 1 && !self.requests[number].slow {
            self.keeps_its_turn(number, sent, now);
        }
        self.next_running += 1;
        let running = Running {
            instance,
            sent_ms: sent,
            arrived_ms: now,
        };
        self.running.insert(self.next_running, running);
        self.next_running
    }

    /// I4: whoever came first goes first, unless something was out of order meanwhile.
    fn keeps_its_turn(&mut self, number: usize, sent: u64, now: u64) {
        if self.fault_ms + 1000 < sent {
            let overtook = |(other, arrived): &&(u64, u64)| {
                *other > sent + 5 && arrived + OVERTAKEN_MS < now && *arrived > sent
            };
            let other = self.held.iter().find(overtook).copied();
            self.must(other.is_none(), || {
                format!("I4: request {number}, sent at {sent} ms, was overtaken by {other:?}")
            });
        }
        self.held.push((sent, now));
    }

    /// A request has ended for its client.
    pub(crate) fn end(&mut self, number: usize, end: End) {
        let arrivals = self.requests[number].arrivals;
        self.must(arrivals > 0 || end != End::Broke, || {
            format!("I1: request {number} reached no app and got no answer")
        });
        let before = self.requests[number].end.replace(end);
        self.must(before.is_none(), || {
            format!("I1: request {number} ended twice, first with {before:?}")
        });
    }

    /// I9: what runs on an instance, runs behind a gate that has not ended.
    pub(crate) fn nobody_runs_behind_ended_gates(&mut self) {
        let gates = &self.gates;
        let forgotten = self.running.values().find(|running| {
            let (instance, sent, arrived) = (running.instance, running.sent_ms, running.arrived_ms);
            !gates.may_run(instance, sent, arrived)
        });
        let words = forgotten.map(|running| {
            let (instance, arrived) = (running.instance, running.arrived_ms);
            format!(
                "I9: what arrived at instance {instance} at {arrived} ms runs behind an ended gate"
            )
        });
        self.must(words.is_none(), || words.unwrap_or_default());
    }

    /// I1, as far as it can be seen before the end.
    pub(crate) fn nobody_waits_for_ever(&mut self) {
        let now = self.now_ms();
        let open = self.requests.iter().enumerate();
        let late = open
            .filter(|(_, request)| request.end.is_none())
            .find(|(_, request)| request.sent_ms + REQUEST_MAX_MS < now);
        let words = late.map(|(number, request)| {
            format!(
                "I1: {} {number} of {} ms has no end",
                request.method, request.sent_ms
            )
        });
        self.must(words.is_none(), || words.unwrap_or_default());
    }
}
