//! Faults F1 to F27: each is caused in a real daemon by at least one test, whose name begins with its number. `PROMISES.md`
//! has them in a table, with what is not quite what it should be.
//!
//! Before each fault it is written down what the daemon has (`Before`), and at the end of each a fresh request works and it
//! has no more than then.

mod able;
mod certificates;
mod clients;
mod commands;
mod control;
mod crashes;
mod disk;
mod ending;
mod logs;
mod names;
mod network;
mod releases;
mod shim;
mod signals;
mod system;
mod upgrades;
mod vanishing;

use able::{able, able_by_kernel};
use ending::Before;
use holdfast_load::toxic::{End, Slicer, ToxicProxy, Toxics};

use crate::daemon::Daemon;

/// A daemon whose only app is reached through a toxic proxy, with these keys in its configuration.
async fn behind(toxic: &ToxicProxy, keys: &str) -> Daemon {
    at(toxic.address(), keys).await
}

/// A daemon whose only app is at this address, with these keys in its configuration.
async fn at(address: std::net::SocketAddr, keys: &str) -> Daemon {
    let upstream = format!("--upstream={address}");
    Daemon::start(&[&upstream], &config(keys)).await
}

/// A configuration of one app with these keys, or tables, in it. The listener is not used.
fn config(keys: &str) -> String {
    format!("[[listen]]\naddress = \"127.0.0.1:1\"\n[app.default]\n{keys}\n")
}
