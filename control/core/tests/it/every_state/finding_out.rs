//! The search finds machines that are broken: each is spoilt in one way, and is found out for that.

use swap_core::{Cause, Effect, GateId, Outcome};

use super::search::explore;
use super::{canaries, everything, previews};
use crate::world::{Mischief, Scope};

/// A machine that wants this done is found out, and for this reason.
#[track_caller]
fn is_found_out(mischief: Mischief, reason: &str) {
    let scope = Scope {
        stages: false,
        gates_max: 1,
        ..everything(&["a", "b"])
    };
    is_found_out_in(&scope, mischief, reason);
}

#[track_caller]
fn is_found_out_in(scope: &Scope, mischief: Mischief, reason: &str) {
    let Err(story) = explore("spoilt", scope, mischief) else {
        panic!("not found out: {reason}");
    };
    assert!(
        story.starts_with(reason),
        "found out for another reason: {story}"
    );
}

fn is_close(effect: &Effect) -> bool {
    matches!(effect, Effect::Close { .. })
}

fn is_publish(effect: &Effect) -> bool {
    matches!(effect, Effect::Publish { .. })
}

#[test]
fn a_gate_that_is_closed_before_its_table_is_replaced_is_found_out() {
    let close_first: Mischief = |effects| {
        let publish = effects.iter().position(is_publish);
        let close = effects.iter().position(is_close);
        if let (Some(publish), Some(close)) = (publish, close) {
            effects.swap(publish, close);
        }
    };
    is_found_out(
        close_first,
        "a gate was closed before its table was replaced",
    );
}

#[test]
fn a_gate_that_is_never_closed_is_found_out() {
    is_found_out(
        |effects| effects.retain(|effect| !is_close(effect)),
        "a replaced gate is still open",
    );
}

#[test]
fn a_gate_that_is_opened_again_is_found_out() {
    let reopen: Mischief = |effects| {
        for effect in effects {
            if let Effect::Publish { gate, .. } = effect {
                *gate = GateId(1);
            }
        }
    };
    is_found_out(reopen, "a gate was opened again");
}

#[test]
fn a_door_that_is_not_shut_for_a_hold_is_found_out() {
    let leave_open: Mischief = |effects| {
        effects.retain(|effect| {
            !matches!(
                effect,
                Effect::Hold {
                    cause: Cause::Swap,
                    ..
                }
            )
        })
    };
    is_found_out(leave_open, "a gate was closed while its door was open");
}

#[test]
fn a_release_that_is_forgotten_is_found_out() {
    let forget: Mischief = |effects| effects.retain(|effect| *effect != Effect::Release);
    is_found_out(forget, "the door is not as the machine believes");
}

#[test]
fn a_round_of_probes_that_is_forgotten_is_found_out() {
    let forget: Mischief =
        |effects| effects.retain(|effect| !matches!(effect, Effect::StopProbe { .. }));
    is_found_out(forget, "a round of probes was forgotten");
}

#[test]
fn a_release_that_is_called_retired_while_requests_run_on_it_is_found_out() {
    let spare: Mischief = |effects| effects.retain(|effect| !matches!(effect, Effect::Cut { .. }));
    is_found_out(spare, "I9: done, but requests run on the old release");
}

#[test]
fn a_failure_that_is_called_done_is_found_out() {
    let pretend: Mischief = |effects| {
        for effect in effects {
            if let Effect::Finish(ending) = effect
                && ending.outcome == Outcome::Failed
            {
                ending.outcome = Outcome::Done;
            }
        }
    };
    is_found_out(pretend, "I5: done, but it does not serve");
}

#[test]
fn an_operation_that_never_ends_is_found_out() {
    let forget: Mischief = |effects| effects.retain(|effect| !matches!(effect, Effect::Finish(_)));
    is_found_out(
        forget,
        "an operation ended without a word, or began without one",
    );
}

#[test]
fn other_clients_for_the_canary_are_found_out() {
    let shift: Mischief = |effects| {
        for effect in effects {
            if let Effect::Split {
                split: Some(split), ..
            } = effect
            {
                split.key.push('x');
            }
        }
    };
    is_found_out_in(
        &canaries(),
        shift,
        "I3: what is beside it is something else",
    );
}

#[test]
fn a_canary_that_is_called_retired_while_requests_run_on_it_is_found_out() {
    let spare: Mischief = |effects| effects.retain(|effect| !matches!(effect, Effect::Cut { .. }));
    is_found_out_in(
        &canaries(),
        spare,
        "I9: withdrawn, but requests run on the canary",
    );
}

#[test]
fn a_hold_that_leaves_a_release_beside_alone_is_found_out() {
    let scope = Scope {
        canaries: &[],
        ..previews()
    };
    let spare: Mischief = |effects| {
        let holds = |effect: &Effect| matches!(effect, Effect::Hold { .. });
        if effects.iter().any(holds) {
            effects.retain(|effect| !matches!(effect, Effect::Split { .. }));
        }
    };
    is_found_out_in(
        &scope,
        spare,
        "a gate was closed before its table was replaced",
    );
}

/// Spoils only what follows a no.
fn when_refuted(effects: &mut Vec<Effect>, spoil: impl FnOnce(&mut Vec<Effect>)) {
    let withdraws = |effect: &Effect| matches!(effect, Effect::Progress { phase, .. } if *phase == "withdrawing");
    if effects.iter().any(withdraws) {
        spoil(effects);
    }
}

#[test]
fn a_canary_whose_gate_stays_open_after_a_no_is_found_out() {
    let spare: Mischief = |effects| {
        when_refuted(effects, |effects| {
            effects.retain(|effect| !is_close(effect))
        })
    };
    is_found_out_in(&canaries(), spare, "a replaced gate is still open");
}

#[test]
fn a_canary_that_is_drained_before_it_is_withdrawn_is_found_out() {
    let hurry: Mischief = |effects| when_refuted(effects, |effects| effects.reverse());
    is_found_out_in(
        &canaries(),
        hurry,
        "a gate was closed before its table was replaced",
    );
}
