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

use crate::app::App;
use crate::client::{Client, until};
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

/// A client that has asked for this and not read its answer.
async fn asking(daemon: &Daemon, target: &str) -> Client {
    let mut client = daemon.client().await;
    let ask = format!("GET {target} HTTP/1.1\r\nHost: x.test\r\n\r\n");
    client.say(ask).await;
    client
}

/// Waits until the app has been asked for so many things.
async fn asked(app: &App, count: usize) {
    let what = format!("{count} requests at the app");
    until(&what, async || app.targets().len() == count).await;
}
