//! Rollouts that are made up: clients, their requests, and what two releases make of them.

use swap_judge::{Arm, Look};

/// How a release behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// The chance that a request fails.
    pub(crate) errors: f64,
    /// How many times as long requests take.
    pub(crate) slower: f64,
    /// The same for one of twenty requests only, those that take longest anyway.
    pub(crate) tail: f64,
}

impl Release {
    /// Fails so often, and is as fast as any.
    pub(crate) const fn failing(errors: f64) -> Self {
        Self {
            errors,
            slower: 1.0,
            tail: 1.0,
        }
    }
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// Each request is its own.
    Plain,
    /// Ten requests a client; half of the errors are of clients who meet nothing else, and clients are slow or fast.
    Sessions,
    /// The same, and one client makes 30 % of the traffic.
    Heavy,
    /// Now and then nearly everything fails and is slow, in both arms.
    Outages,
}

/// A kind of rollout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) canary: Release,
    pub(crate) control: Release,
    pub(crate) crowd: Crowd,
    /// Bits of the bitmaps; None draws each request by itself.
    pub(crate) slots: Option<u64>,
    /// Whether times are looked at.
    pub(crate) times: bool,
    /// Requests of both arms together in a step.
    pub(crate) requests: usize,
}

const REQUESTS_A_CLIENT: usize = 10;
/// An outage lasts so many requests …
const OUTAGE: usize = 200;
/// … and begins after so many in the mean.
const BETWEEN_OUTAGES: usize = 1500;

/// One step of a rollout, request by request.
pub(crate) struct Step<'a> {
    kind: Kind,
    paces: &'a Paces,
    random: fastrand::Rng,
    clients: Vec<Client>,
    bits: [Vec<bool>; 4],
    outage: usize,
    pub(crate) look: Look,
}

#[derive(Clone, Copy)]
struct Client {
    is_canary: bool,
    slot: usize,
    fails_always: bool,
    slower: f64,
}

impl<'a> Step<'a> {
    pub(crate) fn new(kind: Kind, paces: &'a Paces, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let slots = usize::try_from(kind.slots.unwrap_or(0)).unwrap_or(0);
        let clients = match kind.crowd {
            Crowd::Plain | Crowd::Outages if kind.slots.is_none() => 0,
            Crowd::Plain | Crowd::Outages | Crowd::Sessions | Crowd::Heavy => {
                kind.requests / REQUESTS_A_CLIENT
            }
        };
        let client = |_| Client::drawn(&kind, slots, &mut random);
        let clients = (0..clients).map(client).collect();
        let look = Look {
            slots: kind.slots,
            ..Look::default()
        };
        Self {
            kind,
            paces,
            clients,
            bits: std::array::from_fn(|_| vec![false; slots]),
            outage: 0,
            look,
            random,
        }
    }

    /// One request more, in either arm. True if it was the canary's.
    pub(crate) fn request(&mut self) -> bool {
        let client = self.client();
        let sticks = self.kind.slots.is_some();
        let is_canary = match client {
            Some(client) if sticks => client.is_canary,
            Some(_) | None => self.random.bool(),
        };
        let is_out = self.is_out();
        let release = if is_canary {
            self.kind.canary
        } else {
            self.kind.control
        };
        let failed = self.fails(release, client, is_out);
        let us = self.kind.times.then(|| self.time(release, client, is_out));
        self.count(is_canary, client.filter(|_| sticks), failed, us);
        is_canary
    }

    fn client(&mut self) -> Option<Client> {
        let drawn = self.random.usize(..self.clients.len().max(1));
        let heavy = self.kind.crowd == Crowd::Heavy && self.random.f64() < 0.3;
        self.clients.get(if heavy { 0 } else { drawn }).copied()
    }

    fn is_out(&mut self) -> bool {
        if self.kind.crowd != Crowd::Outages {
            return false;
        }
        if self.outage == 0 && self.random.usize(..BETWEEN_OUTAGES) == 0 {
            self.outage = OUTAGE;
        }
        self.outage = self.outage.saturating_sub(1);
        self.outage > 0
    }

    fn fails(&mut self, release: Release, client: Option<Client>, is_out: bool) -> bool {
        let clients = matches!(self.kind.crowd, Crowd::Sessions | Crowd::Heavy);
        // Half of the errors are with those clients who meet nothing else: they are half of the base rate.
        let base = self.kind.control.errors / 2.0;
        let own = if clients {
            (release.errors - base) / (1.0 - base)
        } else {
            release.errors
        };
        let always = clients && client.is_some_and(|client| client.fails_always);
        let chance = if is_out { 0.9 } else { own };
        always || self.random.f64() < chance
    }

    fn time(&mut self, release: Release, client: Option<Client>, is_out: bool) -> u64 {
        let place = self.random.usize(..Paces::DRAWN);
        let mut factor = release.slower * client.map_or(1.0, |client| client.slower);
        if place >= Paces::DRAWN / 20 * 19 {
            factor *= release.tail;
        }
        if is_out {
            factor *= 10.0;
        }
        (self.paces.0[place] * factor) as u64
    }

    fn count(&mut self, is_canary: bool, client: Option<Client>, failed: bool, us: Option<u64>) {
        let [seen, erred] = if is_canary { [0, 1] } else { [2, 3] };
        let arm = if is_canary {
            &mut self.look.canary
        } else {
            &mut self.look.control
        };
        let mut first = |bits: usize| {
            client.is_none_or(|client| !std::mem::replace(&mut self.bits[bits][client.slot], true))
        };
        let is_new = first(seen);
        count(arm, failed, is_new, failed && first(erred));
        if let Some(us) = us.filter(|_| is_new) {
            arm.times.record(us);
        }
    }
}

fn count(arm: &mut Arm, failed: bool, is_new: bool, errs_first: bool) {
    arm.requests += 1;
    arm.errors += u64::from(failed);
    arm.units += u64::from(is_new);
    arm.erred += u64::from(errs_first);
}

impl Client {
    fn drawn(kind: &Kind, slots: usize, random: &mut fastrand::Rng) -> Self {
        let spread = matches!(kind.crowd, Crowd::Sessions | Crowd::Heavy);
        Self {
            is_canary: random.bool(),
            slot: random.usize(..slots.max(1)),
            fails_always: random.f64() < kind.control.errors / 2.0,
            slower: if spread {
                0.5 + 1.5 * random.f64()
            } else {
                1.0
            },
        }
    }
}

/// Times in microseconds to draw from, in order: log-normal, with a median of 50 ms and a p99 of 160 ms.
pub(crate) struct Paces(Vec<f64>);

impl Paces {
    const DRAWN: usize = 1 << 14;

    pub(crate) fn new() -> Self {
        let part = |place: usize| (place as f64 + 0.5) / Self::DRAWN as f64;
        let time = |place: usize| 50_000.0 * (0.5 * normal_quantile(part(place))).exp();
        Self((0..Self::DRAWN).map(time).collect())
    }
}

/// By halving the distribution function.
pub(crate) fn normal_quantile(part: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if normal(middle) < part {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The normal distribution function (Abramowitz & Stegun 26.2.17; exact to 1e-7).
fn normal(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - normal(-z);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let row = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let sum = row.iter().rev().fold(0.0, |sum, factor| t * (factor + sum));
    1.0 - (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum
}
