//! Whatever is told, whenever: the machine never panics (its own assertions hold), and time alone settles it.

use std::time::Duration;

use proptest::prelude::*;
use swap_core::{
    App, CanaryPlan, Event, HoldCommand, Limits, Methods, Moment, OnFail, OnQuiet, Promote, Saved,
    Share, Stage, Strategy as Takeover, Verdict, step,
};

use crate::cast;

/// None, short, long, and longer than time.
fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..100u64).prop_map(Duration::from_secs),
        (0..100u64).prop_map(Duration::from_millis),
        Just(Duration::MAX),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let times = [(); 5].map(|()| durations());
    (times, any::<bool>()).prop_map(|(times, previews)| {
        let [boot, drain, drain_held, max_wait, affinity] = times;
        Limits {
            boot,
            drain,
            drain_held,
            max_wait,
            previews,
            affinity,
        }
    })
}

fn shares() -> impl Strategy<Value = Share> {
    prop_oneof![0..=1_000_000u32, Just(1_000_000)].prop_map(Share::millionths)
}

/// Plans as they should be, most of them.
fn plans() -> impl Strategy<Value = CanaryPlan> {
    let steps = prop::collection::vec(shares(), 0..4);
    let switches = [(); 4].map(|()| any::<bool>());
    (steps, durations(), durations(), switches).prop_map(
        |(mut steps, step_time, watch, [is_odd, smokes, freezes, advances])| {
            if !is_odd {
                steps.push(Share::ALL);
                steps.sort();
                steps.dedup();
            }
            CanaryPlan {
                steps,
                step_time,
                watch,
                on_fail: if freezes {
                    OnFail::Freeze
                } else {
                    OnFail::Rollback
                },
                on_quiet: if advances {
                    OnQuiet::Advance
                } else {
                    OnQuiet::Wait
                },
                smoke: smokes.then(cast::smoke).into_iter().collect(),
                gates: Vec::new(),
            }
        },
    )
}

/// An experiment of two arms or so, with weights that may be too much.
fn experiments() -> impl Strategy<Value = Event> {
    let arm = (
        prop::sample::select(vec!["one", "two"]),
        releases(),
        0..=60u32,
    );
    (operations(), prop::collection::vec(arm, 1..4))
        .prop_map(|(operation, arms)| cast::experiment(&operation, &arms))
}

fn releases() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c"])
}

/// Ids that are fresh, or known, or running.
fn operations() -> impl Strategy<Value = String> {
    (0..40u8).prop_map(|number| format!("o{number}"))
}

fn promotes() -> impl Strategy<Value = Promote> {
    let timeouts = [(); 3].map(|()| prop::option::of(durations()));
    let switches = (any::<bool>(), any::<bool>());
    let strategies = prop_oneof![
        (Just(Takeover::Overlap), Just(None)),
        (Just(Takeover::Hold), Just(None)),
        (Just(Takeover::Canary), plans().prop_map(Some)),
    ];
    (operations(), releases(), timeouts, strategies, switches).prop_map(
        |(operation, release, [boot, drain, hold], (strategy, canary), (by_id, command))| {
            let ask = cast::overlap(&operation, release);
            Promote {
                strategy,
                canary,
                instances: if by_id { Vec::new() } else { ask.instances },
                boot,
                drain,
                hold,
                command,
                ..ask
            }
        },
    )
}

fn commands() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => promotes().prop_map(Event::Promote),
        1 => (operations(), releases(), prop::option::of(durations())).prop_map(|(operation, release, boot)| {
            let Event::Stage(stage) = cast::stage(&operation, release) else {
                unreachable!("stage makes a stage")
            };
            Event::Stage(Stage { boot, ..stage })
        }),
        1 => releases().prop_map(cast::unstage),
        2 => (operations(), any::<u16>(), prop::option::of(durations())).prop_map(|(operation, bits, timeout)| {
            let Event::Hold(hold) = cast::hold_methods(&operation, Methods::from_bits(bits)) else {
                unreachable!("hold makes a hold")
            };
            Event::Hold(HoldCommand { timeout, ..hold })
        }),
        1 => Just(Event::Resume),
        1 => (operations(), prop::option::of(releases())).prop_map(|(operation, release)| cast::rollback_to(&operation, release)),
        1 => Just(Event::Abort),
        1 => Just(cast::block("because")),
        2 => Just(Event::Unblock),
        1 => Just(cast::pause()),
        1 => Just(cast::advance()),
        2 => experiments(),
        1 => (operations(), prop::option::of(Just("one"))).prop_map(|(operation, winner)| cast::close_experiment(&operation, winner)),
    ]
}

/// What the judge says, and how smoke tests end; of any operation, in any round.
fn verdicts() -> impl Strategy<Value = Event> {
    let verdict = prop::sample::select(vec![
        Verdict::Pass,
        Verdict::Fail,
        Verdict::NotEnoughTraffic,
    ]);
    prop_oneof![
        (operations(), 0..4u64, verdict).prop_map(|(operation, round, verdict)| cast::judged(
            &operation, round, verdict, "figures"
        )),
        (operations(), 0..4u64, any::<bool>()).prop_map(|(operation, round, ok)| {
            cast::smoked(&operation, round, if ok { Ok(()) } else { Err("404") })
        }),
    ]
}

fn observations() -> impl Strategy<Value = Event> {
    let numbers = || prop_oneof![9 => 0..12u64, 1 => Just(u64::MAX)];
    let event = prop_oneof![
        2 => verdicts(),
        1 => (operations(), any::<bool>()).prop_map(|(operation, ok)| {
            cast::command_ended(&operation, if ok { Ok(()) } else { Err("exit status 1") })
        }),
        3 => numbers().prop_map(cast::probe_passed),
        1 => numbers().prop_map(|probe| cast::probe_failed(probe, "refused")),
        1 => numbers().prop_map(cast::gate_empty),
        1 => Just(Event::DoorOpen),
        1 => numbers().prop_map(cast::live_down),
        1 => Just(Event::DeadlinePassed),
    ];
    (event, 0..8u8).prop_map(|(event, luck)| match luck {
        0 => cast::unjournalled(event),
        _ => event,
    })
}

/// Half of the verdicts are on the canary that is under way, in its round.
fn of_what_runs(event: Event, app: &App) -> Event {
    match (event, app.rollout()) {
        (
            Event::Judged {
                round,
                verdict,
                why,
                ..
            },
            Some(rollout),
        ) if round < 2 => Event::Judged {
            operation: rollout.operation.clone(),
            round: rollout.going.round,
            verdict,
            why,
        },
        (Event::Smoked { round, result, .. }, Some(rollout)) if round < 2 => Event::Smoked {
            operation: rollout.operation.clone(),
            round: rollout.going.round,
            result,
        },
        (event, _) => event,
    }
}

/// Who gets what, whatever the gates' and the rounds' numbers are; without a release that is only kept warm, which does
/// not outlive the process.
fn drawn(app: &App) -> impl PartialEq + std::fmt::Debug + use<> {
    let split = app.split()?;
    let is_asked_for = |index: usize| {
        let mut named = split.slices.iter().map(|slice| slice.beside);
        split.preview == Some(index) || named.any(|beside| beside == Some(index))
    };
    let is_only_warm = |index: usize| split.fallback == Some(index) && !is_asked_for(index);
    let releases: Vec<_> = (split.beside.iter().enumerate())
        .filter(|(index, _)| !is_only_warm(*index))
        .map(|(_, beside)| beside.release.clone())
        .collect();
    let is_nothing_else = releases.is_empty() && split.slices.is_empty();
    (!is_nothing_else).then(|| {
        (
            split.key.clone(),
            releases,
            split.slices.clone(),
            split.preview,
            split.opt_in,
        )
    })
}

fn is_paused(app: &App) -> bool {
    let rollout = app.rollout();
    rollout.is_some_and(|rollout| rollout.going.paused.is_some())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic_and_time_settles_it(
        limits in limits(),
        live in prop::option::of(Just(cast::release("a"))),
        events in prop::collection::vec((prop_oneof![commands(), observations()], durations()), 1..80),
    ) {
        let mut now = Moment::after_origin(Duration::from_secs(1));
        let mut app = App::restore(Saved { live, ..Saved::default() }, limits, now).app;
        for (event, later) in events {
            let event = of_what_runs(event, &app);
            app = step(&app, event, now).app;
            let restored = App::restore(app.saved(), limits, now).app;
            prop_assert_eq!(restored.live(), app.live());
            prop_assert_eq!(drawn(&restored), drawn(&app));
            prop_assert!(restored.generation() > app.generation());
            if later < Duration::MAX {
                now = now + later;
            }
        }
        for _ in 0..200 {
            if is_paused(&app) {
                app = step(&app, Event::Abort, now).app; // somebody decides
            }
            let Some(due) = app.deadline() else { break };
            now = now.max(due);
            app = step(&app, Event::DeadlinePassed, now).app;
        }
        prop_assert_eq!(app.deadline(), None);
        prop_assert_eq!(app.running(), None);
    }
}
