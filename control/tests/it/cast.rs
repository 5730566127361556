//! Who plays in the tests: a daemon without a data plane, apps, and clients.

mod app;
mod client;
mod daemon;
mod plane;

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) use app::App;
pub(crate) use client::{Client, Stream};
pub(crate) use daemon::{Daemon, Place, config, config_of};
pub(crate) use plane::{Call, FakePlane};

/// Whatever is waited for comes within this, or never.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `is_so`.
///
/// # Panics
///
/// If it is not so in time.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether this machine can do what a test needs. If not, says that the test was skipped, which `HOLDFAST_TEST_ALL=1`
/// forbids.
pub(crate) fn able(to: &str, is_able: bool) -> bool {
    if !is_able {
        let all = std::env::var("HOLDFAST_TEST_ALL").is_ok_and(|all| all == "1");
        assert!(!all, "this machine cannot {to}");
        println!("skipped: this machine cannot {to}");
    }
    is_able
}

/// The same for what takes namespaces and mounts. Where the kernel refuses those, as in a plain container, nobody can help
/// it: the test is left out in any case. A program that is missing can be installed.
pub(crate) fn able_by_kernel(to: &str, is_able: bool) -> bool {
    if !is_able && is_refused() {
        println!("skipped: the kernel refuses namespaces here, so nobody can {to}");
        return false;
    }
    able(to, is_able)
}

/// Whether it refuses them all.
fn is_refused() -> bool {
    static REFUSED: OnceLock<bool> = OnceLock::new();
    *REFUSED.get_or_init(|| {
        let tried = Command::new("unshare").args(["-mn", "true"]).status();
        tried.is_ok_and(|status| !status.success())
    })
}
