//! The data plane, as the control plane sees it.
//!
//! Everything here returns at once and cannot fail: what can fail is journalled before. What takes time is reported
//! back as a [`Signal`].

mod mishaps;

use std::io;
use std::pin::Pin;

use swap_core::{
    Address, AppName, ArmName, Cause, GateId, Generation, Methods, Release, ReleaseId, Split,
};
use swap_judge::Arm;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

pub use mishaps::{Mishaps, Teller, mishaps};

use crate::wire::Shed;

/// A connection to an instance.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection that is being made.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Connects in plain.
pub fn connect_plain(instance: &Address) -> Connecting {
    let instance = instance.clone();
    Box::pin(async move {
        Ok(match instance {
            Address::Tcp(address) => {
                Box::new(TcpStream::connect(address).await?) as Box<dyn Stream>
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    })
}

/// What the driver asks of the data plane.
pub trait DataPlane: Send + Sync + 'static {
    /// Shut the app's door for these methods. Requests that come from now on wait; on a door that is already shut only
    /// cause and methods change.
    fn hold(&self, app: &AppName, cause: Cause, methods: Methods);

    /// Make `live` what every later request of the app meets, behind a fresh gate, or behind that of the release beside it
    /// that it was till now. Visible when this returns.
    fn publish(&self, app: &AppName, generation: Generation, gate: GateId, live: Option<Release>);

    /// Let the clients of these slices meet the releases beside the live one, which stays as it is; none: let everybody
    /// meet the live one. A release that was beside it behind the same gate stays, with its connections; so do the arms'
    /// counters, unless key or round are others. Visible when this returns.
    fn split(&self, app: &AppName, generation: Generation, split: Option<Split>);

    /// Close the gate. `Signal::GateEmpty` follows once no request of the classes that `methods` belong to runs behind
    /// it and every worker has closed its idle connections to its release. Closing twice is fine.
    fn close(&self, app: &AppName, gate: GateId, methods: Methods, tunnels_too: bool);

    /// End what still runs behind a closed gate. `Signal::GateEmpty` follows.
    fn cut(&self, app: &AppName, gate: GateId);

    /// Let the held requests go at a pace that grows. `Signal::DoorOpen` follows, at once if nobody waits.
    fn release(&self, app: &AppName);

    /// Refuse new arrivals at once; those who wait run into their own limit.
    fn give_up(&self, app: &AppName);

    /// What probes say of an instance of the live release: whether it should get traffic while others can.
    fn mark(&self, app: &AppName, instance: &Address, healthy: bool);

    /// Connects to an instance, as a request of the app would: over TLS, where that is asked for.
    fn connect(&self, app: &AppName, instance: &Address) -> Connecting;

    /// What has been counted for the app since the process began, and what the hold looks like now.
    fn traffic(&self, app: &AppName) -> Traffic;

    /// What the arms of the split that is published now have counted.
    fn arms(&self, app: &AppName) -> Option<Arms>;

    /// Of that, the number of requests: asked for every app each second.
    fn requests(&self, app: &AppName) -> u64 {
        self.traffic(app).requests
    }
}

/// What has been counted since the arms' counters began.
#[derive(Clone, Debug, PartialEq)]
pub struct Arms {
    /// The split's.
    pub key: String,
    /// The split's.
    pub round: u64,
    /// Bits of each arm's bitmaps of clients; none: each request is drawn for itself.
    pub slots: Option<u64>,
    /// In the order of the split's slices.
    pub arms: Vec<(ArmName, Arm)>,
}

/// An error of a release beside the live one, as whoever looks on is told of it. It has no query and no cookies.
#[derive(Clone, Debug, PartialEq)]
pub struct Mishap {
    /// Which app.
    pub app: AppName,
    /// In which arm; none: who always sees the next release.
    pub arm: Option<ArmName>,
    /// Of which release.
    pub release: ReleaseId,
    /// At which instance, if one was chosen.
    pub instance: Option<Address>,
    /// What was asked.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What the app answered, if it did.
    pub status: Option<u16>,
    /// Why it did not: `connect_refused`.
    pub reason: Option<&'static str>,
    /// `X-Request-Id`
    pub request_id: String,
}

/// What the data plane reports by itself. A signal is a state, not a message: it may be seen twice, never missed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// A closed gate has nothing behind it any more.
    GateEmpty(AppName, GateId),
    /// The queue behind a released door is empty.
    DoorOpen(AppName),
    /// No instance behind this gate can be reached; the door has shut itself with cause `down`.
    LiveDown(AppName, GateId),
}

/// Where signals come from: one reader, the driver.
#[derive(Debug)]
pub struct Signals {
    shared: std::sync::Arc<Shared>,
}

/// Where signals are put. Cheap to clone; never blocks; bounded, because equal signals are one.
#[derive(Clone, Debug)]
pub struct Signaller {
    shared: std::sync::Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: std::sync::Mutex<std::collections::BTreeSet<Signal>>,
    changed: tokio::sync::Notify,
}

impl Shared {
    fn pending(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeSet<Signal>> {
        self.pending
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A connected pair.
pub fn signals() -> (Signaller, Signals) {
    let shared = std::sync::Arc::<Shared>::default();
    (
        Signaller {
            shared: shared.clone(),
        },
        Signals { shared },
    )
}

impl Signaller {
    /// Reports `signal`.
    pub fn send(&self, signal: Signal) {
        self.shared.pending().insert(signal);
        self.shared.changed.notify_one();
    }
}

impl Signals {
    /// The next signal. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        loop {
            if let Some(signal) = self.shared.pending().pop_first() {
                return signal;
            }
            self.shared.changed.notified().await;
        }
    }
}

/// What the data plane has counted for an app. Counters only grow; `hold` is the current or last hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Requests that were routed to the app.
    pub requests: u64,
    /// Requests running now, on any release.
    pub in_flight: u64,
    /// The instances of the live release and how many requests run on each, and whether it is `up`.
    pub instances: Vec<(Address, bool, u64)>,
    /// The hold, now or last.
    pub hold: HoldCounts,
    /// Requests tried again after bytes had left.
    pub retried: u64,
    /// Requests that ended behind a closed gate by themselves.
    pub drained: u64,
    /// Requests ended by the drain timeout.
    pub cut: u64,
    /// Accepted requests that ended without the app's answer and without their client leaving.
    pub lost: u64,
    /// Closed gates that are not empty yet: the release, requests running, seconds since the close.
    pub draining: Vec<(Release, u64, std::time::Duration)>,
}

/// One hold, from the moment the door was shut. `held = released + abandoned + shed.timeout + waiting`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HoldCounts {
    /// Number of the hold; grows with each time the door is shut from open. Zero: never held.
    pub number: u64,
    /// Whether the door is shut now (held or releasing).
    pub active: bool,
    /// Whether the hold has given up.
    pub given_up: bool,
    /// Why, while active.
    pub cause: Option<Cause>,
    /// Which methods.
    pub methods: Option<Methods>,
    /// Requests held so far; one that is held twice counts once.
    pub held: u64,
    /// Waiting now.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// How long the oldest has waited.
    pub oldest: std::time::Duration,
    /// The most that waited at once.
    pub held_peak: u64,
    /// The longest wait so far.
    pub longest: std::time::Duration,
    /// Went on to the app.
    pub released: u64,
    /// Left by themselves.
    pub abandoned: u64,
    /// Refused.
    pub shed: Shed,
}
