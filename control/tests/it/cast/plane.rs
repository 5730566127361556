//! A data plane that writes down what it is told, and answers as an idle one would, unless it is busy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};

use holdfast_control::plane::{
    Arms, Connecting, DataPlane, Signal, Signaller, Signals, Traffic, connect_plain, signals,
};
use swap_core::{
    Address, AppName, ArmName, Cause, GateId, Generation, Methods, Release, Share, Split,
};
use swap_judge::{Arm, bucket};

/// Something that it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Hold(Cause, Methods),
    Publish(Generation, GateId, Option<Release>),
    Close(GateId),
    Cut(GateId),
    Release,
    GiveUp,
    Mark(Address, bool),
    Split(Generation, Option<Split>),
}

pub(crate) struct FakePlane {
    signaller: Signaller,
    calls: Mutex<Vec<(AppName, Call)>>,
    /// Closed gates that are not empty.
    running: Mutex<Vec<(AppName, GateId)>>,
    /// Requests behind a gate that is closed do not end by themselves.
    busy: AtomicBool,
    traffic: Mutex<Traffic>,
    /// What each arm of a split that has it is told to have counted.
    counted: Mutex<BTreeMap<String, Arm>>,
}

impl FakePlane {
    pub(crate) fn new() -> (std::sync::Arc<Self>, Signals) {
        let (signaller, signals) = signals();
        let plane = Self {
            signaller,
            calls: Mutex::default(),
            running: Mutex::default(),
            busy: AtomicBool::new(false),
            traffic: Mutex::default(),
            counted: Mutex::default(),
        };
        (std::sync::Arc::new(plane), signals)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(_, call)| call.clone()).collect()
    }

    pub(crate) fn calls_of(&self, app: &str) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        let of = calls.iter().filter(|(name, _)| name.as_str() == app);
        of.map(|(_, call)| call.clone()).collect()
    }

    /// The ids of the releases that were published for this app, in order.
    pub(crate) fn published(&self, app: &str) -> Vec<Option<String>> {
        let calls = self.calls_of(app).into_iter();
        let published = calls.filter_map(|call| match call {
            Call::Publish(_, _, live) => Some(live.map(|live| live.id.to_string())),
            _ => None,
        });
        published.collect()
    }

    pub(crate) fn generations(&self, app: &str) -> Vec<u64> {
        let calls = self.calls_of(app).into_iter();
        let published = calls.filter_map(|call| match call {
            Call::Publish(generation, ..) => Some(generation.0),
            _ => None,
        });
        published.collect()
    }

    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, SeqCst);
    }

    /// What runs behind closed gates ends.
    pub(crate) fn end_running(&self) {
        for (app, gate) in std::mem::take(&mut *self.running.lock().unwrap()) {
            self.signaller.send(Signal::GateEmpty(app, gate));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.signaller.send(signal);
    }

    pub(crate) fn last_gate(&self, app: &str) -> GateId {
        let gates = self.calls_of(app).into_iter();
        let mut gates = gates.filter_map(|call| match call {
            Call::Publish(_, gate, _) => Some(gate),
            _ => None,
        });
        gates.next_back().unwrap()
    }

    /// The counters, to be set.
    pub(crate) fn counters(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap()
    }

    /// From now on every round of an arm has counted so much, at once.
    pub(crate) fn count(&self, arm: &str, requests: u64, errors: u64) {
        let counted = Arm {
            requests,
            errors,
            units: requests,
            erred: errors,
            times: [(bucket(12_000), 100)].into_iter().collect(),
        };
        self.counted.lock().unwrap().insert(arm.to_owned(), counted);
    }

    /// The splits that were published for this app, in order.
    pub(crate) fn splits(&self, app: &str) -> Vec<Option<Split>> {
        let calls = self.calls_of(app).into_iter();
        let splits = calls.filter_map(|call| match call {
            Call::Split(_, split) => Some(split),
            _ => None,
        });
        splits.collect()
    }

    /// The shares that the canary had, in per cent; 0 where everybody had the live release.
    pub(crate) fn shares(&self, app: &str) -> Vec<String> {
        let share = |split: Option<Split>| {
            let slices = split.into_iter().flat_map(|split| split.slices);
            let mut canary = slices.filter(|slice| slice.arm.as_str() == "canary");
            let width = canary.next().map_or(0, |slice| {
                slice.to.as_millionths() - slice.from.as_millionths()
            });
            Share::millionths(width).to_string()
        };
        self.splits(app).into_iter().map(share).collect()
    }

    fn note(&self, app: &AppName, call: Call) {
        self.calls.lock().unwrap().push((app.clone(), call));
    }
}

impl DataPlane for FakePlane {
    fn hold(&self, app: &AppName, cause: Cause, methods: Methods) {
        self.note(app, Call::Hold(cause, methods));
        let hold = &mut self.counters().hold;
        if !hold.active {
            *hold = Default::default();
            hold.number += 1;
            hold.active = true;
        }
        hold.cause = Some(cause);
    }

    fn publish(&self, app: &AppName, generation: Generation, gate: GateId, live: Option<Release>) {
        self.note(app, Call::Publish(generation, gate, live));
    }

    fn split(&self, app: &AppName, generation: Generation, split: Option<Split>) {
        self.note(app, Call::Split(generation, split));
    }

    fn arms(&self, app: &AppName) -> Option<Arms> {
        let split = self.splits(app.as_str()).pop()??;
        let counted = self.counted.lock().unwrap();
        let arm = |name: &ArmName| counted.get(name.as_str()).cloned().unwrap_or_default();
        let arms = split.slices.iter();
        let arms = arms.map(|slice| (slice.arm.clone(), arm(&slice.arm)));
        Some(Arms {
            key: split.key.clone(),
            round: split.round,
            slots: None,
            arms: arms.collect(),
        })
    }

    fn close(&self, app: &AppName, gate: GateId, _: Methods, _: bool) {
        self.note(app, Call::Close(gate));
        if self.busy.load(SeqCst) {
            self.running.lock().unwrap().push((app.clone(), gate));
        } else {
            self.signaller.send(Signal::GateEmpty(app.clone(), gate));
        }
    }

    fn connect(&self, _: &AppName, instance: &Address) -> Connecting {
        connect_plain(instance)
    }

    fn cut(&self, app: &AppName, gate: GateId) {
        self.note(app, Call::Cut(gate));
        self.counters().cut += 1;
        self.signaller.send(Signal::GateEmpty(app.clone(), gate));
    }

    fn release(&self, app: &AppName) {
        self.note(app, Call::Release);
        self.counters().hold.active = false;
        self.signaller.send(Signal::DoorOpen(app.clone()));
    }

    fn give_up(&self, app: &AppName) {
        self.note(app, Call::GiveUp);
    }

    fn mark(&self, app: &AppName, instance: &Address, healthy: bool) {
        self.note(app, Call::Mark(instance.clone(), healthy));
    }

    fn traffic(&self, _: &AppName) -> Traffic {
        self.counters().clone()
    }
}
