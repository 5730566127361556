//! What must hold after every step, whatever happened. Checked in release builds too: a machine that is wrong must stop
//! commands, before it harms traffic.

use crate::{Answer, App, Effect, Step, door::Door, work::Work};

/// Asserts that `step` may follow `before`. `publishes` is false where nothing may be published.
pub(crate) fn check(before: &App, step: &Step, publishes: bool) {
    numbers_grow(before, step);
    publish_comes_before_close(before, step);
    if before.live != step.app.live {
        new_live_is_published_and_released(step);
    }
    assert!(
        publishes || before.generation == step.app.generation,
        "published without a journal"
    );
    if let Some(Answer::Refused(refusal)) = &step.answer {
        let unchanged = *before == step.app && step.effects.is_empty();
        assert!(unchanged, "refused ({refusal}), yet changed");
    }
    state_is_sound(&step.app);
}

/// I8: generations and gates only grow, one at a time, and every one of them is published.
fn numbers_grow(before: &App, step: &Step) {
    let (mut generation, mut gate) = (before.generation, before.gates.current);
    for effect in &step.effects {
        if let Effect::Publish {
            generation: published,
            gate: fresh,
            ..
        } = effect
        {
            assert!(
                *published == generation.next() && *fresh == gate.next(),
                "a number was used twice"
            );
            (generation, gate) = (*published, *fresh);
        }
    }
    assert!(
        step.app.generation == generation && step.app.gates.current == gate,
        "a publish is missing"
    );
}

/// Only a gate that a published table has replaced is ever closed.
fn publish_comes_before_close(before: &App, step: &Step) {
    let mut current = before.gates.current;
    for effect in &step.effects {
        match effect {
            Effect::Publish { gate, .. } => current = *gate,
            Effect::Close { gate, .. } | Effect::Cut { gate } => {
                assert!(
                    *gate < current,
                    "gate {gate} was closed before {current} was replaced"
                );
            }
            Effect::Hold { .. }
            | Effect::Release
            | Effect::GiveUp
            | Effect::Probe { .. }
            | Effect::StopProbe { .. }
            | Effect::RunCommand { .. }
            | Effect::Progress { .. }
            | Effect::Finish(_) => {}
        }
    }
}

/// I10: there is a live release for ever after the first one; and whoever waits at the door goes to it.
fn new_live_is_published_and_released(step: &Step) {
    assert!(step.app.live.is_some(), "a live release was lost");
    let publish = step.effects.iter().rposition(
        |effect| matches!(effect, Effect::Publish { live, .. } if *live == step.app.live),
    );
    let release = step
        .effects
        .iter()
        .rposition(|effect| *effect == Effect::Release);
    assert!(
        publish.is_some() && publish < release,
        "a new live release was not published, then released"
    );
}

fn state_is_sound(app: &App) {
    let swapping = matches!(app.door, Door::Swapping { .. });
    let holds = match app.work {
        Work::Quieting(_) | Work::Commanding(_) | Work::HoldBooting(_) | Work::Returning(_) => true,
        Work::Idle
        | Work::Staging(_)
        | Work::Booting(_)
        | Work::Reopening(_)
        | Work::Draining(_)
        | Work::HoldQuieting(_) => false,
    };
    assert_eq!(
        swapping,
        holds && app.live.is_some(),
        "the door is a swap's exactly while one holds"
    );
    assert_eq!(
        app.door == Door::Empty,
        app.live.is_none(),
        "an app without a release is empty"
    );
    let steady = matches!(app.work, Work::Idle)
        && matches!(app.door, Door::Empty | Door::Open | Door::GivenUp { .. });
    assert!(
        steady || app.deadline().is_some(),
        "a state without a deadline"
    );
    assert!(
        app.gates.closed().all(|gate| gate < app.gates.current),
        "the current gate is closed"
    );
}
