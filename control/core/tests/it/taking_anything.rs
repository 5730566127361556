//! Whatever is told, whenever: the machine never panics (its own assertions hold), and time alone settles it.

use std::time::Duration;

use proptest::prelude::*;
use swap_core::{
    App, Event, HoldCommand, Limits, Methods, Moment, Promote, Saved, Stage, Strategy as Takeover,
    step,
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
    (durations(), durations(), durations(), durations()).prop_map(
        |(boot, drain, drain_held, max_wait)| Limits {
            boot,
            drain,
            drain_held,
            max_wait,
        },
    )
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
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    (operations(), releases(), timeouts, switches).prop_map(
        |(operation, release, [boot, drain, hold], (holds, by_id, command))| {
            let ask = cast::overlap(&operation, release);
            Promote {
                strategy: if holds {
                    Takeover::Hold
                } else {
                    Takeover::Overlap
                },
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
        1 => Just(Event::Unblock),
    ]
}

fn observations() -> impl Strategy<Value = Event> {
    let numbers = || prop_oneof![9 => 0..12u64, 1 => Just(u64::MAX)];
    let event = prop_oneof![
        (operations(), any::<bool>()).prop_map(|(operation, ok)| {
            cast::command_ended(&operation, if ok { Ok(()) } else { Err("exit status 1") })
        }),
        numbers().prop_map(cast::probe_passed),
        numbers().prop_map(|probe| cast::probe_failed(probe, "refused")),
        numbers().prop_map(cast::gate_empty),
        Just(Event::DoorOpen),
        numbers().prop_map(cast::live_down),
        Just(Event::DeadlinePassed),
    ];
    (event, 0..8u8).prop_map(|(event, luck)| match luck {
        0 => cast::unjournalled(event),
        _ => event,
    })
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
            app = step(&app, event, now).app;
            let restored = App::restore(app.saved(), limits, now).app;
            prop_assert_eq!(restored.live(), app.live());
            prop_assert!(restored.generation() > app.generation());
            if later < Duration::MAX {
                now = now + later;
            }
        }
        for _ in 0..200 {
            let Some(due) = app.deadline() else { break };
            now = now.max(due);
            app = step(&app, Event::DeadlinePassed, now).app;
        }
        prop_assert_eq!(app.deadline(), None);
        prop_assert_eq!(app.running(), None);
    }
}
