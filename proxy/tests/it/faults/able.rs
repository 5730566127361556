//! What a machine must be able to do for a test, and mostly only root may.

use std::process::Command;
use std::sync::OnceLock;

/// If it is not able, says that the test is left out, which `HOLDFAST_TEST_ALL=1` forbids.
pub(super) fn able(to: &str, is_able: bool) -> bool {
    if !is_able {
        let all = std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1");
        assert!(!all, "this machine cannot {to}");
        eprintln!("skipped: this machine cannot {to}");
    }
    is_able
}

/// The same for what takes namespaces and mounts. Where the kernel refuses those, as in a plain container, nobody can help
/// it: the test is left out in any case. A program that is missing can be installed.
pub(super) fn able_by_kernel(to: &str, is_able: bool) -> bool {
    if !is_able && is_refused() {
        eprintln!("skipped: the kernel refuses namespaces here, so nobody can {to}");
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
