//! Somebody pauses a canary, takes it on, or takes it back; nothing else begins meanwhile.

use swap_core::{CanaryPlan, Event, HoldCommand, OnFail, Verdict};

use super::{begun, half_way, watched};
use crate::cast::*;
use crate::play::Play;

fn frozen_plan() -> CanaryPlan {
    CanaryPlan {
        on_fail: OnFail::Freeze,
        ..plan()
    }
}

#[test]
fn one_that_shall_freeze_keeps_its_share_until_somebody_decides() {
    let mut play = begun(frozen_plan());
    assert_eq!(play.judge(Verdict::Fail, "worse"), ["p is paused"]);
    assert_eq!(
        play.state(),
        "canary, live a, next b at 5 % (worse), p runs"
    );
    assert_eq!(play.app.blocked(), None);
    assert!(play.wait(seconds(100_000)).is_empty());
    assert!(play.judge(Verdict::Pass, "as good").is_empty());
    assert_eq!(
        play.tell(Event::Resume),
        [
            "publish 3: beside it b behind gate 2; p.2 draws canary 0..5 b, control 95..100 live; \
             staff b, opt-in",
            "p is canary"
        ],
        "what was counted is counted anew"
    );
    assert_eq!(play.app.deadline(), Some(play.now + seconds(540)));
}

#[test]
fn it_can_be_paused_and_goes_on() {
    let mut play = half_way();
    assert_eq!(
        play.ask(pause()),
        "done: paused at 50 %: `resume` goes on, `advance` takes the next step, `abort` goes back"
    );
    assert_eq!(
        play.ask(pause()),
        "refused: it is paused already: paused by uid 0"
    );
    play.wait(seconds(60));
    assert!(play.judge(Verdict::Pass, "as good").is_empty());
    assert_eq!(play.ask(Event::Resume), "done: the rollout goes on");
    play.wait(seconds(59));
    assert!(play.judge(Verdict::Pass, "as good").is_empty());
    play.wait(seconds(1));
    assert!(!play.judge(Verdict::Pass, "as good").is_empty());
}

#[test]
fn a_no_takes_it_back_while_it_is_paused_too() {
    let mut play = half_way();
    play.tell(pause());
    play.judge(Verdict::Fail, "worse");
    assert_eq!(play.state(), "canary, live a, p runs");
}

#[test]
fn it_can_be_advanced_through_all_of_its_stages() {
    let mut play = begun(smoked_plan());
    let said: Vec<_> = (0..6).map(|_| play.ask(advance())).collect();
    assert_eq!(
        said,
        [
            "done: from the smoke tests to 5 %, as uid 0 says",
            "done: from 5 % to 50 %, as uid 0 says",
            "done: from 50 % to the smoke tests at 100 %, as uid 0 says",
            "done: from the smoke tests at 100 % to 100 %, as uid 0 says",
            "done: from 100 % to the watch, as uid 0 says",
            "done: from the watch to the end, as uid 0 says",
        ]
    );
    assert_eq!(play.state(), "draining, live b, p runs");
    assert_eq!(play.ask(advance()), "refused: no canary is under way");
    assert_eq!(play.ask(pause()), "refused: no canary is under way");
}

#[test]
fn who_advances_a_paused_one_lets_it_go_on() {
    let mut play = begun(frozen_plan());
    play.judge(Verdict::Fail, "worse");
    play.tell(advance());
    assert_eq!(play.state(), "canary, live a, next b at 50 %, p runs");
    assert!(play.app.deadline().is_some());
}

#[test]
fn it_can_be_aborted_in_every_stage() {
    let smoking = begun(smoked_plan());
    let mut paused = half_way();
    paused.tell(pause());
    for mut play in [smoking, begun(plan()), half_way(), paused, watched()] {
        assert_eq!(play.ask(Event::Abort), "done: aborted");
        assert_eq!(
            play.ask(Event::Abort),
            "refused: the old release is coming back already"
        );
        assert_eq!(play.tell(gate_empty(2)), ["p ends aborted: aborted"]);
        assert_eq!(play.state(), "steady, live a");
    }
}

#[test]
fn while_it_is_under_way_nothing_else_begins() {
    let mut play = half_way();
    let busy = "refused: operation p (promote b) is under way: `abort` takes the canary back";
    for event in [
        promote("q", "c"),
        rollback("q"),
        hold("q"),
        stage("q", "c"),
        experiment("q", &[("one", "a", 50), ("two", "a", 50)]),
    ] {
        assert_eq!(play.ask(event), busy);
    }
    play.tell(Event::Abort);
    assert_eq!(
        play.ask(rollback("q")),
        "refused: operation p (promote b) is under way"
    );
}

#[test]
fn who_waits_at_a_held_door_comes_before_a_rollout_that_is_paused() {
    let mut play = Play::live();
    play.tell(Event::Hold(HoldCommand {
        timeout: Some(seconds(10_000)),
        ..match hold("h") {
            Event::Hold(ask) => ask,
            _ => unreachable!("hold makes a hold"),
        }
    }));
    play.tell(gate_empty(1));
    play.tell(promote_canary("p", "b"));
    play.tell(probe_passed(1));
    play.tell(pause());
    assert_eq!(
        play.ask(Event::Resume),
        "done: released; the canary is still paused: `resume` once more lets it go on"
    );
    assert_eq!(play.ask(Event::Resume), "done: the rollout goes on");
}
