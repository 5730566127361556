//! A canary gets a growing share of the clients, is judged, and takes over or is taken back.

use swap_core::{
    CanaryPlan, Event, GateId, HoldCommand, OnFail, OnQuiet, Outcome, Promote, RolloutStage,
    Verdict,
};

use crate::cast::*;
use crate::play::Play;

/// `b` is ready, and its canary begins: as operation `p`.
fn begun(plan: CanaryPlan) -> Play {
    begun_in(Play::live(), plan)
}

fn begun_in(mut play: Play, plan: CanaryPlan) -> Play {
    play.tell(Event::Promote(canary("p", "b", plan)));
    let probe = play.app.saved().gate.0; // as many rounds as gates, in these stories
    play.tell(probe_passed(probe));
    assert!(play.app.rollout().is_some(), "{}", play.state());
    play
}

/// It has 50 %.
fn half_way() -> Play {
    let mut play = begun(plan());
    play.wait(seconds(60));
    play.judge(Verdict::Pass, "as good");
    play
}

/// Everybody has it, and it is watched.
fn watched() -> Play {
    let mut play = half_way();
    for _ in 0..2 {
        play.wait(seconds(60));
        play.judge(Verdict::Pass, "as good");
    }
    play
}

fn frozen_plan() -> CanaryPlan {
    CanaryPlan {
        on_fail: OnFail::Freeze,
        ..plan()
    }
}

#[test]
fn a_good_canary_gets_step_after_step_and_takes_over() {
    let mut play = Play::live();
    assert_eq!(
        play.tell(promote_canary("p", "b")),
        ["p is booting", "probe 1: b"]
    );
    assert_eq!(
        play.tell(probe_passed(1)),
        [
            "publish 2: beside it b behind gate 2; p.1 draws canary 0..5 b, control 95..100 live; \
             staff b, opt-in",
            "p is canary"
        ]
    );
    play.wait(seconds(60));
    assert_eq!(
        play.judge(Verdict::Pass, "as good"),
        [
            "publish 3: beside it b behind gate 2; p.2 draws canary 0..50 b, control 50..100 live; \
             staff b, opt-in",
            "p is canary"
        ]
    );
    play.wait(seconds(60));
    assert_eq!(
        play.judge(Verdict::Pass, "as good"),
        [
            "publish 4: beside it b behind gate 2; p.3 draws canary 0..100 b; staff b, opt-in",
            "p is canary"
        ]
    );
    play.wait(seconds(60));
    assert_eq!(
        play.judge(Verdict::Pass, "as good"),
        [
            "publish 5: beside it b behind gate 2; p.4 draws canary 0..100 b; staff b, opt-in",
            "p is watching"
        ]
    );
    assert_eq!(play.state(), "canary, live a, next b watching, p runs");
    play.wait(seconds(300));
    assert_eq!(
        play.judge(Verdict::Pass, "as good"),
        [
            "publish 6: b behind gate 2",
            "close gate 1 for all",
            "publish 7: nothing beside it",
            "release",
            "p is swapped",
            "p is draining"
        ]
    );
    play.tell(Event::DoorOpen);
    assert_eq!(play.tell(gate_empty(1)), ["p ends done"]);
    assert_eq!(play.state(), "steady, live b");
    assert_eq!(play.app.gate(), GateId(2), "whoever was on it stays");
    assert_eq!(play.app.previous(), Some(&release("a")));
}

#[test]
fn a_step_takes_its_time_however_good_it_looks() {
    let mut play = begun(plan());
    play.wait(seconds(59));
    assert!(play.judge(Verdict::Pass, "as good").is_empty());
    play.wait(seconds(1));
    assert!(!play.judge(Verdict::Pass, "as good").is_empty());
}

#[test]
fn time_alone_takes_it_nowhere() {
    let mut play = begun(plan());
    assert!(play.wait(seconds(500)).is_empty());
    assert_eq!(play.state(), "canary, live a, next b at 5 %, p runs");
}

#[test]
fn a_no_takes_it_back_at_once_and_blocks() {
    let mut play = half_way();
    assert_eq!(
        play.judge(Verdict::Fail, "37 of 410 failed"),
        [
            "p is withdrawing",
            "publish 4: nothing beside it",
            "close gate 2 for all"
        ]
    );
    assert_eq!(play.state(), "canary, live a, p runs");
    assert_eq!(
        play.ask(promote("q", "c")),
        "refused: promotes are blocked by the judge of operation p: 37 of 410 failed"
    );
    assert_eq!(
        play.tell(gate_empty(2)),
        ["p ends rolled back: 37 of 410 failed"]
    );
    assert_eq!(play.ending().outcome, Outcome::RolledBack);
    play.tell(Event::Unblock);
    assert_eq!(play.ask(promote("q", "c")), "begun q");
}

#[test]
fn a_no_counts_in_the_watch_too() {
    let mut play = watched();
    assert_eq!(
        play.judge(Verdict::Fail, "worse")[..2],
        ["p is withdrawing", "publish 6: nothing beside it"]
    );
}

#[test]
fn what_runs_on_a_canary_that_is_taken_back_is_cut_when_it_has_drained_for_long_enough() {
    let mut play = half_way();
    play.judge(Verdict::Fail, "worse");
    assert_eq!(play.wait(LIMITS.drain), ["cut gate 2"]);
    assert_eq!(play.wait(seconds(5)), ["p ends rolled back: worse"]);
}

#[test]
fn what_runs_on_the_live_release_is_not_waited_for() {
    let mut play = Play::live();
    play.tell(hold("h"));
    play.tell(Event::Resume);
    play.tell(Event::DoorOpen);
    play.tell(promote_canary("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::Abort);
    assert_eq!(play.tell(gate_empty(3)), ["p ends aborted: aborted"]);
    assert_eq!(play.app.deadline(), None, "gate 1 may take its time");
}

#[test]
fn a_block_of_somebody_else_is_not_lifted_with_that_of_the_judge() {
    let mut play = half_way();
    play.tell(block("incident 42"));
    assert!(play.app.rollout().is_some(), "what is under way goes on");
    play.judge(Verdict::Fail, "worse");
    assert_eq!(play.app.blocked().unwrap().reason, "incident 42");
}

#[test]
fn a_late_verdict_means_nothing() {
    let mut play = half_way();
    assert!(play.tell(judged("p", 1, Verdict::Fail, "worse")).is_empty());
    assert!(play.tell(judged("q", 2, Verdict::Fail, "worse")).is_empty());
    assert_eq!(play.app.rollout().unwrap().said, None);
}

#[test]
fn without_traffic_it_ends_in_its_time_and_nothing_is_blocked() {
    let mut play = begun(plan());
    play.judge(Verdict::NotEnoughTraffic, "3 requests, 100 are needed");
    let (steps, watch) = (seconds(3 * 60), seconds(300));
    assert_eq!(
        play.wait(LIMITS.boot + steps + watch),
        [
            "p is withdrawing",
            "publish 3: nothing beside it",
            "close gate 2 for all"
        ]
    );
    assert_eq!(
        play.tell(gate_empty(2)),
        [
            "p ends failed: not enough traffic to judge it at 5 % within 9m: 3 requests, 100 are needed"
        ]
    );
    assert_eq!(play.app.blocked(), None);
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn a_boot_that_took_its_time_leaves_enough_for_all_steps() {
    let mut play = Play::live();
    play.tell(promote_canary("p", "b"));
    play.wait(seconds(59));
    play.tell(probe_passed(1));
    for time in [60, 60, 60, 300] {
        play.wait(seconds(time + 2));
        play.judge(Verdict::Pass, "as good");
    }
    assert_eq!(play.app.live(), Some(&release("b")));
}

#[test]
fn without_traffic_it_goes_on_where_that_is_wanted() {
    let mut play = begun(CanaryPlan {
        on_quiet: OnQuiet::Advance,
        ..plan()
    });
    assert!(
        play.judge(Verdict::NotEnoughTraffic, "nothing came")
            .is_empty(),
        "not before its time"
    );
    play.wait(seconds(60));
    play.judge(Verdict::NotEnoughTraffic, "nothing came");
    assert_eq!(play.state(), "canary, live a, next b at 50 %, p runs");
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
fn smoke_tests_come_before_any_traffic_and_after_the_last_step() {
    let mut play = begun(smoked_plan());
    assert_eq!(
        play.last_effects(),
        [
            "publish 2: beside it b behind gate 2; p.1 draws nobody; staff b",
            "p is smoking",
            "smoke p.1: /up at b"
        ]
    );
    play.tell(smoked("p", 1, Ok(())));
    assert_eq!(play.state(), "canary, live a, next b at 5 %, p runs");
    for _ in 0..2 {
        play.wait(seconds(60));
        play.judge(Verdict::Pass, "as good");
    }
    assert_eq!(
        play.last_effects(),
        [
            "publish 5: beside it b behind gate 2; p.4 draws canary 0..100 b; staff b, opt-in",
            "p is smoking",
            "smoke p.4: /up at b"
        ]
    );
    assert!(play.judge(Verdict::Fail, "not asked yet").is_empty());
    assert!(play.tell(smoked("p", 1, Err("404"))).is_empty(), "late");
    play.tell(smoked("p", 4, Ok(())));
    assert_eq!(play.state(), "canary, live a, next b at 100 %, p runs");
}

#[test]
fn one_that_fails_its_first_smoke_test_has_failed_and_blocks_nothing() {
    let mut play = begun(smoked_plan());
    play.tell(smoked("p", 1, Err("/up answered 404")));
    assert_eq!(
        play.tell(gate_empty(2)),
        ["p ends failed: /up answered 404"]
    );
    assert_eq!(play.app.blocked(), None);
}

#[test]
fn one_that_fails_its_last_smoke_test_is_rolled_back() {
    let mut play = begun(CanaryPlan {
        steps: vec![share(100)],
        ..smoked_plan()
    });
    play.tell(smoked("p", 1, Ok(())));
    assert_eq!(
        play.state(),
        "canary, live a, next b smoking at 100 %, p runs"
    );
    play.tell(smoked("p", 2, Err("/up answered 404")));
    play.tell(gate_empty(2));
    assert_eq!(play.ending().outcome, Outcome::RolledBack);
    assert!(play.app.blocked().is_some());
}

#[test]
fn smoke_tests_that_do_not_end_have_failed() {
    let mut play = begun(smoked_plan());
    play.wait(LIMITS.boot);
    assert_eq!(
        play.tell(gate_empty(2)),
        ["p ends failed: the smoke tests had not ended after 1m"]
    );
}

#[test]
fn smoke_tests_take_nothing_from_the_time_of_the_steps() {
    let mut play = begun(smoked_plan());
    play.wait(seconds(30));
    play.tell(smoked("p", 1, Ok(())));
    let (steps, watch) = (seconds(3 * 60), seconds(300));
    let all = LIMITS.boot + steps + watch;
    assert_eq!(play.app.deadline(), Some(play.now + all));
}

#[test]
fn one_step_and_no_watch_is_over_after_one_verdict() {
    let mut play = begun(CanaryPlan {
        steps: vec![share(100)],
        watch: seconds(0),
        ..plan()
    });
    play.wait(seconds(60));
    play.judge(Verdict::Pass, "as good");
    assert_eq!(play.state(), "draining, live b, p runs");
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
fn smoke_tests_that_pass_while_it_is_paused_do_not_take_it_on() {
    let mut play = begun(smoked_plan());
    play.tell(pause());
    assert!(play.tell(smoked("p", 1, Ok(()))).is_empty());
    assert_eq!(
        play.tell(Event::Resume),
        [
            "publish 3: beside it b behind gate 2; p.2 draws nobody; staff b",
            "p is smoking",
            "smoke p.2: /up at b"
        ]
    );
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

#[test]
fn the_live_release_may_go_down_meanwhile() {
    let mut play = half_way();
    assert!(
        play.tell(live_down(2)).is_empty(),
        "the canary's gate is not the live one's"
    );
    assert_eq!(
        play.tell(live_down(1)),
        ["probe 2: is a back", "hold all (down)"]
    );
    play.tell(advance());
    play.tell(advance());
    let effects = play.tell(advance());
    assert!(effects.contains(&"stop probe 2".to_owned()), "{effects:?}");
    assert_eq!(play.app.live(), Some(&release("b")));
}

#[test]
fn the_same_release_at_another_address_is_a_canary_too() {
    let mut play = Play::live();
    play.tell(Event::Promote(Promote {
        instances: vec![elsewhere()],
        ..canary("p", "a", plan())
    }));
    play.tell(probe_passed(1));
    assert_eq!(
        play.last_effects()[0],
        "publish 2: beside it a at 127.0.0.1:4000 behind gate 2; p.1 draws \
         canary 0..5 a at 127.0.0.1:4000, control 95..100 live; staff a at 127.0.0.1:4000, opt-in"
    );
    play.tell(Event::Abort);
    play.tell(gate_empty(2));
    assert_eq!(play.app.live(), Some(&release("a")));
}

#[test]
fn the_first_release_of_an_app_is_compared_with_nothing() {
    let mut play = Play::empty();
    play.tell(promote_canary("p", "a"));
    play.tell(probe_passed(1));
    assert_eq!(play.state(), "draining, live a, p runs");
}

#[test]
fn a_plan_must_make_sense() {
    let with_steps = |steps: &[u32]| {
        let steps = steps.iter().copied().map(share).collect();
        let plan = CanaryPlan { steps, ..plan() };
        Play::live().ask(Event::Promote(canary("p", "b", plan)))
    };
    let refused = "refused: the steps of a canary grow, and the last one is 100 %";
    for steps in [&[][..], &[5, 50], &[50, 5, 100], &[5, 5, 100], &[0, 100]] {
        assert_eq!(with_steps(steps), refused, "{steps:?}");
    }
    assert_eq!(with_steps(&[100]), "begun p");
    let without = Promote {
        canary: None,
        ..canary("p", "b", plan())
    };
    assert_eq!(
        Play::live().ask(Event::Promote(without)),
        "refused: steps, smoke tests and gates belong to strategy canary"
    );
}

#[test]
fn after_a_restart_it_goes_on_with_the_same_clients() {
    let mut play = half_way();
    play.wait(seconds(30));
    assert_eq!(
        play.crash(),
        [
            "publish 4: a behind gate 3",
            "publish 5: beside it b behind gate 4; p.3 draws canary 0..50 b, control 50..100 live; \
             staff b, opt-in",
            "p is canary"
        ]
    );
    assert_eq!(play.app.rollout().unwrap().going.attempt, 2);
    assert_eq!(
        play.ask(promote_canary("p", "b")),
        "known p",
        "it is still this operation"
    );
}

#[test]
fn after_a_restart_every_stage_is_the_same_again() {
    let smoking = begun(smoked_plan());
    let mut smoking_all = begun(smoked_plan());
    for _ in 0..3 {
        smoking_all.tell(advance());
    }
    let mut paused = half_way();
    paused.tell(pause());
    for mut play in [smoking, smoking_all, half_way(), paused, watched()] {
        let state = play.state();
        let round = play.round();
        play.crash();
        assert_eq!(play.state(), state);
        assert_eq!(play.round(), round + 1, "what was counted is gone");
    }
}

#[test]
fn a_paused_one_waits_on_after_a_restart() {
    let mut play = begun(smoked_plan());
    play.tell(pause());
    assert_eq!(play.crash().last().unwrap(), "p is paused");
    assert_eq!(play.app.deadline(), None);
    assert_eq!(
        play.tell(Event::Resume)[1..],
        ["p is smoking", "smoke p.3: /up at b"]
    );
}

#[test]
fn one_that_was_taken_back_before_a_restart_ends_as_it_was_to() {
    let mut play = half_way();
    play.judge(Verdict::Fail, "worse");
    assert_eq!(
        play.crash(),
        ["publish 5: a behind gate 3", "p ends rolled back: worse"]
    );
    assert!(play.app.blocked().is_some());
    assert_eq!(play.crash(), ["publish 6: a behind gate 4"], "once");
}

#[test]
fn one_that_has_taken_over_before_a_restart_is_done() {
    let mut play = watched();
    play.tell(advance());
    play.crash();
    assert_eq!(play.ending().outcome, Outcome::Done);
}

#[test]
fn what_cannot_be_journalled_pauses_it() {
    let mut play = half_way();
    play.wait(seconds(60));
    let pass = judged("p", play.round(), Verdict::Pass, "as good");
    assert_eq!(play.tell(unjournalled(pass)), ["p is paused"]);
    assert_eq!(
        play.state(),
        "canary, live a, next b at 50 % (disk full), p runs"
    );
    assert_eq!(play.app.deadline(), None, "nothing is tried in a loop");
    play.judge(Verdict::Fail, "worse");
    assert_eq!(
        play.state(),
        "canary, live a, p runs",
        "a no is tried again"
    );
    assert_eq!(
        play.tell(unjournalled(gate_empty(2))),
        ["p ends rolled back: worse"]
    );
    assert_eq!(play.app.deadline(), None);
}

#[test]
fn an_end_that_cannot_be_journalled_is_not_tried_in_a_loop() {
    let mut play = begun(plan());
    play.now = play.app.deadline().unwrap();
    assert_eq!(
        play.tell(unjournalled(Event::DeadlinePassed)),
        ["p is paused"]
    );
    assert_eq!(play.app.deadline(), None);
    play.tell(Event::Resume);
    assert!(play.app.deadline().unwrap() > play.now);
}

#[test]
fn a_canary_that_is_ready_and_cannot_be_journalled_has_failed() {
    let mut play = Play::live();
    play.tell(promote_canary("p", "b"));
    assert_eq!(
        play.tell(unjournalled(probe_passed(1))),
        ["stop probe 1", "p ends failed: disk full"]
    );
}

#[test]
fn whoever_looks_sees_how_far_it_has_come() {
    let mut play = half_way();
    let began = play.now;
    play.wait(seconds(10));
    play.judge(Verdict::NotEnoughTraffic, "9 of 100");
    let seen = play.app.rollout().unwrap();
    assert_eq!(seen.going.stage, RolloutStage::Step(1));
    assert_eq!(seen.going.share(), share(50));
    assert_eq!((seen.since, seen.due), (began, began + seconds(60)));
    assert_eq!(seen.said, Some((Verdict::NotEnoughTraffic, "9 of 100")));
    assert_eq!(play.app.next().unwrap().0, &release("b"));
}
