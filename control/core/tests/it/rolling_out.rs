//! A canary gets a growing share of the clients, is judged, and takes over or is taken back.

mod journalling;
mod restarting;
mod smoking;
mod steering;

use swap_core::{CanaryPlan, Event, GateId, OnQuiet, Outcome, Promote, RolloutStage, Verdict};

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
