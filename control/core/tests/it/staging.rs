//! A release can be probed and kept ready, and promoted later by its id.

use swap_core::{Event, Promote};

use crate::cast::*;
use crate::play::Play;

fn staged() -> Play {
    let mut play = Play::live();
    play.tell(stage("s", "b"));
    play.tell(probe_passed(1));
    play
}

#[test]
fn a_release_that_passes_is_kept_ready_without_traffic() {
    let mut play = Play::live();
    assert_eq!(play.tell(stage("s", "b")), ["s is booting", "probe 1: b"]);
    assert_eq!(play.tell(probe_passed(1)), ["s ends done"]);
    assert_eq!(play.app.staged(), [release("b")]);
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn it_is_promoted_by_its_id() {
    let mut play = staged();
    assert_eq!(
        play.tell(promote_by_id("p", "b")),
        ["p is booting", "probe 2: b"]
    );
    play.tell(probe_passed(2));
    assert_eq!(play.app.live(), Some(&release("b")));
    assert!(play.app.staged().is_empty(), "it is live now");
}

#[test]
fn one_that_does_not_pass_is_not_staged() {
    let mut play = Play::live();
    play.tell(stage("s", "b"));
    play.tell(probe_failed(1, "refused"));
    assert_eq!(
        play.wait(LIMITS.boot),
        [
            "stop probe 1",
            "s ends failed: b was not ready after 1m: refused"
        ]
    );
    assert!(play.app.staged().is_empty());
}

#[test]
fn staged_comes_before_previous_and_live_when_an_id_is_looked_up() {
    let mut play = Play::after_a_swap();
    let moved = |release: &str| {
        let Event::Stage(stage) = stage("s", release) else {
            unreachable!("stage makes a stage")
        };
        Event::Stage(swap_core::Stage {
            instances: vec![elsewhere()],
            ..stage
        })
    };
    play.tell(moved("a"));
    play.tell(probe_passed(2));
    assert_eq!(
        play.tell(promote_by_id("p", "a")),
        ["p is booting", "probe 3: a at 127.0.0.1:4000"]
    );
}

#[test]
fn staging_it_again_moves_it() {
    let mut play = staged();
    let Event::Stage(again) = stage("t", "b") else {
        unreachable!("stage makes a stage")
    };
    play.tell(Event::Stage(swap_core::Stage {
        instances: vec![elsewhere()],
        ..again
    }));
    play.tell(probe_passed(2));
    assert_eq!(play.app.staged().len(), 1);
    assert_eq!(play.app.staged()[0].instances, [elsewhere()]);
}

#[test]
fn unstage_forgets_it() {
    let mut play = staged();
    assert_eq!(play.ask(unstage("b")), "done: b is no longer staged");
    assert_eq!(play.ask(unstage("b")), "refused: b is not staged");
    assert_eq!(
        play.ask(promote_by_id("p", "b")),
        "refused: release b is not known here: it is neither staged nor the previous one, \
         and no --instance was given"
    );
}

#[test]
fn a_promote_under_way_does_not_mind_an_unstage() {
    let mut play = staged();
    play.tell(promote_by_id("p", "b"));
    play.tell(unstage("b"));
    play.tell(probe_passed(2));
    assert_eq!(play.app.live(), Some(&release("b")));
}

#[test]
fn an_empty_app_can_be_staged_for() {
    let mut play = Play::empty();
    play.tell(stage("s", "a"));
    play.tell(probe_passed(1));
    assert_eq!(play.ask(promote_by_id("p", "a")), "begun p");
}

#[test]
fn one_operation_at_a_time() {
    let mut play = Play::live();
    play.tell(stage("s", "b"));
    assert_eq!(
        play.ask(promote("p", "c")),
        "refused: operation s (stage b) is under way"
    );
    play.tell(probe_passed(1));
    play.tell(Event::Promote(Promote {
        command: true,
        ..holding("p", "c")
    }));
    assert_eq!(
        play.ask(stage("t", "d")),
        "refused: operation p (promote c) is under way"
    );
}

#[test]
fn there_is_place_for_sixteen() {
    let mut play = Play::live();
    let stage_nth = |n: usize| {
        let Event::Stage(stage) = stage(&format!("s{n}"), "b") else {
            unreachable!("stage makes a stage")
        };
        Event::Stage(swap_core::Stage {
            release: id(&format!("r{n}")),
            ..stage
        })
    };
    for n in 0..16 {
        play.tell(stage_nth(n));
        play.tell(probe_passed(n as u64 + 1));
    }
    assert_eq!(play.app.staged().len(), 16);
    assert_eq!(
        play.ask(stage_nth(16)),
        "refused: 16 releases are staged already: unstage one first"
    );
}
