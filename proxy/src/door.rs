//! door: it is open, or the request waits its turn.

use std::net::IpAddr;

use http::Method;
use swap_core::{Cause, Methods};
use swap_gate::{Admission, Arrival, Arrived, Reason};

use crate::account::Account;
use crate::clock;
use crate::exchange::Exchange;
use crate::table::{App, Door};

/// The admission of a request that has waited.
pub(crate) type Admitted = Admission<Cause>;
/// A place at the door.
pub(crate) type Ticket = swap_gate::Ticket<Cause>;

/// What the door says.
pub(crate) enum Entry {
    Open,
    Wait(Ticket),
    Refused(Reason),
    /// The health check of an outer balancer, which must not take the app away for being held.
    HeldProbe,
}

/// Asks the door. To be called after the table was read and before the gate is entered: see `swap-gate`. Who was let
/// go need not wait again, unless the door has been shut since.
pub(crate) fn enter(app: &App, exchange: &Exchange, account: &mut Account) -> Entry {
    if let Some(called_off) = account.take_called_off() {
        return entry(called_off.wait_again(clock::now()));
    }
    let method = Methods::one(exchange.head.method.as_str()).bits();
    if account.is_admitted() || app.door.shut_for() & method == 0 {
        return Entry::Open;
    }
    if is_probe(app, exchange) && !app.door.counts(clock::now()).given_up {
        return Entry::HeldProbe;
    }
    entry(app.door.arrive(arrival(exchange), clock::now()))
}

/// Brings a request back that found nobody behind the gate of the publish numbered `epoch`. The second value: it was this one that
/// shut the door.
pub(crate) fn come_back(
    door: &std::sync::Arc<Door>,
    admitted: Option<Admitted>,
    epoch: u64,
    exchange: &Exchange,
) -> (Entry, bool) {
    let now = clock::now();
    let back = match admitted {
        Some(admitted) => admitted.come_back(Cause::Down, epoch, now),
        None => door.come_back(Cause::Down, epoch, arrival(exchange), now),
    };
    (entry(back.arrived), back.shut)
}

fn entry(arrived: Arrived<Cause>) -> Entry {
    match arrived {
        Arrived::Pass => Entry::Open,
        Arrived::Wait(ticket) => Entry::Wait(ticket),
        Arrived::Shed(reason) => Entry::Refused(reason),
    }
}

fn is_probe(app: &App, exchange: &Exchange) -> bool {
    let config = &app.settings.config;
    config.hold.answer_probes
        && matches!(exchange.head.method, Method::GET | Method::HEAD)
        && exchange.head.uri.path() == config.probe.path
}

fn arrival(exchange: &Exchange) -> Arrival {
    Arrival {
        method: Methods::one(exchange.head.method.as_str()).bits(),
        client: share_of(exchange.origin.client),
        bytes: exchange.head_bytes(),
    }
}

/// Whose share a client takes: an IPv4 address, or an IPv6 network of 64 bits.
pub(crate) fn share_of(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}
