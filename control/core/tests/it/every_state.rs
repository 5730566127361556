//! Every state that a small world can get into, by breadth-first search, and what must hold in each.
//!
//! States count as the same when only numbers that are never used again (gates, rounds, operations, generations) or
//! moments that have no effect any more differ: the search then ends, with nothing left out.

mod finding_out;
mod search;

use swap_core::Methods;

use crate::world::{Canary, Scope};

use search::{all_endings, explore};

fn everything(releases: &'static [&'static str]) -> Scope {
    Scope {
        releases,
        commands: &[false, true],
        holds: &[Methods::ALL, Methods::WRITES],
        stages: true,
        previews: false,
        canaries: &[],
        steered: false,
        experiments: false,
        down: true,
        crash: true,
        ticks: true,
        unjournalled: true,
        gates_max: 2,
    }
}

#[test]
fn swaps_holds_and_outages_keep_every_promise_in_every_state() {
    let scope = Scope {
        stages: false,
        gates_max: 1,
        ..everything(&["a", "b"])
    };
    let search =
        explore("swaps, holds, outages", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
    assert_eq!(
        all_endings(&search),
        [
            "hold Done",
            "hold Failed",
            "hold Aborted",
            "hold Interrupted",
            "promote Done",
            "promote AlreadyLive",
            "promote Failed",
            "promote Aborted",
            "promote Interrupted",
            "rollback Done",
            "rollback Failed",
            "rollback Aborted",
            "rollback Interrupted",
        ]
    );
}

#[test]
fn gates_that_empty_late_keep_every_promise_in_every_state() {
    let scope = Scope {
        stages: false,
        down: false,
        ticks: false,
        unjournalled: false,
        ..everything(&["a", "b"])
    };
    explore("two gates at once", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
}

#[test]
fn stages_keep_every_promise_in_every_state() {
    let scope = Scope {
        commands: &[],
        holds: &[],
        down: false,
        ..everything(&["a", "b"])
    };
    let search = explore("stages", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
    let stages: Vec<_> = all_endings(&search)
        .into_iter()
        .filter(|ending| ending.starts_with("stage"))
        .collect();
    assert_eq!(
        stages,
        [
            "stage Done",
            "stage Failed",
            "stage Aborted",
            "stage Interrupted"
        ]
    );
}

/// Canaries as people have them: judged, smoked, frozen, steered.
fn canaries() -> Scope {
    Scope {
        commands: &[],
        holds: &[],
        stages: false,
        canaries: &[Canary::Judged, Canary::Frozen, Canary::Smoked],
        steered: true,
        down: false,
        ticks: false,
        gates_max: 1,
        ..everything(&["a", "b"])
    }
}

/// A staged release that is seen, while somebody holds, and while it is a canary.
fn previews() -> Scope {
    Scope {
        releases: &["b"],
        commands: &[true],
        stages: true,
        previews: true,
        canaries: &[Canary::Judged],
        steered: false,
        unjournalled: false,
        ..canaries()
    }
}

/// Staged releases that are seen, and compared.
fn experiments() -> Scope {
    Scope {
        stages: true,
        previews: true,
        experiments: true,
        canaries: &[],
        steered: false,
        ..canaries()
    }
}

#[test]
fn canaries_keep_every_promise_in_every_state() {
    let search = explore("canaries", &canaries(), |_| {}).unwrap_or_else(|story| panic!("{story}"));
    assert_eq!(
        all_endings(&search),
        [
            "promote Done",
            "promote AlreadyLive",
            "promote Failed",
            "promote Aborted",
            "promote RolledBack",
            "promote Interrupted",
            "rollback Done",
            "rollback Failed",
            "rollback Aborted",
            "rollback Interrupted",
        ]
    );
    let seen: Vec<_> = search.seen.iter().map(String::as_str).collect();
    assert_eq!(
        seen,
        [
            "Smoking",
            "Smoking, paused",
            "SmokingAll",
            "SmokingAll, paused",
            "Step(0)",
            "Step(0), paused",
            "Step(1)",
            "Step(1), paused",
            "Watching",
            "Watching, paused",
        ]
    );
}

#[test]
fn previews_keep_every_promise_in_every_state() {
    let search = explore("previews", &previews(), |_| {}).unwrap_or_else(|story| panic!("{story}"));
    assert!(search.seen.contains("preview"));
    assert!(search.seen.contains("Watching"));
}

#[test]
fn experiments_keep_every_promise_in_every_state() {
    let search =
        explore("experiments", &experiments(), |_| {}).unwrap_or_else(|story| panic!("{story}"));
    let seen: Vec<_> = search.seen.iter().map(String::as_str).collect();
    assert_eq!(seen, ["experiment", "preview"]);
}

#[test]
#[ignore = "takes minutes: cargo test --release -p swap-core --test it -- --ignored --nocapture"]
fn everything_at_once_keeps_every_promise_in_every_state() {
    let scope = everything(&["a", "b"]);
    explore("everything", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
}
