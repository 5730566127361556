//! What a machine must be able to do for a test, and mostly only root may.

/// If it is not able, says that the test is left out, which `HOLDFAST_TEST_ALL=1` forbids.
pub(super) fn able(to: &str, is_able: bool) -> bool {
    if !is_able {
        let all = std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1");
        assert!(!all, "this machine cannot {to}");
        eprintln!("skipped: this machine cannot {to}");
    }
    is_able
}
