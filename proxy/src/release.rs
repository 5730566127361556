//! A release as requests meet it: its gate, its instances, and what ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering::{self, Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use http::HeaderValue;
use swap_core::{Address, GateId, Release};
use swap_gate::{Class, Gate};
use tokio_util::sync::CancellationToken;

use crate::counters::{Cell, PerWorker, ReleaseCells};

/// A release behind one gate. A publish makes a new one, even of the same release: a closed gate never opens again.
#[derive(Debug)]
pub(crate) struct LiveRelease {
    /// Unique in this process: the key of upstream pools, so that a new release at an old address never meets an old
    /// connection.
    pub(crate) uid: u64,
    pub(crate) release: Release,
    pub(crate) gate_id: GateId,
    /// What `X-Release` says.
    pub(crate) header: HeaderValue,
    /// Counts the requests that run.
    pub(crate) gate: Gate,
    /// Counts the upstream connections, idle ones too.
    pub(crate) links: Gate,
    /// Ends every upstream connection, and with them the requests on them.
    cut: CancellationToken,
    /// It does: to be asked with one load, where the token has a lock.
    being_cut: AtomicBool,
    /// Ends the tunnels.
    pub(crate) cut_tunnels: CancellationToken,
    /// Other clients wait for its end: whatever is cut ends at once.
    pub(crate) hurried: AtomicBool,
    pub(crate) instances: Box<[Instance]>,
    pub(crate) counters: Arc<PerWorker<ReleaseCells>>,
}

impl LiveRelease {
    pub(crate) fn new(
        release: Release,
        gate_id: GateId,
        workers: usize,
        counters: Arc<PerWorker<ReleaseCells>>,
    ) -> Self {
        static UID: AtomicU64 = AtomicU64::new(1);
        let cut = CancellationToken::new();
        Self {
            uid: UID.fetch_add(1, Relaxed),
            header: header_value(release.id.as_str()),
            instances: release
                .instances
                .iter()
                .map(|at| Instance::new(at.clone(), workers))
                .collect(),
            release,
            gate_id,
            gate: Gate::new(workers),
            links: Gate::new(workers),
            cut_tunnels: cut.child_token(),
            cut,
            being_cut: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            counters,
        }
    }
}

impl LiveRelease {
    /// From now on its connections end.
    pub(crate) fn cut_all(&self) {
        // First: whoever is woken has to find it so.
        self.being_cut.store(true, Ordering::Release);
        self.cut.cancel();
    }

    /// Resolves when one of its connections is to end.
    pub(crate) async fn cut(&self) {
        self.cut.cancelled().await;
        self.wait_for_its_moment().await;
    }

    /// Whether its connections are to end, each at its moment.
    pub(crate) fn is_being_cut(&self) -> bool {
        self.being_cut.load(Acquire)
    }

    /// Resolves when one of its tunnels is to end.
    pub(crate) async fn tunnels_cut(&self) {
        self.cut_tunnels.cancelled().await;
        self.wait_for_its_moment().await;
    }

    /// Whoever is cut comes back at once: not all in the same moment.
    async fn wait_for_its_moment(&self) {
        if !self.hurried.load(Relaxed) {
            tokio::time::sleep(SPREAD.mul_f64(fastrand::f64())).await;
        }
    }
}

/// Over so long the ends of what is cut are spread. Below the time that the swap waits for them to be counted.
const SPREAD: Duration = Duration::from_secs(3);

/// A release id consists of visible ASCII (`ReleaseId` checks it), so the fallback is never taken.
fn header_value(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

/// One address of a release.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) address: Address,
    /// What probes say.
    healthy: AtomicBool,
    /// Until when it gets no traffic while others can, because it refused a connect; since the origin, in ms.
    ejected_until_ms: AtomicU64,
    /// When it last took a connect; since the origin, in ms.
    taken_ms: AtomicU64,
    in_flight: PerWorker<Cell>,
}

/// For how long an instance that refused a connect is passed over.
const EJECTION: Duration = Duration::from_secs(1);

impl Instance {
    fn new(address: Address, workers: usize) -> Self {
        Self {
            address,
            healthy: AtomicBool::new(true),
            ejected_until_ms: AtomicU64::new(0),
            taken_ms: AtomicU64::new(0),
            in_flight: PerWorker::new(workers),
        }
    }

    /// Whether it should get traffic while others can.
    pub(crate) fn is_up(&self, now: Duration) -> bool {
        self.healthy.load(Relaxed) && self.ejected_until_ms.load(Relaxed) <= millis(now)
    }

    pub(crate) fn mark(&self, healthy: bool) {
        self.healthy.store(healthy, Relaxed);
    }

    /// It refused a connect.
    pub(crate) fn eject(&self, now: Duration) {
        self.ejected_until_ms.store(millis(now + EJECTION), Relaxed);
    }

    /// It took a connect.
    pub(crate) fn reinstate(&self, now: Duration) {
        self.taken_ms.store(millis(now), Relaxed);
        if self.ejected_until_ms.load(Relaxed) != 0 {
            self.ejected_until_ms.store(0, Relaxed);
        }
    }

    /// Whether it has taken a connect since then.
    pub(crate) fn has_taken_one_since(&self, then: Duration) -> bool {
        self.taken_ms.load(Relaxed) > millis(then)
    }

    pub(crate) fn in_flight(&self, worker: usize) -> &Cell {
        self.in_flight.of(worker)
    }

    pub(crate) fn in_flight_total(&self) -> u64 {
        self.in_flight.iter().map(Cell::read).sum()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The class of a method: safe as RFC 9110, 9.2.1 has it, or not.
pub(crate) fn class(method: &http::Method) -> Class {
    if method.is_safe() {
        Class::Safe
    } else {
        Class::Unsafe
    }
}
