//! Joins what the clients saw with what reached the apps. Neither side alone can tell a lost request from one that was
//! carried out twice.

mod judge;
mod reigns;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use reigns::Reigns;

use crate::ledger::Ledger;
use crate::run::{Run, TunnelEnd};

/// What a load has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// Requests in all.
    pub sent: u64,
    /// Answered by the app: whole, verified, and with a line in the ledger.
    pub answered: u64,
    /// The same, by release.
    pub by_release: BTreeMap<String, u64>,
    /// The same, by what it was spoken in.
    pub by_protocol: BTreeMap<String, u64>,
    /// Answered by the app, by status, where that is not 200 or 101.
    pub by_status: BTreeMap<u16, u64>,
    /// Answered by the proxy, by its reason.
    pub refused: BTreeMap<String, u64>,
    /// Those of them that should say when to come back (503), and do not.
    pub without_retry_after: u64,
    /// Their clients left, as told.
    pub left: u64,
    /// Lost, by cause.
    pub lost: BTreeMap<String, u64>,
    /// What is known of some of those that are lost.
    pub lost_examples: Vec<String>,
    /// Numbers of requests that must not be sent twice (POST) and reached an app more than once.
    pub doubled: Vec<u64>,
    /// Streams of HTTP/2 that the proxy said it had not processed; each was sent again.
    pub unprocessed: u64,
    /// Requests that may be sent twice and were.
    pub repeated: u64,
    /// Numbers of requests that reached a release while it was not to get any.
    pub wrong_release: Vec<u64>,
    /// Numbers of requests that the app is said to have answered, which it does not know.
    pub unknown_to_app: Vec<u64>,
    /// Numbers of requests that a hold refused and that reached an app all the same.
    pub refused_but_arrived: Vec<u64>,
    /// Numbers of requests whose clients had left and that reached an app afterwards.
    pub left_but_arrived: Vec<u64>,
    /// Requests in the ledger that the app got with `X-Held-Ms`.
    pub held: u64,
    /// The longest of them, as the proxy said.
    #[serde(serialize_with = "as_micros", rename = "longest_hold_us")]
    pub longest_hold: Duration,
    /// By how much a held request reached the app later than one that had been sent after it, at worst: zero if the
    /// order was kept.
    #[serde(serialize_with = "as_micros", rename = "worst_overtaking_us")]
    pub worst_overtaking: Duration,
    /// The same of the moments at which the proxy let them go, as it says: what the app's own queue adds is not in it.
    #[serde(serialize_with = "as_micros", rename = "worst_let_go_overtaking_us")]
    pub worst_let_go_overtaking: Duration,
    /// From the first arrival to the last of those who were held together, at longest.
    #[serde(serialize_with = "as_micros", rename = "longest_release_us")]
    pub longest_release: Duration,
    /// Idle connections that were closed without a word.
    pub unannounced_closes: u64,
    /// Tunnels, by how they ended.
    pub tunnels: BTreeMap<TunnelEnd, u64>,
    /// Frames that came back through them.
    pub echoes: u64,
    /// How long requests took to get from their intended start to a connection: the clients' own delay, in the middle.
    #[serde(serialize_with = "as_micros", rename = "client_delay_p50_us")]
    pub client_delay_p50: Duration,
    /// The same, for one in a hundred.
    #[serde(serialize_with = "as_micros", rename = "client_delay_p99_us")]
    pub client_delay_p99: Duration,
}

impl Findings {
    /// What this load has found, given which releases were to get requests when.
    pub fn of(run: &Run, ledger: &Ledger, reigns: &Reigns) -> Self {
        judge::judge(run, ledger, reigns)
    }

    /// Requests lost, in all.
    pub fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Requests that the proxy answered, in all.
    pub fn refused(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Tunnels that ended otherwise than by their client.
    pub fn tunnels_ended_by_others(&self) -> u64 {
        let others = self
            .tunnels
            .iter()
            .filter(|(end, _)| **end != TunnelEnd::ByClient);
        others.map(|(_, count)| count).sum()
    }
}

fn as_micros<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u128(duration.as_micros())
}
